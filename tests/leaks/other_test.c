/*
 * Heaps of other allocators, made by hand. What could break: a block that is not found, a free one that
 * is; a heap that contradicts itself and is believed; a heap of a version that nobody knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "made_inside.h"

static struct made_other made;

/* Finds and marks; the number of blocks. */
static uint64_t count_blocks(struct survey *s)
{
    uint64_t blocks = 0;
    assert_int_equal(survey_find(s, &made.image), SURVEY_OTHER);
    assert_true(survey_mark(s));
    for (int i = 0; i < REACH_KINDS; i++) blocks += s->total[i].count;
    return blocks;
}

static void check_sound(void (*make)(struct made_other *), const char *name)
{
    struct survey s;
    make(&made);
    assert_int_equal(count_blocks(&s), made.blocks);
    assert_int_equal(s.parts.damaged, 0);
    assert_true(survey_walks(&s, name));
    assert_int_equal(s.total[REACH_REACHED].count, 0);
    survey_finish(&s);
    made_other_end(&made);
}

/* Turns one bit after the other of each word that was made: the walker believes it, calls it damaged, or
 * refuses; when it refuses, it says why. It must not believe everything. */
static void check_flips(void (*make)(struct made_other *))
{
    make(&made);
    uint64_t unbelieved = 0;
    for (size_t i = 0, writes = made.writes; i < writes; i++) {
        uint64_t at = made.written[i], word = made_other_read(&made, at);
        for (unsigned bit = 0; bit < 64; bit += 3) {
            struct survey s;
            made_other_write(&made, at, word ^ 1ull << bit);
            enum survey_heap heap = survey_find(&s, &made.image);
            if (heap == SURVEY_OTHER) {
                assert_true(survey_mark(&s));
                unbelieved += s.parts.damaged;
            }
            if (heap == SURVEY_NONE && s.misfit.walker) {
                assert_true(s.misfit.misfit[0] != 0);
                unbelieved++;
            }
            survey_finish(&s);
        }
        made_other_write(&made, at, word);
    }
    assert_true(unbelieved > 0);
    made_other_end(&made);
}

static void test_musl__in_use_is_what_is_neither_available_nor_freed(void **state)
{
    (void)state;
    check_sound(made_musl, "musl");
}

static void test_musl__no_flipped_bit_is_fatal(void **state)
{
    (void)state;
    check_flips(made_musl);
}

/* Its header is not told from that of memory fresh from the kernel, whose address may be nowhere yet. */
static void test_musl__a_first_block_of_zeros_is_being_handed_out(void **state)
{
    struct survey s;
    (void)state;
    made_musl(&made);
    made_other_write(&made, 0x7f2000002020ull, 0);
    assert_int_equal(count_blocks(&s), made.blocks - 1);
    assert_int_equal(s.parts.damaged, 0);
    survey_finish(&s);
    made_other_end(&made);
}

/* A group whose header is wrong is searched as a root, so that nothing is lost for lack of it. */
static void test_musl__a_damaged_group_is_a_root(void **state)
{
    struct survey s;
    uint64_t storage = 0x7f2000002010ull, block = storage + 6 * 320;
    (void)state;
    made_musl(&made);
    made_other_write(&made, storage + 4 * 320, block); /* the only pointer to it */
    made_other_write(&made, storage + 8 * 320 - 8, ~0ull);
    assert_int_equal(count_blocks(&s), made.blocks - 1);
    assert_int_equal(s.parts.damaged, 1);
    assert_int_equal(reach_kind_of(&s.reach, block), REACH_REACHED);
    survey_finish(&s);
    made_other_end(&made);
}

static void test_jemalloc__cached_blocks_are_free(void **state)
{
    (void)state;
    check_sound(made_jemalloc, "jemalloc");
}

static void test_jemalloc__no_flipped_bit_is_fatal(void **state)
{
    (void)state;
    check_flips(made_jemalloc);
}

/* What is in it then counts as possibly in use, and the report says so. */
static void test_jemalloc__a_cache_without_owner_is_a_root(void **state)
{
    struct survey s;
    (void)state;
    made_jemalloc(&made);
    made_other_write(&made, OTHER_THREAD - 0x1000, 0);
    assert_int_equal(count_blocks(&s), made.blocks + 2);
    assert_int_equal(s.total[REACH_REACHED].count, 2);
    assert_non_null(strstr(s.walks[0].note, "1 of 1 caches"));
    survey_finish(&s);
    made_other_end(&made);
}

/* A thread that has the head in a register may be in the middle of a change. */
static void test_jemalloc__a_stack_that_a_thread_is_at_is_a_root(void **state)
{
    struct survey s;
    (void)state;
    made_jemalloc(&made);
    made.thread.registers.count = 1;
    made.thread.registers.word[0] = made_other_read(&made, OTHER_THREAD - 0x1000 + 5 * 24);
    assert_int_equal(count_blocks(&s), made.blocks + 2);
    assert_int_equal(s.total[REACH_REACHED].count, 2);
    survey_finish(&s);
    made_other_end(&made);
}

static void test_mimalloc__blocks_in_any_of_four_lists_are_free(void **state)
{
    (void)state;
    check_sound(made_mimalloc, "mimalloc");
}

static void test_mimalloc__no_flipped_bit_is_fatal(void **state)
{
    (void)state;
    check_flips(made_mimalloc);
}

/* An aligned block begins in the middle of one: a pointer there is one to it. */
static void test_mimalloc__a_pointer_into_an_aligned_block_keeps_it(void **state)
{
    uint64_t descriptor = 0x7f4000000000ull + 264 + 80, block = 0x7f4000010000ull + 384;
    struct survey s;
    (void)state;
    for (unsigned aligned = 0; aligned <= 1; aligned++) {
        made_mimalloc(&made);
        if (aligned)
            made_other_write(&made, descriptor + 8,
                             made_other_read(&made, descriptor + 8) | 2ull << 48);
        made_other_write(&made, made_other_root(0), block + 32);
        made_seal(&made);
        assert_int_equal(count_blocks(&s), made.blocks);
        assert_int_equal(reach_kind_of(&s.reach, block), aligned ? REACH_REACHED : REACH_POSSIBLE);
        survey_finish(&s);
        made_other_end(&made);
    }
}

/* A list that leads elsewhere: the page is searched as a root, and told as damage. */
static void test_mimalloc__a_list_that_leads_elsewhere_is_damage(void **state)
{
    uint64_t block = 0x7f4000010000ull + 384;
    struct survey s;
    (void)state;
    made_mimalloc(&made);
    made_other_write(&made, block + 64, block + 8);
    assert_int_equal(count_blocks(&s), 1);
    assert_int_equal(s.parts.damaged, 1);
    survey_finish(&s);
    made_other_end(&made);
}

static void test_tcmalloc__blocks_in_caches_are_free(void **state)
{
    (void)state;
    check_sound(made_tcmalloc, "gperftools tcmalloc");
}

static void test_tcmalloc__no_flipped_bit_is_fatal(void **state)
{
    (void)state;
    check_flips(made_tcmalloc);
}

/* What is left of it would look lost. */
static void test_tcmalloc__a_list_that_leads_elsewhere_is_refused(void **state)
{
    struct survey s;
    (void)state;
    made_tcmalloc(&made);
    made_other_write(&made, 0x7f3000000000ull + 5 * 64, 0x7f3000000000ull + 7 * 64 + 8);
    assert_int_equal(survey_find(&s, &made.image), SURVEY_NONE);
    assert_non_null(strstr(s.misfit.misfit, "leads elsewhere"));
    survey_finish(&s);
    made_other_end(&made);
}

/* Somebody is changing them: what is in them counts as possibly in use. */
static void test_tcmalloc__locked_lists_are_roots(void **state)
{
    struct survey s;
    (void)state;
    made_tcmalloc(&made);
    made_other_write(&made, OTHER_DATA + 0x3000 + 3 * 1216, 1);
    assert_int_equal(count_blocks(&s), made.blocks + 2);
    assert_int_equal(s.total[REACH_REACHED].count, 2);
    survey_finish(&s);
    made_other_end(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_musl__in_use_is_what_is_neither_available_nor_freed),
        cmocka_unit_test(test_musl__no_flipped_bit_is_fatal),
        cmocka_unit_test(test_musl__a_first_block_of_zeros_is_being_handed_out),
        cmocka_unit_test(test_musl__a_damaged_group_is_a_root),
        cmocka_unit_test(test_jemalloc__cached_blocks_are_free),
        cmocka_unit_test(test_jemalloc__no_flipped_bit_is_fatal),
        cmocka_unit_test(test_jemalloc__a_cache_without_owner_is_a_root),
        cmocka_unit_test(test_jemalloc__a_stack_that_a_thread_is_at_is_a_root),
        cmocka_unit_test(test_mimalloc__blocks_in_any_of_four_lists_are_free),
        cmocka_unit_test(test_mimalloc__no_flipped_bit_is_fatal),
        cmocka_unit_test(test_mimalloc__a_pointer_into_an_aligned_block_keeps_it),
        cmocka_unit_test(test_mimalloc__a_list_that_leads_elsewhere_is_damage),
        cmocka_unit_test(test_tcmalloc__blocks_in_caches_are_free),
        cmocka_unit_test(test_tcmalloc__no_flipped_bit_is_fatal),
        cmocka_unit_test(test_tcmalloc__a_list_that_leads_elsewhere_is_refused),
        cmocka_unit_test(test_tcmalloc__locked_lists_are_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
