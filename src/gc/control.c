/* Control: pausing, limits, hints, steps. */
#include "gc/mark.h"

GC_PUBLIC bool fh_gc_step(struct fh_gc_heap *public, uint64_t budget_us)
{
    struct gc_heap *heap = heap_of(public);
    uint64_t end = os_time_ns() + budget_us * 1000;
    struct gc_thread *thread = thread_self();
    bool more = true;
    while (more && os_time_ns() < end) {
        thread_enter(thread);
        more = heap_sweep_some(heap, 16);
        thread_leave(thread);
    }
    return more;
}

GC_PUBLIC void fh_gc_park(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    world_take();
    heap->parked++;
    world_give();
}

GC_PUBLIC void fh_gc_release(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    world_take();
    if (heap->parked) heap->parked--;
    world_give();
}

GC_PUBLIC int fh_gc_limit_set(struct fh_gc_heap *public, size_t limit)
{
    struct gc_heap *heap = heap_of(public);
    if (limit && limit < 4 * BLOCK_SIZE) return -EINVAL;
    if (limit == 0 && heap->options.sizing == FH_GC_FIXED) return -EINVAL;
    world_take();
    heap->limit = limit;
    size_after_collection(heap);
    world_give();
    return 0;
}

GC_PUBLIC void fh_gc_ramp_begin(struct fh_gc_heap *public)
{
    world_take();
    heap_of(public)->ramps++;
    size_after_collection(heap_of(public));
    world_give();
}

GC_PUBLIC void fh_gc_ramp_end(struct fh_gc_heap *public)
{
    world_take();
    if (heap_of(public)->ramps) heap_of(public)->ramps--;
    size_after_collection(heap_of(public));
    world_give();
}

/* ---- location dependency ---------------------------------------------------------------------------- */

GC_PUBLIC void fh_gc_location_reset(struct fh_gc_heap *heap, struct fh_gc_location *location)
{
    location->epoch = LOAD(&heap_of(heap)->moves);
}

/* One count for all addresses: coarse, and a load. */
GC_PUBLIC void fh_gc_location_add(struct fh_gc_heap *heap, struct fh_gc_location *location,
                                  const void *p)
{
    (void)heap;
    (void)location;
    (void)p;
}

GC_PUBLIC bool fh_gc_location_stale(struct fh_gc_heap *heap, const struct fh_gc_location *location,
                                    const void *p)
{
    (void)p;
    return location->epoch != LOAD(&heap_of(heap)->moves);
}

GC_PUBLIC void fh_gc_external(struct fh_gc_heap *public, ptrdiff_t bytes)
{
    atomic_fetch_add(&heap_of(public)->external, bytes);
}
