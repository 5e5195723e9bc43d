/*
 * What the heap holds, by size: one walk over the descriptors, which lie apart from the program's memory. No lock, no
 * block is touched; the program goes on, so counts of one slab may be of different moments.
 */
#include "base/lanes.h"
#include "face/oom.h"
#include "gc/heap.h"
#include "heap/slab.h"

uint64_t oom_group_size(unsigned group)
{
    if (group < CLASSES) return class_facts[group].size;
    return group < OOM_LARGE ? (uint64_t)(group - CLASSES + 1) << FH_GRANULE_SHIFT : 0;
}

static uint64_t touched_of(const struct span *span)
{
    return (CARVES - (unsigned)__builtin_popcount(span->clean)) * CARVE_SIZE;
}

static void add_slab(struct oom_census *census, struct span *span)
{
    struct oom_group *group = &census->group[span->size_class % CLASSES];
    uint64_t size = class_facts[span->size_class % CLASSES].size, blocks = slab_used(span);
    uint64_t remote = base_min(LOAD(&span->remote) >> 16, blocks);
    if (blocks > SLICE_SIZE / 16) return; /* the slab went while it was read */
    uint64_t live = (blocks - remote) * size, touched = touched_of(span);
    group->count += blocks - remote;
    group->live += live;
    group->free += touched - base_min(live, touched);
    census->remote += remote * size;
}

/* A block of a slice of runs ends where the next begins, or free granules do. */
static void add_runs(struct oom_census *census, struct span *span)
{
    uint64_t begins = (uint64_t)(uintptr_t)LOAD(&span->free), free_granules = LOAD(&span->bytes);
    uint64_t ends = begins | free_granules, live = 0;
    for (uint64_t rest = begins; rest; rest &= rest - 1) {
        unsigned from = base_ctz(rest);
        uint64_t beyond = from < 63 ? ends >> (from + 1) : 0;
        unsigned granules = beyond ? 1 + base_ctz(beyond) : 64 - from;
        struct oom_group *group = &census->group[CLASSES + granules - 1];
        group->count++;
        group->live += (uint64_t)granules << FH_GRANULE_SHIFT;
        live += (uint64_t)granules << FH_GRANULE_SHIFT;
    }
    /* Free memory is of no size; it is told with that of the slice's kind, in the total. */
    uint64_t touched = touched_of(span);
    census->free += touched - base_min(live, touched);
}

static void add_large(struct oom_census *census, struct span *span)
{
    uint64_t bytes = LOAD(&span->bytes);
    census->group[OOM_LARGE].count++;
    census->group[OOM_LARGE].live += bytes;
    unsigned place = OOM_LARGEST;
    while (place > 0 && census->largest[place - 1].bytes < bytes) place--;
    if (place == OOM_LARGEST) return;
    for (unsigned i = OOM_LARGEST - 1; i > place; i--) census->largest[i] = census->largest[i - 1];
    census->largest[place].bytes = bytes;
    census->largest[place].start = span_start(span);
}

static void add_collected(struct oom_census *census, struct span *span, uint64_t bytes, bool large)
{
    uintptr_t offset = (uintptr_t)LOAD(&span->owner) - (uintptr_t)gc_heaps;
    size_t number = offset / sizeof gc_heaps[0];
    if (number >= FH_GC_HEAPS) return;
    uint64_t *sum = large ? &census->space[number].large : &census->space[number].blocks;
    *sum += bytes;
}

/* Returns its length in slices. */
static uint32_t add_span(struct oom_census *census, struct span *span)
{
    uint8_t kind = LOAD_ACQUIRE(&span->kind);
    uint32_t slices = LOAD(&span->slices);
    uint64_t bytes = (uint64_t)slices << SLICE_SHIFT;
    switch (kind) {
    case FH_SPAN_SLAB: add_slab(census, span); return 1;
    case FH_SPAN_RUNS: add_runs(census, span); return 1;
    case FH_SPAN_GC_BLOCK: add_collected(census, span, SLICE_SIZE, false); return 1;
    case FH_SPAN_GC_LARGE: add_collected(census, span, bytes, true); return slices;
    case FH_SPAN_LARGE: add_large(census, span); return slices;
    case FH_SPAN_FREE: return slices;
    default: return 1;
    }
}

void oom_census(struct oom_census *census)
{
    *census = (struct oom_census){0};
    uint32_t high = __atomic_load_n(&fh_registry.high, __ATOMIC_ACQUIRE);
    for (uint32_t index = arena.first; index < high;)
        index += (uint32_t)base_max(add_span(census, span_at(index)), 1);
    for (unsigned g = 0; g < OOM_GROUPS; g++) {
        census->live += census->group[g].live;
        census->free += census->group[g].free;
    }
    census->dirty = __atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED) << SLICE_SHIFT;
    census->metadata =
        heap_count() * sizeof(struct heap) + (high - arena.first) * sizeof(struct span);
}
