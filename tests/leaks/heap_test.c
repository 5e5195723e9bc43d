/*
 * The reader of glibc's heap, over heaps made by hand.
 *
 * What could break: a free block taken for one in use (caches of each version, fast bins, both forms of
 * their links), blocks lost behind damage, a list that runs in a circle, a program's own block taken for
 * a thread's cache; a chain that is torn while the process runs, and not taken up again.
 */
#include <unistd.h>

#include "../../cli/glibc_pages.h"
#include "kit/unit.h"
#include "made_heap.h"

static struct made made;

static struct survey survey_of(void)
{
    struct survey s;
    made_end(&made);
    assert_int_equal(survey_find(&s, &made.image), SURVEY_GLIBC);
    assert_true(survey_mark(&s));
    return s;
}

static bool is_block(const struct survey *s, uint64_t block)
{
    uint64_t start, size;
    return reach_find(&s->reach, block, &start, &size) && start == block;
}

static void test_heap__blocks_in_use_are_found_with_their_sizes(void **state)
{
    uint64_t start, size;
    made_begin(&made);
    uint64_t a = made_chunk(&made, 32, true), b = made_chunk(&made, 48, false),
             c = made_chunk(&made, 4096, true);
    struct survey s = survey_of();
    assert_true(is_block(&s, a) && !is_block(&s, b) && is_block(&s, c));
    assert_true(reach_find(&s.reach, c + 4000, &start, &size));
    assert_true(start == c && size == 4088);
    assert_false(reach_find(&s.reach, c + 4088, &start, &size)); /* the next chunk's size */
    assert_int_equal(s.total[REACH_LOST].count, 2);
    survey_finish(&s);
    (void)state;
}

static void test_heap__kinds_follow_from_who_points_where(void **state)
{
    made_begin(&made);
    uint64_t kept = made_chunk(&made, 64, true), child = made_chunk(&made, 64, true);
    uint64_t middle = made_chunk(&made, 64, true), leader = made_chunk(&made, 64, true);
    uint64_t follower = made_chunk(&made, 64, true), under_middle = made_chunk(&made, 64, true);
    made_write(&made, made_root(3), kept);
    made_write(&made, kept + 8, child);
    made_write(&made, made_root(4), middle + 16);
    made_write(&made, middle, under_middle);
    made_write(&made, leader, follower + 24);
    made_write(&made, follower, leader); /* a circle */
    struct survey s = survey_of();
    assert_int_equal(reach_kind_of(&s.reach, kept), REACH_REACHED);
    assert_int_equal(reach_kind_of(&s.reach, child), REACH_REACHED);
    assert_int_equal(reach_kind_of(&s.reach, middle), REACH_POSSIBLE);
    assert_int_equal(reach_kind_of(&s.reach, under_middle), REACH_POSSIBLE);
    assert_int_equal(reach_kind_of(&s.reach, leader), REACH_LOST);
    assert_int_equal(reach_kind_of(&s.reach, follower), REACH_INDIRECT);
    const struct reach_keeper *keeper = reach_keeper_of(&s.reach, leader);
    assert_non_null(keeper);
    assert_true(keeper->count == 1 && keeper->bytes == 56);
    survey_finish(&s);
    (void)state;
}

/* A later leader that reaches an earlier one takes over what that kept. */
static void test_heap__a_leader_that_is_found_hands_on_what_it_kept(void **state)
{
    made_begin(&made);
    uint64_t leaf = made_chunk(&made, 32, true), first = made_chunk(&made, 32, true);
    uint64_t second = made_chunk(&made, 32, true);
    made_write(&made, first, leaf);
    made_write(&made, second, first);
    struct survey s = survey_of();
    assert_int_equal(reach_kind_of(&s.reach, leaf), REACH_INDIRECT);
    assert_int_equal(reach_kind_of(&s.reach, first), REACH_INDIRECT);
    assert_int_equal(reach_kind_of(&s.reach, second), REACH_LOST);
    assert_null(reach_keeper_of(&s.reach, first));
    assert_int_equal(reach_keeper_of(&s.reach, second)->count, 2);
    survey_finish(&s);
    (void)state;
}

/* ---- caches --------------------------------------------------------------------------------- */

struct version {
    uint64_t chunk;
    unsigned offset, width, lists;
    bool counts_room;
};

static const struct version versions[] = {
    {0x250, 64, 1, 64, false},
    {0x290, 128, 2, 64, false},
    {0x300, 152, 2, 76, true},
};

static void write_count(uint64_t cache, const struct version *v, unsigned list, unsigned count)
{
    uint64_t at = cache + v->width * (uint64_t)list, word = made_read(&made, at & ~7ull);
    unsigned shift = (unsigned)(at & 7) * 8;
    word &= ~((v->width == 1 ? 0xffull : 0xffffull) << shift);
    made_write(&made, at & ~7ull, word | (uint64_t)count << shift);
}

static uint64_t make_cache(const struct version *v)
{
    uint64_t cache = made_chunk(&made, v->chunk, true);
    for (unsigned i = 0; v->counts_room && i < v->lists; i++) write_count(cache, v, i, 7);
    return cache;
}

static uint64_t link_of(uint64_t block, uint64_t next, bool protected)
{
    return protected ? next ^ block >> 12 : next;
}

/* Three blocks of 48 bytes in the cache, behind each other; a fourth beside them stays in use. */
static void check_cache(const struct version *v, bool protected)
{
    uint64_t block[4];
    made_begin(&made);
    uint64_t cache = make_cache(v);
    for (int i = 0; i < 4; i++) block[i] = made_chunk(&made, 48, true);
    made_write(&made, cache + v->offset + 8, block[0]); /* list 1: chunks of 48 */
    write_count(cache, v, 1, v->counts_room ? 4 : 3);
    made_write(&made, block[0], link_of(block[0], block[1], protected));
    made_write(&made, block[1], link_of(block[1], block[2], protected));
    made_write(&made, block[2], link_of(block[2], 0, protected));
    made_write(&made, made_root(1), cache);
    struct survey s = survey_of();
    for (int i = 0; i < 3; i++) assert_false(is_block(&s, block[i]));
    assert_true(is_block(&s, block[3]));
    assert_false(is_block(&s, cache));
    assert_int_equal(s.total[REACH_LOST].count, 1);
    survey_finish(&s);
}

static void test_heap__blocks_in_a_threads_cache_are_free(void **state)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        check_cache(&versions[i], false);
        check_cache(&versions[i], true);
    }
    (void)state;
}

/* An array of pointers of the same size as a cache is the program's. */
static void test_heap__a_block_like_a_cache_stays_the_programs(void **state)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        made_begin(&made);
        uint64_t array = made_chunk(&made, versions[i].chunk, true),
                 block = made_chunk(&made, 48, true);
        made_write(&made, array + versions[i].offset + 8, block); /* but no count */
        made_write(&made, made_root(1), array);
        struct survey s = survey_of();
        assert_true(is_block(&s, array) && is_block(&s, block));
        assert_int_equal(s.total[REACH_REACHED].count, 2);
        survey_finish(&s);
    }
    (void)state;
}

static void test_heap__fast_bins_are_free_and_circles_end(void **state)
{
    for (int protected = 0; protected < 2; protected ++) {
        for (int circle = 0; circle < 2; circle++) {
            made_begin(&made);
            uint64_t a = made_chunk(&made, 32, true), b = made_chunk(&made, 32, true);
            uint64_t live = made_chunk(&made, 32, true), last = circle ? a - 16 : 0;
            made_write(&made, MADE_DATA + MADE_BINS + (uint64_t)GLIBC_TO_FAST, a - 16);
            made_write(&made, a, link_of(a, b - 16, protected));
            made_write(&made, b, link_of(b, last, protected));
            struct survey s = survey_of();
            assert_true(!is_block(&s, a) && !is_block(&s, b) && is_block(&s, live));
            survey_finish(&s);
        }
    }
    (void)state;
}

/* ---- damage --------------------------------------------------------------------------------- */

/* What lies behind the damage is no longer known; but what it points to counts. */
static void test_heap__damage_hides_nothing_and_invents_nothing(void **state)
{
    made_begin(&made);
    uint64_t early = made_chunk(&made, 64, true), lost = made_chunk(&made, 64, true);
    uint64_t broken = made_chunk(&made, 64, true), late = made_chunk(&made, 64, true);
    made_write(&made, late, early);
    made_write(&made, broken + 56, 0x4141414141414141); /* an overflow into the next size */
    struct survey s = survey_of();
    assert_int_equal(reach_kind_of(&s.reach, early), REACH_REACHED);
    assert_int_equal(reach_kind_of(&s.reach, lost), REACH_LOST);
    assert_int_equal(s.parts.damaged, 1);
    survey_finish(&s);
    (void)state;
}

static void test_heap__without_an_arena_there_is_no_heap(void **state)
{
    struct survey s;
    made_begin(&made);
    made_chunk(&made, 64, true);
    made_end(&made);
    for (uint64_t bin = 40; bin < 44; bin++) made_write(&made, MADE_DATA + MADE_BINS + 16 * bin, 7);
    assert_int_equal(survey_find(&s, &made.image), SURVEY_NONE);
    survey_finish(&s);
    (void)state;
}

/* As if half of a change had been read: what lies on both sides of it is divided all the same. */
static void test_heap__a_torn_chain_is_taken_up_again_while_it_runs(void **state)
{
    enum { CHUNKS = 200, SIZE = 96, TORN = 60 };
    struct pages pages;
    struct smaps none = {0};
    struct glibc_pages g;
    made_begin(&made);
    uint64_t torn = 0;
    for (int i = 0; i < CHUNKS; i++) {
        uint64_t block = made_chunk(&made, SIZE, i % 2);
        if (i == TORN) torn = block;
    }
    made_end(&made);
    assert_true(pages_open(&pages, getpid()));
    assert_true(glibc_pages_divide(&g, &made.image, true, &pages, &none));
    assert_int_equal(g.torn, 0);
    assert_int_equal(g.part[GLIBC_LIVE].count, CHUNKS / 2);
    assert_int_equal(g.part[GLIBC_BETWEEN].absent, CHUNKS / 2 * SIZE);
    glibc_pages_finish(&g);
    made_write(&made, torn - 8, 0x7777777777777777);
    assert_true(glibc_pages_divide(&g, &made.image, true, &pages, &none));
    assert_true(g.torn == 1 && g.torn_at == torn - 16);
    assert_in_range(g.part[GLIBC_LIVE].count, CHUNKS / 2 - 2, CHUNKS / 2);
    assert_in_range(g.part[GLIBC_BETWEEN].count, CHUNKS / 2 - 2, CHUNKS / 2);
    glibc_pages_finish(&g);
    assert_true(glibc_pages_divide(&g, &made.image, false, &pages, &none));
    assert_true(g.part[GLIBC_LIVE].count < CHUNKS / 2 - 2); /* what is behind alone */
    glibc_pages_finish(&g);
    pages_close(&pages);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap__blocks_in_use_are_found_with_their_sizes),
        cmocka_unit_test(test_heap__kinds_follow_from_who_points_where),
        cmocka_unit_test(test_heap__a_leader_that_is_found_hands_on_what_it_kept),
        cmocka_unit_test(test_heap__blocks_in_a_threads_cache_are_free),
        cmocka_unit_test(test_heap__a_block_like_a_cache_stays_the_programs),
        cmocka_unit_test(test_heap__fast_bins_are_free_and_circles_end),
        cmocka_unit_test(test_heap__damage_hides_nothing_and_invents_nothing),
        cmocka_unit_test(test_heap__a_torn_chain_is_taken_up_again_while_it_runs),
        cmocka_unit_test(test_heap__without_an_arena_there_is_no_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
