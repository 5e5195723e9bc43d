/* A heap of mimalloc's: a segment with a page of small blocks, one of a large block, and a free span. */
#include "made_inside.h"

#define SEGMENT 0x7f4000000000ull
#define SLICE 0x10000ull
#define HEAP (OTHER_DATA + 0x2000)
#define FIRST (SEGMENT + SLICE + 384)
#define LARGE (SEGMENT + 2 * SLICE)

enum { BLOCK = 64, CAPACITY = 16, SLICES = 512, LARGE_SLICES = 4, COOKIE = 0xc00c1e };

static void page(struct made_other *m, unsigned index, uint64_t slices, uint64_t capacity,
                 uint64_t reserved, uint64_t size)
{
    uint64_t at = SEGMENT + 264 + 80ull * index;
    made_other_write(m, at, slices);
    made_other_write(m, at + 8, capacity << 16 | reserved << 32);
    made_other_write(m, at + 24, size << 32);
}

/* Blocks 1, 3 and 5 are free, 7 was freed here, 9 and 11 by another thread, 13 as well and not seen yet. */
static void lists(struct made_other *m)
{
    uint64_t at = SEGMENT + 264 + 80, block[CAPACITY];
    for (unsigned i = 0; i < CAPACITY; i++) block[i] = FIRST + (uint64_t)i * BLOCK;
    made_other_write(m, at + 16, block[1]);
    made_other_write(m, block[1], block[3]);
    made_other_write(m, block[3], block[5]);
    made_other_write(m, at + 24, (CAPACITY - 4) | (uint64_t)BLOCK << 32);
    made_other_write(m, at + 32, block[7]);
    made_other_write(m, at + 40, block[9] | 2);
    made_other_write(m, block[9], block[11]);
    made_other_write(m, at + 48, HEAP);
    made_other_write(m, HEAP + 2840, block[13]);
    m->blocks = CAPACITY - 7;
}

void made_mimalloc(struct made_other *m)
{
    made_begin_other(m);
    made_stretch(m, SEGMENT, SLICES * SLICE, false);
    made_other_write(m, SEGMENT + 208, 2);
    made_other_write(m, SEGMENT + 216, SEGMENT ^ COOKIE);
    made_other_write(m, SEGMENT + 224, SLICES);
    made_other_write(m, SEGMENT + 232, 1);
    made_other_write(m, SEGMENT + 248, SLICES);
    page(m, 0, 1, 0, 0, SLICE);
    page(m, 1, 1, CAPACITY, (SLICE - 384) / BLOCK, BLOCK);
    page(m, 2, LARGE_SLICES, 1, 1, LARGE_SLICES * SLICE);
    made_other_write(m, SEGMENT + 264 + 160 + 24, 1 | LARGE_SLICES * SLICE << 32);
    page(m, 2 + LARGE_SLICES, SLICES - 2 - LARGE_SLICES, 0, 0, 0);
    for (unsigned bin = 1; bin <= 8; bin++)
        made_other_write(m, HEAP + 1040 + 24ull * bin + 16, 8ull * bin);
    lists(m);
    m->blocks++;
    made_seal(m);
}
