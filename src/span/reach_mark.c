/*
 * The passes of the marker.
 *
 * A worker has a stack of its own and gives half of it to the pool when somebody is idle; a pass ends
 * when all are idle and the pool is empty. A block is pushed by whoever sets its bit, and so once: the
 * number of blocks bounds every stack, whose memory is only touched as it is used.
 *
 *     scan a block --> words (bits asked for) --> mark --> stack, batch --> blocks (bytes asked for) --> scan
 *
 * Why words and blocks wait, and in what order blocks are taken: reach_order.c.
 */
#include <sched.h>

#include "span/reach.h"

enum { SHARE_FROM = 64, LARGE = 64 << 10, TAKE_MIN = 256 };
#define BATCH_BYTES (2 * REACH_BATCH * sizeof(uint64_t)) /* half of it to sort in */

static size_t stack_bytes(const struct reach *r)
{
    return (r->live_count + 1) * sizeof(uint64_t);
}

bool reach_worker_init(struct reach_worker *w, struct reach *r)
{
    *w = (struct reach_worker){.reach = r, .batch_at = REACH_BATCH};
    w->stack = r->reserve(stack_bytes(r));
    w->batch = r->reserve(BATCH_BYTES);
    if (!w->stack || !w->batch) {
        reach_worker_finish(w);
        return false;
    }
    r->workers++;
    return true;
}

void reach_worker_finish(struct reach_worker *w)
{
    if (w->stack) w->reach->release(w->stack, stack_bytes(w->reach));
    if (w->batch) w->reach->release(w->batch, BATCH_BYTES);
    w->stack = w->batch = NULL;
}

/* ---- the pool ------------------------------------------------------------------------------- */

static void lock(struct reach *r)
{
    while (__atomic_exchange_n(&r->lock, 1, __ATOMIC_ACQUIRE)) sched_yield();
}

static void unlock(struct reach *r)
{
    __atomic_store_n(&r->lock, 0, __ATOMIC_RELEASE);
}

/* With the lock; who waits for work looks at it without. */
static void pool_resize(struct reach *r, size_t count)
{
    __atomic_store_n(&r->pool_count, count, __ATOMIC_RELAXED);
}

/* The bottom half: it was pushed first, and leads to most. */
static void share(struct reach_worker *w)
{
    struct reach *r = w->reach;
    size_t half = w->count / 2;
    lock(r);
    for (size_t i = 0; i < half; i++) r->pool[r->pool_count + i] = w->stack[i];
    pool_resize(r, r->pool_count + half);
    unlock(r);
    for (size_t i = half; i < w->count; i++) w->stack[i - half] = w->stack[i];
    w->count -= half;
}

/* Of much a share, which is worth to be put in order; of little all. */
static size_t share_of(const struct reach *r)
{
    size_t fair = r->pool_count / (size_t)r->workers;
    size_t count = fair < TAKE_MIN ? TAKE_MIN : fair < REACH_BATCH ? fair : REACH_BATCH;
    return count < r->pool_count ? count : r->pool_count;
}

static bool take(struct reach_worker *w)
{
    struct reach *r = w->reach;
    lock(r);
    size_t count = share_of(r);
    pool_resize(r, r->pool_count - count);
    for (size_t i = 0; i < count; i++) w->stack[w->count++] = r->pool[r->pool_count + i];
    unlock(r);
    return count > 0;
}

/* Idle until there is work, or all are idle: then the pass has ended, for all of them. */
static bool await_work(struct reach_worker *w)
{
    struct reach *r = w->reach;
    __atomic_fetch_add(&r->idle, 1, __ATOMIC_ACQ_REL);
    for (;;) {
        if (__atomic_load_n(&r->idle, __ATOMIC_ACQUIRE) >= r->workers) return false;
        if (__atomic_load_n(&r->pool_count, __ATOMIC_RELAXED) > 0) {
            __atomic_fetch_sub(&r->idle, 1, __ATOMIC_ACQ_REL);
            if (take(w)) return true;
            __atomic_fetch_add(&r->idle, 1, __ATOMIC_ACQ_REL);
        }
        sched_yield();
    }
}

/* ---- words ---------------------------------------------------------------------------------- */

static void push(struct reach_worker *w, const struct reach_block *block)
{
    w->stack[w->count++] = block->start;
}

static void note_place(struct reach_worker *w, const struct reach_place *place, bool exact)
{
    struct reach *r = w->reach;
    struct reach_block block;
    if (!reach_block_in(r, place->region, place->address, &block)) return;
    exact |= block.start == place->address || block.region->inner;
    if (w->pass == REACH_PASS_EXACT && exact) {
        if (reach_bit_set(r->marked, block.granule)) push(w, &block);
    } else if (w->pass == REACH_PASS_EXACT) {
        reach_bit_set(r->possible, block.granule);
    } else if (!reach_bit(r->marked, block.granule) && reach_bit_set(r->possible, block.granule)) {
        push(w, &block);
    }
}

void reach_root(struct reach_worker *w, uint64_t word)
{
    struct reach_place place = {reach_region_of(w->reach, word), word};
    if (place.region) note_place(w, &place, true);
}

static void find_word(struct reach_worker *w, uint64_t word)
{
    const struct reach *r = w->reach;
    struct reach_place place = {reach_region_of(r, word), word};
    if (!place.region) return;
    uint64_t index = reach_granule(place.region, word) >> 6;
    __builtin_prefetch(&r->live[index]);
    __builtin_prefetch(&r->boundary[index]);
    __builtin_prefetch(&r->marked[index], 1);
    if (reach_ahead_put(&w->words, &place)) note_place(w, &place, false);
}

void reach_scan(struct reach_worker *w, const unsigned char *bytes, size_t size)
{
    uint64_t low = w->reach->low, span = w->reach->high - low;
    w->scanned += size;
    size_t step = w->halves ? sizeof(uint32_t) : sizeof(uint64_t);
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += step) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, sizeof word);
        if (word - low < span) find_word(w, word);
    }
}

/* The bytes of a block, but for the absent ones of a large one. */
static void block_bytes(struct reach_worker *w, const struct reach_block *block,
                        void (*each)(struct reach_worker *w, const unsigned char *bytes,
                                     size_t size))
{
    uint64_t end = reach_block_end(w->reach, block), start = block->start;
    const unsigned char *bytes = block->region->bytes;
    if (end - start < LARGE || !w->present) {
        each(w, bytes + (start - block->region->start), end - start);
        return;
    }
    for (uint64_t from = start, to = end; from < end && w->present(w->context, &from, &to);
         from = to, to = end)
        each(w, bytes + (from - block->region->start), to - from);
}

/* Something is left to scan; words are only looked up early when nothing else is to be done. */
static bool refill(struct reach_worker *w)
{
    struct reach_place place;
    if (w->batch_at < REACH_BATCH) return true;
    while (w->count == 0 && reach_ahead_get(&w->words, &place)) note_place(w, &place, false);
    return w->count > 0 || w->blocks.count > 0 || take(w);
}

static void scan_place(struct reach_worker *w, const struct reach_place *place)
{
    struct reach_block block = {place->region, place->address,
                                reach_granule(place->region, place->address)};
    block_bytes(w, &block, reach_scan);
}

/* Asks for the bytes of a block, and scans the one that was asked for longest ago. */
static void scan_next(struct reach_worker *w)
{
    struct reach_place place;
    if (reach_next(w, &place.address)) {
        place.region = reach_region_of(w->reach, place.address);
        __builtin_prefetch(place.region->bytes + (place.address - place.region->start));
        if (reach_ahead_put(&w->blocks, &place)) scan_place(w, &place);
    } else if (reach_ahead_get(&w->blocks, &place)) {
        scan_place(w, &place);
    }
}

void reach_drain(struct reach_worker *w)
{
    struct reach *r = w->reach;
    do {
        while (refill(w)) {
            scan_next(w);
            if (w->count >= SHARE_FROM && __atomic_load_n(&r->idle, __ATOMIC_RELAXED) > 0 &&
                __atomic_load_n(&r->pool_count, __ATOMIC_RELAXED) == 0)
                share(w);
        }
    } while (await_work(w));
}

/* ---- what is left --------------------------------------------------------------------------- */

static void push_block(void *context, const struct reach_block *block)
{
    push(context, block);
}

void reach_begin_possible(struct reach_worker *w)
{
    const uint64_t *const none[3] = {w->reach->marked};
    w->reach->idle = 0;
    w->pass = REACH_PASS_POSSIBLE;
    reach_walk(w->reach, w->reach->possible, none, push_block, w);
}

/* The lost block that is being followed, and what was found from it. */
struct following {
    struct reach_worker worker; /* first: block_bytes hands it on */
    uint64_t leader;
    uint64_t count, bytes;
};

static struct reach_keeper *keeper_at(const struct reach *r, uint64_t start)
{
    size_t low = 0, high = r->keeper_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (r->keepers[middle].address < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->keeper_count && r->keepers[low].address == start ? &r->keepers[low] : NULL;
}

/* Leaders are followed in ascending order: one behind us has been, and only its findings are ours now. */
static void follow_word(struct following *f, uint64_t word)
{
    struct reach *r = f->worker.reach;
    struct reach_block block;
    if (word < r->low || word >= r->high || !reach_block_of(r, word, &block)) return;
    if (reach_bit(r->marked, block.granule) || reach_bit(r->possible, block.granule)) return;
    if (block.start == f->leader || !reach_bit_set(r->indirect, block.granule)) return;
    f->count++;
    f->bytes += reach_block_end(r, &block) - block.start;
    if (block.start > f->leader) {
        __builtin_prefetch(block.region->bytes + (block.start - block.region->start));
        push(&f->worker, &block);
        return;
    }
    struct reach_keeper *other = keeper_at(r, block.start);
    if (!other) return;
    f->count += other->count;
    f->bytes += other->bytes;
    other->count = other->bytes = 0;
}

static void follow_bytes(struct reach_worker *w, const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, sizeof word);
        follow_word((struct following *)w, word);
    }
}

static void follow_leader(void *context, const struct reach_block *leader)
{
    struct following *f = context;
    struct reach *r = f->worker.reach;
    if (reach_bit(r->indirect, leader->granule)) return;
    f->leader = leader->start;
    f->count = f->bytes = 0;
    block_bytes(&f->worker, leader, follow_bytes);
    while (f->worker.count > 0) {
        struct reach_block block;
        if (reach_block_of(r, f->worker.stack[--f->worker.count], &block))
            block_bytes(&f->worker, &block, follow_bytes);
    }
    if (f->count > 0)
        r->keepers[r->keeper_count++] = (struct reach_keeper){f->leader, f->count, f->bytes};
}

bool reach_sort_lost(struct reach_worker *w)
{
    struct reach *r = w->reach;
    const uint64_t *const none[3] = {r->marked, r->possible};
    struct following following = {.worker = *w};
    r->keepers = r->reserve((r->live_count + 1) * sizeof *r->keepers);
    if (!r->keepers) return false;
    reach_walk(r, r->live, none, follow_leader, &following);
    return true;
}

/* ---- what is known -------------------------------------------------------------------------- */

/* Those that are known by themselves, and then what the others lead to without passing through them. */
struct knowing {
    struct reach_worker worker; /* first: block_bytes hands it on */
    bool (*known)(void *context, uint64_t start, uint64_t size, enum reach_kind kind);
    void *context;
    uint64_t *bits;
};

static void ask(void *context, const struct reach_block *block)
{
    struct knowing *k = context;
    const struct reach *r = k->worker.reach;
    enum reach_kind kind = reach_bit(r->indirect, block->granule) ? REACH_INDIRECT : REACH_LOST;
    if (k->known(k->context, block->start, reach_block_end(r, block) - block->start, kind))
        reach_bit_set(k->bits, block->granule);
}

static void tell(struct knowing *k, const struct reach_block *block)
{
    if (reach_bit(k->bits, block->granule)) return;
    if (reach_bit_set(k->worker.reach->told, block->granule)) push(&k->worker, block);
}

static void tell_bytes(struct reach_worker *w, const unsigned char *bytes, size_t size)
{
    const struct reach *r = w->reach;
    struct reach_block block;
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, sizeof word);
        if (word < r->low || word >= r->high || !reach_block_of(r, word, &block)) continue;
        if (reach_bit(r->marked, block.granule) || reach_bit(r->possible, block.granule)) continue;
        tell((struct knowing *)w, &block);
    }
}

static void tell_leader(void *context, const struct reach_block *leader)
{
    struct knowing *k = context;
    struct reach_block block;
    tell(k, leader);
    while (k->worker.count > 0) {
        if (reach_block_of(k->worker.reach, k->worker.stack[--k->worker.count], &block))
            block_bytes(&k->worker, &block, tell_bytes);
    }
}

bool reach_know(struct reach_worker *w,
                bool (*known)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                void *context)
{
    struct reach *r = w->reach;
    const uint64_t *const lost[3] = {r->marked, r->possible}, *const leaders[3] = {r->marked,
                                                                                   r->possible,
                                                                                   r->indirect};
    struct knowing k = {.worker = *w, .known = known, .context = context, .bits = reach_bits(r)};
    if (k.bits) reach_walk(r, r->live, lost, ask, &k);
    r->told = reach_bits(r); /* from here on reach_is_known answers */
    bool done = k.bits && r->told;
    if (done) reach_walk(r, r->live, leaders, tell_leader, &k);
    reach_bits_release(r, k.bits);
    return done;
}

bool reach_is_known(const struct reach *r, uint64_t start)
{
    struct reach_block block;
    return r->told && reach_block_of(r, start, &block) && !reach_bit(r->told, block.granule);
}

/* ---- answers -------------------------------------------------------------------------------- */

enum reach_kind reach_kind_of(const struct reach *r, uint64_t start)
{
    struct reach_block block;
    if (!reach_block_of(r, start, &block) || reach_bit(r->marked, block.granule))
        return REACH_REACHED;
    if (reach_bit(r->possible, block.granule)) return REACH_POSSIBLE;
    return reach_bit(r->indirect, block.granule) ? REACH_INDIRECT : REACH_LOST;
}

struct visit {
    const struct reach *reach;
    unsigned kinds;
    void (*each)(void *context, uint64_t start, uint64_t size, enum reach_kind kind);
    void *context;
};

static void visit_block(void *context, const struct reach_block *block)
{
    const struct visit *v = context;
    enum reach_kind kind = reach_kind_of(v->reach, block->start);
    if (v->kinds >> kind & 1)
        v->each(v->context, block->start, reach_block_end(v->reach, block) - block->start, kind);
}

void reach_each(const struct reach *r, unsigned kinds,
                void (*each)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                void *context)
{
    struct visit visit = {r, kinds, each, context};
    const uint64_t *const none[3] = {kinds >> REACH_REACHED & 1 ? NULL : r->marked};
    reach_walk(r, r->live, none, visit_block, &visit);
}

const struct reach_keeper *reach_keeper_of(const struct reach *r, uint64_t start)
{
    const struct reach_keeper *keeper = keeper_at(r, start);
    return keeper && keeper->count > 0 ? keeper : NULL;
}
