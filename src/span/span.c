/*
 * Spans: allocation, coalescing, and the two sets of free ones. See span/span.h.
 *
 *   span_allocate --> in use --span_free--> dirty --(age, or instead of fresh memory)--> clean
 *         ^                                   |                                           |
 *         +-----------------------------------+-------------------------------------------+
 *
 * A free span's descriptor holds its length and queue links; its last slice, if another, is a BODY
 * that names the head: so both neighbours of a freed span are found at once (boundary tags, Knuth
 * 1962). A tag may be stale, and is believed only if its head agrees.
 *
 * Bins: one for each length up to 64 slices, then four to a doubling. In an exact bin the last
 * freed comes first (its pages are the warmest); a bin of mixed lengths is searched a few steps
 * before the next one is taken, where anything fits.
 */
#include "event/counter.h"
#include "os/os.h"
#include "span/private.h"
#include "span/purger.h"

enum {
    EXACT = 64,
    BINS = EXACT + 4 * 22,
    WORDS = (BINS + 63) / 64,
    SEARCH = 16, /* steps in a bin of mixed lengths */
};

/* Spans from 64 MiB on go back at once: the system call is small beside what they held. */
#define PURGE_NOW ((64 * MIB) >> SLICE_SHIFT)

struct bins {
    uint32_t first[BINS];
    uint64_t filled[WORDS];
};

static struct bins dirty_bins, clean_bins;
static uint32_t age_oldest, age_newest;
static size_t clean_slices; /* in clean_bins */
static uint32_t busy_spans; /* being given back just now: free again in a moment */

static unsigned bin_of(size_t slices)
{
    if (slices <= EXACT) return (unsigned)slices - 1;
    unsigned log = base_log2(slices);
    unsigned quarter = (unsigned)(slices >> (log - 2)) & 3;
    return EXACT + (log - 6) * 4 + quarter;
}

static struct bins *bins_of(const struct span *span)
{
    return span->flags & FH_SPAN_DIRTY ? &dirty_bins : &clean_bins;
}

static uint32_t length_of(struct span *span)
{
    return LOAD(&span->slices);
}

/* ---- the queue of dirty spans by age --------------------------------------------------------- */

/* The word is a slab's countdown too, which is read as a hint by who does not know yet that the slab is
 * gone. */
static void age_set_next(struct span *span, uint32_t index)
{
    __atomic_store_n(&span->age_next, index, __ATOMIC_RELAXED);
}

static void age_append(struct span *span)
{
    uint32_t index = span_index(span);
    age_set_next(span, 0);
    span->age_prev = age_newest;
    if (age_newest)
        age_set_next(span_at(age_newest), index);
    else
        age_oldest = index;
    age_newest = index;
}

static void age_remove(struct span *span)
{
    if (span->age_prev)
        age_set_next(span_at(span->age_prev), span->age_next);
    else
        age_oldest = span->age_next;
    if (span->age_next)
        span_at(span->age_next)->age_prev = span->age_prev;
    else
        age_newest = span->age_prev;
}

/* ---- bins ------------------------------------------------------------------------------------ */

static void bin_insert(struct span *span)
{
    struct bins *bins = bins_of(span);
    unsigned bin = bin_of(length_of(span));
    uint32_t index = span_index(span), first = bins->first[bin];
    span->prev = 0;
    span->next = first;
    if (first) span_at(first)->prev = index;
    bins->first[bin] = index;
    bins->filled[bin / 64] |= 1ull << bin % 64;
    if (span->flags & FH_SPAN_DIRTY) {
        age_append(span);
        fh_registry.dirty_slices += length_of(span);
    } else {
        __atomic_store_n(&clean_slices, clean_slices + length_of(span), __ATOMIC_RELAXED);
    }
}

static void bin_remove(struct span *span)
{
    struct bins *bins = bins_of(span);
    unsigned bin = bin_of(length_of(span));
    if (span->prev)
        span_at(span->prev)->next = span->next;
    else
        bins->first[bin] = span->next;
    if (span->next) span_at(span->next)->prev = span->prev;
    if (!bins->first[bin]) bins->filled[bin / 64] &= ~(1ull << bin % 64);
    if (span->flags & FH_SPAN_DIRTY) {
        age_remove(span);
        fh_registry.dirty_slices -= length_of(span);
    } else {
        __atomic_store_n(&clean_slices, clean_slices - length_of(span), __ATOMIC_RELAXED);
    }
}

/* The first bin from `bin` on that holds a span, or BINS. */
static unsigned bin_next_filled(const struct bins *bins, unsigned bin)
{
    for (unsigned word = bin / 64; word < WORDS; word++) {
        uint64_t bits = bins->filled[word];
        if (word == bin / 64) bits &= ~0ull << bin % 64;
        if (bits) return word * 64 + base_ctz(bits);
    }
    return BINS;
}

static struct span *bin_search(const struct bins *bins, unsigned bin, size_t slices)
{
    uint32_t index = bins->first[bin];
    for (int step = 0; index && step < SEARCH; step++) {
        struct span *span = span_at(index);
        if (length_of(span) >= slices) return span;
        index = span->next;
    }
    return NULL;
}

static struct span *bins_find(const struct bins *bins, size_t slices)
{
    unsigned bin = bin_of(slices);
    struct span *span = bin_search(bins, bin, slices);
    if (span) return span;
    bin = bin_next_filled(bins, bin + 1);
    return bin < BINS ? span_at(bins->first[bin]) : NULL;
}

/* ---- extent ---------------------------------------------------------------------------------- */

/* Writes the descriptors of a free span: head and tail. */
static void span_set_free(struct span *span, uint32_t slices, uint8_t flags)
{
    STORE(&span->owner, NULL);
    STORE(&span->remote, 0);
    STORE(&span->slices, slices);
    STORE(&span->state, FH_SLAB_NONE);
    span->flags = flags;
    STORE_RELEASE(&span->kind, FH_SPAN_FREE);
    if (slices > 1) {
        struct span *tail = span + slices - 1;
        STORE(&tail->slices, span_index(span));
        STORE_RELEASE(&tail->kind, FH_SPAN_BODY);
    }
}

static bool span_is_free(struct span *span, uint8_t flags)
{
    return LOAD(&span->kind) == FH_SPAN_FREE && span->flags == flags;
}

/* The free span with these flags that ends right before `span`, or NULL. */
static struct span *span_left(struct span *span, uint8_t flags)
{
    uint32_t index = span_index(span);
    if (index == arena.first) return NULL;
    struct span *tail = span - 1, *head = tail;
    if (LOAD(&tail->kind) == FH_SPAN_BODY) {
        uint32_t head_index = length_of(tail);
        if (head_index < arena.first || head_index >= index) return NULL;
        head = span_at(head_index);
    }
    if (!span_is_free(head, flags)) return NULL;
    return span_index(head) + length_of(head) == index ? head : NULL;
}

static struct span *span_right(struct span *span, uint32_t slices, uint8_t flags)
{
    uint32_t index = span_index(span) + slices;
    if (index >= fh_registry.high) return NULL;
    struct span *right = span_at(index);
    return span_is_free(right, flags) ? right : NULL;
}

/* Puts slices that nobody uses into the bins, joined with neighbours in the same condition. */
static void span_insert_free(struct span *span, uint32_t slices, uint8_t flags, uint64_t freed_ms)
{
    struct span *left = span_left(span, flags), *right = span_right(span, slices, flags);
    if (right) {
        bin_remove(right);
        slices += length_of(right);
        STORE(&right->kind, FH_SPAN_NONE);
    }
    if (left) {
        bin_remove(left);
        slices += length_of(left);
        STORE(&span->kind, FH_SPAN_NONE);
        STORE(&span->owner, NULL);
        span = left;
    }
    span_set_free(span, slices, flags);
    STORE(&span->bytes, freed_ms);
    bin_insert(span);
}

/* Takes `slices` from the front of a free span; the rest stays free with its age. */
static void span_split(struct span *span, uint32_t slices)
{
    uint32_t rest = length_of(span) - slices;
    if (rest == 0) return;
    struct span *tail = span + slices;
    span_set_free(tail, rest, span->flags);
    STORE(&tail->bytes, LOAD(&span->bytes));
    bin_insert(tail);
}

/* A free span that leaves the bins for use. */
static struct span *span_take(struct span *span, size_t slices)
{
    bin_remove(span);
    span_split(span, (uint32_t)slices);
    STORE(&span->slices, (uint32_t)slices);
    span->flags = span->flags & FH_SPAN_DIRTY ? 0 : FH_SPAN_ZERO;
    STORE(&span->kind, FH_SPAN_NONE);
    return span;
}

/* Slices that were never used, behind those free ones that are the last in use. */
static struct span *span_take_fresh(size_t slices)
{
    uint32_t high = fh_registry.high;
    struct span *span = span_at(high), *last = span_left(span, 0);
    if (last == NULL) last = span_left(span, FH_SPAN_DIRTY);
    uint32_t have =
        last ? length_of(last) : 0; /* less than asked for, or it would have been found */
    if (NEVER(have >= slices)) return span_take(last, slices);
    uint32_t more = (uint32_t)slices - have;
    if (more > arena.end - high || !arena_commit(high + more)) return NULL;
    bool zero = true;
    if (last) {
        zero = !(last->flags & FH_SPAN_DIRTY);
        bin_remove(last);
        STORE(&last->kind, FH_SPAN_NONE);
        span = last;
    }
    STORE(&span->slices, (uint32_t)slices);
    span->flags = zero ? FH_SPAN_ZERO : 0;
    __atomic_store_n(&fh_registry.high, high + more, __ATOMIC_RELEASE);
    return span;
}

/* A dirty span that is too short, together with the clean one behind it: saves as many page faults as
 * it has pages. The longest dirty spans are tried. */
static struct span *span_take_mixed(size_t slices)
{
    enum { TRIES = 8 };
    int tries = 0;
    if (slices == 1) return NULL;
    for (unsigned bin = bin_of(slices) + 1; bin-- > 0 && tries < TRIES;) {
        for (uint32_t index = dirty_bins.first[bin]; index && tries < TRIES; tries++) {
            struct span *span = span_at(index);
            uint32_t length = length_of(span);
            struct span *right = span_right(span, length, 0);
            index = span->next;
            if (right == NULL || length + length_of(right) < slices) continue;
            bin_remove(span);
            STORE(&span->kind, FH_SPAN_NONE);
            span_take(right, slices - length);
            STORE(&span->slices, (uint32_t)slices);
            span->flags = 0;
            return span;
        }
    }
    return NULL;
}

/* ---- giving back ------------------------------------------------------------------------------ */

/* Returns one free dirty span to the kernel. Called and returns with the lock held, but gives it up
 * for the system call; BUSY keeps everybody else away meanwhile. Returns slices. */
static uint32_t span_purge_one(struct span *span)
{
    uint32_t slices = length_of(span);
    bin_remove(span);
    STORE(&span->kind, FH_SPAN_BUSY);
    busy_spans++;
    lock_give(&arena.lock);
    bool done = os_vm_purge(span_start(span), (size_t)slices << SLICE_SHIFT);
    lock_take(&arena.lock);
    busy_spans--;
    counter_add(&fh_registry.purges, 1);
    if (done) counter_add(&fh_registry.purged_bytes, (int64_t)slices << SLICE_SHIFT);
    span_insert_free(span, slices, done ? 0 : FH_SPAN_DIRTY, os_clock_ms());
    return done ? slices : 0;
}

/* Free memory that may stay resident: half of what is in use, and 1 MiB. Less costs page faults in
 * programs whose large blocks come and go in all sizes; more shows in the peak. */
static bool span_dirty_is_much(void)
{
    size_t in_use = fh_registry.high - arena.first - fh_registry.dirty_slices - clean_slices;
    return fh_registry.dirty_slices > in_use / 2 + 16;
}

/* Fresh memory is about to be taken while much dirty memory lies about that did not fit: give as
 * much of that back, the oldest first, so that the resident size stays near what is in use. */
static void span_pay_debt(size_t slices)
{
    arena.debt += (uint32_t)base_min(slices, UINT32_MAX / 2);
    while (arena.debt >= 16 && age_oldest) {
        uint32_t paid = span_purge_one(span_at(age_oldest));
        if (paid == 0) break;
        arena.debt -= (uint32_t)base_min(paid, arena.debt);
    }
    if (!age_oldest) arena.debt = 0;
}

size_t span_purge(uint64_t age_ms, bool *refused)
{
    size_t total = 0;
    bool stopped = false;
    uint64_t now = os_clock_ms();
    lock_take(&arena.lock);
    while (age_oldest && LOAD(&span_at(age_oldest)->bytes) + age_ms <= now) {
        uint32_t slices = span_purge_one(span_at(age_oldest));
        if (slices == 0) {
            stopped = true;
            break;
        }
        total += slices;
    }
    lock_give(&arena.lock);
    if (refused) *refused = stopped;
    return total << SLICE_SHIFT;
}

/* Not span_purge_one: that takes the lock again when the kernel is done, and a span must not stay BUSY
 * because the lock's next holder stands. */
size_t span_purge_hurried(unsigned wait_ms)
{
    size_t total = 0;
    bool done = true;
    uint64_t start = os_clock_ms();
    while (done && lock_take_within(&arena.lock, wait_ms)) {
        struct span *span = age_oldest ? span_at(age_oldest) : NULL;
        if (span && LOAD(&span->bytes) <= start) {
            uint32_t slices = length_of(span);
            bin_remove(span);
            done = os_vm_purge(span_start(span), (size_t)slices << SLICE_SHIFT);
            counter_add(&fh_registry.purges, 1);
            if (done) total += slices;
            span_insert_free(span, slices, done ? 0 : FH_SPAN_DIRTY, os_clock_ms());
        } else {
            done = false;
        }
        lock_give(&arena.lock);
    }
    counter_add(&fh_registry.purged_bytes, (int64_t)total << SLICE_SHIFT);
    return total << SLICE_SHIFT;
}

uint16_t span_whole_pages(uint16_t pieces)
{
    unsigned count = (unsigned)(base_max(os_page_size(), CARVE_SIZE) >> CARVE_SHIFT);
    uint16_t whole = 0;
    for (unsigned first = 0; first < CARVES; first += count) {
        uint16_t page = (uint16_t)(((1u << count) - 1) << first);
        if ((pieces & page) == page) whole |= page;
    }
    return whole;
}

uint16_t span_purge_pieces(struct span *span, uint16_t pieces)
{
    uint16_t done = 0;
    for (unsigned piece = 0; piece < CARVES;) {
        unsigned end = piece;
        while (end < CARVES && pieces >> end & 1) end++;
        if (end > piece) {
            size_t size = (size_t)(end - piece) << CARVE_SHIFT;
            char *start = span_start(span) + ((size_t)piece << CARVE_SHIFT);
            if (os_vm_purge(start, size)) done |= (uint16_t)((1u << end) - (1u << piece));
        }
        piece = end + 1;
    }
    uint64_t bytes = (uint64_t)__builtin_popcount(done) << CARVE_SHIFT;
    counter_add(&fh_registry.purged_bytes, (int64_t)bytes);
    counter_add(&fh_registry.purges, 1);
    return done;
}

/* ---- the bound --------------------------------------------------------------------------------- */

struct span_bound span_bound = {.limit = UINT32_MAX, .mark = UINT32_MAX};

/* Without the lock the terms are of different moments, and the sum may be below zero. */
uint32_t span_slices_in_use(void)
{
    int64_t high = __atomic_load_n(&fh_registry.high, __ATOMIC_RELAXED), first = arena.first;
    int64_t dirty = (int64_t)__atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED);
    int64_t clean = (int64_t)__atomic_load_n(&clean_slices, __ATOMIC_RELAXED);
    int64_t in_use = high - first - dirty - clean;
    return in_use > 0 ? (uint32_t)in_use : 0;
}

/* What is free and resident counts, so the oldest of it goes back until `more` slices fit. Holds:
 * arena.lock, which is given up meanwhile. */
static bool bound_admits(size_t more)
{
    if (LIKELY(span_bound.limit == UINT32_MAX)) return true;
    while (span_slices_in_use() + fh_registry.dirty_slices + more > span_bound.limit) {
        if (span_slices_in_use() + more > span_bound.limit) return false;
        if (!age_oldest || span_purge_one(span_at(age_oldest)) == 0) break;
    }
    return span_slices_in_use() + more <= span_bound.limit;
}

static bool bound_is_near(void)
{
    return UNLIKELY(span_slices_in_use() >= LOAD(&span_bound.mark)) && span_bound.reached;
}

/* ---- the door ---------------------------------------------------------------------------------- */

static struct span *span_allocate_locked(size_t slices, enum span_use use)
{
    struct span *span = use == DENSE ? bins_find(&dirty_bins, slices) : NULL;
    if (span) return span_take(span, slices);
    if (use == DENSE && (span = span_take_mixed(slices))) return span;
    if (UNLIKELY(age_oldest) && span_dirty_is_much()) span_pay_debt(slices);
    span = bins_find(&clean_bins, slices);
    if (span) return span_take(span, slices);
    span = span_take_fresh(slices);
    if (NEVER(span == NULL) && (span = bins_find(&dirty_bins, slices))) span_take(span, slices);
    return span;
}

static struct span *span_allocate_aligned(size_t slices, size_t align, enum span_use use)
{
    size_t extra = align - 1;
    struct span *span = span_allocate_locked(slices + extra, use);
    while (NEVER(span == NULL && busy_spans > 0)) {
        lock_give(&arena.lock);
        base_pause();
        lock_take(&arena.lock);
        span = span_allocate_locked(slices + extra, use);
    }
    if (UNLIKELY(span && extra)) {
        uint8_t flags = span->flags;
        /* What is cut off keeps its condition: slices that are clean must not count as dirty. */
        uint8_t cut = flags & FH_SPAN_ZERO ? 0 : FH_SPAN_DIRTY;
        uint32_t index = span_index(span);
        uint32_t before =
            (uint32_t)((base_round_up((size_t)span_start(span), align << SLICE_SHIFT) -
                        (size_t)span_start(span)) >>
                       SLICE_SHIFT);
        uint32_t after = (uint32_t)extra - before;
        span = span_at(index + before);
        STORE(&span->slices, (uint32_t)slices);
        span->flags = flags;
        STORE(&span->kind, FH_SPAN_NONE);
        uint64_t now = os_clock_ms();
        if (before) span_insert_free(span_at(index), before, cut, now);
        if (after) span_insert_free(span + slices, after, cut, now);
    }
    return span;
}

struct span *span_allocate(size_t slices, size_t align, enum span_use use)
{
    if (UNLIKELY(slices == 0 || slices >= arena.end || align >= arena.end)) return NULL;
    bool again, admitted, near;
    struct span *span;
    int tries = 0;
    do {
        lock_take(&arena.lock);
        admitted = bound_admits(slices);
        span = LIKELY(admitted) ? span_allocate_aligned(slices, align, use) : NULL;
        near = bound_is_near();
        lock_give(&arena.lock);
        again = UNLIKELY(near || !admitted) && span_bound.reached &&
                span_bound.reached(admitted ? 0 : slices);
    } while (UNLIKELY(again && !admitted && tries++ == 0));
    return span;
}

void span_free(struct span *span)
{
    lock_take(&arena.lock);
    uint32_t slices = length_of(span);
    span_insert_free(span, slices, FH_SPAN_DIRTY, os_clock_ms());
    while (UNLIKELY(slices >= PURGE_NOW) && age_newest &&
           length_of(span_at(age_newest)) >= PURGE_NOW) {
        if (span_purge_one(span_at(age_newest)) == 0) break;
    }
    bool worth = fh_registry.dirty_slices >= PURGER_WORTH;
    lock_give(&arena.lock);
    if (worth) purger_note();
}

void span_free_held(struct span *span)
{
    span_insert_free(span, length_of(span), FH_SPAN_DIRTY, os_clock_ms());
}

void span_free_clean(struct span *span)
{
    lock_take(&arena.lock);
    span_insert_free(span, length_of(span), 0, 0);
    lock_give(&arena.lock);
}

bool span_grow(struct span *span, size_t slices, bool *zero)
{
    lock_take(&arena.lock);
    uint32_t old = length_of(span), more = (uint32_t)slices - old;
    bool grown = false, admitted = bound_admits(more);
    struct span *right = span + old;
    if (UNLIKELY(!admitted)) {
        /* The caller allocates elsewhere, and is refused there. */
    } else if (span_index(right) ==
               fh_registry.high) { /* span itself is in use: nothing free before */
        grown = span_take_fresh(more) != NULL;
        *zero = true;
    } else if (LOAD(&right->kind) == FH_SPAN_FREE && length_of(right) >= more) {
        *zero = !(right->flags & FH_SPAN_DIRTY);
        span_take(right, more);
        grown = true;
    }
    if (grown) STORE(&span->slices, (uint32_t)slices);
    bool near = bound_is_near();
    lock_give(&arena.lock);
    if (UNLIKELY(near)) span_bound.reached(0);
    return grown;
}

void span_shrink(struct span *span, size_t slices, bool untouched)
{
    lock_take(&arena.lock);
    uint32_t old = length_of(span);
    ASSERT(slices < old);
    STORE(&span->slices, (uint32_t)slices);
    uint8_t flags = untouched && span->flags & FH_SPAN_ZERO ? 0 : FH_SPAN_DIRTY;
    span_insert_free(span + slices, old - (uint32_t)slices, flags, os_clock_ms());
    lock_give(&arena.lock);
}

/* ---- from an address to its span ------------------------------------------------------------- */

/* For each power of two the first multiple of it inside gets a BODY that names the head: that is
 * logarithmically many, and span_find meets one of them on its way down from any slice inside. */
void span_mark_body(struct span *span)
{
    uint32_t head = span_index(span), slices = length_of(span);
    for (uint64_t step = 2;; step <<= 1) {
        uint64_t multiple = base_round_up(head, step);
        if (multiple >= (uint64_t)head + slices) break;
        if (multiple == head) continue;
        uint32_t index = (uint32_t)multiple;
        STORE(&span_at(index)->slices, head);
        STORE_RELEASE(&span_at(index)->kind, FH_SPAN_BODY);
    }
}

static bool span_covers(struct span *head, uint32_t index)
{
    uint8_t kind = LOAD_ACQUIRE(&head->kind);
    if (kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS || kind == FH_SPAN_GC_BLOCK)
        return span_index(head) == index;
    if (kind == FH_SPAN_NONE || kind == FH_SPAN_BODY) return false;
    uint32_t start = span_index(head);
    return index >= start && index - start < length_of(head);
}

struct span *span_find(const void *p)
{
    uint32_t index = span_index_of(p);
    if (index < arena.first || index >= __atomic_load_n(&fh_registry.high, __ATOMIC_ACQUIRE))
        return NULL;
    for (uint32_t at = index; at >= arena.first; at &= at - 1) {
        struct span *span = span_at(at);
        if (LOAD_ACQUIRE(&span->kind) == FH_SPAN_BODY) {
            uint32_t head = length_of(span);
            if (head < arena.first || head > index) continue;
            span = span_at(head);
        }
        if (span_covers(span, index)) return span;
    }
    return NULL;
}

void span_each(void (*visit)(struct span *span, void *context), void *context)
{
    uint32_t high = __atomic_load_n(&fh_registry.high, __ATOMIC_ACQUIRE);
    for (uint32_t index = arena.first; index < high;) {
        struct span *span = span_at(index);
        uint8_t kind = LOAD_ACQUIRE(&span->kind);
        uint32_t slices = 1;
        if (kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS) visit(span, context);
        if (kind == FH_SPAN_LARGE || kind == FH_SPAN_FREE || kind == FH_SPAN_GC_LARGE)
            slices = length_of(span);
        if (kind == FH_SPAN_LARGE) visit(span, context);
        index += slices ? slices : 1;
    }
}

void span_fork_prepare(void)
{
    lock_take(&arena.lock);
}

void span_fork_parent(void)
{
    lock_give(&arena.lock);
}

void span_fork_child(void)
{
    lock_reset(&arena.lock);
    busy_spans = 0; /* whoever was at it does not exist here */
}
