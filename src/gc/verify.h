/*
 * verify: what may be wrong with a heap.
 */
#ifndef GC_VERIFY_H
#define GC_VERIFY_H

#include "base/base.h"

struct gc_heap;

/* Checks everything; a line and, from inside a collection, abort. Threads stand. */
bool heap_check(struct gc_heap *heap, bool marked, char *what, size_t capacity);
void heap_verify(struct gc_heap *heap, bool marked, const char *when);
void fences_verify(struct gc_heap *heap, const char *when);

#endif
