/* See usage.h. */
#include "hard/central.h"
#include "hard/thread.h"
#include "hard/usage.h"

static uint64_t small_live(void)
{
    uint64_t live = 0;
    for (struct hard_thread *t = hard_threads; t; t = t->next)
        live += __atomic_load_n(&t->allocated_bytes, __ATOMIC_RELAXED) -
                __atomic_load_n(&t->freed_bytes, __ATOMIC_RELAXED);
    return live;
}

uint64_t hard_live_bytes(void)
{
    return small_live() + __atomic_load_n(&fh_registry.large_bytes, __ATOMIC_RELAXED);
}

static uint64_t cached(const struct hard_thread *thread)
{
    uint64_t bytes = 0;
    for (unsigned i = HARD_BUCKETS; i < HARD_LARGE_FIRST; i++) {
        const struct region *region = &hard.region[i];
        const struct cache *cache = (const struct cache *)(thread->caches + region->cache_at);
        bytes += __atomic_load_n(&cache->count, __ATOMIC_RELAXED) * region->size;
    }
    return bytes;
}

void hard_usage(struct fh_usage *usage)
{
    uint64_t carved = 0, slots = 0;
    *usage = (struct fh_usage){.live = hard_live_bytes()};
    for (struct hard_thread *t = hard_threads; t; t = t->next) {
        usage->thread_lists += cached(t);
        usage->remote += __atomic_load_n(&t->quarantine.bytes, __ATOMIC_RELAXED);
        usage->metadata += sizeof *t;
    }
    for (unsigned i = HARD_BUCKETS; i < HARD_LARGE_FIRST; i++) {
        uint64_t count = __atomic_load_n(&region_states[i].carved, __ATOMIC_RELAXED);
        carved += count * hard.region[i].size;
        slots += count;
        usage->metadata += region_states[i].slabs * sizeof(struct slab);
    }
    usage->metadata +=
        slots * sizeof(slot_word) + offsetof(struct hard_space, region[HARD_REGIONS]);
    uint64_t used = small_live() + usage->thread_lists + usage->remote;
    usage->free_in_slabs = carved - base_min(used, carved);
}
