/* A heap of gperftools': a cache of a thread, a map with one leaf, a span of small blocks, a large one, a free one. */
#include "made_inside.h"

#define ROOT 0x7f1800000000ull
#define METADATA 0x7f2000000000ull
#define CACHE (METADATA + 0x40)
#define SPANS (METADATA + 0x2000)
#define LEAF (METADATA + 0x100000)
#define HEAP 0x7f3000000000ull
#define CENTRAL (OTHER_DATA + 0x3000)

enum { CLASSES = 5, CLASS = 3, BLOCK = 64, BLOCKS = 128, PAGE_BITS = 13, RINGS = 2 };

static const uint64_t sizes[CLASSES] = {0, 8, 16, BLOCK, 256 << 10};

static void span(struct made_other *m, unsigned index, uint64_t first, uint64_t pages,
                 uint64_t handed_out, uint64_t class, uint64_t place)
{
    uint64_t at = SPANS + 48ull * index, page = (HEAP >> PAGE_BITS) + first;
    made_other_write(m, at, page);
    made_other_write(m, at + 8, pages);
    made_other_write(m, at + 40, handed_out | class << 16 | place << 24);
    made_other_write(m, LEAF + 8 * (page & 0x3ffff), at);
    made_other_write(m, LEAF + 8 * ((page + pages - 1) & 0x3ffff), at);
}

/* Two blocks in a list, which begins at a word. */
static void list(struct made_other *m, uint64_t head, unsigned first)
{
    made_other_write(m, head, HEAP + (uint64_t)first * BLOCK);
    made_other_write(m, HEAP + (uint64_t)first * BLOCK, HEAP + (first + 2ull) * BLOCK);
    made_other_write(m, HEAP + (first + 2ull) * BLOCK, 0);
    m->blocks -= 2;
}

static void central(struct made_other *m)
{
    for (unsigned i = 0; i < CLASSES; i++) {
        uint64_t at = CENTRAL + 1216ull * i;
        made_other_write(m, at + 8, i);
        for (uint64_t ring = at + 16; ring < at + 16 + RINGS * 48; ring += 48) {
            made_other_write(m, ring + 16, ring);
            made_other_write(m, ring + 24, ring);
        }
    }
}

void made_tcmalloc(struct made_other *m)
{
    made_begin_other(m);
    made_stretch(m, ROOT, 1 << 20, true);
    made_stretch(m, METADATA, 4 << 20, false);
    made_stretch(m, HEAP, 0x20000, false);
    made_other_write(m, OTHER_DATA + 0x1000, CACHE);
    for (unsigned i = 0; i < CLASSES; i++) made_other_write(m, CACHE + 32ull * i + 24, sizes[i]);
    made_other_write(m, ROOT + 8 * (HEAP >> (PAGE_BITS + 18)), LEAF);
    span(m, 0, 0, 1, BLOCKS - 2, CLASS, 0);
    span(m, 1, 1, 2, 1, 0, 0);
    span(m, 2, 3, 4, 0, 0, 1);
    central(m);
    m->blocks = BLOCKS + 1;
    list(m, SPANS + 32, 1);
    list(m, CACHE + 32 * CLASS, 5);
    made_other_write(m, CACHE + 32 * CLASS + 8, 2);
    list(m, CENTRAL + 1216 * CLASS + 128, 9);
    made_other_write(m, CENTRAL + 1216 * CLASS + 1152, 1);
    made_seal(m);
}
