/*
 * The thread that runs finalizers, for heaps that ask for one. It is attached like any other thread, and
 * stands SAFE while it waits.
 */
#include "gc/gc.h"
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
        if (fh_gc_finalize(&heap->public, 0) == 0) thread_wait(&heap->finalizer_bell, bell);
    }
    fh_gc_thread_detach();
    return NULL;
}

bool finalizer_start(struct gc_heap *heap)
{
    heap->has_finalizer = os_thread_start(&heap->finalizer, finalizer_main, heap, 8 * MIB);
    return heap->has_finalizer;
}

void finalizer_stop(struct gc_heap *heap)
{
    if (!heap->has_finalizer) return;
    heap->has_finalizer = false;
    STORE_RELEASE(&heap->finalizer_quit, true);
    atomic_fetch_add(&heap->finalizer_bell, 1);
    os_wake(&heap->finalizer_bell);
    thread_wait_end(heap->finalizer);
}
