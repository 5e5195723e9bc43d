/*
 * collect: a collection that stops the program, and the facts at both ends of any.
 */
#ifndef GC_COLLECT_H
#define GC_COLLECT_H

#include <freehold/gc.h>

struct gc_heap;

/* `seen`: what collect_count said to the caller; if somebody has collected since, nothing is
 * done. */
void gc_collect(struct gc_heap *heap, enum fh_gc_kind kind, enum fh_gc_why why, uint32_t seen);

/* How many collections of that kind, or a better one, there were. */
uint32_t collect_count(const struct gc_heap *heap, enum fh_gc_kind kind);

/* Whether the next collection may be a minor one. */
bool collect_minor_is_due(struct gc_heap *heap);

/* All free blocks go back to the arena, from where the purger returns them to the kernel. Not
 * busy. */
void heap_give_back(struct gc_heap *heap);

/* Facts at both ends of a collection, and those about weakness in between. */
void collection_begins(struct gc_heap *heap, enum fh_gc_why why);
void collection_ends(struct gc_heap *heap, enum fh_gc_why why, bool minor);
void collection_weak(struct gc_heap *heap);

/* How fast the program allocates, and what a collection costs: one from `start` until now, for which the calling thread
 * has worked since its processor time was `cpu`. All in ns. A collector that has to wait for a processor does not make
 * collections dearer. */
void rates_note(struct gc_heap *heap, uint64_t start, uint64_t cpu);

#endif
