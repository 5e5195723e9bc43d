/*
 * finalizer: the thread that runs finalizers, of a heap that has one. See gc/finalizer.c.
 */
#ifndef GC_FINALIZER_H
#define GC_FINALIZER_H

#include "base/base.h"

struct gc_heap;

enum finalizer_state { FINALIZER_NONE, FINALIZER_RUNS, FINALIZER_LOST, FINALIZER_STARTING };
bool finalizer_start(struct gc_heap *heap);
void finalizer_stop(struct gc_heap *heap);
void finalizer_fork_child(struct gc_heap *heap);

/* Makes it anew if a fork has lost it and finalizers wait. It calls libc: so no thread stands, and
 * the caller has no lock. */
void finalizer_find(struct gc_heap *heap);

/* How many may run. The caller is busy, or not attached. */
size_t finalizers_pending(struct gc_heap *heap);

#endif
