/*
 * fence: the granule behind each object of a heap with FH_GC_FENCE, which says how long the object
 * is. See gc/fence.c.
 */
#ifndef GC_FENCE_H
#define GC_FENCE_H

#include "gc/heap.h"

#define FENCE GC_GRANULE /* bytes behind an object */

extern bool gc_fenced;
void fences_init(struct gc_heap *heap);

/* The granule behind an object of `size` bytes says so; false if it does not any more, or if there
 * is something between the two; *size is then the best that can be said. */
void fence_put(const struct gc_heap *heap, void *p, size_t size);
bool fence_check(const struct gc_heap *heap, const uint8_t *meta, size_t *size);

/* Of this object, whose block is of this heap or none. */
FH_INLINE size_t fence_size(const struct gc_heap *heap)
{
    return UNLIKELY(__atomic_load_n(&gc_fenced, __ATOMIC_RELAXED)) && heap && heap->fenced ? FENCE
                                                                                           : 0;
}

#endif
