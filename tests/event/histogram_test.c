/*
 * Histograms. What could break: a value falls into a neighbour's bucket, a quantile is further from the
 * value that it stands for than promised, an addition of another thread is lost.
 */
#include "event/histogram.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"

static uint64_t error_most(uint64_t value)
{
    return value < HISTOGRAM_FINE ? HISTOGRAM_STEP - 1 : value / 16;
}

/* The value alone in a histogram below a far larger one: its bucket's limit. */
static uint64_t limit_of(uint64_t value)
{
    struct histogram histogram = {0};
    histogram_add(&histogram, value);
    histogram.max = UINT64_MAX;
    return histogram_quantile(&histogram, 5000);
}

static void test_histogram__bounds_hold_for_each_value(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 100000; value++) {
        uint64_t limit = limit_of(value);
        assert_true(limit >= value);
        assert_true(limit <= value + error_most(value));
    }
    for (unsigned bit = 17; bit < 37; bit++)
        for (uint64_t value = (1ull << bit) - 3; value < (1ull << bit) + 3; value++)
            assert_in_range(limit_of(value), value, value + error_most(value));
}

static void test_histogram__buckets_do_not_overlap(void **state)
{
    (void)state;
    unsigned buckets = 0;
    uint64_t value = 0;
    for (; value < 1ull << 36; buckets++) {
        uint64_t limit = limit_of(value);
        assert_int_equal(limit_of(limit), limit);
        assert_true(limit_of(limit + 1) > limit);
        value = limit + 1;
    }
    assert_int_equal(buckets, HISTOGRAM_BUCKETS - 16);
}

static void test_histogram__huge_values_are_the_maximum(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 1);
    histogram_add(&histogram, UINT64_MAX / 2);
    assert_int_equal(histogram_quantile(&histogram, 10000), UINT64_MAX / 2);
    assert_int_equal(histogram_quantile(&histogram, 5000), HISTOGRAM_STEP - 1);
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Against the sorted values themselves. */
static void test_histogram__quantiles_of_known_values(void **state)
{
    (void)state;
    enum { VALUES = 4321 };
    static uint64_t value[VALUES];
    static const unsigned quantile[] = {0, 1, 100, 5000, 9000, 9900, 9990, 9999, 10000};
    struct random random = {.state = random_seed()};
    print_message("seed %llu\n", (unsigned long long)random.state);
    for (int round = 0; round < 20; round++) {
        struct histogram histogram = {0};
        uint64_t total = 0;
        for (int i = 0; i < VALUES; i++) {
            total += value[i] = random_size(&random, 1ull << (8 + round));
            histogram_add(&histogram, value[i]);
        }
        qsort(value, VALUES, sizeof *value, compare);
        for (size_t q = 0; q < COUNT_OF(quantile); q++) {
            uint64_t rank = (VALUES * quantile[q] + 9999) / 10000;
            uint64_t exact = value[rank ? rank - 1 : 0];
            uint64_t got = histogram_quantile(&histogram, quantile[q]);
            assert_in_range(got, exact, exact + error_most(exact));
        }
        assert_int_equal(histogram_quantile(&histogram, 10000), value[VALUES - 1]);
        assert_int_equal(histogram.max, value[VALUES - 1]);
        assert_int_equal(histogram.total, total);
        assert_int_equal(histogram.count, VALUES);
    }
}

static void test_histogram__nothing_is_zero(void **state)
{
    (void)state;
    struct histogram histogram = {0}, copy;
    assert_int_equal(histogram_quantile(&histogram, 5000), 0);
    histogram_add(&histogram, 7);
    histogram_clear(&histogram);
    histogram_read(&histogram, &copy);
    assert_int_equal(histogram_quantile(&copy, 10000), 0);
    assert_memory_equal(&copy, &(struct histogram){0}, sizeof copy);
}

static struct histogram shared;

static void *adds(void *argument)
{
    for (uint64_t i = 1; i <= 20000; i++) histogram_add(&shared, i * (uintptr_t)argument);
    return NULL;
}

static void test_histogram__threads_add_at_once(void **state)
{
    (void)state;
    pthread_t thread[4];
    struct histogram copy;
    for (uintptr_t i = 0; i < COUNT_OF(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, adds, (void *)(i + 1)), 0);
    for (uint64_t before = 0; before < 80000; before = copy.count) {
        histogram_read(&shared, &copy);
        assert_true(copy.count >= before);
    }
    for (size_t i = 0; i < COUNT_OF(thread); i++) pthread_join(thread[i], NULL);
    histogram_read(&shared, &copy);
    assert_int_equal(copy.count, 80000);
    assert_int_equal(copy.total, 20000ull * 20001 / 2 * (1 + 2 + 3 + 4));
    assert_int_equal(copy.max, 80000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram__bounds_hold_for_each_value),
        cmocka_unit_test(test_histogram__buckets_do_not_overlap),
        cmocka_unit_test(test_histogram__huge_values_are_the_maximum),
        cmocka_unit_test(test_histogram__quantiles_of_known_values),
        cmocka_unit_test(test_histogram__nothing_is_zero),
        cmocka_unit_test(test_histogram__threads_add_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
