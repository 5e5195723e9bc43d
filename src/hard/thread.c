/* See thread.h. */
#include <string.h>

#include "hard/central.h"
#include "hard/registry.h"
#include "hard/reuse.h"
#include "hard/thread.h"
#include "os/os.h"

struct hard_thread hard_none;
_Thread_local struct hard_thread *hard_self __attribute__((tls_model("initial-exec"))) = &hard_none;
struct hard_thread *hard_threads;
bool hard_threads_vanished;
void (*hard_attached)(struct hard_thread *thread);

static struct lock threads_lock;
static struct hard_thread *threads_idle;
static uint32_t threads_live, threads_made;

/* ---- threads come and go ------------------------------------------------------------------------------ */

static struct hard_thread *thread_make(void)
{
    struct hard_thread *thread = space_record(sizeof *thread);
    if (thread == NULL) return NULL;
    thread->number = ++threads_made;
    thread->next = hard_threads;
    __atomic_store_n(&hard_threads, thread, __ATOMIC_RELEASE);
    hard_registry_thread(threads_made);
    return thread;
}

static struct hard_thread *thread_get(void)
{
    lock_take(&threads_lock);
    struct hard_thread *thread = threads_idle;
    if (thread)
        threads_idle = thread->next_idle;
    else
        thread = thread_make();
    if (thread) {
        thread->live = true;
        threads_live++;
        if (threads_live > LOAD((_Atomic uint32_t *)&fh_registry.threads_peak))
            __atomic_store_n(&fh_registry.threads_peak, threads_live, __ATOMIC_RELAXED);
    }
    lock_give(&threads_lock);
    return thread;
}

struct hard_thread *hard_attach(void)
{
    if (hard_self != &hard_none) return hard_self;
    struct hard_thread *thread = thread_get();
    if (thread == NULL) return NULL;
    thread->id = os_thread_id();
    thread->random.left = 0;
    hard_sample_next(thread);
    hard_self = thread;
    if (hard_attached) hard_attached(thread);
    return thread;
}

/* Until the nearest of what is due next. */
static void turn_begin(struct hard_thread *thread)
{
    int32_t turn = (int32_t)base_min((size_t)thread->sample_wait, (size_t)thread->verify_wait);
    thread->sample_left = turn;
    thread->sample_wait -= turn;
    thread->verify_wait -= turn;
}

void hard_sample_next(struct hard_thread *thread)
{
    uint32_t rate = hard.measures.sample, every = hard.measures.verify_every;
    thread->verify_wait = every ? (int32_t)every : INT32_MAX;
    thread->sample_wait = INT32_MAX;
    if (rate)
        thread->sample_wait = (int32_t)(1 + random_64(&thread->random) % (2 * (uint64_t)rate - 1));
    turn_begin(thread);
}

bool hard_sample_due(struct hard_thread *thread, bool *verify)
{
    uint32_t rate = hard.measures.sample, every = hard.measures.verify_every;
    bool sample = rate && thread->sample_wait == 0;
    *verify = every && thread->verify_wait == 0;
    if (thread->verify_wait == 0) thread->verify_wait = every ? (int32_t)every : INT32_MAX;
    if (thread->sample_wait == 0) thread->sample_wait = INT32_MAX;
    if (sample)
        thread->sample_wait = (int32_t)(1 + random_64(&thread->random) % (2 * (uint64_t)rate - 1));
    turn_begin(thread);
    return sample;
}

static void thread_put(struct hard_thread *thread)
{
    lock_take(&threads_lock);
    thread->live = false;
    thread->next_idle = threads_idle;
    threads_idle = thread;
    threads_live--;
    lock_give(&threads_lock);
}

void hard_thread_end(struct hard_thread *thread)
{
    hard_flush(thread, true);
    reuse_thread_end();
    if (hard_self == thread) hard_self = &hard_none;
    thread_put(thread);
}

uint32_t hard_thread_count(void)
{
    return __atomic_load_n(&threads_made, __ATOMIC_RELAXED);
}

/* ---- its few slots ------------------------------------------------------------------------------------- */

/* A thread of before a fork may have been in the middle of anything: only what the words say too. */
static unsigned cache_true(struct cache *cache, unsigned most)
{
    struct slot slot;
    unsigned n = 0;
    for (unsigned i = 0; i < base_min(cache->count, most); i++) {
        bool found = hard_slot_find((void *)cache->slot[i], &slot);
        unsigned state = found ? hard_state(LOAD(slot.word)) : SLOT_LIVE;
        if (state == SLOT_CACHED || state == SLOT_QUARANTINED) cache->slot[n++] = cache->slot[i];
    }
    return n;
}

static void cache_flush(struct hard_thread *thread, const struct region *region)
{
    struct cache *cache = cache_of(thread, region);
    if (cache->count == 0) return;
    unsigned count = cache_true(cache, 2u * region->window);
    cache->count = 0;
    if (count) central_give(region, cache->slot, count);
}

/* Those that came first are the coldest. */
void cache_overflow(const struct region *region, struct cache *cache, uintptr_t start)
{
    unsigned some = region->window;
    if (some == 0) {
        central_give(region, &start, 1);
        return;
    }
    central_give(region, cache->slot, some);
    cache->count -= some;
    memmove(cache->slot, cache->slot + some, cache->count * sizeof *cache->slot);
    cache->slot[cache->count++] = start;
}

/* ---- quarantine ------------------------------------------------------------------------------------------ */

enum { REGION_SHIFT = 48 };

static void quarantine_end(struct hard_thread *thread, uintptr_t entry)
{
    uintptr_t start = entry & (((uintptr_t)1 << REGION_SHIFT) - 1);
    const struct region *region = &hard.region[entry >> REGION_SHIFT];
    thread->quarantine.bytes -= region->size;
    if (LIKELY(!hard.measures.reuse)) {
        cache_put(thread, region, start);
        return;
    }
    slot_word *word;
    CHECK(slot_locate(start, region, &word));
    reuse_add(start, word, region->size);
}

static void quarantine_end_first(struct hard_thread *thread)
{
    struct quarantine *q = &thread->quarantine;
    quarantine_end(thread, q->queue[q->head]);
    q->head = (q->head + 1) % QUARANTINE_QUEUE;
}

void quarantine_put(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    struct quarantine *q = &thread->quarantine;
    q->bytes += region->size;
    uintptr_t *place = &q->shuffle[random_byte(&thread->random) % QUARANTINE_SHUFFLE], out = *place;
    *place = start | (uintptr_t)region_number(region) << REGION_SHIFT;
    if (out) {
        if ((q->tail + 1) % QUARANTINE_QUEUE == q->head) quarantine_end_first(thread);
        q->queue[q->tail] = out;
        q->tail = (q->tail + 1) % QUARANTINE_QUEUE;
    }
    while (q->bytes > hard.measures.quarantine && q->head != q->tail) quarantine_end_first(thread);
}

static void quarantine_flush(struct hard_thread *thread)
{
    struct quarantine *q = &thread->quarantine;
    for (unsigned i = 0; i < QUARANTINE_SHUFFLE; i++) {
        uintptr_t entry = q->shuffle[i];
        q->shuffle[i] = 0;
        if (entry) quarantine_end(thread, entry);
    }
    while (q->head != q->tail) quarantine_end_first(thread);
}

void hard_flush(struct hard_thread *thread, bool all)
{
    if (thread == &hard_none) return;
    if (all) quarantine_flush(thread);
    for (unsigned i = 0; i < HARD_LARGE_FIRST; i++) cache_flush(thread, &hard.region[i]);
}

/* ---- fork -------------------------------------------------------------------------------------------------- */

void hard_thread_fork_prepare(void)
{
    lock_take(&threads_lock);
}

void hard_thread_fork_parent(void)
{
    lock_give(&threads_lock);
}

/* What threads that are not there had in quarantine stays there: they may have been in the middle of it. */
void hard_thread_fork_child(void)
{
    lock_reset(&threads_lock);
    hard_self->random.left = 0;
    for (struct hard_thread *t = hard_threads; t; t = t->next) {
        if (t == hard_self || !t->live) continue;
        hard_threads_vanished = true;
        hard_flush(t, false);
        memset(&t->quarantine, 0, sizeof t->quarantine);
        thread_put(t);
    }
}
