/*
 * The sweep of a block: mark bytes of what is dead are cleared, and a map says which granules are
 * in use.
 *
 * It looks at 64 granules at a time. Of the mark bytes it takes two words of 64 bits, H with the
 * first granules of the objects that are live, E with the last ones of all. Added to the complement
 * of E, each bit of H sends a carry through the ones up to its object's end, and stops there: so
 * E_live is where the sum and E agree, and (E_live << 1) - H is one where live objects lie. For a
 * live object of three granules and a dead one of two, lowest bit right:
 *
 *      E  1 0 1 0 0      ~E      0 1 0 1 1      (E_live << 1) - H
 *      H  0 0 0 0 1      ~E + H  0 1 1 0 0      0 0 1 1 1
 *                        & E     0 0 1 0 0
 *
 * No loop over objects, and a block costs the same however many are in it. Rejected: a loop over
 * the mark bytes, which guesses a branch wrong for each object that is not like its neighbours.
 */
#include <string.h>

#include "gc/block.h"
#include "gc/heap.h"

/* Byte k is 0xff where bit k is set. */
FH_INLINE uint64_t scatter(uint64_t bits)
{
    uint64_t x = (bits & 0xff) * 0x0101010101010101ull & 0x8040201008040201ull;
    return ((x + 0x7f7f7f7f7f7f7f7full) >> 7 & LANES_OF(1)) * 0xff;
}

struct group {
    uint64_t heads, ends;
};

/* The heads whose state is `mark`; with mark 0, whose state is not 0. */
FH_RACY struct group group_read(const uint8_t *meta, unsigned mark)
{
    uint64_t heads = lanes_equal(meta, META_STATE, (uint8_t)mark);
    return (struct group){mark ? heads : ~heads, lanes_top(meta)};
}

/* Where objects with these heads lie; *open: one reaches in from below, or out above. */
FH_INLINE uint64_t group_cover(struct group group, bool *open)
{
    uint64_t heads = group.heads | *open, sum;
    *open = __builtin_add_overflow(~group.ends, heads, &sum);
    return ((sum & group.ends) << 1) - heads;
}

/* The granules first..last-1 of those from `base` on. */
uint64_t map_range(size_t base, size_t first, size_t last)
{
    if (last <= base || first >= base + 64 || first >= last) return 0;
    uint64_t bits = ~0ull;
    if (first > base) bits &= ~0ull << (first - base);
    if (last < base + 64) bits &= ~0ull >> (base + 64 - last);
    return bits;
}

static void group_clear(uint8_t *meta, uint64_t cover)
{
    if (cover == 0) {
        memset(meta, 0, 64);
        return;
    }
    for (unsigned k = 0; k < 8; k++, cover >>= 8) {
        if ((cover & 0xff) == 0xff) continue;
        uint64_t word = meta_load8(meta + 8 * k), kept = word & scatter(cover);
        if (word != kept) memcpy(meta + 8 * k, &kept, sizeof kept);
    }
}

/* mark 0: whatever has a state is live, and nothing is cleared. */
size_t block_map(struct gc_block *block, unsigned mark, const uint64_t *snapshot,
                 uint64_t map[MAP_WORDS])
{
    uint8_t *meta = meta_of(gc_block_start(block));
    size_t live = 0, busy_from = block->busy_from, busy_to = block->busy_to;
    bool open = false;
    for (size_t word = 0; word < MAP_WORDS; word++, meta += 64) {
        struct group group = group_read(meta, mark);
        if (UNLIKELY(snapshot != NULL)) group.heads |= group_read(meta, 0).heads & ~snapshot[word];
        uint64_t busy = map_range(word * 64, busy_from, busy_to);
        group.heads &= ~busy;
        group.ends &= ~busy;
        uint64_t cover = group_cover(group, &open) & ~busy;
        live += lanes_count(cover);
        cover |= busy;
        if (mark && cover != ~0ull) group_clear(meta, cover);
        map[word] = cover;
    }
    ASSERT(!open);
    return live;
}

static void block_poison(struct gc_block *block, const uint64_t before[MAP_WORDS],
                         const uint64_t after[MAP_WORDS])
{
    char *start = gc_block_start(block);
    for (size_t g = 0; g < BLOCK_GRANULES; g++)
        if ((before[g / 64] & ~after[g / 64]) >> g % 64 & 1)
            memset(start + (g << GC_SHIFT), 0xdb, GC_GRANULE);
}

/* In a block that was in use while marking went on, objects where there was none when it joined are
 * younger than the snapshot, and alive. */
size_t block_sweep(struct gc_heap *heap, struct gc_block *block, uint64_t map[MAP_WORDS])
{
    uint64_t before[MAP_WORDS];
    bool poison = heap->options.debug & FH_GC_POISON;
    if (UNLIKELY(poison)) block_map(block, 0, NULL, before);
    size_t live = block_map(block, heap->mark, LOAD(&block->snapshot), map);
    __atomic_store_n(&block->live, (uint32_t)live, __ATOMIC_RELAXED);
    if (UNLIKELY(poison)) block_poison(block, before, map);
    if (live == 0) block->aligned = false;
    STORE(&block->snapshot, NULL);
    STORE_RELEASE(&block->cycle, LOAD(&heap->cycle));
    return BLOCK_GRANULES - live - (size_t)(block->busy_to - block->busy_from);
}

void block_map_used(struct gc_block *block, uint64_t map[MAP_WORDS])
{
    block_map(block, 0, NULL, map);
}

bool map_hole(const uint64_t map[MAP_WORDS], size_t from, size_t *start, size_t *end)
{
    size_t word = from / 64;
    if (from >= BLOCK_GRANULES) return false;
    uint64_t holes = ~map[word] & ~0ull << from % 64;
    while (holes == 0) {
        if (++word == MAP_WORDS) return false;
        holes = ~map[word];
    }
    *start = word * 64 + base_ctz(holes);
    uint64_t used = map[word] & ~0ull << *start % 64;
    while (used == 0) {
        if (++word == MAP_WORDS) break;
        used = map[word];
    }
    *end = word == MAP_WORDS ? BLOCK_GRANULES : word * 64 + base_ctz(used);
    return true;
}

/* Bits at which n ones begin. */
static uint64_t runs_of(uint64_t bits, size_t n)
{
    for (size_t have = 1, more; bits && have < n; have += more) {
        more = base_min(have, n - have);
        bits &= bits >> more;
    }
    return bits;
}

size_t map_longest(const uint64_t map[MAP_WORDS])
{
    size_t most = 0, run = 0;
    for (size_t word = 0; word < MAP_WORDS; word++) {
        uint64_t used = map[word];
        if (used == 0) {
            run += 64;
            continue;
        }
        most = base_max(most, run + base_ctz(used));
        run = (size_t)__builtin_clzll(used);
        while (most < 64 && runs_of(~used, most + 1)) most++;
    }
    return base_max(most, run);
}
