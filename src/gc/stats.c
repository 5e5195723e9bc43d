/* Numbers out: pauses, counters. */
#include <string.h>

#include "gc/mark.h"

/* ---- pauses ----------------------------------------------------------------------------------------------- */

/* The public layout is the histogram's. */
static_assert(sizeof(struct fh_gc_pauses) == sizeof(struct histogram), "size");
static_assert(FH_GC_PAUSE_BUCKETS == HISTOGRAM_BUCKETS, "buckets");
static_assert(offsetof(struct fh_gc_pauses, total_ns) == offsetof(struct histogram, total),
              "total");
static_assert(offsetof(struct fh_gc_pauses, max_ns) == offsetof(struct histogram, max), "max");
static_assert(offsetof(struct fh_gc_pauses, bucket) == offsetof(struct histogram, bucket),
              "bucket");

GC_PUBLIC uint64_t fh_gc_pauses_quantile(const struct fh_gc_pauses *pauses,
                                         unsigned per_ten_thousand)
{
    struct histogram histogram;
    memcpy(&histogram, pauses, sizeof histogram);
    return histogram_quantile(&histogram, per_ten_thousand);
}

static void stats_read_pauses(struct gc_heap *heap, struct fh_gc_pauses *pauses)
{
    struct histogram histogram;
    histogram_read(&heap->pauses, &histogram);
    memcpy(pauses, &histogram, sizeof histogram);
}

/* ---- numbers ---------------------------------------------------------------------------------------------- */

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
    stats_read_pauses(heap, &stats->pauses);
    for (unsigned w = 0; w < UTILISATION_WINDOWS; w++)
        stats->utilisation_permille[w] = LOAD(&heap->utilisation[w]);
    stats->mutator_utilisation_permille = stats->utilisation_permille[1];
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
    pauses_reset(heap);
    heap->stats.heap_bytes_peak = heap_bytes(heap);
    lock_give(&heap->lock);
    thread_leave(thread);
}
