/*
 * Which blocks can be reached: a conservative marker over any heap whose blocks are known.
 *
 * It knows addresses, never whose they are: the same code marks a heap of this process, a copy of
 * another's, or what a core file holds. The caller gives regions (stretches of addresses that hold
 * blocks, and where their bytes can be read), says where blocks begin, and hands in the roots. It stands
 * on nothing but the compiler; threads and memory are the caller's.
 *
 *     region     |##blk###|#blk#|  free  |####blk####|  free   |
 *     boundary    1        1     1        1           1           a bit a granule of 16 bytes:
 *     live        1        1     0        1           0           something begins; it is a block
 *
 * Three passes, each scanning a block at most once:
 *   exact      from the roots, along words that are the address of a block       -> reached
 *   possible   from blocks that only words into their middle point to            -> possibly lost
 *   lost       from the rest, along any word; who is found by another is indirectly lost, and
 *              whoever it was found by keeps it                                  -> lost, indirectly lost
 *
 * Five bits a granule are 4 % of the heap, whatever the number of blocks; a sorted array of blocks would
 * be 7 % for blocks of 232 bytes, and a search instead of a load for each word. A region that is one
 * block needs no bits, so that blocks of a terabyte cost nothing.
 */
#ifndef SPAN_REACH_H
#define SPAN_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REACH_GRANULE = 16 };

struct reach_region {
    uint64_t start, end;        /* multiples of 16 */
    const unsigned char *bytes; /* what is at `start` */
    uint32_t slack; /* bytes before the next boundary, or the end, that are not the block's: 0, 8 */
    bool single;    /* one block, from start to end */
    uint64_t granule; /* private: index of its first bit */
};

/* A lost block that others are only reached from. */
struct reach_keeper {
    uint64_t address;
    uint64_t count, bytes; /* of the others */
};

enum reach_kind {
    REACH_REACHED,
    REACH_LOST,
    REACH_INDIRECT,
    REACH_POSSIBLE,
    REACH_KINDS,
};

struct reach {
    struct reach_region *regions; /* ascending, disjoint */
    size_t region_count;
    uint64_t low, high;
    uint32_t *
        *directory; /* [address >> 32][address >> 16]: 1 + the first region that reaches there */
    uint64_t granules;
    uint64_t *boundary, *live, *marked, *possible, *indirect;
    uint32_t
        *page; /* for each 256 granules, 1 + the last boundary before, counted from its region */
    uint64_t live_count;
    struct reach_keeper *keepers;
    size_t keeper_count;

    /* Zeroed memory that costs nothing until it is touched, or NULL; and back. */
    void *(*reserve)(size_t bytes);
    void (*release)(void *memory, size_t bytes);

    /* Shared by workers. */
    int lock;
    int workers, idle;
    uint64_t *pool;
    size_t pool_count;
};

/* Takes the regions over as they are. False: no memory. reach_finish in any case. */
bool reach_init(struct reach *r, struct reach_region *regions, size_t count,
                void *(*reserve)(size_t), void (*release)(void *, size_t));
void reach_finish(struct reach *r);

/* Something begins at an address of a region: a block, or what is none. Any order. */
void reach_add(struct reach *r, uint64_t address, bool live);

/* What was said to be a block is none: it is free after all. False if it was none before. */
bool reach_remove(struct reach *r, uint64_t address);

/* All boundaries are known. False: no memory. */
bool reach_seal(struct reach *r);

/* The block that holds an address; false: none. */
bool reach_find(const struct reach *r, uint64_t address, uint64_t *start, uint64_t *size);
enum reach_kind reach_kind_of(const struct reach *r, uint64_t start);
const struct reach_region *reach_region_of(const struct reach *r, uint64_t address);

/* ---- marking -------------------------------------------------------------------------------- */

struct reach_worker {
    struct reach *reach;
    enum { REACH_PASS_EXACT, REACH_PASS_POSSIBLE } pass;
    uint64_t *stack;
    size_t count;
    uint64_t scanned; /* bytes */
    /* The next stretch in [*from, *to) of a large block that is there; the rest reads as zeros. May be NULL. */
    bool (*present)(void *context, uint64_t *from, uint64_t *to);
    void *context;
};

/* As many as reach->workers will be, before any of them works. */
bool reach_worker_init(struct reach_worker *w, struct reach *r);
void reach_worker_finish(struct reach_worker *w);

/* Roots: a word that counts as one even if it points into the middle; bytes that may hold some. */
void reach_root(struct reach_worker *w, uint64_t word);
void reach_scan(struct reach_worker *w, const unsigned char *bytes, size_t size);

/* Marks until no worker has anything left: each calls it in its own thread, once a pass. */
void reach_drain(struct reach_worker *w);

/* After the exact pass: what only interior pointers reached becomes the work of this worker. */
void reach_begin_possible(struct reach_worker *w);

/* After both: who keeps whom among the rest. One worker. False: no memory for the keepers. */
bool reach_sort_lost(struct reach_worker *w);

/* Every block of the wanted kinds (a mask of 1 << kind), ascending. */
void reach_each(const struct reach *r, unsigned kinds,
                void (*each)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                void *context);

/* What a lost block keeps; NULL: nothing. */
const struct reach_keeper *reach_keeper_of(const struct reach *r, uint64_t start);

/* ---- shared by the two files ---------------------------------------------------------------- */

static inline bool reach_bit(const uint64_t *bits, uint64_t granule)
{
    return __atomic_load_n(&bits[granule >> 6], __ATOMIC_RELAXED) >> (granule & 63) & 1;
}

/* The bit was 0, and is 1 because of us. */
static inline bool reach_bit_set(uint64_t *bits, uint64_t granule)
{
    uint64_t bit = 1ull << (granule & 63);
    if (__atomic_load_n(&bits[granule >> 6], __ATOMIC_RELAXED) & bit) return false;
    return !(__atomic_fetch_or(&bits[granule >> 6], bit, __ATOMIC_RELAXED) & bit);
}

struct reach_block {
    const struct reach_region *region;
    uint64_t start;
    uint64_t granule;
};

bool reach_block_of(const struct reach *r, uint64_t address, struct reach_block *block);
uint64_t reach_block_end(const struct reach *r, const struct reach_block *block);

/* Calls `each` with every block of which (all & ~none) is set; false from it ends the walk. */
void reach_walk(const struct reach *r, const uint64_t *all, const uint64_t *const none[3],
                void (*each)(void *context, const struct reach_block *block), void *context);

#endif
