/* Numbers out: pauses, counters. */
#include <string.h>

#include "gc/mark.h"

/* 16 buckets to each doubling from 1024 ns on; below, one for each 64 ns. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1024) return (unsigned)(ns / 64);
    unsigned log = base_log2(ns);
    unsigned bucket = (log - 9) * 16 + (unsigned)(ns >> (log - 4) & 15);
    return (unsigned)base_min(bucket, FH_GC_PAUSE_BUCKETS - 1);
}

/* The largest time that falls into a bucket. */
static uint64_t bucket_limit(unsigned bucket)
{
    if (bucket < 16) return (uint64_t)(bucket + 1) * 64 - 1;
    unsigned log = bucket / 16 + 9;
    return ((uint64_t)(bucket % 16 + 17) << (log - 4)) - 1;
}

void pause_note(struct gc_heap *heap, uint64_t ns)
{
    struct fh_gc_pauses *pauses = &heap->stats.pauses;
    __atomic_fetch_add(&pauses->count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&pauses->total_ns, ns, __ATOMIC_RELAXED);
    uint64_t most = __atomic_load_n(&pauses->max_ns, __ATOMIC_RELAXED);
    while (ns > most && !__atomic_compare_exchange_n(&pauses->max_ns, &most, ns, true,
                                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    __atomic_fetch_add(&pauses->bucket[bucket_of(ns)], 1, __ATOMIC_RELAXED);
}

GC_PUBLIC uint64_t fh_gc_pauses_quantile(const struct fh_gc_pauses *pauses,
                                         unsigned per_ten_thousand)
{
    uint64_t rank = (pauses->count * per_ten_thousand + 9999) / 10000, seen = 0;
    if (pauses->count == 0) return 0;
    for (unsigned b = 0; b < FH_GC_PAUSE_BUCKETS; b++) {
        seen += pauses->bucket[b];
        if (seen >= rank && seen) return base_min(bucket_limit(b), pauses->max_ns);
    }
    return pauses->max_ns;
}

static void stats_count_blocks(struct gc_heap *heap, struct fh_gc_stats *stats)
{
    stats->block_count = heap->block_count;
    stats->blocks_free = heap->free_count;
    stats->blocks_full = stats->hole_bytes = 0;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index == 0) continue;
        struct gc_block *block = gc_block_at(index);
        unsigned state = LOAD(&block->state);
        if (state == BLOCK_FULL) stats->blocks_full++;
        if (state == BLOCK_FULL || state == BLOCK_CURRENT)
            stats->hole_bytes += (BLOCK_GRANULES - __atomic_load_n(&block->live, __ATOMIC_RELAXED))
                                 << GC_SHIFT;
    }
}

GC_PUBLIC void fh_gc_stats_get(struct fh_gc_heap *public, struct fh_gc_stats *stats)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    *stats = heap->stats;
    stats->allocated_bytes = LOAD(&heap->allocated);
    stats->live_bytes = heap->live;
    stats->heap_bytes = heap_bytes(heap);
    stats->target_bytes = heap->target;
    stats->limit_bytes = heap->limit;
    stats->large_bytes = heap->large_bytes;
    stats->threads = gc_thread_count();
    stats->metadata_bytes = stats->heap_bytes / GC_GRANULE + stats->heap_bytes / 64;
    stats_count_blocks(heap, stats);
    lock_give(&heap->lock);
    thread_leave(thread);
}

GC_PUBLIC void fh_gc_stats_reset(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    memset(&heap->stats.pauses, 0, sizeof heap->stats.pauses);
    heap->stats.heap_bytes_peak = heap_bytes(heap);
    lock_give(&heap->lock);
    thread_leave(thread);
}

GC_PUBLIC void fh_gc_listen(struct fh_gc_heap *public, fh_gc_listener_fn *listener, void *data)
{
    struct gc_heap *heap = heap_of(public);
    heap->listener_data = data;
    heap->listener = listener;
}
