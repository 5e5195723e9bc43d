/*
 * meta: the mark bytes, one for each granule of 16 bytes, and the log bits, one for each word.
 *
 * Both are reserved ranges beside the arena, so that the byte of any address is a shift and an
 * addition; they are committed as far as the arena has grown, in one piece, since pieces would be
 * mappings of their own. What the bits of a byte mean stands in freehold/gc.h.
 *
 *      an object of three granules, a hole of two, an object of one:
 *
 *        | 0 type young | 0 type 0 | END 0 0 | 0 | 0 | END type young |
 *
 * Invariant: outside of the holes that threads allocate in, the first byte with a state follows an
 * END, a zero, or the start of the block; every object ends in its block.
 */
#ifndef GC_META_H
#define GC_META_H

#include <freehold/gc.h>

#include "base/lanes.h"
#include "span/span.h"

#define GC_SHIFT 4
#define GC_GRANULE FH_GC_GRANULE
#define BLOCK_SIZE SLICE_SIZE
#define BLOCK_GRANULES (BLOCK_SIZE >> GC_SHIFT)

#define META_STATE 3
#define META_YOUNG FH_GC_YOUNG
#define META_END FH_GC_END

struct gc_side {
    uintptr_t marks_bias; /* plus address / 16: its mark byte */
    uintptr_t logs_bias;  /* plus address / 64: the byte with its log bit */
    uintptr_t
        hidden_base;    /* of the arena's first slice, complemented: it is the address of an object,
                              and this is static data */
    size_t range;       /* bytes from there on that have mark bytes */
    uint32_t committed; /* the same as the index of a slice: under `lock` */
    struct lock lock;
};

extern struct gc_side gc_side;

/* Reserves the tables; false when there are no addresses. Once. */
bool side_init(void);

/* Tells a heap's inline functions where the tables are. */
void side_publish(struct fh_gc_heap *heap);

/* Commits the tables for slices below `end`; false when the kernel refuses. */
bool side_commit(uint32_t end);

FH_INLINE uint8_t *meta_of(const void *p)
{
    return (uint8_t *)(gc_side.marks_bias + ((uintptr_t)p >> GC_SHIFT));
}

FH_INLINE char *meta_address(const uint8_t *meta)
{
    return (char *)(((uintptr_t)meta - gc_side.marks_bias) << GC_SHIFT);
}

/* Words and bytes that other threads may be writing, plainly and on purpose: each is whole, and no
 * reader cares which of two values it gets. The thread sanitizer would. */
#ifdef FH_TSAN
#define FH_RACY __attribute__((noinline, unused, no_sanitize("thread"))) static
#else
#define FH_RACY FH_INLINE
#endif

FH_RACY uint8_t meta_load(const uint8_t *meta)
{
    return *(const volatile uint8_t *)meta;
}

FH_RACY void meta_store(uint8_t *meta, uint8_t byte)
{
    *(volatile uint8_t *)meta = byte;
}

FH_RACY uintptr_t word_load(const void *at)
{
    return *(const volatile uintptr_t *)at; /* NOLINT(*NullDereference): 0 is no slot */
}

FH_RACY uint64_t meta_load8(const uint8_t *meta)
{
    uint64_t word;
    __builtin_memcpy(&word, meta, sizeof word);
    return word;
}

FH_INLINE uintptr_t side_base(void)
{
    return ~gc_side.hidden_base;
}

/* True if p may have a mark byte: it lies in the part of the arena that has them. */
FH_INLINE bool side_holds(uintptr_t p)
{
    return p - side_base() < __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
}

/* The first lowest. */
FH_RACY unsigned meta_load2(const uint8_t *meta)
{
    uint16_t two;
    __builtin_memcpy(&two, meta, sizeof two);
    return two;
}

/* Granules of the object whose first byte this is; it ends in its block. */
FH_INLINE size_t meta_granules(const uint8_t *meta)
{
    const uint8_t *at = meta;
    for (;; at += 8) {
        uint64_t ends = meta_load8(at) & LANES_OF(META_END);
        if (LIKELY(ends)) return (size_t)(at - meta) + (base_ctz(ends) >> 3) + 1;
        /* One that is just being made has no end yet. */
        size_t left = BLOCK_GRANULES - ((uintptr_t)meta & (BLOCK_GRANULES - 1));
        if (NEVER((size_t)(at - meta) >= left)) return left;
    }
}

/* The log bit of a slot. */
FH_INLINE uint8_t *log_byte(const void *slot)
{
    return (uint8_t *)(gc_side.logs_bias + ((uintptr_t)slot >> 6));
}

FH_INLINE uint8_t log_bit(const void *slot)
{
    return (uint8_t)(1u << ((uintptr_t)slot >> 3 & 7));
}

/* Sets or clears the log bits of whole granules. */
void log_fill(const void *start, size_t size, bool set);

void side_fork_prepare(void);
void side_fork_end(void);

#endif
