/*
 * What memory may cost: sizes of structures and efficiency, with floors that fail. Whoever passes one
 * has a reason, and writes it here beside the new number.
 *
 * Counted is what the kernel counts: resident pages of the whole arena.
 */
#include <pthread.h>
#include <string.h>

#include <freehold/freehold.h>

#include "heap/heap.h"
#include "kit/child.h"
#include "kit/expect.h"
#include "kit/resident.h"
#include "kit/unit.h"

static void test_floors__structures(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct span), 64);
    assert_true(sizeof(struct heap) <= 4608);
    assert_true(sizeof(struct fh_registry) <= 1024);
}

/* Each in a process that has allocated nothing yet. */
static void expect_fine(void (*body)(void *), void *argument)
{
    struct child_end end = child_run(body, argument);
    if (end.signal || end.status) fail_msg("%s", end.said);
}

static void first_block(void *unused)
{
    (void)unused;
    EXPECT(fh_malloc(100) != NULL, "malloc");
    EXPECT(resident_arena() <= 24 * KIB, "%zu bytes for one block", resident_arena());
}

static void test_floors__the_first_block(void **state)
{
    (void)state;
    expect_fine(first_block, NULL);
}

struct many {
    size_t size, count;
    unsigned percent; /* of size * count, resident at most */
};

static void many_blocks(void *argument)
{
    struct many *many = argument;
    for (size_t i = 0; i < many->count; i++) memset(fh_malloc(many->size), 1, many->size);
    size_t least = many->size * many->count, most = least / 100 * many->percent + 100 * KIB;
    EXPECT(resident_arena() <= most, "%zu blocks of %zu bytes take %zu, at most %zu", many->count,
           many->size, resident_arena(), most);
}

static void test_floors__many_blocks_of_one_size(void **state)
{
    (void)state;
    static struct many many[] = {
        {16, 100000, 102},  {24, 100000, 136},  {32, 100000, 102},  {100, 50000, 114},
        {240, 50000, 102},  {1000, 10000, 104}, {1024, 10000, 102}, {3000, 5000, 104},
        {8192, 2000, 102},  {10000, 2000, 108}, {20000, 1000, 118}, {65536, 300, 102},
        {100000, 200, 103}, {1000000, 30, 102},
    };
    for (size_t i = 0; i < COUNT_OF(many); i++) expect_fine(many_blocks, &many[i]);
}

static pthread_barrier_t barrier;

static void *eight_blocks(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < 8; i++) memset(fh_malloc(i * 16), 1, i * 16);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void two_hundred_threads(void *unused)
{
    enum { THREADS = 200 };
    (void)unused;
    pthread_t thread[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&thread[i], NULL, eight_blocks, NULL) == 0, "thread %d", i);
    while (fh_registry.heap_count < THREADS) sched_yield();
    /* A heap record and seven pages of one class each: issue 2 allows 8 MB of RSS, stacks included. */
    EXPECT(resident_arena() <= THREADS * 36 * KIB, "%zu bytes", resident_arena() / THREADS);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
}

static void test_floors__two_hundred_threads_with_eight_blocks(void **state)
{
    (void)state;
    expect_fine(two_hundred_threads, NULL);
}

static void untouched(void *unused)
{
    (void)unused;
    fh_free(fh_malloc(1));
    size_t before = resident_arena();
    char *p = fh_calloc(1024, MIB);
    EXPECT(p != NULL && p[GIB - 1] == 0, "a GiB of zeros");
    EXPECT(resident_arena() <= before + 64 * KIB, "%zu bytes were touched",
           resident_arena() - before);
}

static void test_floors__zeros_that_nobody_touches_cost_nothing(void **state)
{
    (void)state;
    expect_fine(untouched, NULL);
}

static void spike(void *unused)
{
    enum { N = 100000 };
    static char *p[N];
    (void)unused;
    for (int i = 0; i < N; i++) memset(p[i] = fh_malloc(300), 1, 300);
    for (int i = 0; i < N; i++) fh_free(p[i]);
    fh_malloc_trim(0);
    size_t descriptors = 64 * KIB; /* of 460 slices */
    EXPECT(resident_arena() <= 64 * KIB + descriptors, "%zu bytes after a spike", resident_arena());
}

static void test_floors__nothing_stays_of_a_spike(void **state)
{
    (void)state;
    expect_fine(spike, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floors__structures),
        cmocka_unit_test(test_floors__the_first_block),
        cmocka_unit_test(test_floors__many_blocks_of_one_size),
        cmocka_unit_test(test_floors__two_hundred_threads_with_eight_blocks),
        cmocka_unit_test(test_floors__zeros_that_nobody_touches_cost_nothing),
        cmocka_unit_test(test_floors__nothing_stays_of_a_spike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
