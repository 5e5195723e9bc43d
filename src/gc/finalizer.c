/*
 * The thread that runs finalizers, for heaps that ask for one. It is attached like any other thread, and
 * stands SAFE while it waits. In the child of a fork it is missing until a collection begins there.
 */
#include "gc/gc.h"
#include "os/os.h"

enum { FINALIZER_STACK = 8 * MIB };

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

bool finalizer_start(struct gc_heap *heap)
{
    heap->has_finalizer = os_thread_start(&heap->finalizer, finalizer_main, heap, FINALIZER_STACK);
    return heap->has_finalizer;
}

/* Unless it is the one that forked, from a finalizer. */
void finalizer_fork_child(struct gc_heap *heap)
{
    if (heap->has_finalizer && !pthread_equal(heap->finalizer, pthread_self()))
        STORE(&heap->finalizer_lost, true);
}

/* What cannot be had now is tried again by the next collection. Not busy. */
void finalizer_find(struct gc_heap *heap)
{
    if (LIKELY(!LOAD(&heap->finalizer_lost))) return;
    world_take();
    if (LOAD(&heap->finalizer_lost))
        STORE_RELEASE(&heap->finalizer_lost,
                      !os_thread_start(&heap->finalizer, finalizer_main, heap, FINALIZER_STACK));
    world_give();
}

void finalizer_stop(struct gc_heap *heap)
{
    if (!heap->has_finalizer) return;
    heap->has_finalizer = false;
    if (LOAD(&heap->finalizer_lost)) return;
    if (pthread_equal(heap->finalizer, pthread_self()))
        program_misused("a heap is destroyed by one of its finalizers; stopping");
    STORE_RELEASE(&heap->finalizer_quit, true);
    atomic_fetch_add(&heap->finalizer_bell, 1);
    os_wake(&heap->finalizer_bell);
    thread_wait_end(heap->finalizer);
}
