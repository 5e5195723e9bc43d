/* 64 bytes as one, against the plain loop. What could break: a lane out of order, the value 0, a carry. */
#include "base/lanes.h"

#include "kit/unit.h"

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static uint64_t equal_plainly(const uint8_t *at, uint8_t mask, uint8_t value)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < 64; k++) bits |= (uint64_t)((at[k] & mask) == value) << k;
    return bits;
}

static void test_lanes__are_in_order(void **state)
{
    (void)state;
    uint8_t bytes[65] = {0};
    for (unsigned k = 0; k < 64; k++) {
        bytes[k + 1] = 0x83; /* not aligned */
        assert_true(lanes_equal(bytes + 1, 3, 3) == 1ull << k);
        assert_true(lanes_equal(bytes + 1, 3, 0) == ~(1ull << k));
        assert_true(lanes_top(bytes + 1) == 1ull << k);
        bytes[k + 1] = 0;
    }
}

static void test_lanes__agree_with_the_loop(void **state)
{
    (void)state;
    uint64_t seed = 20261122;
    uint8_t bytes[64];
    for (unsigned round = 0; round < 10000; round++) {
        for (unsigned k = 0; k < 64; k++) bytes[k] = (uint8_t)(random_next(&seed) >> 20);
        uint8_t mask = (uint8_t)random_next(&seed), value = (uint8_t)(bytes[round % 64] & mask);
        assert_true(lanes_equal(bytes, mask, value) == equal_plainly(bytes, mask, value));
        assert_true(lanes_top(bytes) == equal_plainly(bytes, 0x80, 0x80));
        uint64_t x = random_next(&seed) & random_next(&seed);
        assert_int_equal(lanes_count(x), __builtin_popcountll(x));
    }
    assert_int_equal(lanes_count(~0ull), 64);
    assert_int_equal(lanes_count(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes__are_in_order),
        cmocka_unit_test(test_lanes__agree_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
