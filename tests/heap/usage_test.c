/*
 * The numbers: what is live, free, freed elsewhere, must be what a program that counts for itself
 * finds. On one thread they are exact at every moment.
 */
#include <pthread.h>
#include <string.h>

#include <freehold/freehold.h>

#include "heap/heap.h"
#include "kit/random.h"
#include "kit/resident.h"
#include "kit/unit.h"

enum { SLOTS = 2000 };

static void *slot[SLOTS];

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return 0;
}

static int empty(void **state)
{
    (void)state;
    struct fh_usage usage;
    fh_malloc_trim(0);
    fh_usage_get(&usage);
    return usage.live != 0;
}

static uint64_t live_bytes(void)
{
    uint64_t bytes = 0;
    for (int i = 0; i < SLOTS; i++)
        if (slot[i]) bytes += fh_malloc_usable_size(slot[i]);
    return bytes;
}

static void free_all(void)
{
    for (int i = 0; i < SLOTS; i++) {
        fh_free(slot[i]);
        slot[i] = NULL;
    }
}

static void test_usage__live_is_what_the_program_holds(void **state)
{
    (void)state;
    struct random random = {3};
    for (int step = 0; step < 60000; step++) {
        size_t i = random_below(&random, SLOTS);
        fh_free(slot[i]);
        slot[i] = random_chance(&random, 2) ? fh_malloc(random_size(&random, 200000)) : NULL;
        if (step % 500) continue;
        struct fh_usage usage;
        fh_usage_get(&usage);
        assert_int_equal(usage.live, live_bytes());
    }
    free_all();
}

static void *free_half(void *unused)
{
    (void)unused;
    for (int i = 0; i < SLOTS; i += 2) {
        fh_free(slot[i]);
        slot[i] = NULL;
    }
    return NULL;
}

static void test_usage__freed_elsewhere_is_not_live(void **state)
{
    (void)state;
    for (int i = 0; i < SLOTS; i++) slot[i] = fh_malloc(250);
    pthread_t thread;
    pthread_create(&thread, NULL, free_half, NULL);
    pthread_join(thread, NULL);
    struct fh_usage usage;
    fh_usage_get(&usage);
    assert_int_equal(usage.live, live_bytes());
    assert_int_equal(usage.remote, SLOTS / 2 * 256);
    free_all();
}

/* live + free = what is resident, but for pages partly used at the ends of lists. */
static void test_usage__adds_up_to_what_is_resident(void **state)
{
    (void)state;
    struct random random = {4};
    for (int i = 0; i < SLOTS; i++) {
        size_t size = random_size(&random, 30000);
        slot[i] = fh_malloc(size);
        memset(slot[i], 1, size);
    }
    for (int i = 0; i < SLOTS; i += 3) fh_free(slot[i]), slot[i] = NULL;
    struct fh_usage usage;
    fh_usage_get(&usage);
    uint64_t told = usage.live + usage.free_in_slabs + usage.thread_lists + usage.dirty +
                    usage.remote + usage.metadata;
    uint64_t resident = resident_arena();
    assert_in_range(told, resident - resident / 10, resident + resident / 4);
    free_all();
}

static void test_usage__dirty_memory_is_counted_until_it_goes_back(void **state)
{
    (void)state;
    struct fh_usage usage;
    void *p = fh_malloc(8 * MIB);
    memset(p, 1, 8 * MIB);
    fh_free(p);
    fh_usage_get(&usage);
    assert_true(usage.dirty >= 8 * MIB);
    assert_int_equal(fh_malloc_trim(0), 1);
    fh_usage_get(&usage);
    assert_int_equal(usage.dirty, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, empty, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_usage__live_is_what_the_program_holds),
        CASE(test_usage__freed_elsewhere_is_not_live),
        CASE(test_usage__adds_up_to_what_is_resident),
        CASE(test_usage__dirty_memory_is_counted_until_it_goes_back),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
