/*
 * Evacuation: at the end of a full collection, while the program still stands and what is marked is
 * all that lives, sparse blocks are emptied into the holes of others.
 *
 *      sweep all --> search what is ambiguous: objects that a word there points into stay
 *                --> choose blocks, sparsest first, as many as the holes of the rest can take in
 *                --> copy; the first word of the old object is the new address
 *                --> update each reference to one that moved
 *                --> clear the old mark bytes: the blocks are free
 *
 * An ambiguous word (on a stack, in a register, in static data, in a conservative object) cannot be
 * changed, since it may be a number; so what it points into stays, and also what ends where it
 * points, since a compiler may keep no more of an array than its end. A block with an object that
 * stays is not chosen: emptied but for one object it would not be free.
 *
 * Old and new places never share a block, and old mark bytes stay until all references are updated:
 * so an address is old if its block is being emptied, and its object is found there as ever, from
 * its inside too. Objects whose copy finds no room stay as if they were pinned. All tables are
 * there before the first object moves; when they are refused nothing does.
 *
 * Rejected: copying while marking, as Immix does, which saves the second pass over the heap but has
 * to know what is pinned before marking, and to guess what will be sparse after it; a table of new
 * addresses beside the heap, since the old object has room for its own.
 */
#include <string.h>

#include "gc/compact.h"
#include "gc/hole.h"
#include "gc/object.h"
#include "os/os.h"

static bool tables_make(struct compaction *c)
{
    size_t blocks = c->visitor.heap->blocks.count;
    c->tables_size = base_round_up(blocks * (sizeof *c->stay + sizeof *c->order) + 1, MIB);
    c->tables = os_vm_reserve(c->tables_size, MIB);
    if (c->tables == NULL) return false;
    if (!os_vm_commit(c->tables, c->tables_size)) {
        os_vm_release(c->tables, c->tables_size);
        return false;
    }
    c->stay = (void *)c->tables;
    c->order = (uint32_t *)(c->tables + blocks * sizeof *c->stay);
    return true;
}

/* In this order blocks are given away and filled: by 64ths of what is in them. */
static size_t block_rank(const struct gc_block *block)
{
    return block->live * 64 / BLOCK_GRANULES;
}

/* The blocks that no thread has, sorted by counting; they leave all lists. */
static void blocks_order(struct compaction *c)
{
    struct gc_heap *heap = c->visitor.heap;
    size_t start[66] = {0};
    partial_forget(heap);
    for (unsigned place = 0; place < 2; place++) {
        for (size_t i = 0; i < heap->blocks.count; i++) {
            uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
            struct gc_block *block = index ? gc_block_at(index) : NULL;
            if (block == NULL || LOAD(&block->state) != BLOCK_FULL) continue;
            if (place == 0) {
                start[block_rank(block) + 1]++;
                block->pinned = false;
                c->count++;
            } else {
                c->order[start[block_rank(block)]++] = index;
            }
        }
        for (unsigned rank = 1; place == 0 && rank < 66; rank++) start[rank] += start[rank - 1];
    }
    c->high = c->count;
}

static size_t block_room(const struct gc_block *block)
{
    return BLOCK_GRANULES - block->live;
}

/* Those that hold little enough, and nothing that stays. */
static bool block_may_go(const struct compaction *c, const struct gc_block *block)
{
    if (block->aligned) return false;
    return c->everything || (!block->pinned && block->live <= BLOCK_GRANULES / 4 * 3);
}

/* Of the room an eighth is taken to be in holes that are too short. */
static size_t blocks_choose(struct compaction *c)
{
    size_t chosen = 0, need = 0, room = c->visitor.heap->free_count * BLOCK_GRANULES;
    for (size_t i = 0; i < c->count && !c->everything; i++)
        room += block_room(gc_block_at(c->order[i]));
    for (size_t i = 0; i < c->count; i++) {
        struct gc_block *block = gc_block_at(c->order[i]);
        if (!block_may_go(c, block)) continue;
        if (!c->everything) room -= block_room(block);
        need += block->live;
        if (need > room / 8 * 7) break;
        STORE(&block->state, BLOCK_LEAVING);
        chosen++;
    }
    return chosen;
}

static void target_open(struct target *target, struct gc_block *block)
{
    target->block = block;
    target->at = target->end = 0;
    block_map_used(block, target->map);
}

/* Room in the hole at hand or a later one of the block; 0 if there is none. */
static uintptr_t target_take(struct target *target, size_t granules)
{
    if (target->block == NULL) return 0;
    while (target->at + granules > target->end)
        if (!map_hole(target->map, target->end, &target->at, &target->end)) {
            target->at = target->end = BLOCK_GRANULES;
            return 0;
        }
    uintptr_t p = (uintptr_t)gc_block_start(target->block) + (target->at << GC_SHIFT);
    target->at += granules;
    target->block->live += (uint32_t)granules;
    return p;
}

/* One that was free is one of ours now. */
static struct gc_block *block_take_free(struct compaction *c)
{
    struct gc_block *block = block_pop_free(c->visitor.heap);
    if (block == NULL) return NULL;
    STORE(&block->cycle, LOAD(&c->visitor.heap->cycle));
    STORE(&block->state, BLOCK_FULL);
    c->order[c->count++] = gc_block_index(block);
    return block;
}

/* Small objects go to the densest block that has holes. */
static struct gc_block *block_for_small(struct compaction *c)
{
    while (c->high > 0) {
        struct gc_block *block = gc_block_at(c->order[--c->high]);
        bool taken = LOAD(&block->state) != BLOCK_FULL || block == c->medium.block;
        if (!taken && block_room(block) >= HOLES_WORTH) return block;
    }
    return block_take_free(c);
}

/* Objects of 2 KiB and more to an empty one; else, from the sparse end on, to one with a hole for
 * them. */
static struct gc_block *block_for_medium(struct compaction *c, size_t granules)
{
    size_t start, end;
    struct gc_block *block = block_take_free(c);
    for (size_t i = 0; i < c->high && block == NULL; i++) {
        struct gc_block *other = gc_block_at(c->order[i]);
        if (LOAD(&other->state) != BLOCK_FULL) continue;
        if (block_has_hole(other, granules, GC_GRANULE, &start, &end)) block = other;
    }
    return block;
}

static uintptr_t place_take(struct compaction *c, size_t granules)
{
    bool fits = c->small.at + granules <= c->small.end;
    bool medium = !fits && granules << GC_SHIFT >= MEDIUM_MIN;
    struct target *target = medium ? &c->medium : &c->small;
    for (;;) {
        uintptr_t p = target_take(target, granules);
        if (p) return p;
        struct gc_block *block = medium ? block_for_medium(c, granules) : block_for_small(c);
        if (block == NULL) return medium ? 0 : target_take(&c->medium, granules);
        target_open(target, block);
    }
}

static bool object_move(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct compaction *c = data;
    if (object_stays(c, meta)) return true;
    uintptr_t to = place_take(c, granules);
    if (to == 0) {
        object_keep(c, meta);
        return true;
    }
    char *from = meta_address(meta);
    size_t size = granules << GC_SHIFT;
    memcpy((void *)to, from, size);
    memcpy(meta_of((void *)to), meta, granules);
    if (heap->logs) log_fill((void *)to, size, true); /* it is old, and remembered by nobody */
    *(uintptr_t *)from = to;
    gc_block_of(from)->live -= (uint32_t)granules;
    c->moved += size;
    return true;
}

static void blocks_move(struct compaction *c)
{
    size_t count = c->count; /* those that were free come behind */
    for (size_t i = 0; i < count; i++) {
        struct gc_block *block = gc_block_at(c->order[i]);
        if (LOAD(&block->state) == BLOCK_LEAVING)
            block_each_object(c->visitor.heap, block, object_move, c);
    }
}

static bool object_clear(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct compaction *c = data;
    if (object_stays(c, meta)) return true;
    memset(meta, 0, granules);
    if (heap->options.debug & FH_GC_POISON) memset(meta_address(meta), 0xdb, granules << GC_SHIFT);
    return true;
}

/* All blocks go to the lists again. */
static void blocks_settle(struct compaction *c)
{
    struct gc_heap *heap = c->visitor.heap;
    uint64_t map[MAP_WORDS];
    heap->stats.pinned_blocks = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct gc_block *block = gc_block_at(c->order[i]);
        if (LOAD(&block->state) == BLOCK_LEAVING) block_each_object(heap, block, object_clear, c);
        heap->stats.pinned_blocks += block->pinned;
        block_map_used(block, map);
        block_put_swept(heap, block, block_room(block), map_longest(map));
    }
}

static void compact_blocks(struct compaction *c)
{
    struct gc_heap *heap = c->visitor.heap;
    gc_local.tracing = true;
    blocks_order(c);
    stay_find(c);
    if (blocks_choose(c)) blocks_move(c);
    if (c->moved) {
        forward_all(c);
        atomic_fetch_add(&heap->moves, 1);
        heap->stats.evacuated_bytes += c->moved;
    }
    blocks_settle(c);
    gc_local.tracing = false;
}

void heap_compact(struct gc_heap *heap)
{
    struct compaction c = {.visitor.heap = heap,
                           .everything = heap->options.debug & FH_GC_MOVE_ALL};
    heap_sweep_all(heap);
    atomic_fetch_add(&heap->compactions, 1);
    if (!tables_make(&c)) return;
    compact_blocks(&c);
    os_vm_release(c.tables, c.tables_size);
}
