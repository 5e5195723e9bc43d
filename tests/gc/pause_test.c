/*
 * Pauses and utilisation. What could break: a thread's pause is noted twice, or for all threads at once, or
 * not at all; a thread that held nobody up has one; the program's own time counts as one.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct fh_gc_heap *heap;

static struct fh_gc_stats stats_of(struct fh_gc_heap *of)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(of, &stats);
    return stats;
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- one thread --------------------------------------------------------------------------------------------- */

/* What was left of a window by pauses of this length altogether; rounding and a slot may take 12 from it. */
static uint32_t left_of(uint64_t window_ns, uint64_t paused_ns)
{
    uint64_t left = paused_ns < window_ns ? 1000 - paused_ns * 1000 / window_ns : 0;
    return left > 12 ? (uint32_t)left - 12 : 0;
}

static void test_pause__a_collection_is_one(void **state)
{
    static const uint64_t window_ns[] = {1000000, 10000000, 100000000};
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        struct node *list = list_new(heap, 20000);
        fh_gc_stats_reset(heap);
        struct fh_gc_stats stats = stats_of(heap);
        assert_int_equal(stats.pauses.count, 0);
        for (unsigned w = 0; w < 3; w++) assert_int_equal(stats.utilisation_permille[w], 1000);
        uint64_t start = now_ns();
        for (int i = 0; i < 3; i++) collect(heap);
        uint64_t took = now_ns() - start;
        stats = stats_of(heap);
        assert_in_range(stats.pauses.count, 3, policies[p] >= FH_GC_CONCURRENT ? 60 : 3);
        assert_in_range(stats.pauses.total_ns, 1, took);
        assert_true(stats.pauses.max_ns <= stats.pauses.total_ns);
        for (unsigned w = 0; w < 3; w++)
            assert_in_range(stats.utilisation_permille[w], left_of(window_ns[w], took), 1000);
        assert_int_equal(stats.mutator_utilisation_permille, stats.utilisation_permille[1]);
        /* The longest alone bounds it from above. */
        for (unsigned w = 0; w < 3; w++)
            assert_true(stats.utilisation_permille[w] <=
                        left_of(window_ns[w], stats.pauses.max_ns) + 13);
        list_check(list, 20000);
        fh_gc_destroy(heap);
    }
}

struct limit_calls {
    unsigned count;
    uint64_t ns;
};

static bool on_limit(struct fh_gc_heap *of, size_t size, void *data)
{
    struct limit_calls *calls = data;
    uint64_t start = now_ns();
    (void)of;
    (void)size;
    usleep(100000);
    calls->count++;
    calls->ns += now_ns() - start;
    return false;
}

static void test_pause__not_in_the_limit_callback(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct limit_calls calls = {0, 0};
        struct fh_gc_options options = {
            .policy = policies[p], .limit = 1 << 20, .on_limit = on_limit, .on_limit_data = &calls};
        heap = fh_gc_create(&options);
        struct node *list = NULL;
        uint64_t start = now_ns();
        for (struct node *node; (node = fh_gc_new(heap, node)); list = node)
            fh_gc_store(heap, &node->right, list);
        uint64_t took = now_ns() - start;
        struct fh_gc_stats stats = stats_of(heap);
        assert_int_equal(calls.count, 1);
        assert_in_range(stats.pauses.count, 1, UINT32_MAX);
        assert_in_range(stats.pauses.total_ns, 1, took - calls.ns);
        fh_gc_destroy(heap);
    }
}

/* ---- two threads -------------------------------------------------------------------------------------------- */

enum { COLLECTIONS = 10 };
static _Atomic uint32_t stage, turns;

static void stage_wait(uint32_t value)
{
    while (stage != value) usleep(100);
}

static void *waits(void *unused)
{
    (void)unused;
    stage = 1;
    stage_wait(2);
    return NULL;
}

static void *blocks(void *unused)
{
    (void)unused;
    assert_int_equal(fh_gc_thread_attach(), 0);
    fh_gc_blocking(waits, NULL);
    return NULL;
}

static void *spins(void *unused)
{
    (void)unused;
    assert_int_equal(fh_gc_thread_attach(), 0);
    stage = 1;
    while (stage != 2) turns++;
    return NULL;
}

/* The thread that spins goes on in between, or several would be one pause to it. */
static void collect_often(struct fh_gc_heap *of, bool spinning)
{
    for (int i = 0; i < COLLECTIONS; i++) {
        collect(of);
        for (uint32_t before = turns; spinning && turns == before;) usleep(100);
    }
}

static struct fh_gc_stats stats_with(enum fh_gc_policy policy, void *(*other)(void *))
{
    pthread_t thread;
    struct fh_gc_options options = {.policy = policy};
    heap = fh_gc_create(&options);
    struct node *list = list_new(heap, 1000);
    stage = 0;
    pthread_create(&thread, NULL, other, NULL);
    stage_wait(1);
    fh_gc_stats_reset(heap);
    collect_often(heap, other == spins);
    struct fh_gc_stats stats = stats_of(heap);
    list_check(list, 1000);
    stage = 2;
    pthread_join(thread, NULL);
    fh_gc_destroy(heap);
    return stats;
}

static void test_pause__each_thread_has_its_own(void **state)
{
    (void)state;
    struct fh_gc_stats stats = stats_with(FH_GC_MARK, spins);
    assert_int_equal(stats.pauses.count, 2 * COLLECTIONS);
    assert_int_equal(stats.threads, 2);
    /* A cycle has several handshakes, and each is a pause of the one that spins; those of the one that
     * waits for the cycle are not. */
    stats = stats_with(FH_GC_CONCURRENT, spins);
    assert_in_range(stats.pauses.count, COLLECTIONS + stats.handshakes, 1000 * COLLECTIONS);
}

static void test_pause__not_of_a_thread_that_blocks(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_stats stats = stats_with(policies[p], blocks);
        /* The collecting thread may be met by handshakes before it waits for the cycle. */
        assert_in_range(stats.pauses.count, COLLECTIONS, COLLECTIONS + stats.handshakes);
    }
}

/* Another heap's collections are not this one's pauses. */
static void test_pause__belongs_to_the_heap_that_caused_it(void **state)
{
    (void)state;
    pthread_t thread;
    heap = heap_with(FH_GC_MARK);
    struct fh_gc_heap *other = heap_with(FH_GC_MARK);
    stage = 0;
    pthread_create(&thread, NULL, spins, NULL);
    stage_wait(1);
    fh_gc_stats_reset(heap);
    fh_gc_stats_reset(other);
    collect_often(other, true);
    assert_int_equal(stats_of(heap).pauses.count, 0);
    assert_int_equal(stats_of(other).pauses.count, 2 * COLLECTIONS);
    stage = 2;
    pthread_join(thread, NULL);
    fh_gc_destroy(heap);
    fh_gc_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause__a_collection_is_one),
        cmocka_unit_test(test_pause__not_in_the_limit_callback),
        cmocka_unit_test(test_pause__each_thread_has_its_own),
        cmocka_unit_test(test_pause__not_of_a_thread_that_blocks),
        cmocka_unit_test(test_pause__belongs_to_the_heap_that_caused_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
