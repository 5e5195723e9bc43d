/*
 * The hot paths of malloc and free. Every instruction is here for a reason;
 * count them again (bench/malloc/instructions) after any change.
 *
 * take:  load which list serves the class, and its first block; none: out of line. Load its link, make it the first. Clear
 *        the second word, so that the block reads as live.
 * give:  subtract and compare: ours? Shift and add: the descriptor. Compare the owner: our heap?
 *        That one test also sends NULL-owner spans (large, free, wild) out of line. Is it marked as
 *        free? Out of line. Count down; at zero out of line. Push.
 */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap/heap.h"

struct block {
    struct block *_Atomic next;
    void *_Atomic mark; /* arena.base while it is free; NULL in a block that was just handed out */
};

static_assert(sizeof(struct block) == 16, "fits the smallest class");

/* Memory that held small blocks before may still have the mark in its second word, and realloc may copy it
 * into a small block, which would then look free. */
FH_INLINE void *block_unmark(void *p, bool zeroed)
{
    if (!zeroed) STORE(&((struct block *)p)->mark, NULL);
    return p;
}

FH_INLINE void block_mark(struct block *block)
{
    STORE(&block->mark, (void *)arena.base);
}

FH_INLINE void *heap_take(struct heap *heap, size_t size_class)
{
    size_t list = heap->group[size_class];
    struct block *block = LOAD(&heap->head[list]);
    if (LIKELY(block != NULL)) {
        STORE(&heap->head[list], LOAD(&block->next));
        STORE(&block->mark, NULL);
    }
    return block;
}

/* A plain load, which compilers use as an operand; an atomic one takes an instruction of its own. ThreadSanitizer gets
 * to see that. */
#ifdef FH_TSAN
#define PEEK(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#else
#define PEEK(p) (*(p))
#endif

typedef uintptr_t block_word __attribute__((may_alias)); /* of a live block it is the program's */

/* The word where a free block has its mark. */
FH_INLINE uintptr_t block_peek(const void *p)
{
    return PEEK((const block_word *)p + 1);
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

/* What every free tests of a block before it believes it: is it not marked as free? The mark is the one word that
 * nobody else has reason to keep, and lies beside the link that the free is about to write. A program may have copied
 * it all the same: block_is_live finds out. */
FH_INLINE bool block_is_marked(const void *p, uintptr_t base)
{
    return UNLIKELY(block_peek(p) == base);
}

/* Whether no block of `size` bytes, as the caller says, can start there.
 *
 * k blocks of their class's size times ceil(2^32 / that size) is k times less than that size more than a multiple of
 * 2^32, so less than 2^16 more; one byte further is 2^32 / 8192 more at least. What is left over at the end
 * of a slab passes as a block. By the same number: size times reciprocal is 2^32 and less than 2^16 for the
 * class's own size, 2^32 and 2^19 for the next. It wraps for sizes of 2^45 and more, which then pass. */
FH_INLINE bool slab_is_misfit(const struct span *slab, const void *p, size_t size)
{
    static_assert(SLICE_SIZE == 1u << 16 && SLAB_MAX < 1u << 15, "as the remainders above need it");
    return UNLIKELY((uint16_t)(uintptr_t)p * slab->reciprocal > UINT16_MAX) ||
           UNLIKELY(size * slab->reciprocal >> 16 > 1u << 16);
}

/* The release pairs with the acquire of whoever walks the list from outside (sweep.c). */
FH_INLINE void slab_push(struct span *slab, struct block *block, uintptr_t base)
{
    STORE(&block->next, LOAD(&slab->free));
    STORE(&block->mark, (void *)base);
    STORE_RELEASE(&slab->free, block);
}

/* `sized`, known when this is compiled: the caller says that the block has `size` bytes, and pays for a closer look. */
FH_INLINE bool heap_give_as(struct heap *heap, void *p, bool sized, size_t size)
{
    uintptr_t base = arena.base;
    size_t offset = (uintptr_t)p - base;
    if (UNLIKELY(offset >= arena.size)) return false;
    struct span *slab = span_at_offset(offset);
    if (UNLIKELY(LOAD(&slab->owner) != heap)) {
        heap_free_other(heap, slab, p, size);
    } else if (UNLIKELY(block_is_marked(p, base) || (sized && slab_is_misfit(slab, p, size)))) {
        heap_free_doubtful(heap, slab, p, size);
    } else if (UNLIKELY(slab_count_down(slab))) {
        heap_free_slow(heap, slab, p);
    } else {
        slab_push(slab, p, base);
    }
    return true;
}

FH_INLINE bool heap_give(struct heap *heap, void *p)
{
    return heap_give_as(heap, p, false, 0);
}

FH_INLINE bool heap_give_sized(struct heap *heap, void *p, size_t size)
{
    return heap_give_as(heap, p, true, size);
}

#endif
