/*
 * Holes: the room that a thread bumps through.
 *
 * A thread goes through the holes of its current block, first to last. The context's limit is not
 * the hole's end but a window of it, which is zeroed ahead: so zeros are fresh in the cache when
 * the object is written. An object of 2 KiB and more that does not fit the hole at hand goes to a
 * block that was empty (Immix's overflow block), so that it does not cost the hole; and when no
 * block is empty any more, to a hole that is found for it.
 *
 *      | used | made since hole_start | zeroed ..| not zeroed yet | used |
 *             ^ hole_start            ^ cursor   ^ limit          ^ hole_end
 *
 * What a thread has used of a hole is counted when it leaves it. All of this is the thread's own;
 * others look at it while it stands (mutator.c).
 */
#include <string.h>

#include "gc/hole.h"
#include "gc/size.h"

/* In stress mode the inline path never finds room. */
static void context_set_limit(struct gc_heap *heap, struct mutator *mutator,
                              struct fh_gc_context *context, uintptr_t limit)
{
    mutator->stress_limit = heap->slow ? limit : 0;
    context->limit = heap->slow ? 0 : limit;
}

/* Its owner's alone, but statistics read it. */
static void block_fill(uint32_t index, size_t bytes)
{
    uint32_t *live = &gc_block_at(index)->live;
    __atomic_store_n(live, *live + (uint32_t)(bytes >> GC_SHIFT), __ATOMIC_RELAXED);
}

void hole_count(struct gc_heap *heap, struct mutator *mutator, uintptr_t cursor)
{
    if (mutator->hole_start == 0) return;
    size_t bytes = cursor - mutator->hole_start;
    atomic_fetch_add_explicit(&heap->allocated, bytes, memory_order_relaxed);
    block_fill(mutator->block, bytes);
    mutator->hole_start = cursor;
}

void hole_set(struct gc_heap *heap, struct mutator *mutator, struct fh_gc_context *context,
              uintptr_t start, uintptr_t end, bool zero)
{
    context_set_limit(heap, mutator, context, start);
    mutator->hole_start = start;
    mutator->hole_end = end;
    mutator->hole_zero = zero;
    context->cursor = start;
}

/* Moves the window on until `size` more bytes fit; false if the hole is too short. */
static bool hole_extend(struct gc_heap *heap, struct mutator *mutator,
                        struct fh_gc_context *context, size_t size)
{
    uintptr_t limit = context_limit(mutator, context), need = context->cursor + size;
    ASSERT(limit); /* there is a hole */
    if (need > mutator->hole_end) return false;
    uintptr_t window = base_min(mutator->hole_end, base_max(need, limit + ZERO_WINDOW));
    if (!mutator->hole_zero) memset((void *)limit, 0, window - limit);
    context_set_limit(heap, mutator, context, window);
    return true;
}

/* New objects have no slot to remember; unless a cycle is about to take its snapshot, to which they
 * will belong. */
static void logs_begin(struct gc_heap *heap, const struct mutator *mutator, uintptr_t start,
                       uintptr_t end)
{
    if (!heap->logs) return;
    bool set = LOAD(&heap->phase) != PHASE_IDLE && !mutator->black;
    log_fill((void *)start, end - start, set);
}

void block_leave(struct gc_heap *heap, struct mutator *mutator)
{
    if (mutator->block) block_put(heap, gc_block_at(mutator->block), true);
    mutator->block = 0;
}

/* The next hole of `size` bytes in this block or the next; false when the heap has none. */
static bool hole_next(struct gc_heap *heap, struct mutator *mutator, struct fh_gc_context *context,
                      size_t size)
{
    size_t from = BLOCK_GRANULES, start, end;
    hole_count(heap, mutator, context->cursor);
    if (mutator->block)
        from = (mutator->hole_end - (uintptr_t)gc_block_start(gc_block_at(mutator->block))) >>
               GC_SHIFT;
    bool zero = false;
    for (;;) {
        while (map_hole(mutator->map, from, &start, &end)) {
            from = end;
            if ((end - start) << GC_SHIFT < size) continue;
            uintptr_t base = (uintptr_t)gc_block_start(gc_block_at(mutator->block));
            hole_set(heap, mutator, context, base + (start << GC_SHIFT), base + (end << GC_SHIFT),
                     zero);
            logs_begin(heap, mutator, base + (start << GC_SHIFT), base + (end << GC_SHIFT));
            return true;
        }
        block_leave(heap, mutator);
        struct gc_block *block = block_take(heap, mutator, false, &zero, mutator->map);
        hole_set(heap, mutator, context, 0, 0, false);
        mutator->hole_start = 0;
        if (block == NULL) return false;
        mutator->block = gc_block_index(block);
        from = 0;
    }
}

void medium_leave(struct gc_heap *heap, struct mutator *mutator)
{
    if (mutator->medium_block == 0) return;
    bool full = !mutator->medium_is_hole && mutator->medium_end - mutator->medium < KIB;
    block_put(heap, gc_block_at(mutator->medium_block), full);
    mutator->medium_block = 0;
    mutator->medium = mutator->medium_end = 0;
}

/* Room for `size` more bytes: an empty block, or a hole of one that is not; false if there is
 * neither. */
static bool medium_take(struct gc_heap *heap, struct mutator *mutator, size_t size,
                        size_t alignment)
{
    uint64_t map[MAP_WORDS];
    bool zero;
    size_t start = 0, end = BLOCK_GRANULES;
    medium_leave(heap, mutator);
    struct gc_block *block = block_take(heap, mutator, true, &zero, map);
    mutator->medium_is_hole = block == NULL;
    if (block == NULL && !size_minor_is_due(heap))
        block = block_take_hole(heap, mutator, size >> GC_SHIFT, alignment, &start, &end);
    if (block == NULL) return false;
    uintptr_t base = (uintptr_t)gc_block_start(block);
    mutator->medium_block = gc_block_index(block);
    mutator->medium = base + (start << GC_SHIFT);
    mutator->medium_end = base + (end << GC_SHIFT);
    mutator->medium_zero = zero && !mutator->medium_is_hole;
    return true;
}

static void *medium_allocate(struct gc_heap *heap, struct mutator *mutator, size_t size,
                             size_t alignment)
{
    mutator->medium = base_round_up(mutator->medium, alignment);
    if (mutator->medium + size > mutator->medium_end &&
        !medium_take(heap, mutator, size, alignment))
        return NULL;
    if (alignment > GC_GRANULE) gc_block_at(mutator->medium_block)->aligned = true;
    void *p = (void *)mutator->medium;
    logs_begin(heap, mutator, mutator->medium, mutator->medium + size);
    mutator->medium += size;
    if (!mutator->medium_zero) memset(p, 0, size);
    atomic_fetch_add_explicit(&heap->allocated, size, memory_order_relaxed);
    block_fill(mutator->medium_block, size);
    return p;
}

void *hole_take_slow(struct gc_heap *heap, struct gc_thread *thread, size_t size)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    for (;;) {
        uintptr_t p = context->cursor;
        if (p && p + size <= context_limit(mutator, context)) {
            context->cursor = p + size;
            return (void *)p;
        }
        if (p && hole_extend(heap, mutator, context, size)) continue;
        if (size >= MEDIUM_MIN) return medium_allocate(heap, mutator, size, GC_GRANULE);
        if (!hole_next(heap, mutator, context, size)) return NULL;
    }
}

void *hole_take_aligned(struct gc_heap *heap, struct gc_thread *thread, size_t size,
                        size_t alignment)
{
    return medium_allocate(heap, mutator_of(thread, heap), size, alignment);
}
