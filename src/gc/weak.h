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

#include "gc/mark.h"

/* Addresses that a conservative search must not find are kept complemented; 0 stays 0. */
FH_INLINE void hidden_forward(const struct compaction *c, uintptr_t *hidden)
{
    if (*hidden) *hidden = ~compact_forward(c, ~*hidden);
}

/* An object of 32 bytes for one of ours. What a and b refer to stays, and may move, meanwhile. */
void *weak_object(struct gc_heap *heap, unsigned type, void **a, void **b);

/* Their parts of the heap. */
void links_init(struct gc_heap *heap);
void links_finish(struct gc_heap *heap);
void ephemerons_init(struct gc_heap *heap);
void ephemerons_finish(struct gc_heap *heap);
void finalizers_init(struct gc_heap *heap);
void finalizers_finish(struct gc_heap *heap);

/* Links to what is not marked, or in objects that are not, are cleared and forgotten. */
void links_clear(struct gc_heap *heap);
void links_forward(struct gc_heap *heap, const struct compaction *c);

/* Those that still wait have keys that are dead. */
void ephemerons_break(struct gc_heap *heap);

/* Finalizable objects that are not marked go to the queue, and are kept from there. */
void finalizers_process(struct gc_heap *heap);
void finalizers_forward(struct gc_heap *heap, const struct compaction *c);

#endif
