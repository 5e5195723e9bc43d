/*
 * Pauses: stretches of time in which a thread of the program did not run its own work because of
 * the collector. Each thread measures its own, where they happen:
 *
 *      stopped, or asked by a handshake    thread_safepoint, thread_on_signal: until it goes on
 *      coming back while it is held        safe_leave: from fh_gc_blocking, and from any wait
 *      waiting for the world lock          world_take
 *      collecting, waiting for a cycle     gc_collect, cycle_wait
 *      out of memory                       allocate_waiting, but for the program's own callback
 *      helping to mark                     cycle_assist
 *      sweeping for room, waiting for the  sweep_for_room, heap_lock, block_take_hole; if that
 *      heap's lock                         takes longer than PAUSE_LEAST_NS
 *
 * They lie in each other (who waits for the world lock is stopped meanwhile): the outermost is the
 * pause. A thread that is SAFE all the time that others stand has no pause, nor is there one in
 * what a program asks for to look at its heap (walks, statistics, fh_gc_step).
 *
 * All is the thread's own, its signal handler included; only the sums in the heap are shared.
 */
#include "gc/heap.h"
#include "gc/pause.h"

void pause_begin(struct gc_thread *thread, struct gc_heap *heap)
{
    if (thread->pause_depth++ > 0) return;
    thread->pause_heap = heap;
    thread->pause_start = os_time_ns();
}

static void least_note(_Atomic uint32_t *least, uint32_t value)
{
    uint32_t now = LOAD(least);
    while (value < now && !atomic_compare_exchange_weak_explicit(
                              least, &now, value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Busy, so that a pause in a signal handler does not come in between. */
static FH_NOINLINE void pause_note(struct gc_thread *thread, struct gc_heap *heap, uint64_t start,
                                   uint64_t end)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t permille[UTILISATION_WINDOWS], resets = LOAD_ACQUIRE(&heap->pause_resets);
    histogram_add(&heap->pauses, end - start);
    if (mutator->pause_resets != resets) {
        mutator->pause_resets = resets;
        mutator->utilisation = (struct utilisation){.end = LOAD(&heap->pauses_since)};
    }
    utilisation_add(&mutator->utilisation, start, end, permille);
    for (unsigned w = 0; w < UTILISATION_WINDOWS; w++)
        least_note(&heap->utilisation[w], permille[w]);
}

void pause_end_above(struct gc_thread *thread, uint64_t least_ns)
{
    if (thread->pause_depth > 1) {
        thread->pause_depth--;
        return;
    }
    thread_enter(thread);
    uint64_t start = thread->pause_start, end = os_time_ns();
    struct gc_heap *heap = thread->pause_heap;
    if (heap && end - start >= least_ns) pause_note(thread, heap, start, end);
    thread->pause_depth = 0;
    thread_leave(thread);
}

void pause_end(struct gc_thread *thread)
{
    pause_end_above(thread, 0);
}

void pauses_reset(struct gc_heap *heap)
{
    histogram_clear(&heap->pauses);
    for (unsigned w = 0; w < UTILISATION_WINDOWS; w++) STORE(&heap->utilisation[w], 1000);
    STORE(&heap->pauses_since, os_time_ns());
    atomic_fetch_add(&heap->pause_resets, 1); /* partner: pause_note */
}
