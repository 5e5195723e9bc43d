/*
 * See registry.h. Nothing here is read by the allocator: who overwrites it deceives a tool, which bounds what it
 * reads, and nobody else.
 */
#include <freehold/registry.h>

#include "hard/registry.h"
#include "hard/reuse_scan.h"
#include "hard/sample.h"
#include "hard/space.h"

/* What is read from outside is what is written in here, under other names. */
#define SAME(outer, outer_field, inner, inner_field)                                               \
    static_assert(offsetof(struct outer, outer_field) == offsetof(struct inner, inner_field) &&    \
                      sizeof(((struct outer *)0)->outer_field) ==                                  \
                          sizeof(((struct inner *)0)->inner_field),                                \
                  #outer "." #outer_field)

SAME(fh_hard_region, size, region, size);
SAME(fh_hard_region, slots, region, slots);
SAME(fh_hard_region, slab_shift, region, slab_shift);
SAME(fh_hard_region, kind, region, kind);
SAME(fh_hard_region, size_class, region, size_class);
SAME(fh_hard_region, bucket, region, bucket);
SAME(fh_hard_region, words, region, words);
SAME(fh_hard_region, words_at, region, words_at);
static_assert(sizeof(struct fh_hard_region) <= sizeof(struct region),
              "read from the table of regions");

static_assert(sizeof(struct fh_hard_slab) == sizeof(struct slab), "an array of them");
SAME(fh_hard_slab, free, slab, free);
SAME(fh_hard_slab, carved, slab, carved);

SAME(fh_hard_large, word, large, word);
SAME(fh_hard_large, thread, large, thread);
SAME(fh_hard_large, start, large, start);
SAME(fh_hard_large, size, large, size);
SAME(fh_hard_large, pages, large, pages);
SAME(fh_hard_large, open, large, open);
SAME(fh_hard_large, open_end, large, open_end);
SAME(fh_hard_large, front, large, front);

SAME(fh_hard_sample, word, sample_block, word);
SAME(fh_hard_sample, start, sample_block, start);
SAME(fh_hard_sample, size, sample_block, size);

#define EQUAL(a, b) static_assert((int)(a) == (int)(b), #a)
EQUAL(FH_HARD_NEVER, SLOT_NEVER);
EQUAL(FH_HARD_LIVE, SLOT_LIVE);
EQUAL(FH_HARD_QUARANTINED, SLOT_QUARANTINED);
EQUAL(FH_HARD_FREE, SLOT_FREE);
EQUAL(FH_HARD_CACHED, SLOT_CACHED);
EQUAL(FH_HARD_GONE, SLOT_GONE);
EQUAL(FH_HARD_NONE, REGION_NONE);
EQUAL(FH_HARD_ZERO, REGION_ZERO);
EQUAL(FH_HARD_SMALL, REGION_SMALL);
EQUAL(FH_HARD_LARGE, REGION_LARGE);
EQUAL(FH_HARD_SAMPLED, REGION_SAMPLE);
EQUAL(FH_HARD_STATE(~0u), WORD_STATE);
EQUAL(FH_HARD_KIND(1u << WORD_KIND_SHIFT), 1);
EQUAL(FH_HARD_SLACK(1u << WORD_SLACK_SHIFT), 1);

static_assert(FH_HARD_OWN >= REUSE_HIDDEN, "all are told");

static struct fh_hard described = {.version = FH_HARD_VERSION, .size = sizeof described};

void hard_registry_start(void)
{
    described.level = (uint32_t)hard.measures.level;
    described.chunk_shift = hard.chunk_shift;
    described.base = hard.base;
    described.bytes = hard.size;
    described.meta = hard.meta;
    described.meta_shift = HARD_META_SHIFT;
    described.reserved_base = space_meta();
    described.reserved_bytes = space_meta_size();
    described.owner = (uintptr_t)hard.owner;
    described.regions = (uintptr_t)hard.region;
    described.region_count = HARD_REGIONS;
    described.region_size = sizeof *hard.region;
    described.large_size = sizeof(struct large);
    described.sample_base = sample_region.base;
    described.sample_bytes = sample_region.size;
    for (unsigned i = 0; i < reuse_scan.hidden_count; i++) {
        const struct os_range *range = &reuse_scan.hidden[i];
        described.own[i] = (struct fh_hard_range){range->start, range->end - range->start};
    }
    __atomic_store_n(&fh_registry.hard, (uintptr_t)&described, __ATOMIC_RELEASE);
}

void hard_registry_samples(const struct sample_block *blocks, uint32_t count)
{
    described.samples = (uintptr_t)blocks;
    described.sample_count = count;
    described.sample_size = sizeof *blocks;
}

void hard_registry_regions(uint32_t count)
{
    __atomic_store_n(&described.region_count, count, __ATOMIC_RELAXED);
}

void hard_registry_thread(uint32_t threads)
{
    __atomic_store_n(&described.threads, threads, __ATOMIC_RELAXED);
}
