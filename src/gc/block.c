/*
 * Blocks: which of them a thread gets. All lists are the heap's lock's.
 *
 *      partial_first   swept, with holes; a list for each class of longest hole
 *      free_first      empty
 *      from sweep_next to sweep_end in heap->blocks: not looked at since marking has ended
 *
 * Sweeping is lazy: who needs room sweeps the next block. What is left when a collection begins is
 * swept then, because marks are two values in turn, and a dead object must not carry the next one.
 *
 * A block that is being swept, or that a thread allocates in, is CURRENT: its state keeps others
 * away, so it is swept without the lock.
 */
#include <string.h>

#include "gc/block.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/pause.h"
#include "gc/size.h"

static struct gc_block *list_pop(struct gc_heap *heap, uint32_t *first)
{
    struct gc_block *block = *first ? gc_block_at(*first) : NULL;
    if (block == NULL) return NULL;
    *first = block->next;
    if (first == &heap->free_first) heap->free_count--;
    return block;
}

static void list_push(struct gc_heap *heap, uint32_t *first, struct gc_block *block,
                      enum block_state state)
{
    STORE(&block->state, state);
    block->next = *first;
    *first = gc_block_index(block);
    if (first == &heap->free_first) heap->free_count++;
}

static unsigned hole_class(size_t granules)
{
    return granules < 16 ? 0 : (unsigned)base_min(base_log2(granules) - 3, HOLE_CLASSES - 1);
}

void block_put_swept(struct gc_heap *heap, struct gc_block *block, size_t room, size_t longest)
{
    block->hole_most = (uint16_t)longest;
    if (room == BLOCK_GRANULES)
        list_push(heap, &heap->free_first, block, BLOCK_FREE);
    else if (room >= HOLES_WORTH)
        list_push(heap, &heap->partial_first[hole_class(longest)], block, BLOCK_FULL);
    else
        STORE(&block->state, BLOCK_FULL);
}

static bool block_is_unswept(const struct gc_heap *heap, const struct gc_block *block)
{
    return LOAD(&block->state) == BLOCK_FULL && LOAD(&block->cycle) != LOAD(&heap->cycle);
}

/* A block that its thread kept beyond the end of a cycle was passed over by the sweep, and is swept
 * here. Between cycles that needs no lock: none begins while this thread is busy. While one goes
 * on, the lock keeps the mark. */
void block_put(struct gc_heap *heap, struct gc_block *block, bool full)
{
    uint64_t map[MAP_WORDS];
    size_t room = full ? 0 : HOLES_WORTH, longest = 0;
    block->busy_from = block->busy_to = 0;
    if (!full) {
        block_map_used(block, map);
        longest = map_longest(map);
    }
    gc_lock_take(&heap->lock);
    while (LOAD(&block->cycle) != LOAD(&heap->cycle)) {
        bool idle = LOAD(&heap->phase) == PHASE_IDLE;
        if (idle) lock_give(&heap->lock);
        room = block_sweep(heap, block, map);
        longest = map_longest(map);
        if (idle) gc_lock_take(&heap->lock);
    }
    block_put_swept(heap, block, room, longest);
    lock_give(&heap->lock);
}

/* Holds: heap->lock. */
static struct gc_block *block_create(struct gc_heap *heap, bool *zero)
{
    struct span *span = span_allocate(1, 1, DENSE);
    gc_local.refused = true; /* until it is done */
    if (span == NULL) return NULL;
    struct gc_block *block = (struct gc_block *)span;
    *zero = span->flags & FH_SPAN_ZERO;
    _Atomic uint32_t *entry = side_commit(span_index(span) + 1) ? vector_add(&heap->blocks) : NULL;
    if (entry == NULL) {
        span_free(span);
        return NULL;
    }
    gc_local.refused = false;
    STORE(entry, gc_block_index(block)); /* slots_arm reads it without the lock */
    block->position = (uint32_t)(heap->blocks.count - 1);
    block->busy_from = block->busy_to = 0;
    block->live = 0;
    block->aligned = block->pinned = false;
    heap->block_count++;
    if (heap_bytes(heap) > heap->stats.heap_bytes_peak)
        heap->stats.heap_bytes_peak = heap_bytes(heap);
    STORE(&block->snapshot, NULL);
    STORE(&block->cycle, LOAD(&heap->cycle));
    STORE(&block->state, BLOCK_CURRENT);
    STORE(&block->owner, heap);
    STORE_RELEASE(&block->kind, FH_SPAN_GC_BLOCK);
    return block;
}

struct gc_block *block_pop_free(struct gc_heap *heap)
{
    return list_pop(heap, &heap->free_first);
}

void heap_reserve_free(struct gc_heap *heap, size_t blocks)
{
    bool zero;
    gc_lock_take(&heap->lock);
    while (heap->free_count < blocks) {
        if (heap->limit && heap_bytes(heap) + BLOCK_SIZE > heap->limit) break;
        struct gc_block *block = block_create(heap, &zero);
        if (block == NULL) break;
        list_push(heap, &heap->free_first, block, BLOCK_FREE);
    }
    lock_give(&heap->lock);
}

void block_destroy(struct gc_block *block)
{
    memset(meta_of(gc_block_start(block)), 0, BLOCK_GRANULES);
    log_fill(gc_block_start(block), BLOCK_SIZE, false);
    block->position = block->next = 0;
    block->busy_from = block->busy_to = 0;
    STORE(&block->snapshot, NULL);
    block->aligned = block->pinned = false;
    block->hole_most = 0;
    STORE(&block->cycle, 0);
    STORE(&block->owner, NULL);
    STORE(&block->kind, FH_SPAN_NONE);
    span_free((struct span *)block);
}

/* The next blocks that wait to be swept, up to `most`: their state keeps others away, and a cycle
 * cannot begin while somebody is at them (a thread that sweeps is busy). Holds: heap->lock. */
static unsigned sweep_claim(struct gc_heap *heap, struct gc_block *claimed[], unsigned most)
{
    unsigned count = 0;
    while (count < most && heap->sweep_next < heap->sweep_end) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, heap->sweep_next++);
        struct gc_block *block = index ? gc_block_at(index) : NULL;
        if (block == NULL || !block_is_unswept(heap, block)) continue;
        STORE(&block->state, BLOCK_CURRENT);
        claimed[count++] = block;
    }
    /* The collector's thread does not stand for a walk. */
    atomic_fetch_add(&heap->sweeping, count);
    if (count || !heap->sweep_goes_on) return count;
    gc_event(heap, FH_GC_EVENT_SWEPT, heap->swept_bytes);
    heap->sweep_goes_on = false;
    return 0;
}

/* Holds heap->lock, and gives it up meanwhile. */
static struct gc_block *sweep_next(struct gc_heap *heap, uint64_t map[MAP_WORDS], size_t *room)
{
    struct gc_block *block;
    if (sweep_claim(heap, &block, 1) == 0) return NULL;
    lock_give(&heap->lock);
    *room = block_sweep(heap, block, map);
    gc_lock_take(&heap->lock);
    atomic_fetch_sub(&heap->sweeping, 1);
    heap->swept_bytes += *room << GC_SHIFT;
    return block;
}

bool block_sweep_now(struct gc_heap *heap, struct gc_block *block)
{
    uint64_t map[MAP_WORDS];
    gc_lock_take(&heap->lock);
    if (block_is_unswept(heap, block)) {
        size_t room = block_sweep(heap, block, map);
        block_put_swept(heap, block, room, map_longest(map));
    }
    bool swept = LOAD(&block->cycle) == LOAD(&heap->cycle);
    lock_give(&heap->lock);
    return swept;
}

/* Sweeps up to `most` blocks for one with room. The first is soon swept: two looks at the clock
 * would cost as much as a hundredth of what fits into it. */
static struct gc_block *sweep_for_room(struct gc_heap *heap, bool empty, unsigned most,
                                       uint64_t map[MAP_WORDS])
{
    struct gc_thread *self = gc_local.thread;
    struct gc_block *block = NULL;
    uint64_t start = 0;
    size_t room;
    for (unsigned swept = 0; swept < most; swept++) {
        if (swept == 1) {
            start = os_time_ns();
            pause_begin(self, heap);
        }
        block = sweep_next(heap, map, &room);
        if (block == NULL || (room >= HOLES_WORTH && (!empty || room == BLOCK_GRANULES))) break;
        block_put_swept(heap, block, room, map_longest(map));
        block = NULL;
    }
    if (start == 0) return block;
    pause_end_above(self, PAUSE_LEAST_NS);
    heap->stats.sweep_ns += os_time_ns() - start;
    return block;
}

static const uint64_t map_empty[MAP_WORDS];

/* The map is what is in the block now, into memory for it that may have been refused. Then it is as
 * if all in the block were younger than the snapshot, and alive; which is right for an empty one,
 * and else what its objects refer to has to be found by a repair. */
static void snapshot_set(struct gc_block *block, uint64_t *snapshot, const uint64_t map[MAP_WORDS])
{
    for (size_t word = 0; snapshot && word < MAP_WORDS; word++)
        snapshot[word] = map[word] & ~map_range(word * 64, block->busy_from, block->busy_to);
    /* Partner: object_is_new. */
    STORE_RELEASE(&block->snapshot, snapshot ? snapshot : map_empty);
}

/* False: memory for it was refused. Holds: heap->lock. */
bool block_note_snapshot(struct gc_heap *heap, struct gc_block *block)
{
    uint64_t map[MAP_WORDS];
    if (LOAD(&block->snapshot)) return true; /* its first in this cycle counts */
    uint64_t *snapshot = vector_add(&heap->snapshots);
    block_map(block, 0, NULL, map);
    snapshot_set(block, snapshot, map);
    return snapshot != NULL;
}

/* Whether a thread may take a block that is not empty. */
static bool snapshot_has_room(struct gc_heap *heap, const struct mutator *mutator)
{
    return !mutator->black || vector_reserve(&heap->snapshots, heap->snapshots.count + 1);
}

/* Long holes are the quicker to allocate in; but they are kept, if somebody needs them. */
static struct gc_block *block_take_partial(struct gc_heap *heap)
{
    struct gc_block *block = NULL;
    for (unsigned i = 0; block == NULL && i < HOLE_CLASSES; i++)
        block = list_pop(heap, &heap->partial_first[heap->keeps_holes ? i : HOLE_CLASSES - 1 - i]);
    return block;
}

/* What costs the thread least comes first; it sweeps many blocks only when there is nothing else, and
 * for an empty one not even then: there are holes (block_take_hole). The map is that of a block that was swept or is empty; one that is `partial` has to be mapped. */
static struct gc_block *block_find_room(struct gc_heap *heap, bool empty, bool *zero, bool *partial,
                                        uint64_t map[MAP_WORDS])
{
    enum { A_FEW = 6 };
    enum fh_gc_why why;
    *zero = false;
    struct gc_block *block = empty ? NULL : block_take_partial(heap);
    *partial = block != NULL;
    if (block) return block;
    if (empty) block = list_pop(heap, &heap->free_first);
    if (!block && (block = sweep_for_room(heap, empty, A_FEW, map))) return block;
    if (!block) block = list_pop(heap, &heap->free_first);
    if (!block && size_allows(heap, 1, &why)) block = block_create(heap, zero);
    if (!block && !empty && (block = sweep_for_room(heap, empty, UINT32_MAX, map))) return block;
    if (!block && !empty && (block = block_take_partial(heap))) {
        *partial = true;
        return block;
    }
    if (!block) block = list_pop(heap, &heap->free_first);
    if (block) memset(map, 0, MAP_WORDS * sizeof *map);
    return block;
}

/* Whoever holds it may be sweeping many blocks. */
static void heap_lock(struct gc_heap *heap)
{
    struct gc_thread *self = gc_local.thread;
    if (LIKELY(lock_try(&heap->lock))) return;
    pause_begin(self, heap);
    gc_lock_take(&heap->lock);
    pause_end_above(self, PAUSE_LEAST_NS);
}

/* Returns whether the block is to have a snapshot, and where. Holds: heap->lock. */
static bool block_begin(struct gc_heap *heap, const struct mutator *mutator, struct gc_block *block,
                        uint64_t **snapshot)
{
    STORE(&block->state, BLOCK_CURRENT);
    /* A free block was empty at all the ends of cycles that it has missed. */
    STORE(&block->cycle, LOAD(&heap->cycle));
    uint32_t *young = heap->logs ? vector_add(&heap->young) : NULL;
    if (young) *young = gc_block_index(block);
    if (heap->logs && !young) STORE(&heap->remembered_lost, true);
    /* Its first in this cycle counts. */
    if (!mutator->black || LOAD(&block->snapshot)) return false;
    *snapshot = vector_add(&heap->snapshots);
    return true;
}

/* The lock is not held while the block is mapped. Nobody else uses it, and before its snapshot is
 * set it has no object that is new. */
struct gc_block *block_take(struct gc_heap *heap, const struct mutator *mutator, bool empty,
                            bool *zero, uint64_t map[MAP_WORDS])
{
    bool partial, noted = false;
    uint64_t *snapshot = NULL;
    size_pace(heap, gc_local.thread);
    if (size_minor_is_due(heap)) return NULL;
    heap_lock(heap);
    empty = empty || !snapshot_has_room(heap, mutator);
    struct gc_block *block = block_find_room(heap, empty, zero, &partial, map);
    if (block) noted = block_begin(heap, mutator, block, &snapshot);
    lock_give(&heap->lock);
    if (block && partial) block_map(block, 0, NULL, map);
    if (noted) snapshot_set(block, snapshot, map);
    return block;
}

/* The first hole that is long enough. */
static bool map_long_hole(const uint64_t map[MAP_WORDS], size_t granules, size_t alignment,
                          size_t *start, size_t *end)
{
    for (size_t from = 0; map_hole(map, from, start, end); from = *end) {
        *start = base_round_up(*start, alignment >> GC_SHIFT);
        if (*start + granules <= *end) return true;
    }
    return false;
}

/* What an object wants, and gets. */
struct want {
    size_t granules, alignment;
    size_t start, end; /* the hole */
    uint64_t map[MAP_WORDS];
};

/* A block is mapped in vain once: what was found is kept. */
static bool block_suits(struct gc_block *block, struct want *want)
{
    if (block->hole_most < want->granules) return false;
    block_map(block, 0, NULL, want->map);
    if (map_long_hole(want->map, want->granules, want->alignment, &want->start, &want->end))
        return true;
    block->hole_most = (uint16_t)map_longest(want->map);
    return false;
}

bool block_has_hole(struct gc_block *block, size_t granules, size_t alignment, size_t *start,
                    size_t *end)
{
    struct want want = {.granules = granules, .alignment = alignment};
    bool suits = block_suits(block, &want);
    *start = want.start;
    *end = want.end;
    return suits;
}

/* Out of a list; it looks at so many blocks. */
static struct gc_block *list_take_hole(uint32_t *link, struct want *want, unsigned most)
{
    for (; *link && most > 0; most--, link = &gc_block_at(*link)->next) {
        struct gc_block *block = gc_block_at(*link);
        if (!block_suits(block, want)) continue;
        *link = block->next;
        return block;
    }
    return NULL;
}

/* Of the class in which some suit a few are looked at; of those above each does. */
static struct gc_block *lists_take_hole(struct gc_heap *heap, struct want *want)
{
    enum { A_FEW = 16 };
    unsigned class = hole_class(want->granules);
    struct gc_block *block = NULL;
    for (unsigned i = class; block == NULL && i < HOLE_CLASSES; i++)
        block = list_take_hole(&heap->partial_first[i], want, A_FEW);
    return block;
}

static struct gc_block *sweep_for_hole(struct gc_heap *heap, struct want *want)
{
    struct gc_block *block;
    size_t room;
    while ((block = sweep_next(heap, want->map, &room))) {
        if (map_long_hole(want->map, want->granules, want->alignment, &want->start, &want->end))
            return block;
        block_put_swept(heap, block, room, map_longest(want->map));
    }
    return NULL;
}

struct gc_block *block_take_hole(struct gc_heap *heap, const struct mutator *mutator,
                                 size_t granules, size_t alignment, size_t *start, size_t *end)
{
    struct want want = {.granules = granules, .alignment = alignment};
    struct gc_thread *self = gc_local.thread;
    struct gc_block *block = NULL;
    uint64_t *snapshot = NULL;
    pause_begin(self, heap);
    gc_lock_take(&heap->lock);
    heap->keeps_holes = true;
    if (snapshot_has_room(heap, mutator) && !(block = lists_take_hole(heap, &want)))
        block = sweep_for_hole(heap, &want);
    bool noted = block && block_begin(heap, mutator, block, &snapshot);
    lock_give(&heap->lock);
    if (noted) snapshot_set(block, snapshot, want.map);
    pause_end_above(self, PAUSE_LEAST_NS);
    *start = want.start;
    *end = want.end;
    return block;
}

/* By batches, so that the lock is taken twice for each, and held for a moment: who is put off the
 * processor with it makes all that allocate wait. False: none is left. */
bool heap_sweep_some(struct gc_heap *heap, unsigned blocks)
{
    uint64_t map[MAP_WORDS], start = os_time_ns();
    struct gc_block *block[SWEEP_BATCH];
    size_t room[SWEEP_BATCH], longest[SWEEP_BATCH];
    ASSERT(blocks <= SWEEP_BATCH);
    gc_lock_take(&heap->lock);
    unsigned count = sweep_claim(heap, block, blocks);
    lock_give(&heap->lock);
    for (unsigned i = 0; i < count; i++) {
        room[i] = block_sweep(heap, block[i], map);
        longest[i] = map_longest(map);
    }
    if (count == 0) return false;
    gc_lock_take(&heap->lock);
    for (unsigned i = 0; i < count; i++) {
        block_put_swept(heap, block[i], room[i], longest[i]);
        heap->swept_bytes += room[i] << GC_SHIFT;
    }
    atomic_fetch_sub(&heap->sweeping, count);
    heap->stats.sweep_ns += os_time_ns() - start;
    lock_give(&heap->lock);
    return true;
}

void heap_sweep_all(struct gc_heap *heap)
{
    while (heap_sweep_some(heap, SWEEP_BATCH)) {
    }
}

/* One free block goes back to the arena. */
static bool block_yield(struct gc_heap *heap)
{
    gc_lock_take(&heap->lock);
    struct gc_block *block = list_pop(heap, &heap->free_first);
    if (block) {
        heap->block_count--;
        STORE((_Atomic uint32_t *)vector_at(&heap->blocks, block->position), 0);
    }
    lock_give(&heap->lock);
    if (block) block_destroy(block);
    return block != NULL;
}

/* Free blocks go back as long as the heap holds more than `bytes`. */
static void heap_give_blocks(struct gc_heap *heap, size_t bytes)
{
    bool some = false;
    while (heap_bytes(heap) > bytes && block_yield(heap)) some = true;
    if (some) gc_event(heap, FH_GC_EVENT_SHRINK, heap_bytes(heap));
}

void heap_release_free(struct gc_heap *heap)
{
    heap_give_blocks(heap, 0);
}

void heap_trim(struct gc_heap *heap)
{
    heap_give_blocks(heap, heap->target);
}

bool heap_yield(struct gc_heap *heap, size_t slices)
{
    enum fh_gc_why why;
    bool more = true;
    while (!size_allows(heap, slices, &why)) {
        if (block_yield(heap)) continue;
        if (!more) return false;
        more = heap_sweep_some(heap, SWEEP_BATCH);
    }
    return true;
}
