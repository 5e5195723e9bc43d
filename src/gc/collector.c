/*
 * The collector's thread of a heap with FH_GC_CONCURRENT or FH_GC_WATCHED: it runs one cycle after the other, as
 * they are asked for.
 *
 *      cycles_wanted >= cycles_started >= cycles_done
 *
 * are numbers of cycles; one goes on if the last two differ.
 *
 * A cycle is counted as started under the world lock: so who holds it and sees none has none beside
 * it, until it lets go (evacuation, parking and forks rest on that). In the child of a fork the
 * thread is gone: the first who needs a cycle makes it anew, and if that is refused, the heap is
 * collected by stopping the program from then on.
 */
#include "gc/cycle.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/pause.h"
#include "os/os.h"

static void *collector_main(void *argument)
{
    struct gc_heap *heap = argument;
    os_thread_short_slices();
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&heap->cycle_bell);
        if (LOAD_ACQUIRE(&heap->cycle_quit)) return NULL;
        uint32_t wanted = LOAD_ACQUIRE(&heap->cycles_wanted);
        if (LOAD(&heap->cycles_started) >= wanted) {
            os_wait_long(&heap->cycle_bell, bell);
            continue;
        }
        world_take(); /* who holds it sees no cycle begin: world_take_idle */
        atomic_fetch_add(&heap->cycles_started, 1);
        world_give();
        if (heap->options.policy == FH_GC_WATCHED)
            cycle_run_watched(heap, LOAD(&heap->cycle_why));
        else
            cycle_run(heap, LOAD(&heap->cycle_why));
        atomic_fetch_add(&heap->cycles_done, 1);
        os_wake(&heap->cycles_done);
    }
}

/* Cycles that were asked for are asked for again by whoever needs them. */
void collector_fork_child(struct gc_heap *heap)
{
    if (!heap->exists) return;
    if (LOAD(&heap->collector_state) == COLLECTOR_STARTING)
        STORE(&heap->collector_state, COLLECTOR_LOST); /* by a thread that is not there */
    if (!heap->has_collector) return;
    STORE(&heap->cycle_waiters, 0);
    STORE(&heap->marking_state->borrowed, 0); /* by who has just seen that there is no cycle */
    STORE(&heap->cycles_wanted, LOAD(&heap->cycles_done));
    STORE(&heap->cycles_started, LOAD(&heap->cycles_done));
    STORE(&heap->collector_state, COLLECTOR_LOST);
}

/* In the child of a fork it is made anew; false when that is refused: who would have waited for a
 * cycle stops the world instead, from then on. Not under the world lock: see helpers_start. Not
 * busy. */
bool collector_find(struct gc_heap *heap)
{
    for (uint32_t state; UNLIKELY(state = LOAD_ACQUIRE(&heap->collector_state));) {
        if (state == COLLECTOR_STARTING) {
            thread_wait(&heap->collector_state, COLLECTOR_STARTING);
        } else if (atomic_compare_exchange_strong(&heap->collector_state, &state,
                                                  COLLECTOR_STARTING)) {
            /* Who saw that one is due may have looked before another thread started it, or tried to. */
            bool late = state == COLLECTOR_DUE && (heap->has_collector || heap->watch_fails);
            if (!late) collector_start(heap);
            STORE_RELEASE(&heap->collector_state, COLLECTOR_HERE);
            os_wake(&heap->collector_state);
        }
    }
    return heap->has_collector;
}

/* Asks for a cycle that begins after now; returns its number. */
uint32_t cycle_request(struct gc_heap *heap, enum fh_gc_why why, bool another)
{
    uint32_t started = LOAD(&heap->cycles_started), want = started + 1;
    if (!another && LOAD(&heap->cycles_done) != started) return started;
    uint32_t wanted = LOAD(&heap->cycles_wanted);
    while (wanted < want && !atomic_compare_exchange_weak(&heap->cycles_wanted, &wanted, want)) {
    }
    if (wanted < want) {
        STORE(&heap->cycle_why, why);
        atomic_fetch_add(&heap->cycle_bell, 1);
        os_wake(&heap->cycle_bell);
    }
    return want;
}

/* The calling thread stands until that cycle has ended. */
void cycle_wait(struct gc_heap *heap, uint32_t number)
{
    struct gc_thread *thread = thread_self();
    pause_begin(thread, heap);
    meeting_wait_begin(heap);
    for (uint32_t done; (done = LOAD_ACQUIRE(&heap->cycles_done)) < number;)
        thread_wait(&heap->cycles_done, done);
    meeting_wait_end(heap);
    pause_end(thread);
}

/* A heap whose cycle goes on, or NULL. */
static struct gc_heap *cycle_find(struct gc_heap *of)
{
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        struct gc_heap *heap = &gc_heaps[h];
        if ((of && of != heap) || !heap->exists || !heap->has_collector) continue;
        if (LOAD_ACQUIRE(&heap->cycles_done) != LOAD(&heap->cycles_started)) return heap;
    }
    return NULL;
}

bool cycle_goes_on(struct gc_heap *heap)
{
    return cycle_find(heap) != NULL;
}

void world_take_idle(struct gc_heap *heap)
{
    for (;;) {
        world_take();
        struct gc_heap *other = cycle_find(heap);
        if (other == NULL) return;
        uint32_t done = LOAD(&other->cycles_done);
        bool ended = done == LOAD(&other->cycles_started);
        world_give();
        if (ended) continue;
        meeting_wait_begin(other);
        thread_wait(&other->cycles_done, done);
        meeting_wait_end(other);
    }
}

bool collector_start(struct gc_heap *heap)
{
    bool watches = heap->options.policy == FH_GC_WATCHED;
    bool started = (!watches || watch_open()) &&
                   thread_start(&heap->collector, collector_main, heap, 512 * KIB);
    heap->has_collector = started;
    heap->watch_fails = watches && !started;
    if (started) background_start(heap);
    return started;
}

void collector_stop(struct gc_heap *heap)
{
    if (!heap->has_collector) return;
    bool lost = LOAD(&heap->collector_state) == COLLECTOR_LOST;
    heap->has_collector = false;
    if (lost) return;
    atomic_store(&heap->cycle_quit, true); /* before the look at its meeting */
    meeting_quit(heap);
    atomic_fetch_add(&heap->cycle_bell, 1);
    os_wake(&heap->cycle_bell);
    atomic_fetch_add(&heap->background_bell, 1);
    os_wake(&heap->background_bell);
    thread_wait_end(heap->collector);
    while (heap->background_count > 0) thread_wait_end(heap->background[--heap->background_count]);
}
