/*
 * Size classes: sixteen bytes apart up to 1 KiB, so that the class is a shift and small blocks waste
 * little (2.5 % in the mean, 9.4 % with four classes to a doubling); then eight to a doubling, which
 * bounds the waste by 12.5 %. Above 8 KiB classes would cost more memory than they save: a program
 * holds few such blocks of each size, and what one class frees another could not use. They are runs
 * of 1 KiB granules (run.c).
 *
 *     class    0    1    2   ...  64      65    66   ...   72    73  ...   88
 *     bytes   16   16   32   ... 1024   1152  1280   ... 2048  2304  ... 8192
 *
 * Class 0 is malloc(0): it never holds blocks of its own and is served from class 1.
 */
#ifndef HEAP_CLASSES_H
#define HEAP_CLASSES_H

#include "span/span.h"

#define CLASSES FH_CLASSES
#define SMALL_MAX ((size_t)1024)
#define SLAB_MAX ((size_t)8192)

static_assert(CLASSES == 65 + 8 * 3, "three doublings from 1 KiB to 8 KiB");

struct class_facts {
    uint32_t size;       /* bytes of a block */
    uint32_t reciprocal; /* ceil(2^32 / size): offset * reciprocal >> 32 is the block's index */
    uint16_t blocks;     /* in a slab */
    uint16_t wake;       /* free blocks that make a full slab worth queueing */
    uint16_t batch;      /* fewer free blocks are not worth a refill if more can be had */
};

/* Read-only, laid down by the compiler. */
extern const struct class_facts class_facts[CLASSES];

/* A size_t, since a narrower result costs malloc two instructions to widen again. */
FH_INLINE size_t class_of_small(size_t size)
{
    return (size + 15) >> 4;
}

/* For SMALL_MAX < size <= SLAB_MAX. */
FH_INLINE unsigned class_of_medium(size_t size)
{
    unsigned log = base_log2(size - 1);
    return 65 + (log - 10) * 8 + (unsigned)((size - 1) >> (log - 3) & 7);
}

FH_INLINE unsigned class_of(size_t size)
{
    return size <= SMALL_MAX ? (unsigned)class_of_small(size) : class_of_medium(size);
}

FH_INLINE unsigned block_index(unsigned size_class, size_t offset_in_slab)
{
    return (unsigned)(offset_in_slab * class_facts[size_class].reciprocal >> 32);
}

#endif
