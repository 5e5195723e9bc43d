/*
 * The purger's visit to the slabs: free pages inside slabs in use go back to the kernel, and slabs
 * that are wholly free go back to the arena, whoever owns them, awake or asleep.
 *
 * The owner goes on allocating and freeing meanwhile, without a lock. What makes that safe (heap.h):
 *   - blocks leave a slab's list only under the heap's lock, which the sweep holds;
 *   - the owner only pushes in front of the list. So the chain from the first block as it was read
 *     stays as it is, and all its links are the sweep's to change, but the first block stays first;
 *   - if all carved blocks are found in lists, the owner holds none and is in no free of one.
 *
 * A slab that was left alone since the last visit is walked once: every page whose blocks are all
 * free is given back, and the blocks that start there become uncarved, as on the first day.
 *
 *     | page 0: first block of the list, else free | page 1: all free | page 2: one live | ...
 *       given back, the block stays (slab->lone)       given back         stays
 */
#include "heap/slab.h"
#include "os/os.h"

struct free_map {
    uint64_t bits[SLICE_SIZE / 16 / 64]; /* by block */
};

static void map_set(struct free_map *map, unsigned block)
{
    map->bits[block / 64] |= 1ull << block % 64;
}

static bool map_has(const struct free_map *map, unsigned block)
{
    return map->bits[block / 64] >> block % 64 & 1;
}

/* Marks the blocks of a chain; returns how many. */
static unsigned map_chain(struct free_map *map, struct span *slab, struct block *block)
{
    unsigned count = 0;
    for (; block; block = LOAD(&block->next)) {
        map_set(map, slab_block_of(slab, block));
        count++;
    }
    return count;
}

/* ---- pages ------------------------------------------------------------------------------------ */

static size_t block_size(const struct span *slab)
{
    return class_facts[slab->size_class].size;
}

static uint16_t block_piece(const struct span *slab, const void *block)
{
    return (uint16_t)(1u << (((const char *)block - span_start(slab)) >> CARVE_SHIFT));
}

/* Whether block `index` neither is live nor may be carved soon without our knowledge. */
static bool block_is_idle(const struct span *slab, const struct free_map *map, unsigned index)
{
    unsigned piece = (unsigned)(index * block_size(slab) >> CARVE_SHIFT);
    bool exists = !(slab->uncarved >> piece & 1) || slab_is_lone(slab, index);
    return !exists || map_has(map, index);
}

/* Whether all blocks that overlap bytes [from, to) are free. */
static bool range_is_idle(const struct span *slab, const struct free_map *map, size_t from,
                          size_t to)
{
    unsigned blocks = class_facts[slab->size_class].blocks;
    unsigned index = block_index(slab->size_class, from);
    unsigned end = block_index(slab->size_class, to - 1) + 1;
    for (; index < end && index < blocks; index++)
        if (!block_is_idle(slab, map, index)) return false;
    return true;
}

/* The 4 KiB pieces of the page that holds `piece`. */
static uint16_t page_mask(unsigned piece)
{
    unsigned count = (unsigned)(base_max(os_page_size(), CARVE_SIZE) >> CARVE_SHIFT);
    return (uint16_t)(((1u << count) - 1) << piece / count * count);
}

/* The 4 KiB pieces, as bits, that lie in pages which can go back. */
static uint16_t slab_idle_pieces(const struct span *slab, const struct free_map *map)
{
    size_t page = base_max(os_page_size(), CARVE_SIZE);
    uint16_t pieces = 0;
    for (size_t from = 0; from + page <= SLICE_SIZE; from += page) {
        uint16_t mask = page_mask((unsigned)(from >> CARVE_SHIFT));
        bool already = (slab->clean & mask) == mask;
        if (!already && range_is_idle(slab, map, from, from + page)) pieces |= mask;
    }
    return pieces;
}

/* What is left of a slab's list when the blocks that start in some pieces are taken out. */
struct kept {
    struct block *first, *last;
    unsigned count, dropped;
};

static struct kept chain_drop(struct span *slab, struct block *block, uint16_t pieces)
{
    struct kept kept = {0};
    for (struct block *next; block; block = next) {
        next = LOAD(&block->next);
        if (pieces & block_piece(slab, block)) {
            if (slab_is_lone(slab, slab_block_of(slab, block))) slab_set_lone(slab, 0);
            kept.dropped++;
            continue;
        }
        if (kept.last)
            STORE(&kept.last->next, block);
        else
            kept.first = block;
        kept.last = block;
        kept.count++;
    }
    if (kept.last) STORE(&kept.last->next, NULL);
    return kept;
}

/* A block that starts before a purged page and reaches into it stays in the list: its page may come
 * back with it, and must not be taken for clean. */
static uint16_t pieces_touched_by_list(struct span *slab, struct block *first)
{
    uint16_t touched = 0;
    for (struct block *block = first; block; block = LOAD(&block->next)) {
        size_t offset = (size_t)((char *)block - span_start(slab));
        unsigned from = (unsigned)(offset >> CARVE_SHIFT);
        unsigned to = (unsigned)((offset + block_size(slab) - 1) >> CARVE_SHIFT);
        touched |= (uint16_t)((2u << to) - (1u << from));
    }
    return touched;
}

static size_t slab_purge_pieces(struct span *slab, uint16_t pieces, uint16_t touched)
{
    slab_set_uncarved(slab, slab->uncarved | pieces);
    uint16_t done = span_purge_pieces(slab, pieces);
    slab->clean |= (uint16_t)(done & ~touched);
    return (size_t)__builtin_popcount(done) << CARVE_SHIFT;
}

/* The first block stays, since its owner may be pushing another in front of it; its page may go all
 * the same. It reads as zeros then, so that the list ends with it, and what else is left of the list
 * goes the way of blocks that others freed. */
static size_t slab_purge_around(struct span *slab, struct block *first, uint16_t pieces)
{
    struct kept kept = chain_drop(slab, LOAD(&first->next), pieces);
    uint16_t touched = pieces_touched_by_list(slab, kept.first);
    slab->carved -= (uint16_t)kept.dropped;
    if (pieces & block_piece(slab, first)) {
        slab_set_lone(slab, (slab_block_of(slab, first) + 1) | LONE_LISTED);
        STORE(&first->next, NULL); /* locked pages are not purged */
        __atomic_store_n(&slab->rest, slab->rest + (int16_t)kept.count, __ATOMIC_RELAXED);
        if (kept.first) slab_post(slab, kept.first, block_offset16(kept.last), kept.count);
    } else {
        STORE(&first->next, kept.first);
    }
    return slab_purge_pieces(slab, pieces, touched | pieces_touched_by_list(slab, first));
}

/* The same where nobody is in the middle of a free. */
static size_t slab_purge_at_rest(struct heap *heap, struct span *slab, struct block *first,
                                 uint16_t pieces)
{
    struct kept kept = chain_drop(slab, first, pieces);
    STORE_RELEASE(&slab->free, kept.first);
    slab->carved -= (uint16_t)kept.dropped;
    if (kept.first == NULL && LOAD(&slab->state) == FH_SLAB_PARTIAL) {
        struct bin *bin = &heap->bin[slab->size_class];
        bin_unlink(bin, slab); /* behind those that need no carving */
        bin_push_back(bin, slab);
    }
    return slab_purge_pieces(slab, pieces, pieces_touched_by_list(slab, kept.first));
}

/* Gives back the free pages of a slab. at_rest: its owner is not in the middle of a free, being this
 * thread or none. Holds: the heap's lock. */
static size_t slab_purge(struct heap *heap, struct span *slab, bool at_rest)
{
    struct free_map map = {{0}};
    struct block *first = LOAD_ACQUIRE(&slab->free);
    map_chain(&map, slab, first);
    uint16_t pieces = slab_idle_pieces(slab, &map);
    if (first && !at_rest && slab_lone(slab) && !slab_is_lone(slab, slab_block_of(slab, first)))
        pieces &= (uint16_t)~page_mask((unsigned)base_ctz(block_piece(slab, first)));
    if (pieces == 0) return 0;
    if (first == NULL) return slab_purge_pieces(slab, pieces, 0);
    return at_rest ? slab_purge_at_rest(heap, slab, first, pieces)
                   : slab_purge_around(slab, first, pieces);
}

/* ---- slabs that are wholly free ----------------------------------------------------------------- */

/* Whether all carved blocks are in the slab's own list or among `remote` others. A remote chain may
 * be counted only by who took the slab from a pending list: its sender may not have got there yet.
 * Holds: the heap's lock. */
static bool slab_is_idle(struct span *slab, uint32_t remote)
{
    struct free_map map = {{0}};
    return map_chain(&map, slab, LOAD_ACQUIRE(&slab->free)) + remote == slab->carved;
}

static void slab_unqueue(struct heap *heap, struct span *slab)
{
    uint8_t state = LOAD(&slab->state);
    if (state == FH_SLAB_PARTIAL) bin_unlink(&heap->bin[slab->size_class], slab);
    if (state == FH_SLAB_CURRENT) { /* perhaps of a smaller class that borrowed it */
        unsigned c = slab->size_class;
        while (heap->bin[c].current != span_index(slab)) c--;
        heap->bin[c].current = 0;
    }
}

static bool slab_release_idle(struct heap *heap, struct span *slab)
{
    slab_unqueue(heap, slab);
    slab_release(slab);
    return true;
}

/* The owner sleeps on blocks that others freed for it: slabs of which nothing is in use go back,
 * the others wait on. `release` may refuse. Holds: the heap's lock. */
static void heap_release_remote(struct heap *heap,
                                bool (*release)(struct heap *heap, struct span *slab))
{
    uint32_t index = atomic_exchange_explicit(&heap->pending, 0, memory_order_acquire);
    while (index) {
        struct span *slab = span_at(index);
        index = slab->pending_next;
        uint32_t remote = LOAD_ACQUIRE(&slab->remote) >> 16;
        bool idle = LOAD(&slab->owner) == heap && slab_is_idle(slab, remote);
        if (!idle || !release(heap, slab)) heap_notify(slab);
    }
}

/* ---- what was seen before ----------------------------------------------------------------------- */

/* What changes when anybody allocates from the slab or frees into it. */
static uint32_t slab_signature(struct span *slab)
{
    uint64_t countdown = __atomic_load_n(&slab->countdown, __ATOMIC_RELAXED);
    uint64_t mix =
        (uintptr_t)LOAD(&slab->free) ^ countdown << 20 ^ (uint64_t)LOAD(&slab->remote) << 32;
    return (uint32_t)(mix * 0x9e3779b97f4a7c15ull >> 34) | 1;
}

#define SWEPT (1u << 31)

/* ---- room for growth ----------------------------------------------------------------------------- */

/* A slab that waited long and is half free or more. Each slab looked at goes to the front of its
 * queue: the next call sees another, and the fuller ones are allocated from first. */
static struct span *bin_sparse_slab(struct bin *bin, unsigned *looks)
{
    for (; *looks > 0 && bin->last; --*looks) {
        struct span *slab = span_at(bin->last);
        if (LOAD(&slab->free) == NULL) return NULL; /* can only be carved: must stay behind */
        bin_unlink(bin, slab);
        bin_push_front(bin, slab);
        bool sparse = slab->carved - slab_used(slab) >= class_facts[slab->size_class].blocks / 2u;
        if (sparse && LOAD(&slab->note) != (slab_signature(slab) | SWEPT)) return slab;
        if (bin->last == span_index(slab)) return NULL;
    }
    return NULL;
}

static struct span *heap_sparse_slab(struct heap *heap)
{
    unsigned looks = 32;
    for (unsigned classes = 0; classes < CLASSES - 1 && looks > 0; classes++) {
        struct span *slab = bin_sparse_slab(&heap->bin[heap->room_class + 1], &looks);
        if (slab) return slab;
        heap->room_class = (uint16_t)((heap->room_class + 1) % (CLASSES - 1));
    }
    return NULL;
}

void heap_make_room(struct heap *heap)
{
    if (heap->room_wait > 0) {
        heap->room_wait--;
        return;
    }
    size_t bytes = 0;
    unsigned swept = 0;
    for (struct span *slab; swept < 4 && bytes < 2 * SLICE_SIZE; swept++) {
        if ((slab = heap_sparse_slab(heap)) == NULL) break;
        bytes += slab_purge(heap, slab, true);
        STORE(&slab->note, slab_signature(slab) | SWEPT);
    }
    if (swept == 0) {
        heap->room_wait = 4; /* looking costs little */
        return;
    }
    bool good = bytes >= SLICE_SIZE / 4;
    heap->room_backoff = good ? 0 : (uint16_t)base_min(heap->room_backoff * 2 + 1, 63);
    heap->room_wait = heap->room_backoff;
}

/* ---- the visit ---------------------------------------------------------------------------------- */

/* A heap that stays without a thread from one visit to the next is settled. */
static bool heap_visit_idle(struct heap *heap, bool force)
{
    if (force || heap->seen_idle) {
        heap_settle(heap);
        return false;
    }
    heap->seen_idle = true;
    return true;
}

static bool heap_visit_pending(struct heap *heap, bool force)
{
    uint32_t pending = LOAD(&heap->pending);
    bool left_alone = force || pending == heap->pending_seen;
    heap->pending_seen = pending;
    if (pending == 0) return false;
    if (!left_alone) return true;
    lock_take(&heap->lock);
    heap_release_remote(heap, slab_release_idle);
    heap->pending_seen = LOAD(&heap->pending); /* what is left is in another order */
    lock_give(&heap->lock);
    return false;
}

static bool heap_visit(struct heap *heap, bool force)
{
    if (LOAD(&heap->state) == FH_HEAP_IDLE) return heap_visit_idle(heap, force);
    heap->seen_idle = false;
    return heap_visit_pending(heap, force);
}

struct sweep {
    bool force;
    bool more;
    size_t bytes;
};

static bool slab_may_hold_free(struct span *slab)
{
    uint8_t state = LOAD(&slab->state);
    return LOAD(&slab->kind) == FH_SPAN_SLAB &&
           (state == FH_SLAB_PARTIAL || state == FH_SLAB_CURRENT);
}

/* Holds: the heap's lock. */
static void slab_visit(struct heap *heap, struct span *slab, struct sweep *sweep)
{
    uint32_t now = slab_signature(slab);
    if (!sweep->force && LOAD(&slab->note) != now) {
        STORE(&slab->note, now);
        sweep->more = true;
    } else if (LOAD(&slab->state) == FH_SLAB_CURRENT && slab_is_idle(slab, 0)) {
        slab_release_idle(heap, slab);
    } else {
        sweep->bytes += slab_purge(heap, slab, LOAD(&heap->state) == FH_HEAP_IDLE);
        STORE(&slab->note, slab_signature(slab) | SWEPT);
    }
}

static void slab_consider(struct span *slab, void *context)
{
    struct sweep *sweep = context;
    if (LOAD(&slab->kind) == FH_SPAN_RUNS) {
        sweep->bytes += run_sweep(slab, sweep->force, &sweep->more);
        return;
    }
    if (!slab_may_hold_free(slab)) return;
    if (!sweep->force && LOAD(&slab->note) == (slab_signature(slab) | SWEPT)) return;
    struct heap *heap = LOAD(&slab->owner);
    if (heap == NULL) return;
    lock_take(&heap->lock);
    if (LOAD(&slab->owner) == heap && slab_may_hold_free(slab)) slab_visit(heap, slab, sweep);
    lock_give(&heap->lock);
}

bool heap_sweep(bool force)
{
    struct sweep sweep = {.force = force};
    for (uint32_t i = 0; i < heap_count(); i++)
        if (heap_visit(heap_at(i), force)) sweep.more = true;
    span_each(slab_consider, &sweep);
    return sweep.more || sweep.bytes > 0;
}

/* ---- in a hurry ---------------------------------------------------------------------------------- */

/* The black box trims while threads of the program may stand for good, in the middle of anything and with
 * any lock: on a page fault that waits for memory which only this thread can give. So each lock is waited
 * for a little, and all of them together no longer than `patience`; whose lock stays taken is passed over.
 * Blocks in lists of ended threads stay, since to settle a heap may take the arena's lock anywhere. */
struct hurry {
    unsigned patience_ms, passed;
    struct heap *standing; /* the last heap whose lock was not to be had */
    unsigned shards;       /* bits: those of runs */
};

enum { HURRY_STEP_MS = 10 };

static unsigned hurry_wait(const struct hurry *hurry)
{
    return (unsigned)base_min(hurry->patience_ms, HURRY_STEP_MS);
}

static void hurry_pass(struct hurry *hurry)
{
    hurry->patience_ms -= hurry_wait(hurry);
    hurry->passed++;
}

static bool hurry_lock(struct hurry *hurry, struct heap *heap)
{
    if (heap == hurry->standing) return false;
    if (lock_take_within(&heap->lock, hurry_wait(hurry))) return true;
    hurry->standing = heap;
    hurry_pass(hurry);
    return false;
}

static bool slab_release_hurried(struct heap *heap, struct span *slab)
{
    if (!lock_take_within(&arena.lock, 0)) return false;
    slab_unqueue(heap, slab);
    slab_release_held(slab);
    lock_give(&arena.lock);
    return true;
}

static void slab_hurry(struct span *slab, struct hurry *hurry)
{
    struct heap *heap = LOAD(&slab->owner);
    if (heap == NULL || !slab_may_hold_free(slab) || !hurry_lock(hurry, heap)) return;
    if (LOAD(&slab->owner) == heap && slab_may_hold_free(slab))
        slab_purge(heap, slab, LOAD(&heap->state) == FH_HEAP_IDLE);
    lock_give(&heap->lock);
}

static void run_hurry(struct span *span, struct hurry *hurry)
{
    unsigned bit = 1u << __atomic_load_n(&span->shard, __ATOMIC_RELAXED) % FH_RUN_SHARDS;
    if (hurry->shards & bit || run_sweep_hurried(span, hurry_wait(hurry))) return;
    hurry->shards |= bit;
    hurry_pass(hurry);
}

static void span_hurry(struct span *span, void *context)
{
    if (LOAD(&span->kind) == FH_SPAN_RUNS)
        run_hurry(span, context);
    else
        slab_hurry(span, context);
}

unsigned heap_trim_hurried(unsigned patience_ms)
{
    struct hurry hurry = {.patience_ms = patience_ms};
    span_purge_hurried(hurry_wait(&hurry)); /* the most for the least */
    for (uint32_t i = 0; i < heap_count(); i++) {
        struct heap *heap = heap_at(i);
        if (LOAD(&heap->pending) == 0 || !hurry_lock(&hurry, heap)) continue;
        heap_release_remote(heap, slab_release_hurried);
        lock_give(&heap->lock);
    }
    span_each(span_hurry, &hurry);
    span_purge_hurried(hurry_wait(&hurry));
    return hurry.passed;
}
