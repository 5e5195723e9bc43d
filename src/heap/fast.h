/*
 * The hot paths of malloc and free: ten and nine instructions of work. Every one is here for a reason;
 * count them again (bench/malloc/instructions) after any change.
 *
 * take:  load which list serves the class, and its first block; none: out of line. Load its link, make it the first. Clear
 *        the second word, so that the block reads as live.
 * give:  subtract and compare: ours? Shift and add: the descriptor. Compare the owner: our heap?
 *        That one test also sends NULL-owner spans (large, free, wild) out of line. Count down; at
 *        zero out of line. Push.
 */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap/heap.h"

struct block {
    struct block *_Atomic next;
    void *_Atomic holder; /* the heap that freed it; NULL in a block that was just handed out */
};

static_assert(sizeof(struct block) == 16, "fits the smallest class");

/* Memory that held small blocks before may still have a heap's address in its second word, and
 * realloc may copy it into a small block, which would then read as free. */
FH_INLINE void *block_unmark(void *p, bool zeroed)
{
    if (!zeroed) STORE(&((struct block *)p)->holder, NULL);
    return p;
}

FH_INLINE void *heap_take(struct heap *heap, unsigned size_class)
{
    unsigned list = heap->group[size_class];
    struct block *block = LOAD(&heap->head[list]);
    if (LIKELY(block != NULL)) {
        STORE(&heap->head[list], LOAD(&block->next));
        STORE(&block->holder, NULL);
    }
    return block;
}

/* Only the owner writes the countdown, others read it: a relaxed load and store would say so, but
 * compilers make three instructions of them. ThreadSanitizer gets to see the atomics. */
FH_INLINE bool slab_count_down(struct span *slab)
{
#ifdef FH_TSAN
    __atomic_store_n(&slab->countdown, slab->countdown - 1, __ATOMIC_RELAXED);
#else
    slab->countdown--;
#endif
    return slab->countdown == 0;
}

/* The release pairs with the acquire of whoever walks the list from outside (sweep.c). */
FH_INLINE void slab_push(struct heap *heap, struct span *slab, struct block *block)
{
    STORE(&block->next, LOAD(&slab->free));
    STORE(&block->holder, heap);
    STORE_RELEASE(&slab->free, block);
}

FH_INLINE bool heap_give(struct heap *heap, void *p)
{
    size_t offset = (uintptr_t)p - arena.base;
    if (UNLIKELY(offset >= arena.size)) return false;
    struct span *slab = span_at_offset(offset);
    if (UNLIKELY(LOAD(&slab->owner) != heap)) {
        heap_free_other(heap, slab, p);
    } else if (UNLIKELY(slab_count_down(slab))) {
        heap_free_slow(heap, slab, p);
    } else {
        slab_push(heap, slab, p);
    }
    return true;
}

#endif
