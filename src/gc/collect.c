/*
 * A collection, as one page of verbs: gc_collect and collect_stopped are the whole of it.
 */
#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/collect.h"
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/large.h"
#include "gc/mark.h"
#include "gc/pause.h"
#include "gc/roots.h"
#include "gc/size.h"
#include "gc/verify.h"
#include "gc/weak.h"
#include "os/os.h"

void collection_begins(struct gc_heap *heap, enum fh_gc_why why)
{
    STORE(&heap->collection, LOAD(&heap->epoch) + 1);
    gc_event_of(heap, FH_GC_EVENT_START, why, heap_bytes(heap));
}

void collection_ends(struct gc_heap *heap, enum fh_gc_why why, bool minor)
{
    gc_lock_take(&heap->lock);
    heap->stats.collections++;
    heap->stats.minor_collections += minor;
    heap->stats.last_why = why;
    heap->stats.collections_why[why]++;
    lock_give(&heap->lock);
    atomic_fetch_add(&heap->epoch, 1);
}

void collection_weak(struct gc_heap *heap)
{
    uint64_t cleared = heap->stats.weak_cleared, queued = heap->stats.finalizers_queued;
    weak_process(heap);
    cleared = heap->stats.weak_cleared - cleared;
    queued = heap->stats.finalizers_queued - queued;
    gc_event(heap, FH_GC_EVENT_WEAK, cleared);
    if (queued) gc_event(heap, FH_GC_EVENT_FINALIZERS, queued);
}

/* A full collection marks with the other value; a minor one with the same, so that what carries it
 * already is not looked at. */
static void mark_turn(struct gc_heap *heap, bool minor)
{
    if (!minor) heap->mark ^= 1;
}

void mark_rest(struct gc_heap *heap, bool minor)
{
    struct marker *marker = &heap->marking_state->marker[0];
    roots_visit(heap, &marker->visitor);
    remembered_visit(heap, minor ? &marker->visitor : NULL);
    gc_event(heap, FH_GC_EVENT_ROOTS, 0);
    marking_drain(heap);
    collection_weak(heap);
    weak_publish(heap);
    marking_finish(heap, minor);
    gc_event(heap, FH_GC_EVENT_MARKED, heap->live);
}

static void mark_all(struct gc_heap *heap, bool minor)
{
    mark_turn(heap, minor);
    marking_begin(heap, false, !minor || heap->nursery == 0);
    mark_rest(heap, minor);
}

/* What one collection is to be. */
struct plan {
    bool minor;
    bool move;    /* objects may */
    bool compact; /* they shall, in any case */
    bool lost;    /* threads got little of the room that the last collection left */
};

/* The room that was left is not used up: the rest of it is holes into which nothing fitted. With
 * generations it may as well be old garbage. */
static bool room_was_lost(const struct gc_heap *heap, enum fh_gc_why why)
{
    if (heap->logs) return false;
    if (why != FH_GC_WHY_ALLOCATION && why != FH_GC_WHY_LIMIT) return false;
    size_t room = heap->target - base_min(heap->live, heap->target);
    return LOAD(&heap->allocated) - heap->allocated_before < room / 2;
}

/* More than a quarter of the blocks in use are holes, and holes were of little use, or the heap is
 * twice as large as it should be. In a small heap what threads hold blocks for says nothing. */
static bool compact_is_due(struct gc_heap *heap, bool lost)
{
    enum { LEAST = 8 << 20 };
    size_after_collection(heap);
    if (heap_bytes(heap) < LEAST) return false;
    if (!lost && heap_bytes(heap) / 2 <= heap->target) return false;
    heap_sweep_all(heap);
    size_t used = heap_bytes(heap) - (heap->free_count << SLICE_SHIFT);
    if (!lost && used / 2 <= heap->target) return false;
    return used - base_min(heap->live, used) > used / 4;
}

static void compact(struct gc_heap *heap)
{
    uint64_t before = heap->stats.evacuated_bytes;
    heap_compact(heap);
    gc_event(heap, FH_GC_EVENT_COMPACT, heap->stats.evacuated_bytes - before);
}

static void collect_stopped(struct gc_heap *heap, struct plan *plan)
{
    /* Under a concurrent policy what the last cycle left in threads' blocks. */
    for (struct gc_thread *t = gc_threads; heap->has_collector && t; t = t->next)
        mutator_sweep_blocks(heap, t);
    mutators_note_holes(heap);
    if (heap->fenced) fences_verify(heap, "before a collection");
    if (heap->options.debug & FH_GC_VERIFY) heap_verify(heap, false, "before a collection");
    /* Planned while threads ran, which may have lost a slot since. */
    plan->minor = plan->minor && !LOAD(&heap->remembered_lost);
    mark_all(heap, plan->minor);
    gc_large_find_dead(heap);
    heap_unsweep(heap, plan->minor);
    if (LOAD(&heap->remembered_lost))
        heap_arm_all(heap);
    else if (heap->logs)
        heap_arm_young(heap);
    mutators_sweep_blocks(heap);
    plan->move = plan->move && (plan->compact || compact_is_due(heap, plan->lost));
    if (plan->move) compact(heap);
    if (heap->options.debug & FH_GC_VERIFY) heap_verify(heap, true, "after a collection");
}

struct request {
    struct gc_heap *heap;
    enum fh_gc_kind kind;
    enum fh_gc_why why;
    uint32_t seen; /* collect_count */
    bool done;
    struct stack_top top;
};

static void collect_with_world(const struct request *request, struct plan *plan)
{
    struct gc_heap *heap = request->heap;
    uint64_t start = os_time_ns();
    stack_top_publish(&request->top);
    world_stop(heap);
    uint64_t stopped = os_time_ns();
    gc_event(heap, FH_GC_EVENT_STOPPED, stopped - start);
    collect_stopped(heap, plan);
    world_go();
    uint64_t end = os_time_ns();
    stats_add(heap, &heap->stats.stop_ns, end - stopped);
    stats_add(heap, &heap->stats.mark_ns, end - stopped);
    gc_event(heap, FH_GC_EVENT_RESUMED, end - start);
}

void rates_note(struct gc_heap *heap, uint64_t start, uint64_t cpu)
{
    uint64_t allocated = LOAD(&heap->allocated);
    uint64_t between = start - heap->collected_ns + 1, within = os_thread_time_ns() - cpu;
    uint64_t rate = (allocated - heap->allocated_before) * 1000 / (between / 1000000 + 1);
    heap->allocation_rate = (heap->allocation_rate + rate) / 2;
    heap->collect_us = (heap->collect_us + within / 1000) / 2;
    heap->allocated_before = allocated;
    heap->collected_ns = os_time_ns();
}

/* Before the program stands: a span cannot be made while it does. */
static void compact_prepare(struct gc_heap *heap)
{
    size_t used = heap->block_count - heap->free_count;
    bool everything = heap->options.debug & FH_GC_MOVE_ALL;
    mutator_retire(gc_local.thread, heap); /* its blocks may be emptied too */
    heap_reserve_free(heap, everything ? used + 1 : used / 16 + 1);
}

static enum fh_gc_kind plan_kind(const struct plan *plan)
{
    return plan->minor ? FH_GC_MINOR : plan->move ? FH_GC_COMPACT : FH_GC_FULL;
}

/* Holds: the world lock. */
static void collect_now(const struct request *request)
{
    struct gc_heap *heap = request->heap;
    enum fh_gc_why why = request->why;
    uint64_t start = os_time_ns();
    world_is_for(heap);
    struct plan plan = {.minor = request->kind == FH_GC_MINOR && collect_minor_is_due(heap)};
    plan.move = !plan.minor && !heap->options.no_moving;
    plan.compact = request->kind == FH_GC_COMPACT || heap->options.debug & FH_GC_MOVE_ALL;
    plan.lost = room_was_lost(heap, why);
    heap_sweep_all(heap);
    if (plan.move && plan.compact) compact_prepare(heap);
    collection_begins(heap, why);
    uint64_t cpu = os_thread_time_ns();
    collect_with_world(request, &plan);
    uint64_t end = os_time_ns();
    rates_note(heap, start, cpu);
    heap->snapshot_allocated = LOAD(&heap->allocated);
    if (!plan.minor) size_after_collection(heap);
    watch_when_due(heap);
    size_nursery(heap, plan.minor, (os_thread_time_ns() - cpu) * heap->marking_state->count);
    collection_ends(heap, why, plan.minor);
    gc_large_free_dead(heap);
    bool large = !plan.minor && size_is_too_large(heap);
    if (large) heap_sweep_all(heap);
    if (large || plan.move) heap_trim(heap);
    gc_event_of(heap, FH_GC_EVENT_END, plan_kind(&plan), end - start);
}

uint32_t collect_count(const struct gc_heap *heap, enum fh_gc_kind kind)
{
    return kind == FH_GC_COMPACT ? LOAD(&heap->compactions) : LOAD(&heap->epoch);
}

/* Modules stay. A cycle that goes on may need the linker's lock to come to its end: not this
 * time. */
static void collect_holding(void *data)
{
    struct request *request = data;
    struct gc_thread *self = gc_local.thread;
    world_take();
    request->done = !cycle_goes_on(request->heap);
    self->busy++;
    if (request->done && collect_count(request->heap, request->kind) == request->seen)
        collect_now(request);
    world_give();
    thread_leave(self);
}

/* A heap with a thread that marks is stopped between two cycles only, to move objects, or as long as it is small. */
FH_NOINLINE void gc_collect(struct gc_heap *heap, enum fh_gc_kind kind, enum fh_gc_why why,
                            uint32_t seen)
{
    struct gc_thread *self = thread_self();
    call_check();
    thread_has_stored(self);
    if (kind != FH_GC_COMPACT && collector_find(heap) && !size_stops(heap)) {
        if (collect_count(heap, kind) == seen)
            cycle_wait(heap, cycle_request(heap, why, kind != FH_GC_MINOR));
        return;
    }
    marking_prepare(heap);
    struct request request = {heap, kind, why, seen, false, {0}};
    STACK_TOP(&request.top);
    pause_begin(self, heap);
    while (!request.done) {
        world_take_idle(heap);
        world_give();
        modules_hold(collect_holding, &request);
    }
    pause_end(self);
    finalizer_find(heap);
}

void heap_give_back(struct gc_heap *heap)
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
    if ((unsigned)kind > FH_GC_COMPACT) return -EINVAL;
    gc_collect(heap, kind, FH_GC_WHY_CALL, collect_count(heap, kind));
    if (kind == FH_GC_COMPACT) heap_give_back(heap);
    return 0;
}
