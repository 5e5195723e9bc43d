/*
 * Who marks beside the collector's thread: background threads, up to three, and threads of the
 * program whose allocation is ahead of the marking. Each works with a marker that it borrows, for a
 * bounded number of objects, and gives what is left over to the pool.
 *
 * A round of the cycle may only end when no marker is in use, and none may be when the next cycle
 * makes them ready. So the phase is looked at after the borrowing, in one order with it (partners:
 * cycle_settle, marking_is_drained): who finds that the phase has changed gives the marker back
 * unused.
 */
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/pause.h"
#include "os/os.h"

static struct marker *marker_borrow(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    for (unsigned i = 1; i < MARKERS; i++) {
        uint32_t bit = 1u << i, before = atomic_fetch_or(&marking->borrowed, bit);
        if (before & bit) continue;
        if (heap_is_marking(heap)) return &marking->marker[i];
        atomic_fetch_and(&marking->borrowed, ~bit);
        return NULL;
    }
    return NULL;
}

static void marker_return(struct gc_heap *heap, struct marker *marker)
{
    struct marking *marking = heap->marking_state;
    marker_give_all(marker);
    atomic_fetch_and(&marking->borrowed, ~(1u << (marker - marking->marker)));
}

/* Takes part in the marking, as a thread that assists does, until nothing is left or the phase
 * ends. */
static bool background_mark(struct gc_heap *heap)
{
    enum { QUANTUM = 4096 };
    struct marker *marker = marker_borrow(heap);
    bool worked = false;
    while (marker && heap_is_marking(heap) && marker_assist(marker, QUANTUM)) worked = true;
    if (marker) marker_return(heap, marker);
    return worked;
}

/* Awake from the snapshot to the end of marking; in between rounds there may be nothing for a
 * moment. */
static void *background_main(void *argument)
{
    enum { NAP_US = 200 };
    struct gc_heap *heap = argument;
    os_thread_short_slices();
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&heap->background_bell);
        if (LOAD_ACQUIRE(&heap->cycle_quit)) return NULL;
        while (heap_is_marking(heap))
            if (!background_mark(heap)) os_delay_us(NAP_US);
        os_wait_long(&heap->background_bell, bell);
    }
}

/* With as many again as there are processors, marking gets two thirds of them while the program
 * keeps them busy: a cycle that is soon over begins later, keeps less garbage, and makes threads
 * help less. */
void background_start(struct gc_heap *heap)
{
    unsigned wanted = heap->options.markers ? heap->options.markers : 2 * os_processors();
    wanted = (unsigned)base_min(wanted - 1, BACKGROUND_MARKERS);
    heap->background_count = 0;
    while (
        heap->background_count < wanted &&
        thread_start(&heap->background[heap->background_count], background_main, heap, 256 * KIB))
        heap->background_count++;
}

uint64_t cycle_marked(const struct gc_heap *heap)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < MARKERS; i++)
        bytes += __atomic_load_n(&heap->marking_state->marker[i].bytes, __ATOMIC_RELAXED);
    return bytes;
}

bool cycle_assist(struct gc_heap *heap, struct gc_thread *thread, size_t objects)
{
    if (!heap_is_marking(heap)) return false;
    thread_enter(thread);
    bool worked = false;
    struct marker *marker = marker_borrow(heap);
    bool black = mutator_of(thread, heap)->black || heap->options.policy == FH_GC_WATCHED;
    if (marker && black) {
        uint64_t start = os_time_ns();
        pause_begin(thread, heap);
        worked = marker_assist(marker, objects);
        pause_end(thread);
        if (worked) gc_event(heap, FH_GC_EVENT_ASSIST, os_time_ns() - start);
        atomic_fetch_add_explicit(&heap->assists, 1, memory_order_relaxed);
    }
    if (marker) marker_return(heap, marker);
    thread_leave(thread);
    return worked;
}
