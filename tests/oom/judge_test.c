/*
 * When there is a report: courses of events, played by hand.
 *
 * What could break: no report as a limit is crossed; one for each look while memory stays short; one every second
 * where use goes up and down around the mark; a second limit that is never told because the first was.
 */
#include "face/oom.h"
#include "kit/random.h"
#include "kit/unit.h"

enum { NEVER_MS = 3600 * 1000 };

static struct oom_judge judge;
static struct oom_level level[OOM_CAUSES];

static int fresh(void **state)
{
    (void)state;
    judge = (struct oom_judge){0};
    for (int c = 0; c < OOM_CAUSES; c++) level[c] = (struct oom_level){0, CGROUP_NONE};
    return 0;
}

static enum oom_cause at(uint64_t ms)
{
    return oom_judge(&judge, level, false, ms);
}

static void test_judge__without_limits_there_is_nothing_to_tell(void **state)
{
    (void)state;
    for (int c = 0; c < OOM_CAUSES; c++) level[c].used = UINT64_MAX / 2;
    for (uint64_t ms = 0; ms < NEVER_MS; ms += 1000) assert_int_equal(at(ms), OOM_NONE);
    assert_true(oom_room(&judge, level) == CGROUP_NONE);
    assert_false(oom_is_close(&judge, level));
}

static void test_judge__a_crossing_is_told_once(void **state)
{
    (void)state;
    level[OOM_MAX] = (struct oom_level){899, 1000};
    assert_int_equal(at(0), OOM_NONE);
    level[OOM_MAX].used = 900;
    assert_int_equal(at(10), OOM_MAX);
    for (uint64_t ms = 20; ms < NEVER_MS; ms += 500) {
        level[OOM_MAX].used = 800 + ms % 201; /* up and down, never far */
        assert_int_equal(at(ms), OOM_NONE);
    }
}

static void test_judge__after_it_was_far_it_is_told_again_but_not_soon(void **state)
{
    (void)state;
    level[OOM_MAX] = (struct oom_level){950, 1000};
    assert_int_equal(at(5), OOM_MAX);
    level[OOM_MAX].used = 799;
    assert_int_equal(at(6), OOM_NONE);
    level[OOM_MAX].used = 950;
    assert_int_equal(at(7), OOM_NONE);
    assert_int_equal(at(5 + OOM_PAUSE_MS - 1), OOM_NONE);
    assert_int_equal(at(5 + OOM_PAUSE_MS), OOM_MAX);
    assert_int_equal(at(5 + 3 * OOM_PAUSE_MS), OOM_NONE);
}

static void test_judge__each_limit_is_told(void **state)
{
    (void)state;
    level[OOM_HIGH] = (struct oom_level){900, 1000};
    level[OOM_MAX] = (struct oom_level){900, 2000};
    assert_int_equal(at(0), OOM_HIGH);
    level[OOM_MAX].used = 1900;
    assert_int_equal(at(1), OOM_NONE); /* too soon */
    assert_int_equal(at(OOM_PAUSE_MS), OOM_MAX);
    level[OOM_LIMIT] = (struct oom_level){64, 64};
    assert_int_equal(at(2 * OOM_PAUSE_MS), OOM_LIMIT);
    assert_int_equal(at(9 * OOM_PAUSE_MS), OOM_NONE);
}

static void test_judge__one_report_is_for_all_that_is_near(void **state)
{
    (void)state;
    level[OOM_HIGH] = level[OOM_MAX] = (struct oom_level){1900, 2000};
    assert_int_equal(oom_judge(&judge, level, true, 0), OOM_MAX);
    assert_int_equal(oom_judge(&judge, level, true, OOM_PAUSE_MS), OOM_NONE);
}

static void test_judge__stall_is_told_again_after_calm(void **state)
{
    (void)state;
    assert_int_equal(oom_judge(&judge, level, true, 0), OOM_STALL);
    for (uint64_t ms = 1000; ms < 60000; ms += 1000)
        assert_int_equal(oom_judge(&judge, level, true, ms), OOM_NONE);
    assert_int_equal(at(59000 + OOM_PAUSE_MS), OOM_NONE);
    assert_int_equal(oom_judge(&judge, level, true, 60000 + OOM_PAUSE_MS), OOM_STALL);
}

static void test_judge__a_limit_that_goes_away_is_forgotten(void **state)
{
    (void)state;
    level[OOM_MAX] = (struct oom_level){950, 1000};
    assert_int_equal(at(0), OOM_MAX);
    level[OOM_MAX].limit = CGROUP_NONE;
    assert_int_equal(at(1), OOM_NONE);
    level[OOM_MAX].limit = 1000;
    assert_int_equal(at(OOM_PAUSE_MS), OOM_MAX);
}

/* Any course at all: two reports are never closer than the pause, and each has a cause that was near just then. */
static void test_judge__never_more_than_one_in_a_pause(void **state)
{
    (void)state;
    struct random random = {7};
    uint64_t ms = 0, last = 0;
    unsigned reports = 0;
    for (int step = 0; step < 200000; step++) {
        ms += random_below(&random, 700);
        for (int c = OOM_LIMIT; c < OOM_STALL; c++) {
            level[c].limit = random_chance(&random, 20) ? CGROUP_NONE : 1000;
            level[c].used = random_below(&random, 1100);
        }
        bool stalled = random_chance(&random, 50);
        enum oom_cause cause = oom_judge(&judge, level, stalled, ms);
        if (cause == OOM_NONE) continue;
        assert_true(reports == 0 || ms >= last + OOM_PAUSE_MS);
        assert_true(cause == OOM_STALL ? stalled : level[cause].used >= 900);
        last = ms;
        reports++;
    }
    assert_true(reports > 1000);
}

static void test_judge__room_is_up_to_the_nearest_mark(void **state)
{
    (void)state;
    level[OOM_MAX] = (struct oom_level){100, 1000};
    level[OOM_HIGH] = (struct oom_level){100, 500};
    assert_int_equal(oom_room(&judge, level), 350);
    assert_false(oom_is_close(&judge, level));
    level[OOM_HIGH].used = 460; /* past its mark: what is left of it */
    assert_int_equal(oom_room(&judge, level), 40);
    assert_true(oom_is_close(&judge, level));
    level[OOM_HIGH].used = 600;
    assert_int_equal(oom_room(&judge, level), 0);
    assert_int_equal(at(0), OOM_HIGH);
    assert_int_equal(oom_room(&judge, level), 800); /* what was told is no end any more */
    assert_true(oom_near(UINT64_MAX / 4) < UINT64_MAX / 4);
}

int main(void)
{
#define COURSE(test) cmocka_unit_test_setup(test, fresh)
    const struct CMUnitTest tests[] = {
        COURSE(test_judge__without_limits_there_is_nothing_to_tell),
        COURSE(test_judge__a_crossing_is_told_once),
        COURSE(test_judge__after_it_was_far_it_is_told_again_but_not_soon),
        COURSE(test_judge__each_limit_is_told),
        COURSE(test_judge__one_report_is_for_all_that_is_near),
        COURSE(test_judge__stall_is_told_again_after_calm),
        COURSE(test_judge__a_limit_that_goes_away_is_forgotten),
        COURSE(test_judge__never_more_than_one_in_a_pause),
        COURSE(test_judge__room_is_up_to_the_nearest_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
