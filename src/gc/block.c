/*
 * Blocks: made, swept, given back.
 *
 * A sweep looks at 64 granules at a time. Of the mark bytes it takes two words of 64 bits, H with the
 * first granules of the objects that are live, E with the last ones of all. Added to the complement of
 * E, each bit of H sends a carry through the ones up to its object's end, and stops there: so E_live is
 * where the sum and E agree, and (E_live << 1) - H is one where live objects lie. No loop over objects,
 * and a block costs the same however many are in it.
 *
 * Sweeping is lazy: who needs room sweeps the next block. What is left when a collection begins is
 * swept then, because marks are two values in turn, and a dead object must not carry the next one.
 */
#include <string.h>

#include "gc/gc.h"

/* ---- the sweep ------------------------------------------------------------------------------------ */

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
FH_INLINE uint64_t group_range(size_t base, size_t first, size_t last)
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
static size_t block_map(struct gc_block *block, unsigned mark, const uint64_t *snapshot,
                        uint64_t map[MAP_WORDS])
{
    uint8_t *meta = meta_of(gc_block_start(block));
    size_t live = 0, busy_from = block->busy_from, busy_to = block->busy_to;
    bool open = false;
    for (size_t word = 0; word < MAP_WORDS; word++, meta += 64) {
        struct group group = group_read(meta, mark);
        if (UNLIKELY(snapshot != NULL)) group.heads |= group_read(meta, 0).heads & ~snapshot[word];
        uint64_t busy = group_range(word * 64, busy_from, busy_to);
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

/* ---- lists: all under the heap's lock ----------------------------------------------------------------- */

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
    block->hole_most = BLOCK_GRANULES;
    *first = gc_block_index(block);
    if (first == &heap->free_first) heap->free_count++;
}

void block_put_swept(struct gc_heap *heap, struct gc_block *block, size_t room)
{
    if (room == BLOCK_GRANULES)
        list_push(heap, &heap->free_first, block, BLOCK_FREE);
    else if (room >= HOLES_WORTH)
        list_push(heap, &heap->partial_first, block, BLOCK_FULL);
    else
        STORE(&block->state, BLOCK_FULL);
}

static bool block_is_unswept(const struct gc_heap *heap, const struct gc_block *block)
{
    return LOAD(&block->state) == BLOCK_FULL && LOAD(&block->cycle) != LOAD(&heap->cycle);
}

/* A block that its thread kept beyond the end of a cycle was passed over by the sweep. */
void block_put(struct gc_heap *heap, struct gc_block *block, bool full)
{
    uint64_t map[MAP_WORDS];
    lock_take(&heap->lock);
    block->busy_from = block->busy_to = 0;
    if (LOAD(&block->cycle) != LOAD(&heap->cycle))
        block_put_swept(heap, block, block_sweep(heap, block, map));
    else if (full)
        STORE(&block->state, BLOCK_FULL);
    else
        list_push(heap, &heap->partial_first, block, BLOCK_FULL);
    lock_give(&heap->lock);
}

/* ---- made and given back ------------------------------------------------------------------------------ */

/* Holds: heap->lock. */
static struct gc_block *block_create(struct gc_heap *heap, bool *zero)
{
    struct span *span = span_allocate(1, 1, DENSE);
    gc_local.refused = true; /* until it is done */
    if (span == NULL) return NULL;
    struct gc_block *block = (struct gc_block *)span;
    *zero = span->flags & FH_SPAN_ZERO;
    uint32_t *entry = side_commit(span_index(span) + 1) ? vector_add(&heap->blocks) : NULL;
    if (entry == NULL) {
        span_free(span);
        return NULL;
    }
    gc_local.refused = false;
    *entry = gc_block_index(block);
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
    lock_take(&heap->lock);
    while (heap->free_count < blocks) {
        if (heap->limit && heap_bytes(heap) + BLOCK_SIZE > heap->limit) break;
        struct gc_block *block = block_create(heap, &zero);
        if (block == NULL) break;
        list_push(heap, &heap->free_first, block, BLOCK_FREE);
    }
    lock_give(&heap->lock);
}

static void block_destroy(struct gc_block *block)
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

/* The next block that waits to be swept, swept: its state keeps others away meanwhile, and a cycle cannot
 * begin while somebody is at it (a thread that sweeps is busy). Gives up heap->lock for it. */
static struct gc_block *sweep_next(struct gc_heap *heap, uint64_t map[MAP_WORDS], size_t *room)
{
    while (heap->sweep_next < heap->sweep_end) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, heap->sweep_next++);
        struct gc_block *block = index ? gc_block_at(index) : NULL;
        if (block == NULL || !block_is_unswept(heap, block)) continue;
        STORE(&block->state, BLOCK_CURRENT);
        atomic_fetch_add(&heap->sweeping, 1); /* the collector's thread does not stand for a walk */
        lock_give(&heap->lock);
        *room = block_sweep(heap, block, map);
        lock_take(&heap->lock);
        atomic_fetch_sub(&heap->sweeping, 1);
        heap->swept_bytes += *room << GC_SHIFT;
        return block;
    }
    if (heap->sweep_goes_on) gc_event(heap, FH_GC_EVENT_SWEPT, heap->swept_bytes);
    heap->sweep_goes_on = false;
    return NULL;
}

bool block_sweep_now(struct gc_heap *heap, struct gc_block *block)
{
    uint64_t map[MAP_WORDS];
    lock_take(&heap->lock);
    if (block_is_unswept(heap, block)) block_put_swept(heap, block, block_sweep(heap, block, map));
    bool swept = LOAD(&block->cycle) == LOAD(&heap->cycle);
    lock_give(&heap->lock);
    return swept;
}

/* Sweeps up to `most` blocks for one with room. The first is soon swept: two looks at the clock would cost as
 * much as a hundredth of what fits into it. */
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
        block_put_swept(heap, block, room);
        block = NULL;
    }
    if (start == 0) return block;
    pause_end_above(self, PAUSE_LEAST_NS);
    heap->stats.sweep_ns += os_time_ns() - start;
    return block;
}

static const uint64_t map_empty[MAP_WORDS];

/* False: memory for it was refused. Then it is as if all in the block were younger than the snapshot, and alive;
 * which is right for an empty one, and else what its objects refer to has to be found by a repair. */
bool block_note_snapshot(struct gc_heap *heap, struct gc_block *block)
{
    if (LOAD(&block->snapshot)) return true; /* its first in this cycle counts */
    uint64_t *map = vector_add(&heap->snapshots);
    if (map) block_map(block, 0, NULL, map);
    for (size_t word = 0; map && word < MAP_WORDS; word++)
        map[word] &= ~group_range(word * 64, block->busy_from, block->busy_to);
    STORE_RELEASE(&block->snapshot, map ? map : map_empty); /* partner: object_is_new */
    return map != NULL;
}

/* Whether a thread may take a block that is not empty. */
static bool snapshot_has_room(struct gc_heap *heap, const struct mutator *mutator)
{
    return !mutator->black || vector_reserve(&heap->snapshots, heap->snapshots.count + 1);
}

static struct gc_block *block_take_partial(struct gc_heap *heap, uint64_t map[MAP_WORDS])
{
    struct gc_block *block = list_pop(heap, &heap->partial_first);
    if (block == NULL) block = list_pop(heap, &heap->poor_first);
    if (block) block_map(block, 0, NULL, map);
    return block;
}

/* What costs the thread least comes first; it sweeps many blocks only when there is nothing else. */
static struct gc_block *block_find_room(struct gc_heap *heap, bool empty, bool *zero,
                                        uint64_t map[MAP_WORDS])
{
    enum { A_FEW = 6 };
    enum fh_gc_why why;
    *zero = false;
    struct gc_block *block = empty ? NULL : block_take_partial(heap, map);
    if (block) return block;
    if (empty) block = list_pop(heap, &heap->free_first);
    if (!block && (block = sweep_for_room(heap, empty, A_FEW, map))) return block;
    if (!block) block = list_pop(heap, &heap->free_first);
    if (!block && size_allows(heap, 1, &why)) block = block_create(heap, zero);
    if (!block && (block = sweep_for_room(heap, empty, UINT32_MAX, map))) return block;
    if (!block && !empty && (block = block_take_partial(heap, map))) return block;
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
    lock_take(&heap->lock);
    pause_end_above(self, PAUSE_LEAST_NS);
}

/* Holds: heap->lock. */
static void block_begin(struct gc_heap *heap, const struct mutator *mutator, struct gc_block *block)
{
    STORE(&block->state, BLOCK_CURRENT);
    /* A free block was empty at all the ends of cycles that it has missed. */
    STORE(&block->cycle, LOAD(&heap->cycle));
    if (mutator->black) block_note_snapshot(heap, block);
    uint32_t *young = heap->logs ? vector_add(&heap->young) : NULL;
    if (young) *young = gc_block_index(block);
    if (heap->logs && !young) STORE(&heap->remembered_lost, true);
}

struct gc_block *block_take(struct gc_heap *heap, const struct mutator *mutator, bool empty,
                            bool *zero, uint64_t map[MAP_WORDS])
{
    size_pace(heap, gc_local.thread);
    if (size_minor_is_due(heap)) return NULL;
    heap_lock(heap);
    empty = empty || !snapshot_has_room(heap, mutator);
    struct gc_block *block = block_find_room(heap, empty, zero, map);
    if (block) block_begin(heap, mutator, block);
    lock_give(&heap->lock);
    return block;
}

/* ---- a long hole, where no block is empty ------------------------------------------------------------- */

/* The first hole that is long enough; else *most is the longest. */
static bool map_long_hole(const uint64_t map[MAP_WORDS], size_t granules, size_t alignment,
                          size_t *start, size_t *end, size_t *most)
{
    *most = 0;
    for (size_t from = 0; map_hole(map, from, start, end); from = *end) {
        *most = base_max(*most, *end - *start);
        *start = base_round_up(*start, alignment >> GC_SHIFT);
        if (*start + granules <= *end) return true;
    }
    return false;
}

bool block_has_hole(struct gc_block *block, size_t granules, size_t alignment, size_t *start,
                    size_t *end)
{
    uint64_t map[MAP_WORDS];
    size_t most;
    if (block->hole_most < granules) return false;
    block_map(block, 0, NULL, map);
    if (map_long_hole(map, granules, alignment, start, end, &most)) return true;
    block->hole_most = (uint16_t)most;
    return false;
}

/* Takes the first block of a list that has such a hole; *link is where it was in the list. Each block is
 * mapped once after each sweep, since what was found about it is kept. */
static struct gc_block *list_take_hole(uint32_t **link, size_t granules, size_t alignment,
                                       size_t *start, size_t *end)
{
    for (; **link; *link = &gc_block_at(**link)->next) {
        struct gc_block *block = gc_block_at(**link);
        if (!block_has_hole(block, granules, alignment, start, end)) continue;
        **link = block->next;
        return block;
    }
    return NULL;
}

/* Blocks that were passed over go to the poor, so that the next search need not pass them again. */
struct gc_block *block_take_hole(struct gc_heap *heap, const struct mutator *mutator,
                                 size_t granules, size_t alignment, size_t *start, size_t *end)
{
    struct gc_thread *self = gc_local.thread;
    pause_begin(self, heap);
    lock_take(&heap->lock);
    if (!snapshot_has_room(heap, mutator)) {
        lock_give(&heap->lock);
        return NULL;
    }
    uint32_t *link = &heap->partial_first;
    struct gc_block *block = list_take_hole(&link, granules, alignment, start, end);
    uint32_t rest = *link;
    *link = heap->poor_first;
    heap->poor_first = heap->partial_first;
    heap->partial_first = rest;
    link = &heap->poor_first;
    if (block == NULL) block = list_take_hole(&link, granules, alignment, start, end);
    if (block) block_begin(heap, mutator, block);
    lock_give(&heap->lock);
    pause_end_above(self, PAUSE_LEAST_NS);
    return block;
}

/* ---- the heap's ------------------------------------------------------------------------------------------ */

bool heap_sweep_some(struct gc_heap *heap, unsigned blocks)
{
    uint64_t map[MAP_WORDS];
    size_t room;
    struct gc_block *block = NULL;
    lock_take(&heap->lock);
    uint64_t start = os_time_ns();
    for (; blocks > 0 && (block = sweep_next(heap, map, &room)); blocks--)
        block_put_swept(heap, block, room);
    heap->stats.sweep_ns += os_time_ns() - start;
    lock_give(&heap->lock);
    return block != NULL;
}

void heap_sweep_all(struct gc_heap *heap)
{
    while (heap_sweep_some(heap, 8)) {
    }
}

/* Given back blocks leave the list. */
static void blocks_compact(struct gc_heap *heap)
{
    uint32_t *index = (uint32_t *)heap->blocks.base;
    size_t count = 0;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        if (index[i] == 0) continue;
        gc_block_at(index[i])->position = (uint32_t)count;
        index[count++] = index[i];
    }
    heap->blocks.count = count;
}

/* Blocks that wait to be swept leave the lists of those with holes. */
static void list_drop_unswept(struct gc_heap *heap, uint32_t *link)
{
    while (*link) {
        struct gc_block *block = gc_block_at(*link);
        if (LOAD(&block->cycle) == LOAD(&heap->cycle))
            link = &block->next;
        else
            *link = block->next;
    }
}

/* After a minor collection only young blocks hold dead objects, and of the others even the list of those
 * with holes stays. Their own number is set back, and the heap's does not rise. */
static void unsweep_young(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->young.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->young, i));
        if (LOAD(&block->owner) != heap) continue; /* given back meanwhile */
        STORE(&block->cycle, LOAD(&heap->cycle) - 1);
    }
    list_drop_unswept(heap, &heap->partial_first);
    list_drop_unswept(heap, &heap->poor_first);
}

void heap_unsweep(struct gc_heap *heap, bool young)
{
    blocks_compact(heap);
    if (young) {
        unsweep_young(heap);
    } else {
        atomic_fetch_add(&heap->cycle, 1);
        heap->partial_first = heap->poor_first = 0;
        for (uint32_t index = heap->free_first; index; index = gc_block_at(index)->next)
            STORE(&gc_block_at(index)->cycle, LOAD(&heap->cycle));
    }
    heap->sweep_end = heap->blocks.count;
    heap->sweep_next = 0;
    heap->sweep_goes_on = true;
    heap->swept_bytes = 0;
}

void heap_arm_young(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->young.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->young, i));
        if (LOAD(&block->owner) != heap) continue;
        char *start = gc_block_start(block);
        log_fill(start, BLOCK_SIZE, true);
        size_t busy = (size_t)(block->busy_to - block->busy_from) << GC_SHIFT;
        if (busy) log_fill(start + ((size_t)block->busy_from << GC_SHIFT), busy, false);
    }
    heap->young.count = 0;
}

/* One free block goes back to the arena. */
static bool block_yield(struct gc_heap *heap)
{
    lock_take(&heap->lock);
    struct gc_block *block = list_pop(heap, &heap->free_first);
    if (block) {
        heap->block_count--;
        *(uint32_t *)vector_at(&heap->blocks, block->position) = 0;
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
        more = heap_sweep_some(heap, 16);
    }
    return true;
}

/* Blocks that somebody who is not there was sweeping, or about to take, are swept again. */
void blocks_fork_child(struct gc_heap *heap)
{
    const struct mutator *own = gc_local.thread ? mutator_of(gc_local.thread, heap) : NULL;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index == 0 || (own && (index == own->block || index == own->medium_block))) continue;
        struct gc_block *block = gc_block_at(index);
        if (LOAD(&block->state) == BLOCK_CURRENT) STORE(&block->state, BLOCK_FULL);
    }
    STORE(&heap->sweeping, 0);
    heap->sweep_end = heap->blocks.count;
    heap->sweep_next = 0;
}

void heap_blocks_finish(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index) block_destroy(gc_block_at(index));
    }
    vector_finish(&heap->blocks);
    vector_finish(&heap->young);
    vector_finish(&heap->snapshots);
    vector_finish(&heap->remembered);
    heap->block_count = heap->free_count = 0;
    heap->free_first = heap->partial_first = heap->poor_first = 0;
}

/* ---- objects ---------------------------------------------------------------------------------------------- */

/* Goes back from p's byte to the first byte of its object. */
static uint8_t *block_find(struct gc_block *block, uint8_t *meta)
{
    uint8_t *first = meta_of(gc_block_start(block));
    if (meta_load(meta) & META_STATE) return meta;
    while (meta > first) {
        uint8_t byte = meta_load(--meta);
        if (byte & META_END) return NULL;
        if (byte & META_STATE) return meta;
    }
    return NULL;
}

uint8_t *object_find(const struct gc_heap *heap, uintptr_t p)
{
    if (!side_holds(p)) return NULL;
    struct gc_block *block = gc_block_of((void *)p);
    uint8_t kind = LOAD_ACQUIRE(&block->kind);
    if (kind == FH_SPAN_GC_BLOCK)
        return LOAD(&block->owner) == heap ? block_find(block, meta_of((void *)p)) : NULL;
    if (kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS) return NULL;
    block = (struct gc_block *)span_find((void *)p);
    if (!block || LOAD(&block->kind) != FH_SPAN_GC_LARGE || LOAD(&block->owner) != heap)
        return NULL;
    if (p - (uintptr_t)gc_block_start(block) >= LOAD(&block->bytes)) return NULL;
    uint8_t *meta = meta_of(gc_block_start(block));
    return meta_load(meta) & META_STATE ? meta : NULL;
}

size_t object_size(const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    if (LOAD(&block->kind) == FH_SPAN_GC_LARGE) return LOAD(&block->bytes);
    return (meta_granules(meta) << GC_SHIFT) - fence_size(LOAD(&block->owner));
}

/* Younger than the snapshot of the cycle that goes on, or has ended without this block being swept. */
bool object_is_new(const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    const uint64_t *snapshot = LOAD_ACQUIRE(&block->snapshot);
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK || snapshot == NULL) return false;
    size_t granule = (size_t)(meta - meta_of(gc_block_start(block)));
    return !(snapshot[granule / 64] >> granule % 64 & 1);
}

bool object_is_live(const struct gc_heap *heap, const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    unsigned state = meta_load(meta) & META_STATE;
    if (state == 0 || state == heap->mark) return state != 0;
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK) return true;
    return LOAD(&block->cycle) == LOAD(&heap->cycle) || object_is_new(meta);
}

bool block_each_object(struct gc_heap *heap, struct gc_block *block, object_fn *visit, void *data)
{
    uint8_t *start = meta_of(gc_block_start(block)), *end = start + BLOCK_GRANULES;
    for (uint8_t *meta = start; meta < end;) {
        size_t granule = (size_t)(meta - start);
        if (block->busy_from <= granule && granule < block->busy_to) {
            meta = start + block->busy_to;
        } else if (!(meta_load(meta) & META_STATE)) {
            meta++;
        } else {
            size_t granules = meta_granules(meta);
            if (object_is_live(heap, meta) && !visit(heap, meta, granules, data)) return false;
            meta += granules;
        }
    }
    return true;
}

bool heap_each_object(struct gc_heap *heap, object_fn *visit, void *data)
{
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index && !block_each_object(heap, gc_block_at(index), visit, data)) return false;
    }
    for (size_t i = 0; i < heap->large.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        uint8_t *meta = meta_of(gc_block_start(block));
        size_t granules = (LOAD(&block->bytes) + GC_GRANULE - 1) >> GC_SHIFT;
        if (object_is_live(heap, meta) && !visit(heap, meta, granules, data)) return false;
    }
    return true;
}
