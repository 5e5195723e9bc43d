/*
 * Many threads over one heap:
 *
 *     stress_test THREADS ROUNDS SEED
 *
 * Each worker allocates, writes a pattern, and puts the block into a random box of a table that all
 * share; what it finds there it checks and frees, whoever allocated it. So most frees are remote, to
 * owners that are busy, asleep or gone: workers end after a while and new ones take their place.
 * Meanwhile one thread trims, plays the purger, counts and describes.
 *
 * What could break: two threads that get one block; a block lost between a thread's lists and its
 * slab; a page given back while somebody writes to it; a slab that changes its owner while a chain
 * of frees travels to the old one. Where the public API is all there is (the shared library) the
 * helper thread does the purging, with the shortest delay.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"
#include "kit/options.h"
#include "kit/pattern.h"
#include "kit/random.h"
#include "model/claim.h"

#ifdef STRESS_INSIDE
#include "heap/heap.h"
#include "span/span.h"
#endif

enum {
    BOXES = 512,
    LIFE = 20000, /* steps of a worker's life */
    WORKERS_MAX = 64,
    HOARD = 64, /* blocks that a worker keeps to itself and leaves in boxes at its end */
};

struct parcel {
    char *p;
    size_t size;
    size_t usable;
    uint64_t seed;
};

struct box {
    pthread_mutex_t lock;
    struct parcel parcel;
};

static struct box box[BOXES];
static _Atomic bool finished;
static _Atomic unsigned long made;

/* Who counts or describes looks at a moving picture, and takes what it reads for a hint: also the
 * words of blocks that their threads are writing. ThreadSanitizer is told so where it happens, by a
 * call: a suppression is a function's name, and matches nothing where llvm-symbolizer is missing. */
#if KIT_THREAD_SANITIZER
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define HINTS_BEGIN() AnnotateIgnoreReadsBegin(__FILE__, __LINE__)
#define HINTS_END() AnnotateIgnoreReadsEnd(__FILE__, __LINE__)
#else
#define HINTS_BEGIN() ((void)0)
#define HINTS_END() ((void)0)
#endif

static void usage_get(struct fh_usage *usage)
{
    HINTS_BEGIN();
    fh_usage_get(usage);
    HINTS_END();
}

static void describe_anywhere(struct random *random)
{
    struct fh_description d;
    uint64_t length = fh_registry.limit - fh_registry.base;
    HINTS_BEGIN();
    for (int i = 0; i < 100; i++)
        fh_describe((char *)fh_registry.base + random_next(random) % length, &d);
    HINTS_END();
}

/* ---- blocks -------------------------------------------------------------------------------------- */

static char *allocate_somehow(struct random *random, size_t size, size_t *alignment)
{
    *alignment = 16;
    switch (random_below(random, 8)) {
    case 0: {
        char *p = fh_calloc(1, size);
        if (p) pattern_expect_zero(p, size);
        return p;
    }
    case 1:
        *alignment = (size_t)16 << random_below(random, 9);
        return fh_aligned_alloc(*alignment, size);
    case 2: return fh_realloc(fh_malloc(size / 2 + 1), size + 1);
    default: return fh_malloc(size);
    }
}

static struct parcel parcel_make(struct random *random)
{
    size_t max = random_chance(random, 512) ? 2 << 20 : random_chance(random, 16) ? 40000 : 1500;
    size_t size = random_size(random, max), alignment;
    struct parcel parcel = {allocate_somehow(random, size, &alignment), size, 0,
                            random_next(random)};
    EXPECT(parcel.p != NULL, "no memory for %zu bytes", size);
    EXPECT(((uintptr_t)parcel.p & (alignment - 1)) == 0, "%p for alignment %zu", (void *)parcel.p,
           alignment);
    parcel.usable = fh_malloc_usable_size(parcel.p);
    claim_take(parcel.p, parcel.usable);
    pattern_write(parcel.p, size, parcel.seed);
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return parcel;
}

static void parcel_end(struct parcel parcel)
{
    if (parcel.p == NULL) return;
    pattern_expect(parcel.p, parcel.size, parcel.size, parcel.seed);
    claim_give(parcel.p, parcel.usable);
    fh_free(parcel.p);
}

/* Grows or shrinks; other threads' blocks may lie right behind. */
static void parcel_change(struct random *random, struct parcel *parcel)
{
    if (parcel->p == NULL) return;
    size_t size = random_size(random, parcel->size * 2 + 16) + 1;
    size_t keep = size < parcel->size ? size : parcel->size;
    claim_give(parcel->p, parcel->usable);
    parcel->p = fh_realloc(parcel->p, size);
    EXPECT(parcel->p != NULL, "no memory for %zu bytes", size);
    pattern_expect(parcel->p, keep, parcel->size, parcel->seed);
    parcel->size = size;
    parcel->usable = fh_malloc_usable_size(parcel->p);
    claim_take(parcel->p, parcel->usable);
    pattern_write(parcel->p, size, parcel->seed);
}

static struct parcel box_exchange(struct random *random, struct parcel parcel)
{
    struct box *b = &box[random_below(random, BOXES)];
    pthread_mutex_lock(&b->lock);
    struct parcel found = b->parcel;
    b->parcel = parcel;
    pthread_mutex_unlock(&b->lock);
    return found;
}

/* ---- threads ---------------------------------------------------------------------------------------- */

static void *work(void *argument)
{
    struct random random = {*(uint64_t *)argument};
    struct parcel hoard[HOARD] = {{0}};
    for (int step = 0; step < LIFE; step++) {
        struct parcel *own = &hoard[random_below(&random, HOARD)];
        switch (random_below(&random, 8)) {
        case 0:
        case 1:
        case 2:
            parcel_end(*own);
            *own = parcel_make(&random);
            break;
        case 3: parcel_change(&random, own); break;
        case 4: *own = box_exchange(&random, *own); break;
        default: parcel_end(box_exchange(&random, parcel_make(&random)));
        }
    }
    /* Half of what it hoards outlives it, in its own slabs. */
    for (int i = 0; i < HOARD; i++) parcel_end(i % 2 ? hoard[i] : box_exchange(&random, hoard[i]));
    return NULL;
}

/* What the helper thread does of itself; here so that it happens all the time, and under TSan. */
static void play_purger(struct random *random)
{
#ifdef STRESS_INSIDE
    heap_sweep(random_chance(random, 2));
    span_purge(random_below(random, 2), NULL);
#else
    (void)random;
#endif
}

static void *disturb(void *argument)
{
    struct random random = {*(uint64_t *)argument};
    while (!atomic_load(&finished)) {
        struct fh_usage usage;
        switch (random_below(&random, 16)) {
        case 0: fh_malloc_trim(0); break;
        case 1: usage_get(&usage); break;
        case 2: describe_anywhere(&random); break;
        case 3: fh_free(fh_malloc(random_size(&random, 100000))); break;
        default: play_purger(&random);
        }
    }
    return NULL;
}

static pthread_t start(void *(*body)(void *), uint64_t *seed)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, seed) == 0, "no thread");
    return thread;
}

/* `rounds` generations; in each, worker i is awaited and followed by a new one, in turn. */
static void run(unsigned threads, unsigned rounds, struct random *random)
{
    static uint64_t seed[WORKERS_MAX + 1];
    pthread_t worker[WORKERS_MAX];
    seed[threads] = random_next(random);
    pthread_t disturber = start(disturb, &seed[threads]);
    for (unsigned round = 0; round <= rounds; round++) {
        for (unsigned i = 0; i < threads; i++) {
            if (round > 0) pthread_join(worker[i], NULL);
            if (round == rounds) continue;
            seed[i] = random_next(random);
            worker[i] = start(work, &seed[i]);
        }
    }
    atomic_store(&finished, true);
    pthread_join(disturber, NULL);
}

/* All blocks are freed; live is only what other users of the heap hold: nobody if the program's own
 * malloc is another, else libc, which keeps a few records for the stacks of threads it caches. */
static void expect_nothing_live(uint64_t live_before)
{
#ifdef STRESS_INSIDE
    uint64_t others = 0;
#else
    uint64_t others = 64 << 10;
#endif
    struct fh_usage usage;
    fh_malloc_trim(0);
    fh_usage_get(&usage);
    EXPECT(usage.live <= live_before + others, "%llu bytes live at the end, %llu before",
           (unsigned long long)usage.live, (unsigned long long)live_before);
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 4;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 10;
    struct random random = {random_seed_argument(argc, argv, 3)};
    EXPECT(threads > 0 && threads <= WORKERS_MAX, "1 to %d threads", WORKERS_MAX);
    if (!KIT_THREAD_SANITIZER) fh_option_set("purge_delay", "10");
    fh_free(fh_malloc(1));
    claim_init();
    for (int i = 0; i < BOXES; i++) pthread_mutex_init(&box[i].lock, NULL);

    struct fh_usage before;
    fh_usage_get(&before);
    run(threads, rounds, &random);
    for (int i = 0; i < BOXES; i++) parcel_end(box[i].parcel);
    expect_nothing_live(before.live);
    printf("%lu blocks\n", atomic_load(&made));
    return 0;
}
