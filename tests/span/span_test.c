/*
 * Spans over os/fake: a model of who owns which slice, and single cases by hand.
 *
 * What could break: two spans that share a slice; free neighbours that stay apart, so that memory is
 * there and cannot be had; a span said to be zero that is not; span_find led astray by the descriptor
 * of an earlier span; memory given back too early, too late, or never.
 *
 * Every slice that was handed out is written to, so that one which wrongly counts as zero shows.
 */
#include "span/span.h"

#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "os/os.h"

#define ARENA (4 * GIB)
#define MARK 0x5a5a5a5a5a5a5a5aull

static int set_up(void **state)
{
    (void)state;
    return arena_init(ARENA) ? 0 : 1;
}

/* ---- taking and giving ------------------------------------------------------------------------------- */

static uint64_t *slice_word(const struct span *span, size_t slice, bool last)
{
    char *start = span_start(span) + (slice << SLICE_SHIFT);
    return (uint64_t *)(last ? start + SLICE_SIZE - 8 : start);
}

static void write_all(struct span *span, size_t slices)
{
    for (size_t i = 0; i < slices; i++)
        *slice_word(span, i, false) = *slice_word(span, i, true) = MARK;
}

static bool reads_as_zeros(const struct span *span, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (*slice_word(span, i, false) || *slice_word(span, i, true)) return false;
    return true;
}

/* As a large block is made: checked, written to, found from inside. */
static struct span *take(size_t slices, size_t align, enum span_use use)
{
    struct span *span = span_allocate(slices, align, use);
    if (span == NULL) return NULL;
    assert_int_equal(LOAD(&span->slices), slices);
    assert_int_equal((uintptr_t)span_start(span) % (align << SLICE_SHIFT), 0);
    assert_true(arena_holds(span_start(span)));
    assert_true(arena_holds(span_start(span) + (slices << SLICE_SHIFT) - 1));
    if (span->flags & FH_SPAN_ZERO) assert_true(reads_as_zeros(span, 0, slices));
    write_all(span, slices);
    STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    span_mark_body(span);
    return span;
}

static struct span *take_dense(size_t slices)
{
    struct span *span = take(slices, 1, DENSE);
    assert_non_null(span);
    return span;
}

static void expect_found(struct span *span)
{
    uint32_t slices = LOAD(&span->slices);
    for (uint32_t i = 0; i < slices; i++) {
        const char *slice = span_start(span) + ((size_t)i << SLICE_SHIFT);
        assert_ptr_equal(span_find(slice), span);
        assert_ptr_equal(span_find(slice + SLICE_SIZE - 1), span);
    }
}

/* Many a case needs neighbours. So each begins with all holes filled, and gets fresh memory, in order
 * of address; and each begins with a system that refuses nothing. */
static struct span *filler[ARENA >> SLICE_SHIFT];
static size_t fillers;

static int fill_holes(void **state)
{
    (void)state;
    os_fake_reset();
    uint32_t high = fh_registry.high, index = 0;
    for (fillers = 0; index < high; fillers++) {
        filler[fillers] = span_allocate(1, 1, DENSE);
        if (filler[fillers] == NULL) return 1;
        STORE_RELEASE(&filler[fillers]->kind, FH_SPAN_SLAB);
        index = span_index(filler[fillers]);
    }
    return 0;
}

static int free_fillers(void **state)
{
    (void)state;
    os_fake_reset();
    while (fillers > 0) span_free(filler[--fillers]);
    return 0;
}

/* ---- by hand ------------------------------------------------------------------------------------------- */

static void test_span__freed_neighbours_join(void **state)
{
    (void)state;
    /* All orders in which three neighbours can be freed. */
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        struct span *guard = take_dense(1), *part[3];
        struct span *whole = take_dense(12);
        struct span *behind = take_dense(1);
        span_shrink(whole, 3, false);
        part[0] = whole;
        bool zero;
        part[1] = take_dense(4);
        part[2] = take_dense(5);
        assert_ptr_equal(part[1], whole + 3);
        assert_ptr_equal(part[2], whole + 7);
        for (int k = 0; k < 3; k++) span_free(part[order[i][k]]);
        struct span *again = take_dense(12);
        assert_ptr_equal(again, whole);
        assert_false(span_grow(again, 13, &zero)); /* `behind` is there */
        span_free(again);
        span_free(behind);
        span_free(guard);
    }
}

static void test_span__a_span_grows_over_what_is_free(void **state)
{
    (void)state;
    bool zero;
    struct span *span = take_dense(40), *behind = take_dense(2);
    span_shrink(span, 8, false);
    assert_true(span_grow(span, 20, &zero));
    assert_false(zero); /* it was written to before */
    assert_int_equal(LOAD(&span->slices), 20);
    assert_true(span_grow(span, 40, &zero));
    assert_false(span_grow(span, 41, &zero));
    assert_int_equal(LOAD(&span->slices), 40);
    span_free(behind);
    assert_true(span_grow(span, 41, &zero));
    write_all(span, 41);
    span_free(span);
}

/* A purged neighbour and fresh memory are zero, and said to be. */
static void test_span__growth_tells_what_is_zero(void **state)
{
    (void)state;
    bool zero = false;
    struct span *span = take_dense(20), *behind = take_dense(1);
    span_shrink(span, 5, false);
    span_purge(0, NULL);
    assert_true(span_grow(span, 9, &zero));
    assert_true(zero);
    assert_true(reads_as_zeros(span, 5, 9));
    span_free(span);
    span_free(behind);
}

static void test_span__shrinking_untouched_memory_keeps_it_clean(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *span = span_allocate(64, 1, SPARSE);
    assert_true(span->flags & FH_SPAN_ZERO);
    uint64_t dirty = fh_registry.dirty_slices;
    span_shrink(span, 32, true);
    assert_int_equal(fh_registry.dirty_slices, dirty);
    STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    span_free(span);
    assert_true(fh_registry.dirty_slices > dirty);
    span_purge(0, NULL);
}

/* Dirty memory that nobody touched since is dirty all the same. */
static void test_span__shrinking_makes_nothing_clean(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *span = take_dense(10), *behind = take_dense(1);
    span_free(span);
    struct span *again = span_allocate(10, 1, DENSE);
    assert_ptr_equal(again, span);
    span_shrink(again, 4, true);
    assert_int_equal(fh_registry.dirty_slices, 6);
    span_free(again);
    span_free(behind);
}

/* What is cut off for the alignment keeps its condition. */
static void test_span__alignment_makes_nothing_dirty(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *shift = take_dense(1), *span = span_allocate(1, 64, SPARSE);
    assert_true(span->flags & FH_SPAN_ZERO);
    assert_int_equal(fh_registry.dirty_slices, 0);
    span_free(span);
    span_free(shift);
}

static void test_span__alignment_to_any_power_of_two(void **state)
{
    (void)state;
    struct span *span[2][12];
    for (int round = 0; round < 2; round++)
        for (unsigned log = 0; log < 12; log++) {
            span[round][log] = take(1 + log % 3, (size_t)1 << log, log % 2 ? DENSE : SPARSE);
            assert_non_null(span[round][log]);
        }
    for (int round = 0; round < 2; round++)
        for (unsigned log = 0; log < 12; log++) {
            expect_found(span[round][log]);
            span_free(span[round][log]);
        }
}

static void test_span__what_is_too_much_is_refused(void **state)
{
    (void)state;
    size_t all = arena.end - arena.first;
    assert_null(span_allocate(0, 1, DENSE));
    assert_null(span_allocate(all + 1, 1, DENSE));
    assert_null(span_allocate(SIZE_MAX >> SLICE_SHIFT, 1, DENSE));
    assert_null(span_allocate(1, (size_t)1 << 47, DENSE));
    assert_null(span_allocate(all, 2048, DENSE));
}

static void test_span__the_whole_arena_can_be_used(void **state)
{
    (void)state;
    static struct span *span[ARENA >> SLICE_SHIFT];
    size_t all = arena.end - arena.first, n = 0;
    while ((span[n] = span_allocate(1, 1, DENSE)) != NULL) {
        STORE_RELEASE(&span[n]->kind, FH_SPAN_LARGE);
        n++;
    }
    assert_int_equal(n, all);
    for (size_t i = 0; i < n; i += 2) span_free(span[i]);
    assert_null(span_allocate(2, 1, DENSE)); /* enough is free, but nowhere two together */
    for (size_t i = 1; i < n; i += 2) span_free(span[i]);
    span[0] = span_allocate(all, 1, SPARSE);
    assert_non_null(span[0]);
    STORE_RELEASE(&span[0]->kind, FH_SPAN_LARGE);
    span_free(span[0]);
}

static void test_span__is_found_from_every_slice(void **state)
{
    (void)state;
    static const size_t more[] = {300, 511, 512, 513, 1000, 4095, 4097, 9999};
    static struct span *span[200 + COUNT_OF(more)];
    for (int round = 0; round < 3; round++) {
        struct span *shift = take_dense((size_t)round * 3 + 1); /* other places each time */
        for (size_t i = 0; i < COUNT_OF(span); i++)
            span[i] = take_dense(i < 200 ? i + 1 : more[i - 200]);
        for (size_t i = 0; i < COUNT_OF(span); i++) expect_found(span[i]);
        for (size_t i = 0; i < COUNT_OF(span); i += 2) span_free(span[i]);
        for (size_t i = 1; i < COUNT_OF(span); i += 2) expect_found(span[i]);
        for (size_t i = 1; i < COUNT_OF(span); i += 2) span_free(span[i]);
        span_free(shift);
    }
}

static void test_span__nothing_is_found_where_nothing_is(void **state)
{
    (void)state;
    assert_null(span_find((void *)arena.base));
    assert_null(span_find((void *)(arena.base + ((size_t)arena.first << SLICE_SHIFT) - 1)));
    assert_null(span_find((void *)(arena.base + ((size_t)fh_registry.high << SLICE_SHIFT))));
    assert_null(span_find((void *)(arena.base + arena.size - 1)));
}

struct count {
    uint32_t spans;
    uint64_t slices;
};

static void count_span(struct span *span, void *context)
{
    struct count *count = context;
    count->spans++;
    count->slices += LOAD(&span->slices);
}

static void test_span__each_one_is_visited_once(void **state)
{
    (void)state;
    struct span *span[50];
    uint64_t slices = 0;
    for (size_t i = 0; i < COUNT_OF(span); i++) span[i] = take_dense(i * 7 % 23 + 1);
    for (size_t i = 0; i < COUNT_OF(span); i += 3) span_free(span[i]);
    uint32_t live = 0;
    for (size_t i = 0; i < COUNT_OF(span); i++)
        if (i % 3) live++, slices += LOAD(&span[i]->slices);
    struct count count = {0, 0};
    span_each(count_span, &count);
    assert_int_equal(count.spans - fillers, live);
    assert_int_equal(count.slices - fillers, slices);
    for (size_t i = 0; i < COUNT_OF(span); i++)
        if (i % 3) span_free(span[i]);
}

/* ---- memory goes back --------------------------------------------------------------------------------- */

static void test_span__goes_back_when_it_is_old_enough(void **state)
{
    (void)state;
    span_purge(0, NULL);
    assert_int_equal(fh_registry.dirty_slices, 0);
    struct span *young = take_dense(3), *between = take_dense(1), *old = take_dense(5);
    struct span *behind = take_dense(1);
    span_free(old);
    os_fake.clock_ms += 600;
    span_free(young);
    os_fake.clock_ms += 399;
    assert_int_equal(span_purge(1000, NULL), 0);
    os_fake.clock_ms += 1;
    assert_int_equal(span_purge(1000, NULL), 5 * SLICE_SIZE);
    assert_true(reads_as_zeros(old, 0, 5));
    assert_false(reads_as_zeros(young, 0, 3));
    assert_int_equal(fh_registry.dirty_slices, 3);
    os_fake.clock_ms += 600;
    assert_int_equal(span_purge(1000, NULL), 3 * SLICE_SIZE);
    assert_true(reads_as_zeros(young, 0, 3));
    assert_int_equal(fh_registry.dirty_slices, 0);
    assert_int_equal(span_purge(0, NULL), 0);
    span_free(between);
    span_free(behind);
}

static void test_span__what_is_left_of_one_keeps_its_age(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *span = take_dense(10), *behind = take_dense(1);
    span_free(span);
    os_fake.clock_ms += 600;
    struct span *front = take_dense(4);
    assert_ptr_equal(front, span);
    os_fake.clock_ms += 399;
    assert_int_equal(span_purge(1000, NULL), 0);
    os_fake.clock_ms += 1;
    assert_int_equal(span_purge(1000, NULL), 6 * SLICE_SIZE);
    span_free(front);
    span_free(behind);
}

static void test_span__a_very_large_one_goes_back_at_once(void **state)
{
    (void)state;
    span_purge(0, NULL);
    size_t slices = (64 * MIB) >> SLICE_SHIFT;
    struct span *small = take_dense(slices - 1), *large = take_dense(slices);
    uint64_t before = os_fake.purged_bytes;
    span_free(small);
    assert_int_equal(os_fake.purged_bytes, before);
    struct span *apart = take_dense(1);
    span_free(large);
    assert_true(os_fake.purged_bytes - before >= 64 * MIB);
    assert_true(reads_as_zeros(large, 0, slices));
    span_free(apart);
    span_purge(0, NULL);
}

static void test_span__locked_memory_stays_and_is_not_taken_for_zero(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *span = take_dense(2000), *behind = take_dense(1);
    os_fake.refuse_purge = true;
    span_free(span); /* large enough to go back at once */
    assert_int_equal(span_purge(0, NULL), 0);
    assert_true(fh_registry.dirty_slices >= 2000);
    struct span *again = span_allocate(2000, 1, DENSE);
    assert_ptr_equal(again, span);
    assert_false(again->flags & FH_SPAN_ZERO);
    os_fake_reset();
    STORE_RELEASE(&again->kind, FH_SPAN_LARGE);
    span_free(again);
    span_free(behind);
    span_purge(0, NULL);
}

static void test_span__pieces_go_back_alone(void **state)
{
    (void)state;
    struct span *span = take_dense(1);
    memset(span_start(span), 1, SLICE_SIZE);
    assert_int_equal(span_purge_pieces(span, 0), 0);
    uint16_t pieces = 1u << 0 | 1u << 3 | 1u << 4 | 1u << 15;
    assert_int_equal(span_purge_pieces(span, pieces), pieces);
    for (unsigned piece = 0; piece < CARVES; piece++)
        assert_int_equal(span_start(span)[piece * CARVE_SIZE + 77], pieces >> piece & 1 ? 0 : 1);
    os_fake.refuse_purge = true;
    assert_int_equal(span_purge_pieces(span, UINT16_MAX), 0);
    span_free(span);
}

static void test_span__whole_pages_of_any_size(void **state)
{
    (void)state;
    assert_int_equal(span_whole_pages(0x8ff5), 0x8ff5);
    os_fake.page_size = 16 * KIB;
    assert_int_equal(span_whole_pages(0x8ff5), 0x0ff0);
    os_fake.page_size = 64 * KIB;
    assert_int_equal(span_whole_pages(0x7fff), 0);
    assert_int_equal(span_whole_pages(0xffff), 0xffff);
}

static void test_span__refused_memory_is_no_span(void **state)
{
    (void)state;
    span_purge(0, NULL);
    struct span *first = take_dense(1);
    uint32_t fresh = arena.committed - fh_registry.high + 2000;
    os_fake_refuse(1, OS_FAKE_ALL);
    assert_null(span_allocate(fresh, 1, DENSE));
    os_fake_reset();
    span_free(take_dense(fresh));
    span_free(first);
    span_purge(0, NULL);
}

/* ---- records ------------------------------------------------------------------------------------------- */

static void test_arena__records_are_apart_and_zero(void **state)
{
    (void)state;
    char *last = NULL;
    for (size_t size = 1; size < 20000; size += 777) {
        char *record = arena_record(RECORD_HEAP, size);
        assert_non_null(record);
        assert_int_equal((uintptr_t)record % 64, 0);
        assert_true(record > last);
        assert_true((uintptr_t)record >= arena.heaps &&
                    (uintptr_t)record + size <= arena.heaps_end);
        for (size_t i = 0; i < size; i++) assert_int_equal(record[i], 0);
        memset(record, 1, size);
        last = record + size - 1;
    }
    char *apart = arena_record(RECORD_GC, 100);
    assert_true((uintptr_t)apart >= arena.heaps_end);
    assert_true((char *)arena_record(RECORD_HEAP, 64) == last + 1 + (63 & -(uintptr_t)(last + 1)));
    assert_null(arena_record(RECORD_HEAP, arena.heaps_end - arena.heaps));
    os_fake_refuse(1, OS_FAKE_ALL);
    while (arena_record(RECORD_HEAP, 4096)) {
    }
    os_fake_reset();
    assert_non_null(arena_record(RECORD_HEAP, 4096));
}

/* ---- at random ----------------------------------------------------------------------------------------- */

enum { SPANS = 300, STEPS = 20000, LONGEST = 400 };

static struct span *held[SPANS];
static uint16_t owner[ARENA >> SLICE_SHIFT]; /* 1 + place in held[]; 0: nobody */

static void own(struct span *span, size_t from, size_t to, uint16_t who)
{
    for (size_t i = from; i < to; i++) {
        uint16_t *slice = &owner[span_index(span) + i];
        assert_true((*slice == 0) != (who == 0));
        *slice = who;
    }
}

static void step_take(struct random *random, uint16_t i)
{
    size_t slices = 1 + random_below(random, random_chance(random, 10) ? LONGEST : 12);
    size_t align = random_chance(random, 6) ? (size_t)1 << random_below(random, 7) : 1;
    held[i] = take(slices, align, random_chance(random, 3) ? SPARSE : DENSE);
    assert_non_null(held[i]);
    own(held[i], 0, slices, i + 1);
}

static void step_change(struct random *random, uint16_t i)
{
    struct span *span = held[i];
    uint32_t old = LOAD(&span->slices), slices = 1 + (uint32_t)random_below(random, old * 2);
    bool zero = false;
    if (slices < old) {
        own(span, slices, old, 0);
        span_shrink(span, slices, false);
    } else if (slices > old && span_grow(span, slices, &zero)) {
        own(span, old, slices, i + 1);
        if (zero) assert_true(reads_as_zeros(span, old, slices));
        write_all(span, slices);
    }
    span_mark_body(span);
}

static void step_free(uint16_t i)
{
    own(held[i], 0, LOAD(&held[i]->slices), 0);
    span_free(held[i]);
    held[i] = NULL;
}

/* From any slice the span that owns it, or a free one, is found. */
static void check_found(struct random *random)
{
    for (int n = 0; n < 20; n++) {
        uint32_t used = fh_registry.high - arena.first;
        uint32_t index = arena.first + (uint32_t)random_below(random, used);
        struct span *found = span_find(span_start(span_at(index)));
        if (owner[index])
            assert_ptr_equal(found, held[owner[index] - 1]);
        else
            assert_true(found == NULL || LOAD(&found->kind) == FH_SPAN_FREE);
    }
}

static void test_span__slices_have_one_owner_whatever_happens(void **state)
{
    (void)state;
    struct random random = {20261122};
    for (int step = 0; step < STEPS; step++) {
        uint16_t i = (uint16_t)random_below(&random, SPANS);
        if (held[i] == NULL)
            step_take(&random, i);
        else if (random_chance(&random, 3))
            step_change(&random, i);
        else
            step_free(i);
        if (step % 64 == 0) check_found(&random);
        os_fake.clock_ms += 10;
        if (step % 500 == 0) span_purge(1000, NULL);
    }
    for (uint16_t i = 0; i < SPANS; i++)
        if (held[i]) step_free(i);
    span_purge(0, NULL);
    assert_int_equal(fh_registry.dirty_slices, 0);
    /* Everything has joined again. */
    struct span *all = span_allocate(fh_registry.high - arena.first, 1, SPARSE);
    assert_non_null(all);
    assert_int_equal(span_index(all), arena.first);
    STORE_RELEASE(&all->kind, FH_SPAN_LARGE);
    span_free(all);
}

int main(void)
{
#define BY_HAND(test) cmocka_unit_test_setup_teardown(test, fill_holes, free_fillers)
    const struct CMUnitTest tests[] = {
        BY_HAND(test_span__freed_neighbours_join),
        BY_HAND(test_span__a_span_grows_over_what_is_free),
        BY_HAND(test_span__growth_tells_what_is_zero),
        BY_HAND(test_span__shrinking_untouched_memory_keeps_it_clean),
        BY_HAND(test_span__shrinking_makes_nothing_clean),
        BY_HAND(test_span__alignment_makes_nothing_dirty),
        BY_HAND(test_span__alignment_to_any_power_of_two),
        BY_HAND(test_span__what_is_too_much_is_refused),
        BY_HAND(test_span__is_found_from_every_slice),
        BY_HAND(test_span__nothing_is_found_where_nothing_is),
        BY_HAND(test_span__each_one_is_visited_once),
        BY_HAND(test_span__goes_back_when_it_is_old_enough),
        BY_HAND(test_span__what_is_left_of_one_keeps_its_age),
        BY_HAND(test_span__a_very_large_one_goes_back_at_once),
        BY_HAND(test_span__locked_memory_stays_and_is_not_taken_for_zero),
        BY_HAND(test_span__pieces_go_back_alone),
        BY_HAND(test_span__whole_pages_of_any_size),
        BY_HAND(test_span__refused_memory_is_no_span),
        BY_HAND(test_arena__records_are_apart_and_zero),
        cmocka_unit_test(test_span__slices_have_one_owner_whatever_happens),
        cmocka_unit_test(test_span__the_whole_arena_can_be_used),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
