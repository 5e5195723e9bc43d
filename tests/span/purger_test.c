/*
 * The purger over os/fake, its helper run nap by nap while the clock is moved.
 *
 * What could break: a helper that is not started although memory lies about, that ends too early, or
 * that never ends and keeps an idle machine awake.
 */
#include "span/purger.h"

#include "kit/unit.h"
#include "os/fake/fake.h"
#include "os/os.h"
#include "span/span.h"

enum { NAPS_MAX = 100 };

static int sweeps;
static int sweeps_with_more; /* how many sweeps still to answer "there may be more" */

static bool sweep(bool force)
{
    (void)force;
    sweeps++;
    return sweeps_with_more-- > 0;
}

static int looks, looks_that_stay;

static bool look(void)
{
    looks++;
    return looks_that_stay-- > 0;
}

static int set_up(void **state)
{
    (void)state;
    purger.sweep = sweep;
    return arena_init(GIB) ? 0 : 1;
}

static int fresh(void **state)
{
    (void)state;
    os_fake_reset();
    os_fake.helper = OS_FAKE_HELPER_WAITS;
    purger.enabled = true;
    purger.delay_ms = 1000;
    purger.look = look;
    purger.look_ms = 0;
    sweeps = sweeps_with_more = looks = looks_that_stay = 0;
    return 0;
}

static struct span *take(size_t slices)
{
    struct span *span = span_allocate(slices, 1, DENSE);
    assert_non_null(span);
    STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    span_start(span)[0] = 1;
    return span;
}

/* Lets the helper run to its end. Returns its naps. */
static int run_out(void)
{
    int naps = 0;
    while (naps < NAPS_MAX && os_fake_run_helper()) naps++;
    assert_in_range(naps, 0, NAPS_MAX - 1);
    return naps;
}

static void test_purger__gives_back_what_is_old_and_ends(void **state)
{
    (void)state;
    span_free(take(64));
    uint64_t freed_at = os_clock_ms(), before = fh_registry.purged_bytes;
    purger_note();
    assert_int_equal(fh_registry.helper_running, 1);
    while (fh_registry.purged_bytes == before) assert_true(os_fake_run_helper());
    uint64_t waited = os_clock_ms() - freed_at;
    assert_in_range(waited, 1000, 2000);
    run_out();
    assert_int_equal(fh_registry.purged_bytes - before, 64 * SLICE_SIZE);
    assert_int_equal(fh_registry.dirty_slices, 0);
    assert_int_equal(fh_registry.helper_running, 0);
}

static void test_purger__starts_again_for_the_next(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        span_free(take(64));
        purger_note();
        assert_true(run_out() > 0);
        assert_int_equal(fh_registry.dirty_slices, 0);
    }
}

static void test_purger__is_started_by_a_free_that_leaves_much(void **state)
{
    (void)state;
    span_free(take((4 * MIB) >> SLICE_SHIFT));
    assert_int_equal(fh_registry.helper_running, 1);
    assert_true(run_out() > 0);
    assert_int_equal(fh_registry.dirty_slices, 0);
}

static void test_purger__is_started_by_many_small_ones_too(void **state)
{
    (void)state;
    struct span *span[PURGER_WORTH];
    for (size_t i = 0; i < COUNT_OF(span); i++) span[i] = take(1);
    for (size_t i = 0; i < COUNT_OF(span); i++) {
        assert_int_equal(fh_registry.helper_running, 0);
        span_free(span[i]);
    }
    assert_int_equal(fh_registry.helper_running, 1);
    run_out();
    assert_int_equal(fh_registry.dirty_slices, 0);
}

static void test_purger__goes_on_while_the_sweep_asks_for_it(void **state)
{
    (void)state;
    sweeps_with_more = 20;
    purger_note();
    run_out();
    assert_true(sweeps >= 21);
}

/* In between, and as often as they should; the sweep keeps its own clock. */
static void test_purger__looks_while_it_is_there(void **state)
{
    (void)state;
    purger.look_ms = 100;
    purger_note();
    run_out();
    assert_int_equal(sweeps, 2);
    assert_int_equal(looks, 10);
    assert_int_equal(fh_registry.helper_running, 0);
}

static void test_purger__stays_while_a_look_asks_for_it(void **state)
{
    (void)state;
    purger.look_ms = 5000; /* longer than between two sweeps: then with each of them */
    looks_that_stay = 20;
    purger_note();
    run_out();
    assert_int_equal(looks, 22);
    assert_int_equal(sweeps, 22);
}

static void test_purger__delay_is_kept(void **state)
{
    (void)state;
    purger.delay_ms = 60000;
    span_free(take(64));
    uint64_t freed_at = os_clock_ms();
    purger_note();
    while (fh_registry.dirty_slices > 0) assert_true(os_fake_run_helper());
    assert_in_range(os_clock_ms() - freed_at, 60000, 120000);
    run_out();
}

static void test_purger__switched_off_has_no_helper(void **state)
{
    (void)state;
    purger.enabled = false;
    span_free(take(64));
    purger_note();
    assert_false(os_fake_run_helper());
    assert_int_equal(fh_registry.helper_running, 0);
    assert_int_equal(purger_run_now(), 64 * SLICE_SIZE); /* malloc_trim still works */
    assert_true(sweeps > 0);
}

static void test_purger__ends_when_the_process_changes_its_user(void **state)
{
    (void)state;
    span_free(take(64));
    purger_note();
    assert_true(os_fake_run_helper());
    os_fake.user_changed = true;
    assert_in_range(run_out(), 1, 2);
    assert_int_equal(fh_registry.helper_running, 0);
    assert_true(fh_registry.dirty_slices >= 64);
    os_fake.user_changed = false; /* the next one is the new user's */
    purger_note();
    run_out();
    assert_int_equal(fh_registry.dirty_slices, 0);
}

static void test_purger__ends_when_it_is_switched_off(void **state)
{
    (void)state;
    span_free(take(64));
    purger_note();
    assert_true(os_fake_run_helper());
    purger.enabled = false;
    assert_in_range(run_out(), 1, 2);
    assert_int_equal(fh_registry.helper_running, 0);
    assert_int_equal(purger_run_now(), 64 * SLICE_SIZE);
}

static void test_purger__does_not_stay_awake_for_locked_memory(void **state)
{
    (void)state;
    os_fake.refuse_purge = true;
    span_free(take(64));
    purger_note();
    run_out();
    assert_int_equal(fh_registry.helper_running, 0);
    os_fake.refuse_purge = false;
    assert_int_equal(purger_run_now(), 64 * SLICE_SIZE);
}

static void test_purger__starts_anew_in_the_child_of_a_fork(void **state)
{
    (void)state;
    span_free(take(64));
    purger_note();
    assert_int_equal(fh_registry.helper_running, 1);
    run_out();
    purger_fork_child();
    assert_int_equal(fh_registry.helper_running, 0);
    span_free(take(64));
    purger_note();
    assert_int_equal(fh_registry.helper_running, 1);
    run_out();
}

/* Last, since it then gives up for good. */
static void test_purger__does_without_when_the_kernel_refuses(void **state)
{
    (void)state;
    os_fake.helper = OS_FAKE_HELPER_REFUSED;
    span_free(take(64));
    for (int i = 0; i < 3; i++) purger_note();
    assert_false(purger.enabled);
    assert_false(os_fake_run_helper());
    assert_int_equal(fh_registry.helper_running, 0);
    assert_int_equal(purger_run_now(), 64 * SLICE_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_purger__gives_back_what_is_old_and_ends, fresh),
        cmocka_unit_test_setup(test_purger__starts_again_for_the_next, fresh),
        cmocka_unit_test_setup(test_purger__is_started_by_a_free_that_leaves_much, fresh),
        cmocka_unit_test_setup(test_purger__is_started_by_many_small_ones_too, fresh),
        cmocka_unit_test_setup(test_purger__goes_on_while_the_sweep_asks_for_it, fresh),
        cmocka_unit_test_setup(test_purger__looks_while_it_is_there, fresh),
        cmocka_unit_test_setup(test_purger__stays_while_a_look_asks_for_it, fresh),
        cmocka_unit_test_setup(test_purger__delay_is_kept, fresh),
        cmocka_unit_test_setup(test_purger__switched_off_has_no_helper, fresh),
        cmocka_unit_test_setup(test_purger__ends_when_the_process_changes_its_user, fresh),
        cmocka_unit_test_setup(test_purger__ends_when_it_is_switched_off, fresh),
        cmocka_unit_test_setup(test_purger__does_not_stay_awake_for_locked_memory, fresh),
        cmocka_unit_test_setup(test_purger__starts_anew_in_the_child_of_a_fork, fresh),
        cmocka_unit_test_setup(test_purger__does_without_when_the_kernel_refuses, fresh),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
