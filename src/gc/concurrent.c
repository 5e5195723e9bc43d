/*
 * The concurrent cycle: a thread of the heap marks while the program runs. docs/gc-concurrent.md
 * states the protocol and why it is right; this is its order.
 *
 *   IDLE --> sweep what is left
 *   ARMED    handshake 1: each thread remembers every store from now on (SNOOP); what the store
 *            that is interrupted here may store is kept
 *            shared roots are visited; all log bits are set: any slot may have to be remembered
 *            handshake 2: what a store begun before handshake 1 may still overwrite is kept
 *   MARKING  handshake 3: each thread's own roots are found; what it allocates from here on is
 *            alive; then stores are remembered once a slot (LOG)
 *            mark; handshake: what threads remember; again, until a round brings nothing new
 *   SETTLING who reads a weak reference waits; one more round
 *   WEAK     weak references to unmarked objects read as NULL, and are cleared; finalizers
 *   IDLE     the number of the cycle rises: everything is unswept
 *
 * Only the handshakes touch a thread, and each but the scan of its stack takes a few microseconds.
 *
 * Rejected: allocating with the mark already set (an instruction more in the fast path): instead a
 * block that is used during a cycle keeps a map of what was in it, and the sweep spares what is
 * not.
 */
#include "gc/collect.h"
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/large.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/size.h"
#include "gc/verify.h"
#include "gc/weak.h"
#include "os/os.h"

void handshake_noted(struct gc_heap *heap, handshake_fn *action, enum fh_gc_handshake kind)
{
    uint64_t start = os_time_ns();
    handshake(heap, action);
    atomic_fetch_add_explicit(&heap->handshakes, 1, memory_order_relaxed);
    gc_event_of(heap, FH_GC_EVENT_HANDSHAKE, kind, os_time_ns() - start);
}

static void barriers_set(struct gc_heap *heap, enum fh_gc_barrier barrier)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next)
        __atomic_store_n(&context_of(t, heap)->barrier, barrier, __ATOMIC_RELAXED);
}

/* Every slot of an object of the snapshot. Without the lock: a block that goes away meanwhile has
 * slots armed that nobody has, or that its next owner remembers in vain; in one that is new, its
 * thread has armed them. */
static void slots_arm(struct gc_heap *heap)
{
    gc_lock_take(&heap->lock);
    size_t blocks = heap->blocks.count, large = heap->large.count;
    lock_give(&heap->lock);
    for (size_t i = 0; i < blocks; i++) {
        uint32_t index = LOAD((_Atomic uint32_t *)vector_at(&heap->blocks, i));
        if (index) log_fill(gc_block_start(gc_block_at(index)), BLOCK_SIZE, true);
    }
    /* Large objects are only added meanwhile. */
    for (size_t i = 0; i < large; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        log_fill(gc_block_start(block), LOAD(&block->bytes), true);
    }
}

static void cycle_arm(struct gc_heap *heap)
{
    world_take();
    heap->snapshot_live = size_in_use(heap);
    heap->snapshot_allocated = LOAD(&heap->allocated);
    STORE(&heap->marking_state->overflow, 0);
    STORE(&heap->phase, PHASE_ARMED);
    handshake_noted(heap, action_arm, FH_GC_HANDSHAKE_ARM);
    gc_lock_take(&heap->lock);
    heap->snapshots.count = 0; /* all swept: nobody has one */
    heap->mark ^= 1;
    marking_begin(heap, true, false);
    lock_give(&heap->lock);
    world_give(); /* who attaches now snoops */
}

static void cycle_snapshot(struct gc_heap *heap)
{
    cycle_arm(heap);
    roots_visit_shared(heap, &heap->marking_state->marker[0].visitor);
    slots_arm(heap);
    world_take();
    handshake_noted(heap, action_settle, FH_GC_HANDSHAKE_SETTLE);
    gc_lock_take(&heap->lock);
    STORE_RELEASE(&heap->phase, PHASE_MARKING);
    lock_give(&heap->lock);
    handshake_noted(heap, action_scan, FH_GC_HANDSHAKE_SCAN);
    barriers_set(heap, FH_GC_BARRIER_LOG);
    world_give();
    atomic_fetch_add(&heap->background_bell, 1);
    os_wake(&heap->background_bell);
}

static bool cycle_round(struct gc_heap *heap)
{
    uint64_t before = marking_objects(heap);
    world_take();
    handshake_noted(heap, action_flush, FH_GC_HANDSHAKE_FLUSH);
    world_give();
    cycle_drain(heap);
    return marking_objects(heap) != before;
}

void cycle_drain(struct gc_heap *heap)
{
    enum { QUANTUM = 4096 };
    while (marking_drain_some(heap, QUANTUM) || !marking_is_drained(heap)) {
    }
}

/* The stack overflowed for want of memory: the rest is done while the program stands. What was
 * dropped and can still be reached is found again, since all roots and all that is marked are
 * looked at anew. */
static void cycle_repair(void *data)
{
    struct gc_heap *heap = data;
    world_take();
    world_stop(heap);
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        mutator_note_hole(heap, t);
        action_flush(heap, t);
    }
    do {
        marking_repair(heap);
        while (ephemerons_settle(heap)) cycle_drain(heap);
    } while (LOAD(&heap->marking_state->overflow));
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    world_go();
    world_give();
}

static void cycle_repair_overflow(struct gc_heap *heap)
{
    if (LOAD(&heap->marking_state->overflow)) modules_hold(cycle_repair, heap);
}

/* Until neither threads nor ephemerons bring anything new. */
static void cycle_rounds(struct gc_heap *heap)
{
    for (bool more = true; more;) {
        more = cycle_round(heap);
        while (ephemerons_settle(heap)) {
            cycle_drain(heap);
            more = true;
        }
    }
}

static void cycle_settle(struct gc_heap *heap)
{
    ephemerons_hash(heap);
    cycle_rounds(heap);
    atomic_store(&heap->phase, PHASE_SETTLING); /* partner: weak_read */
    cycle_rounds(heap);
    cycle_repair_overflow(heap);
    atomic_store(&heap->phase, PHASE_WEAK);
    os_wake(&heap->phase);
}

static void cycle_end(struct gc_heap *heap, enum fh_gc_why why, uint64_t start, uint64_t cpu)
{
    world_take();
    gc_lock_take(&heap->lock);
    weak_publish(heap);
    gc_large_find_dead(heap);
    heap_unsweep(heap, false);
    heap->young.count = 0;
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_of(t, heap)->black = false;
    marking_finish(heap, false);
    rates_note(heap, start, cpu);
    size_note_cycle(heap);
    size_after_collection(heap);
    STORE_RELEASE(&heap->phase, PHASE_IDLE);
    lock_give(&heap->lock);
    barriers_set(heap, FH_GC_BARRIER_OFF);
    collection_ends(heap, why, false);
    world_give();
    gc_large_free_dead(heap);
}

/* The program stands for it: a debug mode. */
static void cycle_verify(struct gc_heap *heap, bool ended)
{
    world_take();
    world_stop(heap);
    mutators_note_holes(heap);
    if (ended)
        heap_verify(heap, true, "at the end of a cycle");
    else
        fences_verify(heap, "before a cycle");
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    world_go();
    world_give();
}

void cycle_run(struct gc_heap *heap, enum fh_gc_why why)
{
    uint64_t start = os_time_ns(), cpu = os_thread_time_ns();
    heap_sweep_all(heap);
    if (heap->fenced) cycle_verify(heap, false);
    collection_begins(heap, why);
    cycle_snapshot(heap);
    gc_event(heap, FH_GC_EVENT_ROOTS, 0);
    cycle_drain(heap);
    cycle_settle(heap);
    collection_weak(heap);
    cycle_repair_overflow(heap); /* of what finalizers bring back */
    gc_event(heap, FH_GC_EVENT_MARKED, cycle_marked(heap));
    if (heap->options.debug & FH_GC_VERIFY) cycle_verify(heap, true);
    cycle_end(heap, why, start, cpu);
    finalizer_find(heap);
    stats_add(heap, &heap->stats.mark_ns, os_thread_time_ns() - cpu);
    gc_event_of(heap, FH_GC_EVENT_END, FH_GC_FULL, os_time_ns() - start);
    heap_sweep_all(heap);
    heap_trim(heap);
}
