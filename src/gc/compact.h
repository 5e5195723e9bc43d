/*
 * compact: objects that move: an evacuation, as its three parts share it, and what others ask of
 * it.
 *
 *      compact.c   the order of it: which blocks are emptied, into which holes
 *      stay.c      what must not move
 *      forward.c   references to what has moved
 */
#ifndef GC_COMPACT_H
#define GC_COMPACT_H

#include "gc/block.h"
#include "gc/visit.h"

/* Objects are copied to here: the holes of one block after another. */
struct target {
    struct gc_block *block;
    size_t at, end; /* granules: the hole */
    uint64_t map[MAP_WORDS];
};

struct compaction {
    struct fh_gc_visitor visitor;
    char *tables;
    size_t tables_size;
    uint64_t (*stay)[MAP_WORDS]; /* by position in heap->blocks: a bit for the first granule of each
                                    object that stays */
    uint32_t *order; /* blocks that are nobody's, sparsest first; then those that were free */
    size_t count;    /* of them */
    size_t high;     /* of them; those behind were filled with small objects */
    struct target small, medium;
    size_t moved;    /* bytes */
    bool everything; /* FH_GC_MOVE_ALL */
};

FH_INLINE size_t object_granule(const struct gc_block *block, const uint8_t *meta)
{
    return (size_t)(meta - meta_of(gc_block_start(block)));
}

FH_INLINE bool object_stays(const struct compaction *c, const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    size_t granule = object_granule(block, meta);
    return c->stay[block->position][granule / 64] >> granule % 64 & 1;
}

FH_INLINE void object_keep(struct compaction *c, const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    size_t granule = object_granule(block, meta);
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK) return;
    c->stay[block->position][granule / 64] |= 1ull << granule % 64;
    block->pinned = true;
}

/* Moves what may move out of sparse blocks (FH_GC_MOVE_ALL: of all). A full collection has just
 * ended and threads stand. */
void heap_compact(struct gc_heap *heap);

/* Where what a word refers to is now: the word itself, unless it refers to an object that has
 * moved. */
uintptr_t compact_forward(const struct compaction *c, uintptr_t word);

/* Notes all objects that must stay. Threads stand. */
void stay_find(struct compaction *c);

/* Every reference to an object that has moved follows it. */
void forward_all(struct compaction *c);

#endif
