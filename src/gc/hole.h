/*
 * hole: where a thread's next object goes. See gc/hole.c.
 */
#ifndef GC_HOLE_H
#define GC_HOLE_H

#include "gc/heap.h"

#define MEDIUM_MIN 256        /* from here on an object that does not fit goes to other holes */
#define ZERO_WINDOW (8 * KIB) /* zeroed ahead of the cursor */

FH_INLINE uintptr_t context_limit(const struct mutator *mutator,
                                  const struct fh_gc_context *context)
{
    return mutator->stress_limit ? mutator->stress_limit : context->limit;
}

/* Room for so many bytes, whole granules, that read as zeros; NULL when the heap has none. The
 * thread is busy. */
void *hole_take_slow(struct gc_heap *heap, struct gc_thread *thread, size_t size);
void *hole_take_aligned(struct gc_heap *heap, struct gc_thread *thread, size_t size,
                        size_t alignment);

FH_INLINE void *hole_take(struct gc_heap *heap, struct gc_thread *thread, size_t size)
{
    struct fh_gc_context *context = context_of(thread, heap);
    uintptr_t p = context->cursor;
    if (UNLIKELY(!p || p + size > context_limit(mutator_of(thread, heap), context)))
        return hole_take_slow(heap, thread, size);
    context->cursor = p + size;
    return (void *)p;
}

/* What was made up to here is counted. */
void hole_count(struct gc_heap *heap, struct mutator *mutator, uintptr_t cursor);

/* The hole at hand from now on; 0 for none. */
void hole_set(struct gc_heap *heap, struct mutator *mutator, struct fh_gc_context *context,
              uintptr_t start, uintptr_t end, bool zero);

/* The blocks that a thread allocates in are its own no more. */
void block_leave(struct gc_heap *heap, struct mutator *mutator);
void medium_leave(struct gc_heap *heap, struct mutator *mutator);

#endif
