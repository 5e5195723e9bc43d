/*
 * weak: what marking does not follow, as its parts see each other.
 *
 *      weak.c        weak references; the order of it all
 *      link.c        slots outside of the heap that disappear
 *      ephemeron.c   values that live as long as their keys
 *      finalize.c    what is told that it is garbage
 *
 * The lists are gone through a few entries at a time, while the program adds to them. One that
 * entries are removed from is gone through from its end: the last entry, which takes the place of
 * one removed, has been seen.
 */
#ifndef GC_WEAK_H
#define GC_WEAK_H

#include <freehold/gc.h>

#include "gc/compact.h"

struct gc_thread;
struct marker;

/* Addresses that a conservative search must not find are kept complemented; 0 stays 0. */
FH_INLINE void hidden_forward(const struct compaction *c, uintptr_t *hidden)
{
    if (*hidden) *hidden = ~compact_forward(c, ~*hidden);
}

/* An object of 32 bytes for one of ours. What a and b refer to stays, and may move, meanwhile. */
void *weak_object(struct gc_heap *heap, unsigned type, void **a, void **b);

/* A reference that the program reads from where marking does not look, as word ^ mask; NULL for 0
 * and for one to an object that is being found dead. The thread is busy. */
void *weak_read(struct gc_heap *heap, struct gc_thread *thread, const uintptr_t *at,
                uintptr_t mask);

/* Their parts of the heap. */
void weak_init(struct gc_heap *heap);
void weak_finish(struct gc_heap *heap);
void links_init(struct gc_heap *heap);
void links_finish(struct gc_heap *heap);
void ephemerons_init(struct gc_heap *heap);
void ephemerons_finish(struct gc_heap *heap);
void finalizers_init(struct gc_heap *heap);
void finalizers_finish(struct gc_heap *heap);

/* All of weakness, after marking: ephemerons, clearing, finalizers. Threads stand. */
void weak_process(struct gc_heap *heap);

/* What it has queued may run from now on. */
void weak_publish(struct gc_heap *heap);

/* Objects whose finalizers wait. */
void weak_visit_queue(struct gc_heap *heap, struct fh_gc_visitor *visitor);

/* Links to what is not marked, or in objects that are not, are cleared and forgotten. */
void links_clear(struct gc_heap *heap);
void links_forward(struct gc_heap *heap, const struct compaction *c);

/* One was reached by a marker: its value is when its key is marked, else later. */
void ephemeron_reach(struct marker *marker, void *ephemeron);
void ephemeron_key_marked(struct marker *marker, void *key);

/* From now on keys look for the ephemerons that wait for them; those that missed each other
 * meet. */
void ephemerons_hash(struct gc_heap *heap);
bool ephemerons_settle(struct gc_heap *heap);

/* An ephemeron forgets its key and value. */
void ephemeron_drop(struct fh_gc_ephemeron *ephemeron);

/* The key of an ephemeron, and the slot of its value; NULL if it is broken. */
void **ephemeron_slot(void *ephemeron, void **key);

/* Those that still wait have keys that are dead. */
void ephemerons_break(struct gc_heap *heap);

/* Finalizable objects that are not marked go to the queue, and are kept from there. */
void finalizers_process(struct gc_heap *heap);
void finalizers_forward(struct gc_heap *heap, const struct compaction *c);

/* The references of weak things, and the indexes of their tables; of an ephemeron. */
void weak_forward(struct gc_heap *heap, const struct compaction *c);
void ephemeron_forward(const struct compaction *c, void *ephemeron);

#endif
