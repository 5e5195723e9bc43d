/* Numbers out: pauses, counters. */
#include <string.h>

#include "gc/call.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/pause.h"

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

/* What is left of a space when all else is known. More may have been found alive than threads have
 * told of. */
static void space_close(struct fh_gc_space *space)
{
    uint64_t rest = space->bytes - space->hole_bytes - space->free_bytes;
    space->live_bytes = base_min(space->live_bytes, rest);
    space->garbage_bytes = rest - space->live_bytes;
}

/* In a block that waits to be swept nothing is known to be free. Holds: heap->lock. */
static void blocks_measure(struct gc_heap *heap, struct fh_gc_space *space)
{
    *space = (struct fh_gc_space){.count = heap->block_count,
                                  .live_bytes = heap->live - heap->live_large};
    space->bytes = space->count << SLICE_SHIFT;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index == 0) continue;
        struct gc_block *block = gc_block_at(index);
        size_t live = __atomic_load_n(&block->live, __ATOMIC_RELAXED);
        if (LOAD(&block->state) == BLOCK_FREE)
            space->free_bytes += BLOCK_SIZE;
        else if (LOAD(&block->cycle) == LOAD(&heap->cycle))
            space->hole_bytes += (BLOCK_GRANULES - live) << GC_SHIFT;
    }
    space_close(space);
}

static void large_measure(struct gc_heap *heap, struct fh_gc_space *space)
{
    *space = (struct fh_gc_space){
        .count = heap->large.count, .bytes = heap->large_bytes, .live_bytes = heap->live_large};
    for (size_t i = 0; i < heap->large.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        size_t size = base_round_up(LOAD(&block->bytes), GC_GRANULE);
        space->hole_bytes += ((size_t)LOAD(&block->slices) << SLICE_SHIFT) - size;
    }
    space_close(space);
}

static uint64_t tables_measure(const struct gc_heap *heap)
{
    const struct gc_weakness *weakness = &heap->weakness;
    const struct vector *const table[] = {
        &heap->blocks,
        &heap->large,
        &heap->young,
        &heap->snapshots,
        &heap->remembered,
        &heap->roots,
        &heap->handles,
        &heap->pins,
        &heap->pin_index.slots,
        &weakness->finalizers,
        &weakness->queue,
        &weakness->links,
        &weakness->weak,
        &weakness->ephemerons,
        &weakness->ephemeron_chains,
        &weakness->finalizer_index.slots,
        &weakness->link_index.slots,
        NULL,
    };
    uint64_t bytes = heap->marking_state->chunks_committed;
    for (size_t i = 0; table[i]; i++) bytes += table[i]->committed;
    return bytes;
}

GC_PUBLIC void fh_gc_stats_get(struct fh_gc_heap *public, struct fh_gc_stats *stats)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    mutator_tell(heap, thread);
    gc_lock_take(&heap->lock);
    *stats = heap->stats;
    stats->allocated_bytes = LOAD(&heap->allocated);
    stats->handshakes = LOAD(&heap->handshakes);
    stats->assists = LOAD(&heap->assists);
    stats->live_bytes = heap->live;
    stats->heap_bytes = heap_bytes(heap);
    stats->target_bytes = heap->target;
    stats->limit_bytes = heap->limit;
    stats->threads = gc_thread_count();
    stats->metadata_bytes = stats->heap_bytes / GC_GRANULE;
    if (heap->logs) stats->metadata_bytes += stats->heap_bytes / 64;
    stats->table_bytes = tables_measure(heap);
    stats_read_pauses(heap, &stats->pauses);
    for (unsigned w = 0; w < UTILISATION_WINDOWS; w++)
        stats->utilisation_permille[w] = LOAD(&heap->utilisation[w]);
    stats->mutator_utilisation_permille = stats->utilisation_permille[1];
    blocks_measure(heap, &stats->blocks);
    large_measure(heap, &stats->large);
    lock_give(&heap->lock);
    thread_leave(thread);
}

GC_PUBLIC void fh_gc_stats_reset(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    pauses_reset(heap);
    heap->stats.heap_bytes_peak = heap_bytes(heap);
    lock_give(&heap->lock);
    thread_leave(thread);
}
