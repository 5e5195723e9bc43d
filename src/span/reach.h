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
    bool inner;     /* what points into a block is as good as what points to its start */
    uint8_t owner;  /* whose it is: of the one who gave it, and not looked at here */
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
    uint64_t *told; /* by reach_know: lost, and not known; NULL: all are to be told */
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

enum { REACH_AHEAD = 16, REACH_BATCH = 1 << 18 };

/* Places whose memory was asked for, the oldest first: by the time they are used it has come. */
struct reach_ahead {
    struct reach_place {
        const struct reach_region *region;
        uint64_t address;
    } place[REACH_AHEAD];
    unsigned first, count;
};

struct reach_worker {
    struct reach *reach;
    enum { REACH_PASS_EXACT, REACH_PASS_POSSIBLE } pass;
    uint64_t *stack;
    size_t count;
    uint64_t *batch; /* blocks taken from the stack, by rising address; the next is at batch_at */
    size_t batch_at;
    struct reach_ahead words, blocks; /* found, but not looked up; to be scanned next */
    uint64_t scanned;                 /* bytes */
    /* Words at multiples of 4 count too: struct epoll_event has its pointer there on x86-64. */
    bool halves;
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

/* After reach_sort_lost: lost blocks of which `known` is true need not be told, nor what only they keep. What a lost
 * block that is not known leads to is told all the same. One worker. False: no memory. */
bool reach_know(struct reach_worker *w,
                bool (*known)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                void *context);

/* Whether a lost block is among those. */
bool reach_is_known(const struct reach *r, uint64_t start);

/* Every block of the wanted kinds (a mask of 1 << kind), ascending. */
void reach_each(const struct reach *r, unsigned kinds,
                void (*each)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                void *context);

/* What a lost block keeps; NULL: nothing. */
const struct reach_keeper *reach_keeper_of(const struct reach *r, uint64_t start);

/* ---- paths ---------------------------------------------------------------------------------- */

/*
 * Why one block is alive: a shortest way to it from a root. A mark breadth first that notes of each block by
 * which word it was found, and so is a tree with the roots at its top; it stops when the block is found.
 *
 *     trace     | root, word | root, word | 0, word | 0, word | 1, word | ...      in the order found
 *                 found by a root           found by a word of the block in entry 0
 *
 * 16 bytes a block found, and none is found twice: memory is bounded by the number of live blocks. The
 * position of the word in its block is not noted, but searched again on the one path that is wanted.
 * A search back from the block would have to scan the whole heap for each step.
 */
struct reach_trace {
    uint64_t word, from; /* from: the tag of a root, or the index of an entry */
};

struct reach_step {
    uint64_t from;        /* the tag of the root; of the others the address of the word */
    uint64_t offset;      /* of the word in the block before; of the root 0 */
    uint64_t word;        /* which points to */
    uint64_t start, size; /* this block */
};

struct reach_path {
    struct reach *reach;
    uint64_t target; /* where the block begins */
    bool interior;   /* words into the middle of a block count too */
    uint64_t *bits;  /* blocks found */
    struct reach_trace *trace;
    size_t count, roots; /* entries; those found by roots */
    bool found;
    bool (*present)(void *context, uint64_t *from, uint64_t *to); /* as a worker's */
    void *context;
};

/* After reach_seal, and not beside marking: one search by exact words and one with interior ones may follow
 * each other. False: no memory. reach_path_finish in any case. */
bool reach_path_init(struct reach_path *p, struct reach *r, uint64_t target, bool interior);
void reach_path_finish(struct reach_path *p);

/* Roots, before reach_path_search: a word that counts even if it points into the middle, with any tag; bytes
 * that may hold some, whose tags are the addresses of the words. Those of which the path should rather begin
 * come first. */
void reach_path_root(struct reach_path *p, uint64_t word, uint64_t tag);
void reach_path_scan(struct reach_path *p, const unsigned char *bytes, size_t size,
                     uint64_t address);

/* False: no root leads to it. */
bool reach_path_search(struct reach_path *p);

/* How many steps the path has, the root's word the first; and each of them. */
size_t reach_path_length(const struct reach_path *p);
void reach_path_steps(const struct reach_path *p, struct reach_step *steps);

/* ---- shared by the files -------------------------------------------------------------------- */

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

static inline uint64_t reach_granule(const struct reach_region *region, uint64_t address)
{
    return region->granule + (region->single ? 0 : (address - region->start) / REACH_GRANULE);
}

/* The block that holds an address of a region, or of any. */
bool reach_block_in(const struct reach *r, const struct reach_region *region, uint64_t address,
                    struct reach_block *block);
bool reach_block_of(const struct reach *r, uint64_t address, struct reach_block *block);
uint64_t reach_block_end(const struct reach *r, const struct reach_block *block);

/* A bit for each granule, all 0; NULL: no memory. */
uint64_t *reach_bits(const struct reach *r);
void reach_bits_release(const struct reach *r, uint64_t *bits);

/* Puts a place in; true: the oldest had to leave, and is what *place is now. And takes the oldest out. */
bool reach_ahead_put(struct reach_ahead *a, struct reach_place *place);
bool reach_ahead_get(struct reach_ahead *a, struct reach_place *place);

/* Which block of a worker to scan next; false: none is on its stack or in its batch. */
bool reach_next(struct reach_worker *w, uint64_t *start);

/* Calls `each` with every block of which (all & ~none) is set; false from it ends the walk. */
void reach_walk(const struct reach *r, const uint64_t *all, const uint64_t *const none[3],
                void (*each)(void *context, const struct reach_block *block), void *context);

#endif
