/*
 * The bound of spans in use (option limit), over os/fake.
 *
 * What could break: more handed out than the limit; a limit that counts what was given back; free memory that stays
 * resident beside it; a mark that nobody is told of, or that is told under the arena's lock.
 */
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/span.h"

enum { LIMIT = 100 };

static unsigned calls, refusals;
static bool try_again;
static struct span *given_up; /* freed by the call */

static bool reached(size_t refused)
{
    assert_false(lock_is_held(&arena.lock));
    calls++;
    refusals += refused != 0;
    if (given_up) span_free(given_up);
    given_up = NULL;
    return try_again;
}

static int set_up(void **state)
{
    (void)state;
    return arena_init(1 * GIB) ? 0 : 1;
}

static int bound(void **state)
{
    (void)state;
    span_bound.limit = LIMIT;
    STORE(&span_bound.mark, UINT32_MAX);
    span_bound.reached = reached;
    span_purge(0, NULL); /* one free span */
    calls = refusals = 0;
    try_again = false;
    return span_slices_in_use() != 0;
}

static struct span *take(size_t slices)
{
    struct span *span = span_allocate(slices, 1, DENSE);
    if (span) STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    return span;
}

static void test_bound__is_all_that_can_be_had(void **state)
{
    (void)state;
    struct span *half = take(LIMIT / 2), *rest = take(LIMIT / 2);
    assert_non_null(half);
    assert_non_null(rest);
    assert_int_equal(span_slices_in_use(), LIMIT);
    assert_null(take(1));
    assert_int_equal(refusals, 1);
    span_free(half);
    half = take(LIMIT / 2);
    assert_non_null(half);
    assert_null(take(1));
    span_free(half);
    span_free(rest);
}

static void test_bound__growth_in_place_counts(void **state)
{
    (void)state;
    bool zero;
    struct span *span = take(LIMIT - 1);
    assert_non_null(span);
    assert_true(span_grow(span, LIMIT, &zero));
    assert_false(span_grow(span, LIMIT + 1, &zero));
    span_free(span);
}

/* What lies free and resident goes back before more is taken: both together stay below the limit. */
static void test_bound__free_memory_goes_first(void **state)
{
    (void)state;
    struct span *part[10];
    for (int i = 0; i < 10; i++) assert_non_null(part[i] = take(LIMIT / 10));
    for (int i = 0; i < 10; i += 2) span_free(part[i]);
    assert_int_equal(fh_registry.dirty_slices, LIMIT / 2);
    struct span *span = take(LIMIT / 10 * 3); /* fits no hole */
    assert_non_null(span);
    assert_true(span_slices_in_use() + fh_registry.dirty_slices <= LIMIT);
    for (int i = 1; i < 10; i += 2) span_free(part[i]);
    span_free(span);
}

static void test_bound__another_try_may_find_room(void **state)
{
    (void)state;
    struct span *whole = take(LIMIT);
    assert_non_null(whole);
    given_up = whole;
    try_again = true;
    struct span *span = take(1);
    assert_non_null(span);
    assert_int_equal(refusals, 1);
    span_free(span);
    assert_null(take(LIMIT + 1)); /* tried twice, not for ever */
    assert_int_equal(refusals, 3);
}

static void test_bound__the_mark_is_told(void **state)
{
    (void)state;
    STORE(&span_bound.mark, 10);
    struct span *below = take(9);
    assert_int_equal(calls, 0);
    struct span *beyond = take(1);
    assert_int_equal(calls, 1);
    assert_int_equal(refusals, 0);
    span_free(beyond);
    bool zero;
    assert_true(span_grow(below, 10, &zero));
    assert_int_equal(calls, 2);
    span_free(below);
}

/* By a thread that may wait for nobody: with the lock taken nothing is done, and soon. */
static void test_bound__hurried_purge_waits_for_no_lock(void **state)
{
    (void)state;
    struct span *span = take(8);
    span_free(span);
    lock_take(&arena.lock);
    assert_int_equal(span_purge_hurried(5), 0);
    lock_give(&arena.lock);
    assert_int_equal(span_purge_hurried(5), 8 * SLICE_SIZE);
    assert_int_equal(fh_registry.dirty_slices, 0);
    span = take(8);
    assert_true(span->flags & FH_SPAN_ZERO);
    span_free(span);
    os_fake.refuse_purge = true; /* locked pages: once, not for ever */
    assert_int_equal(span_purge_hurried(5), 0);
    assert_int_equal(fh_registry.dirty_slices, 8);
    os_fake.refuse_purge = false;
}

int main(void)
{
#define BOUND(test) cmocka_unit_test_setup(test, bound)
    const struct CMUnitTest tests[] = {
        BOUND(test_bound__is_all_that_can_be_had),
        BOUND(test_bound__growth_in_place_counts),
        BOUND(test_bound__free_memory_goes_first),
        BOUND(test_bound__another_try_may_find_room),
        BOUND(test_bound__the_mark_is_told),
        BOUND(test_bound__hurried_purge_waits_for_no_lock),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
