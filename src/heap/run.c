/*
 * Blocks of 8 to 64 KiB: runs of granules of 1 KiB in slices that all threads and sizes share.
 *
 * A program holds few such blocks of any one size. Slabs by class and thread would hold on to what
 * each class once needed; here what one size frees, the next uses, and neighbours join at once,
 * because the free granules of a slice are a word of 64 bits:
 *
 *     free   00000000 00001111 11111111 00000000 ...    bit per granule   (span->bytes)
 *     start  10000000 01000000 00000000 10000000 ...    first of a block  (span->free)
 *
 * A run is searched by bit shifts. Slices are binned by their longest free run, and the tightest
 * bin that fits is taken, the last changed first.
 *
 * The slices are divided among four shards, each with a lock that is held for some tens of
 * nanoseconds. Nobody waits for one if that can be helped, since its holder may have lost the
 * processor: an allocation goes to the next shard, a free is left on a list of the shard for whoever
 * holds its lock next.
 *
 * No metadata lies in the blocks, so free pages of a slice are given back whenever the purger comes.
 */
#include "event/counter.h"
#include "heap/slab.h"
#include "os/os.h"
#include "span/purger.h"

#define GRANULE_SHIFT FH_GRANULE_SHIFT
#define GRANULES 64u

static_assert(SLICE_SIZE >> GRANULE_SHIFT == GRANULES, "a word of bits describes a slice");

struct shard {
    struct lock lock;
    struct block *_Atomic deferred; /* freed while the lock was held */
    uint64_t filled;                /* bit n - 1: bin n holds a slice */
    uint32_t first[GRANULES + 1];   /* by longest free run; 0: full slices are in no bin */
} __attribute__((aligned(64)));

static struct shard shards[FH_RUN_SHARDS];

/* ---- bits ------------------------------------------------------------------------------------- */

/* The bits from which `n` set bits follow. Doubling: a run of 2k starts where two runs of k meet. */
static uint64_t run_starts(uint64_t bits, unsigned n)
{
    unsigned have = 1;
    while (have < n && bits) {
        unsigned step = have <= n - have ? have : n - have;
        bits &= bits >> step;
        have += step;
    }
    return bits;
}

/* Doubles until nothing is left, then adds what still fits in halves: twelve steps at most. */
static unsigned run_longest(uint64_t bits)
{
    uint64_t level[7] = {bits}; /* level[k]: where runs of 2^k start */
    if (bits == 0) return 0;
    unsigned k = 0;
    while (k < 6 && (level[k + 1] = level[k] & level[k] >> (1u << k)) != 0) k++;
    uint64_t found = level[k];
    unsigned length = 1u << k;
    while (k-- > 0) {
        uint64_t longer = length < GRANULES ? found & level[k] >> length : 0;
        if (longer == 0) continue;
        found = longer;
        length += 1u << k;
    }
    return length;
}

static uint64_t run_mask(unsigned from, unsigned n)
{
    return (n == GRANULES ? ~0ull : (1ull << n) - 1) << from;
}

/* Every align-th bit. */
static uint64_t aligned_bits(unsigned align)
{
    uint64_t bits = 1;
    for (unsigned at = align; at < GRANULES; at <<= 1) bits |= bits << at;
    return bits;
}

static uint64_t run_free(struct span *span)
{
    return LOAD(&span->bytes);
}

static uint64_t run_begins(struct span *span)
{
    return (uint64_t)(uintptr_t)LOAD(&span->free);
}

/* Length of the block that starts at granule `from`: up to the next start or free granule. A block
 * behind it may be coming or going meanwhile. Its start is set before its granules cease to be free,
 * and they are free before its start is cleared; so one of the three looks sees where it begins. */
static unsigned run_length(struct span *span, unsigned from)
{
    uint64_t ends = LOAD_ACQUIRE(&span->bytes);
    ends |= (uint64_t)(uintptr_t)LOAD_ACQUIRE(&span->free);
    ends |= run_free(span);
    uint64_t beyond = from + 1 < GRANULES ? ends >> (from + 1) : 0;
    return beyond ? 1 + base_ctz(beyond) : GRANULES - from;
}

/* ---- bins; hold: the shard's lock ------------------------------------------------------------------------ */

static void run_bin_insert(struct span *span, unsigned bin)
{
    span->size_class = (uint8_t)bin;
    if (bin == 0) return;
    struct shard *shard = &shards[span->shard];
    uint32_t index = span_index(span);
    span->prev = 0;
    span->next = shard->first[bin];
    if (span->next) span_at(span->next)->prev = index;
    shard->first[bin] = index;
    shard->filled |= 1ull << (bin - 1);
}

static void run_bin_remove(struct span *span)
{
    unsigned bin = span->size_class;
    if (bin == 0) return;
    struct shard *shard = &shards[span->shard];
    if (span->prev)
        span_at(span->prev)->next = span->next;
    else
        shard->first[bin] = span->next;
    if (span->next) span_at(span->next)->prev = span->prev;
    if (shard->first[bin] == 0) shard->filled &= ~(1ull << (bin - 1));
}

/* Its free granules changed. The bin it is in is kept in size_class. */
static void run_bin_move(struct span *span)
{
    unsigned bin = run_longest(run_free(span));
    if (bin == span->size_class) return;
    run_bin_remove(span);
    run_bin_insert(span, bin);
}

/* ---- free -------------------------------------------------------------------------------------- */

static unsigned granule_of(const struct span *span, const void *p)
{
    return (unsigned)(((const char *)p - span_start(span)) >> GRANULE_SHIFT);
}

static bool granule_starts(struct span *span, const void *p)
{
    bool exact = ((uintptr_t)p & ((1u << GRANULE_SHIFT) - 1)) == 0;
    return exact && run_begins(span) >> granule_of(span, p) & 1;
}

/* Nothing is left in the slice. Holds: the shard's lock. */
static void run_slice_release(struct span *span)
{
    run_bin_remove(span);
    counter_add(&fh_registry.runs, -1);
    STORE(&span->free, NULL);
    if (span->clean == UINT16_MAX)
        span_free_clean(span);
    else
        span_free(span);
}

/* Gives granules back; the slice too if nothing is left in it, unless it is the only empty one: where
 * blocks come and go, the next would ask for it again. Holds: the shard's lock. */
static void run_release(struct span *span, unsigned from, unsigned n)
{
    uint64_t left = run_free(span) | run_mask(from, n);
    STORE(&span->bytes, left);
    if (left != ~0ull || shards[span->shard].first[GRANULES] == 0) {
        run_bin_move(span);
        return;
    }
    run_slice_release(span);
}

/* Frees a live block. Holds: the shard's lock. */
static bool run_free_locked(struct span *span, void *p)
{
    if (LOAD(&span->kind) != FH_SPAN_RUNS || !granule_starts(span, p)) return false;
    unsigned from = granule_of(span, p), n = run_length(span, from);
    uint64_t begins = run_begins(span) & ~(1ull << from);
    counter_add_locked(&fh_registry.run_shard[span->shard].bytes, -((int64_t)n << GRANULE_SHIFT));
    STORE(&span->bytes, run_free(span) | run_mask(from, n));
    STORE_RELEASE(&span->free, (void *)(uintptr_t)begins); /* see run_length */
    run_release(span, from, n);
    return true;
}

/* Frees what others had to leave. Holds: the lock. */
static void shard_catch_up(struct shard *shard)
{
    if (LIKELY(LOAD(&shard->deferred) == NULL)) return;
    struct block *block = atomic_exchange_explicit(&shard->deferred, NULL, memory_order_acquire);
    while (block) {
        struct block *next = LOAD(&block->next);
        if (!run_free_locked(span_at(span_index_of(block)), block)) {
            heap_config.bad_pointer("free", block);
            return; /* freed twice: the chain may be a circle */
        }
        block = next;
    }
}

static void shard_lock(struct shard *shard)
{
    lock_take(&shard->lock);
    shard_catch_up(shard);
}

/* The shard of this thread, or another if that one is taken. */
static struct shard *shard_lock_any(void)
{
    unsigned mine = heap_self->id % FH_RUN_SHARDS;
    for (unsigned i = 0; i < FH_RUN_SHARDS; i++) {
        struct shard *shard = &shards[(mine + i) % FH_RUN_SHARDS];
        if (!lock_try(&shard->lock)) continue;
        shard_catch_up(shard);
        return shard;
    }
    shard_lock(&shards[mine]);
    return &shards[mine];
}

/* Release: pairs with the acquire in shard_catch_up. */
static void shard_defer(struct shard *shard, struct block *block)
{
    struct block *first = LOAD(&shard->deferred);
    do STORE(&block->next, first);
    while (!atomic_compare_exchange_weak_explicit(&shard->deferred, &first, block,
                                                  memory_order_release, memory_order_relaxed));
}

bool run_free_block(struct span *span, void *p)
{
    if (!granule_starts(span, p)) return false;
    struct shard *shard = &shards[span->shard];
    if (UNLIKELY(!lock_try(&shard->lock))) {
        shard_defer(shard, p);
        return true;
    }
    shard_catch_up(shard);
    bool live = run_free_locked(span, p);
    lock_give(&shard->lock);
    if (__atomic_load_n(&fh_registry.runs, __ATOMIC_RELAXED) >= PURGER_WORTH) purger_note();
    return live;
}

/* ---- allocation ----------------------------------------------------------------------------------- */

static struct span *run_slice_create(struct shard *shard)
{
    struct span *span = span_allocate(1, 1, DENSE);
    if (span == NULL) return NULL;
    span->clean = span->flags & FH_SPAN_ZERO ? UINT16_MAX : 0;
    span->uncarved = 0;
    span->size_class = 0; /* in no bin yet */
    __atomic_store_n(&span->shard, (uint16_t)(shard - shards), __ATOMIC_RELAXED);
    STORE(&span->remote, 0);
    STORE(&span->owner, NULL);
    STORE(&span->free, NULL);
    STORE(&span->bytes, ~0ull);
    STORE_RELEASE(&span->kind, FH_SPAN_RUNS);
    counter_add(&fh_registry.runs, 1);
    return span;
}

/* The slice with the tightest fit, out of its bin, and where in it; a new one if there is none. */
static struct span *run_find(struct shard *shard, unsigned n, uint64_t allowed, unsigned *from)
{
    for (uint64_t bins = shard->filled & ~0ull << (n - 1); bins; bins &= bins - 1) {
        struct span *span = span_at(shard->first[base_ctz(bins) + 1]);
        uint64_t starts = run_starts(run_free(span), n) & allowed;
        if (starts == 0) continue; /* long enough, but not aligned */
        *from = base_ctz(starts);
        return span;
    }
    *from = 0;
    return run_slice_create(shard);
}

static uint16_t run_pieces(unsigned from, unsigned n)
{
    unsigned first = from >> (CARVE_SHIFT - GRANULE_SHIFT);
    unsigned last = (from + n - 1) >> (CARVE_SHIFT - GRANULE_SHIFT);
    return (uint16_t)((2u << last) - (1u << first));
}

void *run_allocate(size_t size, size_t alignment, bool *zeroed)
{
    unsigned n = (unsigned)((size + (1u << GRANULE_SHIFT) - 1) >> GRANULE_SHIFT), from;
    unsigned align = (unsigned)base_max(alignment >> GRANULE_SHIFT, 1);
    struct shard *shard = shard_lock_any();
    struct span *span = run_find(shard, n, align == 1 ? ~0ull : aligned_bits(align), &from);
    if (span) {
        STORE(&span->free, (void *)(uintptr_t)(run_begins(span) | 1ull << from));
        STORE_RELEASE(&span->bytes, run_free(span) & ~run_mask(from, n)); /* see run_length */
        uint16_t pieces = run_pieces(from, n);
        *zeroed = (span->clean & pieces) == pieces;
        span->clean &= (uint16_t)~pieces;
        run_bin_move(span);
        struct fh_run_shard *count = &fh_registry.run_shard[shard - shards];
        counter_add_locked(&count->bytes, (int64_t)n << GRANULE_SHIFT);
        counter_add_locked(&count->allocated, 1);
        counter_add_locked(&count->allocated_bytes, (int64_t)n << GRANULE_SHIFT);
    }
    lock_give(&shard->lock);
    if (span == NULL) return NULL;
    return block_unmark(span_start(span) + ((size_t)from << GRANULE_SHIFT), *zeroed);
}

/* ---- size, resize, describe ------------------------------------------------------------------------------ */

size_t run_usable_size(struct span *span, const void *p)
{
    if (!granule_starts(span, p)) return 0;
    return (size_t)run_length(span, granule_of(span, p)) << GRANULE_SHIFT;
}

/* Shrinks or grows a block where it is. */
bool run_resize(struct span *span, void *p, size_t size)
{
    unsigned want = (unsigned)((size + (1u << GRANULE_SHIFT) - 1) >> GRANULE_SHIFT);
    unsigned from = granule_of(span, p);
    struct shard *shard = &shards[span->shard];
    shard_lock(shard);
    unsigned have = run_length(span, from);
    bool done = from + want <= GRANULES;
    if (done && want > have) {
        uint64_t more = run_mask(from + have, want - have);
        done = (run_free(span) & more) == more;
        if (done) {
            STORE(&span->bytes, run_free(span) & ~more);
            span->clean &= (uint16_t)~run_pieces(from, want);
            run_bin_move(span);
        }
    } else if (done && want < have) {
        run_release(span, from + want, have - want);
    }
    int64_t change = ((int64_t)want - (int64_t)have) * (1 << GRANULE_SHIFT);
    if (done) counter_add_locked(&fh_registry.run_shard[span->shard].bytes, change);
    lock_give(&shard->lock);
    return done;
}

void run_describe(struct span *span, const void *p, const char **start, size_t *size, bool *live)
{
    uint64_t free_granules = run_free(span), begins = run_begins(span);
    unsigned at = granule_of(span, p), from = at;
    *live = !(free_granules >> at & 1);
    while (from > 0 && (*live ? !(begins >> from & 1) : free_granules >> (from - 1) & 1)) from--;
    unsigned end = at + 1;
    while (*live == false && end < GRANULES && free_granules >> end & 1) end++;
    if (*live) end = from + run_length(span, from);
    *start = span_start(span) + ((size_t)from << GRANULE_SHIFT);
    *size = (size_t)(end - from) << GRANULE_SHIFT;
}

/* ---- the purger's visit ------------------------------------------------------------------------------ */

/* Whole pages, as 4 KiB pieces, of which all granules are free and which may be resident. */
static uint16_t run_idle_pieces(struct span *span)
{
    uint64_t quads = run_starts(run_free(span), 4) & aligned_bits(4);
    uint16_t pieces = 0;
    for (unsigned piece = 0; piece < CARVES; piece++)
        if (quads >> (4 * piece) & 1) pieces |= (uint16_t)(1u << piece);
    return span_whole_pages(pieces) & (uint16_t)~span_whole_pages(span->clean);
}

/* Under the shard's lock, so that nobody takes the granules meanwhile. */
size_t run_sweep(struct span *span, bool force, bool *more)
{
    size_t bytes = 0;
    /* A hint until the lock is held: the slice may be coming or going. */
    unsigned index = __atomic_load_n(&span->shard, __ATOMIC_RELAXED) % FH_RUN_SHARDS;
    struct shard *shard = &shards[index];
    shard_lock(shard);
    if (LOAD(&span->kind) == FH_SPAN_RUNS &&
        __atomic_load_n(&span->shard, __ATOMIC_RELAXED) == index) {
        uint16_t pieces = run_idle_pieces(span);
        /* Left alone since the last visit: the same granules were free then. */
        bool alone = force || span->uncarved == pieces;
        span->uncarved = pieces;
        if (pieces && !alone) *more = true;
        if (pieces && alone) {
            uint16_t done = span_purge_pieces(span, pieces);
            span->clean |= done;
            bytes = (size_t)__builtin_popcount(done) << CARVE_SHIFT;
        }
        if (alone && run_free(span) == ~0ull) run_slice_release(span);
    }
    lock_give(&shard->lock);
    return bytes;
}

bool run_sweep_hurried(struct span *span, unsigned wait_ms)
{
    unsigned index = __atomic_load_n(&span->shard, __ATOMIC_RELAXED) % FH_RUN_SHARDS;
    if (!lock_take_within(&shards[index].lock, wait_ms)) return false;
    if (LOAD(&span->kind) == FH_SPAN_RUNS &&
        __atomic_load_n(&span->shard, __ATOMIC_RELAXED) == index) {
        uint16_t pieces = run_idle_pieces(span);
        if (pieces) span->clean |= span_purge_pieces(span, pieces);
    }
    lock_give(&shards[index].lock);
    return true;
}

void run_fork_prepare(void)
{
    for (int i = 0; i < FH_RUN_SHARDS; i++) lock_take(&shards[i].lock);
}

void run_fork_parent(void)
{
    for (int i = 0; i < FH_RUN_SHARDS; i++) lock_give(&shards[i].lock);
}

void run_fork_child(void)
{
    for (int i = 0; i < FH_RUN_SHARDS; i++) lock_reset(&shards[i].lock);
}
