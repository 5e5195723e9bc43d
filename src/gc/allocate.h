/*
 * allocate: one object, and what is done when there is no room for it.
 */
#ifndef GC_ALLOCATE_H
#define GC_ALLOCATE_H

#include "base/base.h"

struct gc_heap;

/* An object of so many bytes, whose type has this `id`; NULL when memory is out. */
void *gc_allocate(struct gc_heap *heap, size_t size, uint32_t id);

/* The same at a multiple of `alignment`. */
void *gc_allocate_aligned(struct gc_heap *heap, size_t size, uint32_t id, size_t alignment);

#endif
