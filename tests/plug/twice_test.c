/*
 * Two looks: what goes back is lost in both, of the same size, with the same bytes, long enough apart; and what a look
 * has listed does not count as seen by it. It breaks if a block goes that was handed out again in between.
 */
#include <stdlib.h>
#include <string.h>

#include "kit/unit.h"
#include "../../cli/plug.h"
#include "../../cli/still_words.h"

#define LOOK(...)                                                                                  \
    {                                                                                              \
        .list = (struct plug_lost[]){__VA_ARGS__},                                                 \
        .count = COUNT_OF(((struct plug_lost[]){__VA_ARGS__}))                                     \
    }
#define LOST(offset, size, hash)                                                                   \
    {                                                                                              \
        .entry = { offset, size, hash }                                                            \
    }

static void test_judge__lost_twice_and_long_enough(void **state)
{
    (void)state;
    struct plug_losts none = {0}, first = LOOK(LOST(160, 64, 1)), second = LOOK(LOST(160, 64, 1)),
                      third = LOOK(LOST(160, 64, 1));
    plug_judge(&none, &first, 1000, 100);
    assert_false(first.list[0].listed);
    plug_judge(&first, &second, 1099, 100);
    assert_false(second.list[0].listed);
    plug_judge(&second, &third, 1100, 100);
    assert_true(third.list[0].listed);
}

static void test_judge__without_an_age_it_still_takes_two(void **state)
{
    (void)state;
    struct plug_losts none = {0}, first = LOOK(LOST(160, 64, 1)), second = LOOK(LOST(160, 64, 1));
    plug_judge(&none, &first, 1000, 0);
    assert_false(first.list[0].listed);
    plug_judge(&first, &second, 1000, 0);
    assert_true(second.list[0].listed);
}

static void test_judge__another_size_or_content_is_another_block(void **state)
{
    (void)state;
    struct plug_losts none = {0},
                      first = LOOK(LOST(160, 64, 1), LOST(320, 64, 1), LOST(480, 64, 1)),
                      second = LOOK(LOST(160, 32, 1), LOST(320, 64, 2), LOST(480, 64, 1));
    plug_judge(&none, &first, 1000, 10);
    plug_judge(&first, &second, 2000, 10);
    assert_false(second.list[0].listed);
    assert_false(second.list[1].listed);
    assert_true(second.list[2].listed);
    assert_int_equal(second.list[0].since_ms, 2000);
    assert_int_equal(second.list[1].since_ms, 2000);
}

static void test_judge__what_was_reachable_in_between_begins_anew(void **state)
{
    (void)state;
    struct plug_losts none = {0}, first = LOOK(LOST(160, 64, 1), LOST(320, 64, 1)),
                      second = LOOK(LOST(320, 64, 1)),
                      third = LOOK(LOST(160, 64, 1), LOST(320, 64, 1));
    plug_judge(&none, &first, 1000, 1500);
    plug_judge(&first, &second, 2000, 1500);
    plug_judge(&second, &third, 3000, 1500);
    assert_false(third.list[0].listed);
    assert_true(third.list[1].listed);
}

static void test_judge__what_was_listed_begins_anew(void **state)
{
    (void)state;
    struct plug_losts none = {0}, first = LOOK(LOST(160, 64, 1)), second = LOOK(LOST(160, 64, 1)),
                      third = LOOK(LOST(160, 64, 1)), fourth = LOOK(LOST(160, 64, 1));
    plug_judge(&none, &first, 1000, 10);
    plug_judge(&first, &second, 2000, 10);
    assert_true(second.list[0].listed);
    plug_judge(&second, &third, 3000, 10);
    assert_false(third.list[0].listed);
    plug_judge(&third, &fourth, 4000, 10);
    assert_true(fourth.list[0].listed);
}

static void test_still_words__at_every_half(void **state)
{
    (void)state;
    unsigned char bytes[40] = {0};
    uint64_t address = 0x7f0123456780, text;
    struct kernel_words words = {0};
    memcpy(bytes + 12, &address, sizeof address);
    memcpy(bytes + 24, "a text..", 8);
    memcpy(&text, bytes + 24, 8);
    assert_true(still_words_take(&words, bytes, sizeof bytes));
    bool found = false;
    for (size_t i = 0; i < words.count; i++) {
        found |= words.list[i] == address;
        assert_true(words.list[i] != text);
    }
    assert_true(found);
    kernel_words_finish(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge__lost_twice_and_long_enough),
        cmocka_unit_test(test_judge__without_an_age_it_still_takes_two),
        cmocka_unit_test(test_judge__another_size_or_content_is_another_block),
        cmocka_unit_test(test_judge__what_was_reachable_in_between_begins_anew),
        cmocka_unit_test(test_judge__what_was_listed_begins_anew),
        cmocka_unit_test(test_still_words__at_every_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
