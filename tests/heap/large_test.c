/*
 * Large blocks: spans of their own, grown in place, by page tables, or by copying.
 *
 * What could break: contents lost in a move, or memory that counts as clean and is not (it was: a
 * move took the pages of the block only, and left what lay behind them in the last slice).
 */
#include <string.h>

#include <freehold/freehold.h>

#include "heap/heap.h"
#include "kit/pattern.h"
#include "kit/random.h"
#include "kit/unit.h"
#include "os/fake/fake.h"

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
    return fh_registry.large_count != 0 || fh_registry.large_bytes != 0;
}

static void test_large__is_rounded_to_the_page(void **state)
{
    (void)state;
    for (size_t size = RUN_MAX + 1; size < 3 * MIB; size += 12345) {
        char *p = fh_malloc(size);
        assert_int_equal(fh_malloc_usable_size(p), base_round_up(size, 4096));
        assert_int_equal((uintptr_t)p % SLICE_SIZE, 0);
        assert_int_equal(fh_registry.large_count, 1);
        assert_int_equal(fh_registry.large_bytes, base_round_up(size, 4096));
        fh_free(p);
    }
}

static void test_large__shrinks_in_place_and_gives_back_slices(void **state)
{
    (void)state;
    char *p = fh_malloc(4 * MIB);
    pattern_write(p, 4 * MIB, 1);
    assert_ptr_equal(fh_realloc(p, MIB), p);
    assert_int_equal(fh_malloc_usable_size(p), MIB);
    char *q = fh_malloc(2 * MIB); /* fits into what was cut off */
    assert_true(q > p && q < p + 4 * MIB);
    pattern_write(q, 2 * MIB, 2);
    pattern_expect(p, MIB, 4 * MIB, 1);
    fh_free(p);
    fh_free(q);
}

static void test_large__realloc_to_nothing_frees(void **state)
{
    (void)state;
    assert_null(fh_realloc(fh_malloc(MIB), 0));
    assert_int_equal(fh_registry.large_count, 0);
}

/* The descriptors it grows over still name an earlier block, which began elsewhere. */
static void test_large__one_that_grew_is_found_from_every_slice(void **state)
{
    (void)state;
    char *earlier = fh_malloc(20 * MIB);
    fh_free(earlier);
    char *before = fh_malloc(100000), *p = fh_malloc(100000);
    assert_ptr_equal(before, earlier);
    for (size_t size = 200000; size < 10 * MIB; size *= 2) {
        assert_ptr_equal(fh_realloc(p, size), p);
        for (size_t at = 0; at < size; at += SLICE_SIZE)
            assert_ptr_equal(span_find(p + at), span_at(span_index_of(p)));
    }
    fh_free(p);
    fh_free(before);
}

static void test_large__each_is_counted_once(void **state)
{
    (void)state;
    uint64_t before = fh_registry.large_allocated, bytes = fh_registry.large_allocated_bytes;
    char *p = fh_malloc(MIB), *q = fh_malloc(2 * MIB);
    fh_free(p);
    fh_free(q);
    assert_int_equal(fh_registry.large_allocated - before, 2);
    assert_int_equal(fh_registry.large_allocated_bytes - bytes, 3 * MIB);
}

static void test_large__moves_by_page_tables_or_by_copying(void **state)
{
    (void)state;
    for (int refuse = 0; refuse < 2; refuse++) {
        os_fake.refuse_move = refuse;
        char *p = fh_malloc(3 * MIB), *behind = fh_malloc(3 * MIB);
        uint64_t moved = os_fake.moved;
        pattern_write(p, 3 * MIB, 1);
        pattern_write(behind, 3 * MIB, 2);
        char *q = fh_realloc(p, 9 * MIB);
        assert_ptr_not_equal(q, p);
        assert_int_equal(os_fake.moved - moved, refuse ? 0 : 1);
        pattern_expect(q, 3 * MIB, 3 * MIB, 1);
        pattern_expect(behind, 3 * MIB, 3 * MIB, 2);
        fh_free(q);
        fh_free(behind);
    }
}

static void test_large__what_a_move_leaves_behind_is_clean(void **state)
{
    (void)state;
    char *p = fh_malloc(2 * MIB);
    memset(p, 1, 2 * MIB);
    p = fh_realloc(p, 2 * MIB - 60000); /* the last slice stays, and is dirty behind the block */
    char *behind = fh_malloc(MIB);
    char *moved = fh_realloc(p, 8 * MIB);
    assert_ptr_not_equal(moved, p);
    for (int i = 0; i < 4; i++) { /* wherever it comes from */
        char *zero = fh_calloc(1, 2 * MIB);
        for (size_t at = 0; at < 2 * MIB; at++) assert_int_equal(zero[at], 0);
    }
    fh_free(moved);
    fh_free(behind);
    os_fake_reset();
    struct fh_usage usage;
    fh_usage_get(&usage);
    assert_int_equal(usage.live, 4 * 2 * MIB);
    for (uint32_t i = arena.first; i < fh_registry.high; i++)
        if (LOAD(&span_at(i)->kind) == FH_SPAN_LARGE) fh_free(span_start(span_at(i)));
}

static void test_large__numbers_add_up_whatever_happens(void **state)
{
    (void)state;
    enum { SLOTS = 40 };
    struct random random = {9};
    char *p[SLOTS] = {NULL};
    for (int i = 0; i < 3000; i++) {
        size_t slot = random_below(&random, SLOTS);
        size_t size = RUN_MAX + 1 + random_below(&random, 2 * MIB);
        if (random_chance(&random, 3))
            fh_free(p[slot]), p[slot] = NULL;
        else
            p[slot] = fh_realloc(p[slot], size);
        uint64_t count = 0, bytes = 0;
        for (int k = 0; k < SLOTS; k++) {
            if (p[k] == NULL) continue;
            count++;
            bytes += fh_malloc_usable_size(p[k]);
        }
        assert_int_equal(fh_registry.large_count, count);
        assert_int_equal(fh_registry.large_bytes, bytes);
    }
    for (int k = 0; k < SLOTS; k++) fh_free(p[k]);
}

/* Blocks that cross the borders between large, runs and slabs, both ways. */
static void test_large__becomes_small_and_large_again(void **state)
{
    (void)state;
    static const size_t size[] = {1 << 20, 65537, 65536, 8193,    8192, 100,
                                  8193,    70000, 5,     3 << 20, 16};
    size_t before = 10;
    char *p = fh_malloc(before);
    pattern_write(p, before, 0);
    for (size_t i = 0; i < COUNT_OF(size); i++) {
        p = fh_realloc(p, size[i]);
        pattern_expect(p, base_min(before, size[i]), before, i);
        before = size[i];
        pattern_write(p, before, i + 1);
    }
    fh_free(p);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, empty, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_large__is_rounded_to_the_page),
        CASE(test_large__shrinks_in_place_and_gives_back_slices),
        CASE(test_large__realloc_to_nothing_frees),
        CASE(test_large__one_that_grew_is_found_from_every_slice),
        CASE(test_large__each_is_counted_once),
        CASE(test_large__moves_by_page_tables_or_by_copying),
        CASE(test_large__what_a_move_leaves_behind_is_clean),
        CASE(test_large__numbers_add_up_whatever_happens),
        CASE(test_large__becomes_small_and_large_again),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
