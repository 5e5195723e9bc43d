/*
 * The thread that runs finalizers, for heaps that ask for one. It is attached like any other
 * thread, and stands SAFE while it waits.
 *
 *      NONE --finalizer_start--> RUNS --fork--> LOST --finalizer_find--> STARTING --> RUNS
 *
 * In the child of a fork the thread is gone. It is made anew by the first collection there that has
 * something for it, since most children never collect. Who stops the thread waits for who is just
 * making it.
 */
#include "gc/call.h"
#include "gc/finalizer.h"
#include "gc/heap.h"
#include "os/os.h"

static void *finalizer_main(void *argument)
{
    struct gc_heap *heap = argument;
    sigset_t own;
    sigemptyset(&own);
    sigaddset(&own, FH_GC_SIGNAL); /* no other: handlers of the program's run in its own threads */
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    if (fh_gc_thread_attach() != 0) return NULL;
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&heap->finalizer_bell);
        if (LOAD_ACQUIRE(&heap->finalizer_quit)) break;
        /* One at a time: the heap may be destroyed in between. */
        if (fh_gc_finalize(&heap->public, 1) == 0) thread_wait(&heap->finalizer_bell, bell);
    }
    fh_gc_thread_detach();
    return NULL;
}

static bool finalizer_make(struct gc_heap *heap, enum finalizer_state refused)
{
    bool started = thread_start(&heap->finalizer, finalizer_main, heap, 8 * MIB);
    STORE_RELEASE(&heap->finalizer_state, started ? FINALIZER_RUNS : refused);
    return started;
}

bool finalizer_start(struct gc_heap *heap)
{
    return finalizer_make(heap, FINALIZER_NONE);
}

void finalizer_fork_child(struct gc_heap *heap)
{
    bool own = pthread_equal(heap->finalizer, pthread_self()); /* a finalizer forks */
    if (LOAD(&heap->finalizer_state) != FINALIZER_NONE && !own)
        STORE(&heap->finalizer_state, FINALIZER_LOST);
}

void finalizer_find(struct gc_heap *heap)
{
    uint32_t lost = FINALIZER_LOST;
    if (LIKELY(LOAD(&heap->finalizer_state) != FINALIZER_LOST)) return;
    struct gc_thread *self = gc_local.thread; /* NULL: the collector's own thread */
    if (self) thread_enter(self);
    size_t pending = finalizers_pending(heap);
    if (self) thread_leave(self);
    if (pending == 0) return;
    if (atomic_compare_exchange_strong(&heap->finalizer_state, &lost, FINALIZER_STARTING))
        finalizer_make(heap, FINALIZER_LOST); /* refused: the next collection tries again */
}

/* True if there is a thread to be stopped; from here on none is made any more. */
static bool finalizer_forbid(struct gc_heap *heap)
{
    for (;;) {
        uint32_t state = LOAD_ACQUIRE(&heap->finalizer_state);
        if (state == FINALIZER_STARTING)
            os_delay_us(50);
        else if (atomic_compare_exchange_strong(&heap->finalizer_state, &state, FINALIZER_NONE))
            return state == FINALIZER_RUNS;
    }
}

void finalizer_stop(struct gc_heap *heap)
{
    if (!finalizer_forbid(heap)) return;
    if (pthread_equal(heap->finalizer, pthread_self()))
        program_misused("a heap is destroyed by one of its finalizers; stopping");
    STORE_RELEASE(&heap->finalizer_quit, true);
    atomic_fetch_add(&heap->finalizer_bell, 1);
    os_wake(&heap->finalizer_bell);
    thread_wait_end(heap->finalizer);
}
