/* Rounding and bit positions, against the plain definition. What could break: the borders. */
#include "base/base.h"

#include "kit/unit.h"

static void test_bits__rounding_is_to_the_nearest_multiple(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 64; align *= 2) {
        for (size_t n = 0; n < 300; n++) {
            size_t down = n / align * align;
            size_t up = n % align ? down + align : n;
            assert_int_equal(base_round_down(n, align), down);
            assert_int_equal(base_round_up(n, align), up);
        }
    }
    assert_int_equal(base_round_up(SIZE_MAX / 2 + 1, 4096), SIZE_MAX / 2 + 1);
    assert_int_equal(base_round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
}

static void test_bits__powers_of_two_are_recognised(void **state)
{
    (void)state;
    assert_false(base_is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t power = (size_t)1 << i;
        assert_true(base_is_pow2(power));
        if (i > 1) assert_false(base_is_pow2(power + 1));
        if (i > 1) assert_false(base_is_pow2(power - 1));
    }
}

static void test_bits__positions_of_highest_and_lowest_bit(void **state)
{
    (void)state;
    for (unsigned high = 0; high < 64; high++) {
        for (unsigned low = 0; low <= high; low++) {
            uint64_t n = 1ull << high | 1ull << low;
            assert_int_equal(base_log2(n), high);
            assert_int_equal(base_ctz(n), low);
        }
    }
}

static void test_bits__min_and_max(void **state)
{
    (void)state;
    assert_int_equal(base_min(0, SIZE_MAX), 0);
    assert_int_equal(base_max(0, SIZE_MAX), SIZE_MAX);
    assert_int_equal(base_min(7, 7), 7);
    assert_int_equal(base_max(7, 7), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits__rounding_is_to_the_nearest_multiple),
        cmocka_unit_test(test_bits__powers_of_two_are_recognised),
        cmocka_unit_test(test_bits__positions_of_highest_and_lowest_bit),
        cmocka_unit_test(test_bits__min_and_max),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
