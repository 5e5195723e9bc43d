/*
 * Trimming in a hurry, over os/fake: what the black box does while threads of the program stand with locks in their
 * hands.
 *
 * What could break: a wait for a lock that never comes; memory that could go and stays although its lock is free; a
 * block in use that is given back; a heap that is out of order afterwards.
 */
#include <pthread.h>
#include <string.h>

#include <freehold/freehold.h>

#include "heap/slab.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/purger.h"

enum { BLOCKS = 20000, SIZE = 240, PATIENCE_MS = 20 };

static unsigned char *block[BLOCKS];

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return 0;
}

static void fill(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = fh_malloc(SIZE);
        memset(block[i], i & 0xff, SIZE);
    }
}

static void check_and_free(int step)
{
    for (int i = 0; i < BLOCKS; i += step) {
        for (int b = 0; b < SIZE; b++) assert_int_equal(block[i][b], i & 0xff);
        fh_free(block[i]);
    }
}

static void free_others(int step)
{
    for (int i = 0; i < BLOCKS; i++)
        if (i % step) fh_free(block[i]);
}

static uint64_t trimmed(unsigned *passed)
{
    uint64_t before = LOAD(&os_fake.purged_bytes);
    *passed = heap_trim_hurried(PATIENCE_MS);
    return LOAD(&os_fake.purged_bytes) - before;
}

/* One block in a thousand stays, and what it holds. */
static void test_hurry__gives_back_what_is_free(void **state)
{
    (void)state;
    unsigned passed;
    fill();
    free_others(1000);
    assert_true(trimmed(&passed) >= (uint64_t)BLOCKS * SIZE / 2);
    assert_int_equal(passed, 0);
    check_and_free(1000);
    fill();
    check_and_free(1);
    fh_malloc_trim(0);
}

/* The thread that stands holds its own heap's lock, and that of a shard: free spans go all the same. */
static void test_hurry__passes_over_what_is_locked(void **state)
{
    (void)state;
    enum { LARGE = 4 };
    unsigned passed;
    void *large[LARGE];
    fill();
    free_others(1000);
    for (int i = 0; i < LARGE; i++) large[i] = memset(fh_malloc(MIB), 1, MIB);
    for (int i = 0; i < LARGE; i++) fh_free(large[i]);
    fh_malloc_trim(0);
    for (int i = 0; i < LARGE; i++) large[i] = memset(fh_malloc(MIB), 1, MIB);
    for (int i = 0; i < LARGE; i++) fh_free(large[i]);
    lock_take(&heap_self->lock);
    uint64_t bytes = trimmed(&passed);
    lock_give(&heap_self->lock);
    assert_true(bytes >= LARGE * MIB);
    assert_true(passed >= 1);
    check_and_free(1000);
    fh_malloc_trim(0);
}

static void test_hurry__nothing_goes_under_the_arenas_lock_nor_hangs(void **state)
{
    (void)state;
    unsigned passed;
    void *large = memset(fh_malloc(MIB), 1, MIB);
    fh_free(large);
    lock_take(&arena.lock);
    trimmed(&passed);
    lock_give(&arena.lock);
    assert_true(trimmed(&passed) >= MIB);
}

static void test_hurry__a_shard_that_is_locked_is_passed_over(void **state)
{
    (void)state;
    enum { RUNS = 64 };
    static void *run[RUNS];
    unsigned passed;
    for (int i = 0; i < RUNS; i++) run[i] = memset(fh_malloc(20000), 1, 20000);
    for (int i = 0; i < RUNS; i++)
        if (i % 3) fh_free(run[i]);
    run_fork_prepare(); /* takes them all */
    assert_int_equal(trimmed(&passed), 0);
    assert_in_range(passed, 1, FH_RUN_SHARDS);
    run_fork_parent();
    assert_true(trimmed(&passed) > 0);
    assert_int_equal(passed, 0);
    for (int i = 0; i < RUNS; i += 3) fh_free(run[i]);
    fh_malloc_trim(0);
}

static void *free_all(void *unused)
{
    (void)unused;
    check_and_free(1);
    return NULL;
}

/* The owner sleeps, another thread frees all that it has. */
static void test_hurry__what_others_freed_goes(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned passed;
    fill();
    pthread_create(&thread, NULL, free_all, NULL);
    pthread_join(thread, NULL);
    assert_true(trimmed(&passed) >= (uint64_t)BLOCKS * SIZE / 2);
    fill();
    check_and_free(1);
}

int main(void)
{
    purger.enabled = false; /* nothing goes but by the trim */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hurry__gives_back_what_is_free),
        cmocka_unit_test(test_hurry__passes_over_what_is_locked),
        cmocka_unit_test(test_hurry__nothing_goes_under_the_arenas_lock_nor_hangs),
        cmocka_unit_test(test_hurry__a_shard_that_is_locked_is_passed_over),
        cmocka_unit_test(test_hurry__what_others_freed_goes),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
