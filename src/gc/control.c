/* Control: pausing, limits, hints, steps. */
#include "gc/call.h"
#include "gc/collect.h"
#include "gc/cycle.h"
#include "gc/heap.h"
#include "gc/size.h"

/* A piece of what waits to be done; false if nothing does. */
static bool step_once(struct gc_heap *heap, struct gc_thread *thread)
{
    enum { OBJECTS = 2000 };
    thread_enter(thread);
    bool more = heap_sweep_some(heap, SWEEP_BATCH);
    thread_leave(thread);
    return more || cycle_assist(heap, thread, OBJECTS);
}

GC_PUBLIC bool fh_gc_step(struct fh_gc_heap *public, uint64_t budget_us)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    uint64_t now = os_time_ns(), end = now + budget_us * 1000;
    bool more = true;
    for (; more && now < end; now = os_time_ns()) more = step_once(heap, thread);
    if (more || now >= end || !size_is_due_soon(heap)) return more;
    if (!size_stops(heap))
        cycle_request(heap, FH_GC_WHY_STEP, false);
    else if (heap->full_ns && heap->full_ns < end - now)
        gc_collect(heap, FH_GC_MINOR, FH_GC_WHY_STEP, LOAD(&heap->epoch));
    return false;
}

GC_PUBLIC void fh_gc_clamp(struct fh_gc_heap *public)
{
    world_take();
    heap_of(public)->parked++;
    world_give();
}

GC_PUBLIC void fh_gc_park(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    world_take_idle(heap);
    heap->parked++;
    world_give();
}

GC_PUBLIC void fh_gc_release(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    world_take();
    if (heap->parked == 0)
        program_misused("fh_gc_release without fh_gc_clamp or fh_gc_park; stopping");
    heap->parked--;
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
    if (limit && heap_bytes(heap) > limit)
        gc_collect(heap, FH_GC_FULL, FH_GC_WHY_LIMIT, collect_count(heap, FH_GC_FULL));
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
    struct gc_heap *heap = heap_of(public);
    world_take();
    if (heap->ramps == 0) program_misused("fh_gc_ramp_end without fh_gc_ramp_begin; stopping");
    heap->ramps--;
    size_after_collection(heap);
    world_give();
}

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
    struct gc_heap *heap = heap_of(public);
    atomic_fetch_add(&heap->external, bytes);
    if (bytes <= 0) return;
    bool concurrent = collector_find(heap);
    if (!size_is_external(heap, concurrent ? heap->start : heap->target)) return;
    if (!concurrent)
        gc_collect(heap, FH_GC_FULL, FH_GC_WHY_EXTERNAL, collect_count(heap, FH_GC_FULL));
    else if (size_is_external(heap, heap->target * 2))
        cycle_wait(heap, cycle_request(heap, FH_GC_WHY_EXTERNAL, false));
    else
        cycle_request(heap, FH_GC_WHY_EXTERNAL, false);
}
