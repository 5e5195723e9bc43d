/*
 * The passes of the marker.
 *
 * A worker has a stack of its own and gives half of it to the pool when somebody is idle; a pass ends
 * when all are idle and the pool is empty. A block is pushed by whoever sets its bit, and so once: the
 * number of blocks bounds every stack, whose memory is only touched as it is used.
 */
#include <sched.h>

#include "span/reach.h"

enum { SHARE_FROM = 64, LARGE = 64 << 10, TAKE_MAX = 256 };

bool reach_worker_init(struct reach_worker *w, struct reach *r)
{
    *w = (struct reach_worker){.reach = r};
    w->stack = r->reserve((r->live_count + 1) * sizeof *w->stack);
    if (w->stack) r->workers++;
    return w->stack != NULL;
}

void reach_worker_finish(struct reach_worker *w)
{
    if (w->stack) w->reach->release(w->stack, (w->reach->live_count + 1) * sizeof *w->stack);
    w->stack = NULL;
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

static bool take(struct reach_worker *w)
{
    struct reach *r = w->reach;
    lock(r);
    size_t count = r->pool_count < TAKE_MAX ? r->pool_count : TAKE_MAX;
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
    __builtin_prefetch(block->region->bytes + (block->start - block->region->start));
    w->stack[w->count++] = block->start;
}

static void note_word(struct reach_worker *w, uint64_t word, bool exact)
{
    struct reach *r = w->reach;
    struct reach_block block;
    if (word < r->low || word >= r->high || !reach_block_of(r, word, &block)) return;
    if (w->pass == REACH_PASS_EXACT && (exact || block.start == word)) {
        if (reach_bit_set(r->marked, block.granule)) push(w, &block);
    } else if (w->pass == REACH_PASS_EXACT) {
        reach_bit_set(r->possible, block.granule);
    } else if (!reach_bit(r->marked, block.granule) && reach_bit_set(r->possible, block.granule)) {
        push(w, &block);
    }
}

void reach_root(struct reach_worker *w, uint64_t word)
{
    note_word(w, word, true);
}

void reach_scan(struct reach_worker *w, const unsigned char *bytes, size_t size)
{
    uint64_t low = w->reach->low, span = w->reach->high - low;
    w->scanned += size;
    for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes + at, sizeof word);
        if (word - low < span) note_word(w, word, false);
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

static void scan_next(struct reach_worker *w)
{
    struct reach_block block;
    if (reach_block_of(w->reach, w->stack[--w->count], &block)) block_bytes(w, &block, reach_scan);
}

void reach_drain(struct reach_worker *w)
{
    struct reach *r = w->reach;
    do {
        while (w->count > 0 || take(w)) {
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
    struct reach_worker *w = context;
    w->stack[w->count++] = block->start;
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
