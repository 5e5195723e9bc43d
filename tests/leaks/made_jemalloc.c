/* A heap of jemalloc's: metadata, a tree with one leaf, a slab, a large block, a free extent, a cache. */
#include "made_inside.h"

#define ROOT 0x7f1800000000ull
#define METADATA 0x7f2000000000ull
#define METADATA_BYTES (6ull << 20)
#define LEAF (METADATA + (2ull << 20))
#define HEAP 0x7f3000000000ull
#define CACHE (HEAP + 0x10000)
#define OWNER (OTHER_THREAD - 0x1000)

enum {
    SLAB_CLASS = 5,
    SLAB_BLOCK = 80,
    SLAB_PAGES = 5,
    SLAB_BLOCKS = 256,
    LARGE_CLASS = 36,
    CACHE_CLASS = 37,
    NO_CLASS = 232,
    STACKS = 40,
    STACK_BYTES = 80,
    ACTIVE = 0,
    DIRTY = 1,
};

static uint64_t descriptor_at(unsigned index)
{
    return METADATA + 0x1000 + 128ull * index;
}

/* Its first page is known to the tree, and of a slab every page. */
static void extent(struct made_other *m, unsigned index, uint64_t address, uint64_t pages,
                   unsigned class, unsigned state, bool slab)
{
    uint64_t at = descriptor_at(index);
    made_other_write(m, at, (uint64_t)slab << 12 | (uint64_t)state << 17 | (uint64_t) class << 20);
    made_other_write(m, at + 8, address);
    made_other_write(m, at + 16, pages << 12);
    for (uint64_t i = 0; i < (slab ? pages : 1); i++) {
        uint64_t page = (address >> 12) + i;
        made_other_write(m, LEAF + 8 * (page & 0x3ffff),
                         at | slab | (uint64_t)state << 2 | (uint64_t) class << 48);
    }
}

/* Of 256 blocks each second one is free. */
static void slab(struct made_other *m)
{
    extent(m, 0, HEAP, SLAB_PAGES, SLAB_CLASS, ACTIVE, true);
    uint64_t bits = made_other_read(m, descriptor_at(0));
    made_other_write(m, descriptor_at(0), bits | (uint64_t)(SLAB_BLOCKS / 2) << 28);
    for (unsigned i = 0; i < SLAB_BLOCKS / 64; i++)
        made_other_write(m, descriptor_at(0) + 64 + 8ull * i, 0xaaaaaaaaaaaaaaaaull);
    m->blocks += SLAB_BLOCKS / 2;
}

/* Two blocks of the slab, 0 and 2, lie in the stack of their class. */
static void cache(struct made_other *m)
{
    uint64_t full = CACHE + 8;
    extent(m, 3, CACHE, 5, CACHE_CLASS, ACTIVE, false);
    made_other_write(m, CACHE, 0x7a7a7a7a7a7a7a7aull);
    for (unsigned i = 0; i < STACKS; i++, full += STACK_BYTES) {
        uint64_t empty = full + STACK_BYTES, head = i == SLAB_CLASS ? empty - 16 : empty;
        made_other_write(m, OWNER + 24ull * i, head);
        made_other_write(m, OWNER + 24ull * i + 16, (full & 0xffff) << 16 | (empty & 0xffff) << 32);
        if (i != SLAB_CLASS) continue;
        made_other_write(m, head, HEAP);
        made_other_write(m, head + 8, HEAP + 2 * SLAB_BLOCK);
    }
    made_other_write(m, full, 0xa7a7a7a7a7a7a7a7ull);
    m->blocks -= 2;
}

void made_jemalloc(struct made_other *m)
{
    uint64_t left = METADATA + (4ull << 20);
    made_begin_other(m);
    made_stretch(m, ROOT, 2ull << 20, true);
    made_stretch(m, METADATA, METADATA_BYTES, false);
    made_stretch(m, HEAP, 0x20000, false);
    made_other_write(m, METADATA, METADATA_BYTES);
    made_other_write(m, METADATA + 16, 0xfff | (uint64_t)NO_CLASS << 20);
    made_other_write(m, METADATA + 24, left);
    made_other_write(m, METADATA + 32, METADATA + METADATA_BYTES - left);
    made_other_write(m, ROOT + 8 * (HEAP >> 30), LEAF);
    slab(m);
    extent(m, 1, HEAP + 0x6000, 5, LARGE_CLASS, ACTIVE, false);
    extent(m, 2, HEAP + 0xc000, 4, NO_CLASS, DIRTY, false);
    m->blocks++;
    cache(m);
    made_seal(m);
}
