/*
 * glibc's malloc: blocks that are free although their chunks say they are in use: those in the fast bins
 * of an arena and in the cache of a thread.
 *
 *     a free block of either     | next, xor own address >> 12 (2.32 and later) | key (caches) | ...
 *
 * A thread's cache is itself a block, of which nothing says so: it is known by its size and by the lists
 * in it, each of which holds blocks of the one size that its place stands for:
 *
 *     2.26 - 2.29    64 counts of 1 byte   64 lists    chunk of 0x250
 *     2.30 - 2.41    64 counts of 2 bytes  64 lists    chunk of 0x290
 *     2.42           76 counts of 2 bytes  76 lists    chunk of 0x300; the last 12 by powers of two
 */
#include "parts.h"

enum { SMALL_LISTS = 64 };

static const struct layout {
    uint64_t chunk;
    uint32_t offset, lists;
} layouts[] = {
    {0x250, 64, 64},
    {0x290, 128, 64},
    {0x300, 152, 76},
    {0x310, 152, 76},
};

/* The block behind one in a list: the form that leads to a block of the heap is the right one. 0 ends. */
static uint64_t next_of(const struct image *image, const struct reach *reach, uint64_t block,
                        uint64_t distance)
{
    uint64_t raw, start, size;
    if (!image_word(image, block, &raw) || raw == 0) return 0;
    uint64_t plain = raw ^ block >> 12;
    if (plain == 0) return 0;
    if (reach_find(reach, plain + distance, &start, &size) && start == plain + distance)
        return start;
    if (reach_find(reach, raw + distance, &start, &size) && start == raw + distance) return start;
    return 0;
}

/* A block that is taken twice ends the list: so no list is endless. */
static void take_list(const struct image *image, struct reach *reach, uint64_t block)
{
    while (block != 0 && reach_remove(reach, block)) block = next_of(image, reach, block, 0);
}

static bool is_of_list(const struct image *image, const struct reach *reach, uint64_t block,
                       uint32_t list)
{
    uint64_t start, size, word;
    if (block % 16 != 0 || !reach_find(reach, block, &start, &size) || start != block) return false;
    if (list >= SMALL_LISTS) return true;
    return image_word(image, block - 8, &word) && GLIBC_SIZE(word) == GLIBC_MIN + 16ull * list;
}

static const struct layout *layout_of(const struct image *image, uint64_t cache)
{
    uint64_t word;
    if (!image_word(image, cache - 8, &word)) return NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (layouts[i].chunk == GLIBC_SIZE(word)) return &layouts[i];
    }
    return NULL;
}

static unsigned count_at(const struct image *image, uint64_t cache, const struct layout *layout,
                         uint32_t list)
{
    uint32_t width = layout->offset / layout->lists;
    const unsigned char *at = image_at(image, cache + (uint64_t)width * list, width);
    return !at ? 0 : width == 1 ? at[0] : at[0] | (unsigned)at[1] << 8;
}

/* A count is 0 where the list is empty; in 2.42 it counts the room left, which then is the same for all. */
static bool count_fits(const struct image *image, uint64_t cache, const struct layout *layout,
                       uint32_t list, bool empty, unsigned *room)
{
    unsigned count = count_at(image, cache, layout, list);
    if (layout->lists == SMALL_LISTS) return (count == 0) == empty;
    if (!empty) return true;
    if (*room == 0) *room = count;
    return count != 0 && count == *room;
}

/* How many of its lists hold something; 0 if it is no cache. */
static int count_lists(const struct image *image, const struct reach *reach, uint64_t cache,
                       const struct layout *layout)
{
    int lists = 0;
    unsigned room = 0;
    for (uint32_t i = 0; i < layout->lists; i++) {
        uint64_t block;
        if (!image_word(image, cache + layout->offset + 8ull * i, &block)) return 0;
        if (!count_fits(image, cache, layout, i, block == 0, &room)) return 0;
        if (block == 0) continue;
        if (!is_of_list(image, reach, block, i)) return 0;
        lists++;
    }
    return lists;
}

/* False: it is none. */
static bool take_cache(const struct image *image, struct reach *reach, uint64_t cache)
{
    const struct layout *layout = layout_of(image, cache);
    if (!layout || count_lists(image, reach, cache, layout) == 0) return false;
    for (uint32_t i = 0; i < layout->lists; i++) {
        uint64_t block = 0;
        image_word(image, cache + layout->offset + 8ull * i, &block);
        take_list(image, reach, block);
    }
    reach_remove(reach, cache);
    return true;
}

static bool take_fast_bin(struct glibc *g, const struct image *image, struct reach *reach,
                          uint64_t block)
{
    while (block != 0 && reach_remove(reach, block)) {
        if (!glibc_append(&g->fast, &g->fast_count, &g->fast_capacity, block)) return false;
        block = next_of(image, reach, block, 16);
    }
    return true;
}

bool glibc_take_caches(struct glibc *g, const struct image *image, struct reach *reach)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->cache_count; i++) {
        if (take_cache(image, reach, g->caches[i])) g->caches[kept++] = g->caches[i];
    }
    g->cache_count = kept;
    for (size_t i = 0; i < g->arena_count; i++) {
        for (uint64_t bin = 0; bin < GLIBC_FAST; bin++) {
            uint64_t chunk = 0;
            image_word(image, g->arenas[i] + (uint64_t)GLIBC_TO_FAST + 8 * bin, &chunk);
            if (chunk != 0 && chunk % 16 == 0 && !take_fast_bin(g, image, reach, chunk + 16))
                return false;
        }
    }
    return true;
}
