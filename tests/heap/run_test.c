/*
 * Runs: blocks of 8 to 64 KiB in slices that all share.
 *
 * What could break: the bit arithmetic at both ends of a word, the alignment, a slice that is said to
 * be zero and is not, and a resize that takes what belongs to the neighbour.
 */
#include "heap/run.h"

#include <string.h>

#include <freehold/freehold.h>

#include "heap/heap.h"
#include "kit/expect.h"
#include "kit/pattern.h"
#include "kit/random.h"
#include "kit/unit.h"
#include "os/fake/fake.h"

#define GRANULE ((size_t)1 << FH_GRANULE_SHIFT)

static uint64_t run_bytes(void)
{
    uint64_t bytes = 0;
    for (int i = 0; i < FH_RUN_SHARDS; i++) bytes += fh_registry.run_shard[i].bytes;
    return bytes;
}

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return 0;
}

static int empty(void **state)
{
    (void)state;
    os_fake_reset();
    fh_malloc_trim(0);
    return fh_registry.runs != 0 || run_bytes() != 0;
}

static char *take(size_t size)
{
    char *p = fh_malloc(size);
    assert_non_null(p);
    return p;
}

static void test_run__every_size_is_rounded_to_a_granule(void **state)
{
    (void)state;
    for (size_t size = SLAB_MAX + 1; size <= RUN_MAX; size += 37) {
        char *p = take(size);
        assert_int_equal(LOAD(&span_at(span_index_of(p))->kind), FH_SPAN_RUNS);
        assert_int_equal(fh_malloc_usable_size(p), (size + GRANULE - 1) / GRANULE * GRANULE);
        memset(p, 1, size);
        fh_free(p);
    }
    char *whole = take(RUN_MAX);
    assert_int_equal(fh_malloc_usable_size(whole), RUN_MAX);
    fh_free(whole);
}

static void test_run__a_slice_is_shared_by_all_sizes(void **state)
{
    (void)state;
    static const size_t kib[] = {9, 20, 12, 10, 13}; /* 64 together */
    char *p[COUNT_OF(kib)];
    for (size_t i = 0; i < COUNT_OF(kib); i++)
        memset(p[i] = take(kib[i] * KIB), (int)i, kib[i] * KIB);
    assert_int_equal(fh_registry.runs, 1);
    assert_int_equal(run_bytes(), 64 * KIB);
    char *more = take(9 * KIB);
    assert_int_equal(fh_registry.runs, 2);
    for (size_t i = 0; i < COUNT_OF(kib); i++)
        assert_true(p[i][0] == (char)i && p[i][kib[i] * KIB - 1] == (char)i);
    fh_free(p[1]);
    fh_free(p[2]); /* 20 + 12 beside each other: one place of 32 */
    char *joined = take(32 * KIB);
    assert_ptr_equal(joined, p[1] < p[2] ? p[1] : p[2]);
    assert_int_equal(fh_registry.runs, 2);
    fh_free(joined);
    fh_free(more);
    fh_free(p[0]);
    fh_free(p[3]);
    fh_free(p[4]);
}

/* The next block would ask for it again; of more the arena can make better use. */
static void test_run__one_empty_slice_is_kept(void **state)
{
    (void)state;
    char *p[10];
    for (size_t i = 0; i < COUNT_OF(p); i++) p[i] = take(RUN_MAX);
    assert_int_equal(fh_registry.runs, COUNT_OF(p));
    for (size_t i = 0; i < COUNT_OF(p); i++) fh_free(p[i]);
    assert_int_equal(fh_registry.runs, 1);
}

static void test_run__alignment_up_to_the_slice(void **state)
{
    (void)state;
    char *odd = take(9 * KIB); /* so that what follows is not aligned by chance */
    for (size_t alignment = 2 * KIB; alignment <= 64 * KIB; alignment *= 2)
        for (size_t size = SLAB_MAX + 1; size <= RUN_MAX; size += 5000) {
            char *p = fh_aligned_alloc(alignment, size), *q = fh_aligned_alloc(alignment, size);
            assert_int_equal((uintptr_t)p % alignment, 0);
            assert_int_equal((uintptr_t)q % alignment, 0);
            fh_free(p);
            fh_free(q);
        }
    fh_free(odd);
}

static void test_run__grows_and_shrinks_in_place(void **state)
{
    (void)state;
    char *p = take(16 * KIB);
    pattern_write(p, 16 * KIB, 1);
    assert_ptr_equal(fh_realloc(p, 60 * KIB), p);
    pattern_expect(p, 16 * KIB, 16 * KIB, 1);
    assert_int_equal(run_bytes(), 60 * KIB);
    assert_ptr_equal(fh_realloc(p, 64 * KIB), p); /* up to the end of the slice */
    assert_ptr_equal(fh_realloc(p, 20 * KIB), p);
    assert_int_equal(fh_malloc_usable_size(p), 20 * KIB);
    assert_int_equal(run_bytes(), 20 * KIB);
    char *behind = take(20 * KIB);
    memset(behind, 2, 20 * KIB);
    char *moved = fh_realloc(p, 30 * KIB); /* in the way: must not take of it */
    pattern_expect(moved, 16 * KIB, 16 * KIB, 1);
    memset(moved, 3, 30 * KIB);
    for (size_t i = 0; i < 20 * KIB; i++) assert_int_equal(behind[i], 2);
    fh_free(moved);
    fh_free(behind);
}

/* calloc must clear what was used, and need not what was not. */
static void test_run__zeroed_means_zero(void **state)
{
    (void)state;
    struct random random = {5};
    char *p[64] = {NULL};
    for (int i = 0; i < 20000; i++) {
        size_t slot = random_below(&random, COUNT_OF(p));
        size_t size = SLAB_MAX + 1 + random_below(&random, RUN_MAX - SLAB_MAX);
        fh_free(p[slot]);
        p[slot] = random_chance(&random, 2) ? fh_calloc(1, size) : NULL;
        if (p[slot]) {
            pattern_expect_zero(p[slot], size);
        } else {
            p[slot] = take(size);
        }
        memset(p[slot], 0xaa, size);
        os_fake.refuse_purge = random_chance(&random, 2);
        if (i % 50 == 0) heap_sweep(random_chance(&random, 2));
    }
    for (size_t i = 0; i < COUNT_OF(p); i++) fh_free(p[i]);
}

/* A block that grew over pages never used has used them. */
static void test_run__what_was_grown_over_is_not_zero(void **state)
{
    (void)state;
    fh_malloc_trim(0);
    char *p = take(9 * KIB), *grown = fh_realloc(p, 40 * KIB), *held = take(9 * KIB);
    assert_ptr_equal(grown, p);
    memset(grown, 1, 40 * KIB);
    fh_free(grown);
    char *front = take(12 * KIB), *zero = fh_calloc(1, 28 * KIB);
    assert_ptr_equal(front, p);
    assert_ptr_equal(zero, p + 12 * KIB); /* none of it was in the block before it grew */
    pattern_expect_zero(zero, 28 * KIB);
    fh_free(zero);
    fh_free(front);
    fh_free(held);
}

static void test_run__free_pages_go_back(void **state)
{
    (void)state;
    char *p = take(40 * KIB), *held = take(10 * KIB);
    memset(p, 1, 40 * KIB);
    memset(held, 2, 10 * KIB);
    fh_free(p);
    uint64_t before = fh_registry.purged_bytes;
    assert_true(heap_sweep(false)); /* notes what it sees, and wants to come again */
    assert_int_equal(fh_registry.purged_bytes, before);
    heap_sweep(false); /* left alone in between */
    assert_true(fh_registry.purged_bytes - before >= 36 * KIB);
    for (size_t i = 0; i < 10 * KIB; i++) assert_int_equal(held[i], 2);
    char *again = fh_calloc(1, 40 * KIB);
    pattern_expect_zero(again, 40 * KIB);
    fh_free(again);
    fh_free(held);
}

/* ---- the lock is taken ------------------------------------------------------------------------------- */

static unsigned bad_count;

static void record_bad(const char *caller, const void *p)
{
    (void)caller;
    (void)p;
    EXPECT(++bad_count < 10, "told for ever"); /* and the lock is held, so no way back */
}

/* Frees that find it taken are done by whoever takes it next. */
static void test_run__a_free_does_not_wait_for_the_lock(void **state)
{
    (void)state;
    char *p[3];
    for (int i = 0; i < 3; i++) p[i] = take(10 * KIB);
    heap_fork_prepare(); /* takes all locks */
    for (int i = 0; i < 3; i++) fh_free(p[i]);
    uint64_t before = run_bytes();
    heap_fork_parent();
    assert_int_equal(before, 30 * KIB);
    char *next = take(10 * KIB);
    assert_int_equal(run_bytes(), 10 * KIB);
    fh_free(next);
}

/* The list of such frees is a circle then. */
static void test_run__a_double_free_under_the_lock_is_told(void **state)
{
    (void)state;
    void (*standard)(const char *, const void *) = heap_config.bad_pointer;
    heap_config.bad_pointer = record_bad;
    char *p = take(10 * KIB), *held = take(10 * KIB);
    run_fork_prepare();
    fh_free(p);
    fh_free(p);
    run_fork_parent();
    fh_free(held);
    assert_int_equal(bad_count, 1);
    assert_int_equal(run_bytes(), 0);
    heap_config.bad_pointer = standard;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, empty, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_run__every_size_is_rounded_to_a_granule),
        CASE(test_run__a_slice_is_shared_by_all_sizes),
        CASE(test_run__one_empty_slice_is_kept),
        CASE(test_run__alignment_up_to_the_slice),
        CASE(test_run__grows_and_shrinks_in_place),
        CASE(test_run__zeroed_means_zero),
        CASE(test_run__what_was_grown_over_is_not_zero),
        CASE(test_run__free_pages_go_back),
        CASE(test_run__a_free_does_not_wait_for_the_lock),
        CASE(test_run__a_double_free_under_the_lock_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
