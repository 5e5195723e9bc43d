/*
 * vector: an array that grows in place in a range of its own, for the collector's tables. It calls
 * the kernel and no allocator, so it can grow while threads of the program stand in the middle of
 * malloc.
 */
#ifndef GC_VECTOR_H
#define GC_VECTOR_H

#include "base/base.h"

struct vector {
    char *base;
    size_t item; /* bytes; set before use */
    size_t count;
    size_t committed, reserved; /* bytes */
};

/* Room for so many items; false when memory is out. */
bool vector_reserve(struct vector *v, size_t items);

/* One more item, uninitialised; NULL when memory is out. */
void *vector_add(struct vector *v);

void vector_finish(struct vector *v);

FH_INLINE void *vector_at(const struct vector *v, size_t index)
{
    return v->base + v->item * index;
}

/* Removes an item; the last takes its place. */
FH_INLINE void vector_remove(struct vector *v, size_t index)
{
    v->count--;
    if (index != v->count) __builtin_memcpy(vector_at(v, index), vector_at(v, v->count), v->item);
}

#endif
