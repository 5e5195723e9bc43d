/*
 * Utilisation. What could break: it says more than is true, or much less; a pause is forgotten before its
 * window has passed, or counts after it.
 */
#include "event/utilisation.h"

#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"

#define US 1000ull
#define MS 1000000ull

static const uint64_t window_ns[UTILISATION_WINDOWS] = {MS, 10 * MS, 100 * MS};

static void expect(struct utilisation *u, uint64_t start, uint64_t end, uint32_t ms1, uint32_t ms10,
                   uint32_t ms100)
{
    uint32_t permille[UTILISATION_WINDOWS];
    utilisation_add(u, start, end, permille);
    assert_int_equal(permille[0], ms1);
    assert_int_equal(permille[1], ms10);
    assert_int_equal(permille[2], ms100);
}

static void test_utilisation__of_one_pause(void **state)
{
    (void)state;
    static const uint64_t clocks[] = {1000 * MS, 123456789123457ull};
    for (size_t i = 0; i < COUNT_OF(clocks); i++) {
        struct utilisation u = {0};
        expect(&u, clocks[i], clocks[i] + 300 * US, 700, 970, 997);
        memset(&u, 0, sizeof u);
        expect(&u, clocks[i], clocks[i] + 4 * MS, 0, 600, 960);
        memset(&u, 0, sizeof u);
        expect(&u, clocks[i], clocks[i] + 5000 * MS, 0, 0, 0);
        memset(&u, 0, sizeof u);
        expect(&u, clocks[i], clocks[i], 1000, 1000, 1000);
    }
}

static void test_utilisation__pauses_leave_their_windows(void **state)
{
    (void)state;
    struct utilisation u = {0};
    uint64_t clock = 5000 * MS;
    expect(&u, clock, clock + 500 * US, 500, 950, 995);
    expect(&u, clock + 5 * MS, clock + 5 * MS + 500 * US, 500, 900, 990);
    expect(&u, clock + 50 * MS, clock + 50 * MS + 500 * US, 500, 950, 985);
    expect(&u, clock + 500 * MS, clock + 500 * MS + 500 * US, 500, 950, 995);
}

/* What a pause overlaps of the one before it is not counted twice. */
static void test_utilisation__overlaps_count_once(void **state)
{
    (void)state;
    struct utilisation u = {0};
    uint64_t clock = 70 * MS;
    expect(&u, clock, clock + 200 * US, 800, 980, 998);
    expect(&u, clock + 100 * US, clock + 300 * US, 700, 970, 997);
    expect(&u, clock + 150 * US, clock + 250 * US, 700, 970, 997);
}

enum { PAUSES = 3000 };
static struct {
    uint64_t start, end;
} pause[PAUSES];

/* All pauses so far, looked at one by one. */
static double truth(unsigned count, uint64_t window)
{
    uint64_t end = pause[count - 1].end, begin = end - window, paused = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = base_max(pause[i].start, begin);
        if (pause[i].end > start) paused += pause[i].end - start;
    }
    return 1000.0 * (double)(window - paused) / (double)window;
}

static void random_pauses(struct random *random, uint64_t gap, uint64_t length)
{
    struct utilisation u = {0};
    uint64_t clock = 1000 * MS + random_below(random, MS);
    for (unsigned i = 0; i < PAUSES; i++) {
        uint32_t permille[UTILISATION_WINDOWS];
        pause[i].start = clock + random_size(random, gap);
        clock = pause[i].end = pause[i].start + random_size(random, length);
        utilisation_add(&u, pause[i].start, pause[i].end, permille);
        for (unsigned w = 0; w < UTILISATION_WINDOWS; w++) {
            double exact = truth(i + 1, window_ns[w]);
            assert_true((double)permille[w] <= exact);
            assert_true((double)permille[w] > exact - 11); /* a slot, and rounding */
        }
    }
}

static void test_utilisation__never_above_the_truth_and_close_to_it(void **state)
{
    (void)state;
    struct random random = {.state = random_seed()};
    print_message("seed %llu\n", (unsigned long long)random.state);
    random_pauses(&random, 100 * US, 30 * US);
    random_pauses(&random, 1 * MS, 100 * US);
    random_pauses(&random, 50 * MS, 10 * MS);
    random_pauses(&random, 300, 100);
    random_pauses(&random, 200 * MS, 300 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utilisation__of_one_pause),
        cmocka_unit_test(test_utilisation__pauses_leave_their_windows),
        cmocka_unit_test(test_utilisation__overlaps_count_once),
        cmocka_unit_test(test_utilisation__never_above_the_truth_and_close_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
