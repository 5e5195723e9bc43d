/*
 * large: objects above 64 KiB, each a span of its own.
 */
#ifndef GC_LARGE_H
#define GC_LARGE_H

#include "gc/fence.h"

/* Slices that an object takes. */
FH_INLINE size_t gc_large_slices(const struct gc_heap *heap, size_t size)
{
    size_t bytes = UNLIKELY(heap->fenced) ? base_round_up(size, GC_GRANULE) + FENCE : size;
    return (bytes + SLICE_SIZE - 1) >> SLICE_SHIFT;
}

/* NULL when memory is out, or the heap may not grow so far. Not busy. */
void *gc_large_allocate(struct gc_heap *heap, struct gc_thread *thread, size_t size, uint32_t id);

/* Frees one that is alive. Busy. */
void gc_large_free(struct gc_heap *heap, struct gc_block *block);

/* What marking has not found leaves the heap; and is freed when threads run again. */
void gc_large_find_dead(struct gc_heap *heap);
void gc_large_free_dead(struct gc_heap *heap);

void gc_large_fork_child(struct gc_heap *heap);
void heap_large_finish(struct gc_heap *heap);

#endif
