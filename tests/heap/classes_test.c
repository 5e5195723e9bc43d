/* Size classes, all of them and every size. What could break: the borders between two formulas. */
#include "heap/classes.h"

#include "kit/unit.h"

static void test_classes__serve_each_size_with_the_smallest_block_that_fits(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SLAB_MAX; size++) {
        unsigned c = class_of(size);
        assert_in_range(c, 1, CLASSES - 1);
        assert_true(class_facts[c].size >= size);
        if (c > 1) assert_true(class_facts[c - 1].size < size);
    }
    assert_int_equal(class_of(0), 0);
    assert_int_equal(class_facts[0].size, class_facts[1].size);
}

static void test_classes__are_multiples_of_16_up_to_1_kib(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX; size++)
        assert_int_equal(class_facts[class_of(size)].size, (size + 15) / 16 * 16);
}

static void test_classes__waste_an_eighth_at_most(void **state)
{
    (void)state;
    for (size_t size = 129; size <= SLAB_MAX; size++) {
        size_t block = class_facts[class_of(size)].size;
        assert_true((block - size) * 8 <= block);
    }
}

static void test_classes__rise_and_keep_their_alignment(void **state)
{
    (void)state;
    for (unsigned c = 1; c < CLASSES; c++) {
        assert_int_equal(class_facts[c].size % 16, 0);
        if (c > 1) assert_true(class_facts[c].size > class_facts[c - 1].size);
    }
    assert_int_equal(class_facts[CLASSES - 1].size, SLAB_MAX);
}

static void test_classes__facts_describe_a_slab(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASSES; c++) {
        const struct class_facts *facts = &class_facts[c];
        assert_int_equal(facts->blocks, SLICE_SIZE / facts->size);
        assert_in_range(facts->wake, 1, facts->blocks);
        assert_in_range(facts->batch, 1, facts->blocks);
    }
}

/* The multiplication instead of a division, for every byte of a slab of every class. */
static void test_classes__blocks_are_found_from_every_offset(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASSES; c++)
        for (size_t offset = 0; offset < SLICE_SIZE; offset++)
            if (block_index(c, offset) != offset / class_facts[c].size)
                fail_msg("class %u, offset %zu: block %u", c, offset, block_index(c, offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes__serve_each_size_with_the_smallest_block_that_fits),
        cmocka_unit_test(test_classes__are_multiples_of_16_up_to_1_kib),
        cmocka_unit_test(test_classes__waste_an_eighth_at_most),
        cmocka_unit_test(test_classes__rise_and_keep_their_alignment),
        cmocka_unit_test(test_classes__facts_describe_a_slab),
        cmocka_unit_test(test_classes__blocks_are_found_from_every_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
