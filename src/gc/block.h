/*
 * block: spans of one slice into whose holes objects are bump-allocated, and the descriptor that
 * they share with large objects.
 *
 * A block's life, with the function on each arrow:
 *
 *                 block_create                  hole by hole, used up
 *        (span) --------------> CURRENT ------------------------------> FULL
 *                                ^   ^                                    |
 *              block_take        |   |  block_take, block_sweep           |
 *        FREE -------------------+   +------------------------------------+
 *          ^                            sweep finds it empty              |
 *          +--------------------------------------------------------------+
 *
 * When marking has ended heap->cycle rises, and every block whose own number is lower is unswept.
 *
 *      block.c    which block a thread gets        sweep.c    what is dead in one
 *      blocks.c   all of them, as a collection turns them
 */
#ifndef GC_BLOCK_H
#define GC_BLOCK_H

#include "gc/meta.h"

struct gc_heap;
struct mutator;

/* Free granules below which a block is not worth a thread's time: 1 KiB. */
#define HOLES_WORTH 64

/* Blocks with holes are told apart by the longest one: below 16 granules, 32, 64, ... 4096. */
#define HOLE_CLASSES 9

#define OBJECT_MAX BLOCK_SIZE /* above: a large object */

#define MAP_WORDS (BLOCK_GRANULES / 64) /* a bit for each granule of a block */

/* LEAVING: objects are being moved out; only while threads stand. */
enum block_state { BLOCK_FREE, BLOCK_CURRENT, BLOCK_FULL, BLOCK_LEAVING };

/* A span's descriptor as a block or large object uses it. */
struct gc_block {
    struct gc_heap *_Atomic owner;
    const uint64_t *_Atomic snapshot; /* granules in use when the block joined the running cycle, by
                                         which a sweep tells new objects; NULL outside of a cycle */
    uint32_t live; /* granules in use: after the last sweep, and what threads have told of since */
    bool young;    /* of a large object: its slots are not armed */
    bool aligned;  /* there are objects at a multiple of more than 16: they do not move */
    uint16_t hole_most; /* granules: no hole is longer, of one in a list of partial blocks */
    uint16_t busy_from; /* granules that a thread allocates in: a sweep passes over them */
    uint16_t busy_to;
    _Atomic uint8_t kind;
    bool pinned;           /* an object stays, as of the last evacuation */
    _Atomic uint8_t state; /* enum block_state */
    uint8_t flags;
    uint32_t unused3;
    uint32_t position;      /* in heap->blocks or heap->large */
    _Atomic uint32_t cycle; /* the last whose marks were swept here */
    uint32_t next;
    uint32_t prev;
    _Atomic uint32_t slices;
    _Atomic uint64_t bytes; /* of a large object */
};
static_assert(sizeof(struct gc_block) == sizeof(struct span), "a descriptor");
static_assert(offsetof(struct gc_block, kind) == offsetof(struct span, kind), "kind");
static_assert(offsetof(struct gc_block, state) == offsetof(struct span, state), "state");
static_assert(offsetof(struct gc_block, slices) == offsetof(struct span, slices), "slices");
static_assert(offsetof(struct gc_block, bytes) == offsetof(struct span, bytes), "bytes");

FH_INLINE struct gc_block *gc_block_at(uint32_t index)
{
    return (struct gc_block *)span_at(index);
}

FH_INLINE uint32_t gc_block_index(const struct gc_block *block)
{
    return span_index((const struct span *)block);
}

FH_INLINE char *gc_block_start(const struct gc_block *block)
{
    return span_start((const struct span *)block);
}

/* The descriptor of the slice of p, which lies in the arena. */
FH_INLINE struct gc_block *gc_block_of(const void *p)
{
    return (struct gc_block *)span_at_offset((uintptr_t)p - arena.base);
}

/* ---- one block ------------------------------------------------------------------------------- */

/* Sets map to the granules in use of a block, and to those that a thread allocates in; returns how
 * many of the former. In use is what is marked with `mark`, and, with a snapshot, what is not in
 * it; the rest is cleared. mark 0: all that has a state is in use, and nothing is cleared. */
size_t block_map(struct gc_block *block, unsigned mark, const uint64_t *snapshot,
                 uint64_t map[MAP_WORDS]);

/* Clears the bytes of what is dead, and sets map to what is not. Returns free granules. A thread
 * that allocates in the block stands meanwhile. */
size_t block_sweep(struct gc_heap *heap, struct gc_block *block, uint64_t map[MAP_WORDS]);

/* The granules first..last-1 in the word of a map that begins with granule `base`. */
uint64_t map_range(size_t base, size_t first, size_t last);

/* The first hole in a map from granule `from` on; false if there is none. */
bool map_hole(const uint64_t map[MAP_WORDS], size_t from, size_t *start, size_t *end);

/* Granules of the longest hole in a map. */
size_t map_longest(const uint64_t map[MAP_WORDS]);

/* Sets map to what a swept block holds. */
void block_map_used(struct gc_block *block, uint64_t map[MAP_WORDS]);

/* Whether a swept block has a hole of so many granules at a multiple of `alignment` bytes: the
 * first. */
bool block_has_hole(struct gc_block *block, size_t granules, size_t alignment, size_t *start,
                    size_t *end);

/* Sweeps this block if it waits to be; false if somebody is at it just now. Busy. */
bool block_sweep_now(struct gc_heap *heap, struct gc_block *block);

/* A map of what is in use in a block, for its snapshot. */
bool block_note_snapshot(struct gc_heap *heap, struct gc_block *block);

/* Of a thread that is not there any more: what it was in the middle of making goes. */
void block_mend(struct gc_block *block);

/* ---- which one a thread gets ----------------------------------------------------------------- */

/* The next block with holes, swept, CURRENT, and its map; NULL when there is none and the heap may
 * not grow. *zero: it is one hole that reads as zeros. `empty`: only one without objects will
 * do. */
struct gc_block *block_take(struct gc_heap *heap, const struct mutator *mutator, bool empty,
                            bool *zero, uint64_t map[MAP_WORDS]);

/* The same with a hole of so many granules at a multiple of `alignment` bytes, for when there is no
 * empty block: the hole, from that multiple on. */
struct gc_block *block_take_hole(struct gc_heap *heap, const struct mutator *mutator,
                                 size_t granules, size_t alignment, size_t *start, size_t *end);

/* Gives the memory of a block back, which is in no list. */
void block_destroy(struct gc_block *block);

/* A block that a thread is done with. */
void block_put(struct gc_heap *heap, struct gc_block *block, bool full);

/* A swept block goes to the list that its free granules, and the longest hole of them, ask for.
 * Holds: heap->lock, or threads stand. */
void block_put_swept(struct gc_heap *heap, struct gc_block *block, size_t room, size_t longest);

/* No block with holes is in a list any more. */
void partial_forget(struct gc_heap *heap);

/* A block of the list of free ones; NULL. The same. */
struct gc_block *block_pop_free(struct gc_heap *heap);

/* Makes free blocks, up to so many, as long as the limit allows. Holds: the world lock. */
void heap_reserve_free(struct gc_heap *heap, size_t blocks);

/* ---- all of a heap's ------------------------------------------------------------------------- */

/* Sweeps what nobody has swept yet. */
void heap_sweep_all(struct gc_heap *heap);

/* The same for some blocks, SWEEP_BATCH at most; false when there are no more. */
#define SWEEP_BATCH 16
bool heap_sweep_some(struct gc_heap *heap, unsigned blocks);

/* Marking has ended: all blocks but free ones wait to be swept (of young ones only, if `young`).
 * Threads stand, or the phase is not IDLE. */
void heap_unsweep(struct gc_heap *heap, bool young);

/* Blocks taken since the last collection get all their log bits set, but for holes in use. Threads
 * stand. */
void heap_arm_young(struct gc_heap *heap);

/* The same for all: it is not known any more which slots were remembered. After a full
 * collection. */
void heap_arm_all(struct gc_heap *heap);

/* Free blocks beyond what the heap may grow to go back to the arena. */
void heap_trim(struct gc_heap *heap);

/* Gives all free blocks back. */
void heap_release_free(struct gc_heap *heap);

/* Gives free blocks back until so many slices more are allowed; false when that is not enough. */
bool heap_yield(struct gc_heap *heap, size_t slices);

void blocks_fork_child(struct gc_heap *heap);
void heap_blocks_finish(struct gc_heap *heap);

#endif
