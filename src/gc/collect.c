/*
 * A collection, as one page of verbs: gc_collect and collect_stopped are the whole of it.
 */
#include "gc/mark.h"
#include "os/os.h"

/* ---- facts ------------------------------------------------------------------------------------------ */

void gc_event(struct gc_heap *heap, enum fh_gc_event_kind kind, uint64_t value)
{
    if (heap->listener == NULL) return;
    struct fh_gc_event event = {kind, LOAD(&heap->epoch) + 1, os_time_ns(), value};
    heap->listener(&event, heap->listener_data);
}

/* ---- the phases ----------------------------------------------------------------------------------------- */

/* A full collection marks with the other value; a minor one with the same, so that what carries it
 * already is not looked at. */
static void mark_turn(struct gc_heap *heap, bool minor)
{
    if (!minor) heap->mark ^= 1;
}

static void mark_all(struct gc_heap *heap, bool minor)
{
    mark_turn(heap, minor);
    marking_begin(heap, false);
    struct marker *marker = &heap->marking_state->marker[0];
    roots_visit(heap, &marker->visitor);
    remembered_visit(heap, minor ? &marker->visitor : NULL);
    gc_event(heap, FH_GC_EVENT_ROOTS, 0);
    marking_drain(heap);
    weak_process(heap);
    weak_publish(heap);
    marking_finish(heap, minor);
    gc_event(heap, FH_GC_EVENT_MARKED, heap->live);
}

static void collect_stopped(struct gc_heap *heap, bool minor)
{
    mutators_note_holes(heap);
    if (heap->options.debug & FH_GC_VERIFY) heap_verify(heap, false, "before a collection");
    mark_all(heap, minor);
    gc_large_find_dead(heap);
    heap_unsweep(heap, minor);
    if (heap->logs) heap_arm_young(heap);
    mutators_sweep_blocks(heap);
    if (heap->options.debug & FH_GC_VERIFY) heap_verify(heap, true, "after a collection");
}

/* ---- one collection -------------------------------------------------------------------------------------- */

/* The stack of the thread that collects is published like the others'. */
static FH_NOINLINE void collect_with_world(struct gc_heap *heap, bool minor)
{
    uint64_t start = os_time_ns();
    thread_publish(gc_local.thread);
    world_stop();
    uint64_t stopped = os_time_ns();
    gc_event(heap, FH_GC_EVENT_STOPPED, stopped - start);
    collect_stopped(heap, minor);
    world_go();
    uint64_t end = os_time_ns();
    heap->stats.stop_ns += end - stopped;
    heap->stats.mark_ns += end - stopped;
    gc_event(heap, FH_GC_EVENT_RESUMED, end - start);
}

void rates_note(struct gc_heap *heap, uint64_t start, uint64_t end)
{
    uint64_t allocated = LOAD(&heap->allocated);
    uint64_t between = start - heap->collected_ns + 1, within = end - start + 1;
    uint64_t rate = (allocated - heap->allocated_before) * 1000 / (between / 1000000 + 1);
    uint64_t speed = heap->live * 1000 / (within / 1000000 + 1);
    heap->allocation_rate = (heap->allocation_rate + rate) / 2;
    heap->mark_rate = (heap->mark_rate + speed) / 2;
    heap->allocated_before = allocated;
    heap->collected_ns = end;
}

void gc_collect(struct gc_heap *heap, enum fh_gc_kind kind, enum fh_gc_why why, uint32_t seen)
{
    struct gc_thread *self = thread_self();
    if (collector_find(heap)) {
        if (LOAD(&heap->epoch) == seen)
            cycle_wait(heap, cycle_request(heap, why, kind != FH_GC_MINOR));
        return;
    }
    uint64_t start = os_time_ns();
    self->busy++;
    world_take();
    if (LOAD(&heap->epoch) == seen) {
        gc_event(heap, FH_GC_EVENT_START, why);
        bool minor = kind == FH_GC_MINOR && collect_minor_is_due(heap);
        roots_refresh(heap);
        heap_sweep_all(heap);
        collect_with_world(heap, minor);
        heap->stats.collections++;
        heap->stats.minor_collections += minor;
        heap->stats.last_why = why;
        uint64_t end = os_time_ns();
        rates_note(heap, start, end);
        if (!minor) size_after_collection(heap);
        atomic_fetch_add(&heap->epoch, 1);
        gc_large_free_dead(heap);
        pause_note(heap, end - start);
        gc_event(heap, FH_GC_EVENT_END, 0);
    }
    world_give();
    thread_leave(self);
}

/* All free blocks go back to the arena, from where the purger returns them to the kernel. */
static void heap_give_back(struct gc_heap *heap)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    heap_sweep_all(heap);
    heap_release_free(heap);
    thread_leave(thread);
}

GC_PUBLIC int fh_gc_collect(struct fh_gc_heap *public, enum fh_gc_kind kind)
{
    struct gc_heap *heap = heap_of(public);
    gc_collect(heap, kind, FH_GC_WHY_CALL, LOAD(&heap->epoch));
    if (kind == FH_GC_COMPACT) heap_give_back(heap);
    return 0;
}
