/*
 * How the arena comes to its addresses, each case in a process of its own.
 *
 * What could break: a process that has few addresses, or a kernel that refuses large reservations;
 * both must get a smaller arena, and only if nothing at all can be had, one line and no crash.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "kit/child.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/span.h"

#define REQUIRE(condition) ((condition) ? (void)0 : _exit(__LINE__ % 200 + 1))

static int fine(void (*body)(void *), void *argument)
{
    struct child_end end = child_run(body, argument);
    return end.signal ? -end.signal : end.status;
}

static void start_as_asked(void *reserve)
{
    REQUIRE(arena_init(*(size_t *)reserve));
    REQUIRE(arena.size == *(size_t *)reserve);
    REQUIRE(fh_registry.base == arena.base && fh_registry.limit == arena.base + arena.size);
    REQUIRE(fh_registry.first_slice == arena.first && fh_registry.high == arena.first);
    REQUIRE((size_t)arena.first << SLICE_SHIFT < arena.size / 2);
    struct span *span = span_allocate(1, 1, DENSE);
    REQUIRE(span != NULL && span_start(span)[0] == 0);
    REQUIRE(fh_registry.committed == (uint64_t)(arena.committed - arena.first) << SLICE_SHIFT);
}

static void test_arena__has_the_size_that_was_asked_for(void **state)
{
    (void)state;
    for (size_t size = 16 * MIB; size <= 64 * TIB; size *= 4)
        assert_int_equal(fine(start_as_asked, &size), 0);
}

static void start_with_pages_of(void *page_size)
{
    os_fake.page_size = *(size_t *)page_size;
    size_t reserve = GIB;
    start_as_asked(&reserve);
    for (int i = 0; i < 100; i++) REQUIRE(span_allocate(50, 1, DENSE) != NULL);
    for (int i = 0; i < 100; i++) REQUIRE(arena_record(RECORD_HEAP, 7000) != NULL);
}

static void test_arena__serves_any_page_size(void **state)
{
    (void)state;
    for (size_t size = 4 * KIB; size <= 64 * KIB; size *= 4)
        assert_int_equal(fine(start_with_pages_of, &size), 0);
}

static void start_refused_thrice(void *unused)
{
    (void)unused;
    os_fake_refuse(1, 2);
    REQUIRE(arena_init(TIB));
    REQUIRE(arena.size == TIB / 8);
}

static void test_arena__takes_less_when_much_is_refused(void **state)
{
    (void)state;
    assert_int_equal(fine(start_refused_thrice, NULL), 0);
}

/* It would take more at once than it needs; but what it needs is to be had. */
static void grow_where_overcommit_is_strict(void *unused)
{
    (void)unused;
    REQUIRE(arena_init(GIB));
    do REQUIRE(span_allocate(1, 1, DENSE) != NULL);
    while (fh_registry.high < arena.committed);
    uint32_t before = arena.committed;
    os_fake_refuse(1, 1); /* the request, and the one that is made with all in core dumps */
    REQUIRE(span_allocate(1, 1, DENSE) != NULL);
    REQUIRE(os_fake.refused == 2);
    REQUIRE(arena.committed == before + 1);
}

static void test_arena__takes_no_more_than_it_needs_if_that_is_refused(void **state)
{
    (void)state;
    assert_int_equal(fine(grow_where_overcommit_is_strict, NULL), 0);
}

/* ---- what is held for reuse ----------------------------------------------------------------------- */

static struct span *take(size_t slices)
{
    struct span *span = span_allocate(slices, 1, DENSE);
    REQUIRE(span != NULL);
    STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    return span;
}

/* `clean` slices of clean memory behind 60 single ones that are dirty, each between two in use. */
static void start_with_dirty_slices(size_t clean)
{
    struct span *dirty[60];
    REQUIRE(arena_init(GIB));
    for (int i = 0; i < 60; i++) {
        dirty[i] = take(1);
        take(1);
    }
    span_free(take(clean));
    span_purge(0, NULL);
    for (int i = 0; i < 60; i++) span_free(dirty[i]);
    REQUIRE(fh_registry.dirty_slices == 60);
}

static void take_where_much_is_dirty(void *unused)
{
    (void)unused;
    start_with_dirty_slices(200);
    uint64_t before = os_fake.purged_bytes;
    take(10);
    REQUIRE(os_fake.purged_bytes == before); /* less than it is worth a call for */
    take(10);
    REQUIRE(os_fake.purged_bytes - before == 5 * SLICE_SIZE);
    REQUIRE(arena.debt == 15);
    take(80);
    REQUIRE(os_fake.purged_bytes - before ==
            5 * SLICE_SIZE); /* no longer much, beside what is used */
}

static void test_arena__other_memory_is_paid_for_with_what_lies_about(void **state)
{
    (void)state;
    assert_int_equal(fine(take_where_much_is_dirty, NULL), 0);
}

static void pay_all(void *unused)
{
    (void)unused;
    start_with_dirty_slices(200);
    take(150);
    REQUIRE(fh_registry.dirty_slices == 0);
    REQUIRE(arena.debt == 0); /* there is nothing more to pay with */
}

static void test_arena__debts_end_with_what_could_pay_them(void **state)
{
    (void)state;
    assert_int_equal(fine(pay_all, NULL), 0);
}

static void pay_with_locked_memory(void *unused)
{
    (void)unused;
    start_with_dirty_slices(200);
    os_fake.refuse_purge = true;
    take(150); /* and does not try for ever */
    REQUIRE(fh_registry.dirty_slices == 60);
}

static void test_arena__locked_memory_pays_nothing(void **state)
{
    (void)state;
    assert_int_equal(fine(pay_with_locked_memory, NULL), 0);
}

static _Atomic bool finished;

static void *purge_all_the_time(void *unused)
{
    while (!finished)
        if (span_purge(0, NULL) == 0) sched_yield();
    return unused;
}

/* Everything is taken, given back, and taken again when another thread has begun to purge it: it is
 * there all the same. */
static void take_what_is_being_purged(void *unused)
{
    (void)unused;
    REQUIRE(arena_init(16 * MIB));
    size_t all = arena.end - arena.first;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, purge_all_the_time, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        struct span *span = take(all);
        for (size_t at = 0; at < all << SLICE_SHIFT; at += 4 * KIB) span_start(span)[at] = 1;
        span_free(span);
        while (__atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED)) sched_yield();
    }
    finished = true;
    pthread_join(thread, NULL);
}

static void test_arena__memory_on_its_way_back_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(fine(take_what_is_being_purged, NULL), 0);
}

static void start_under_limit(void *unused)
{
    (void)unused;
    os_fake.address_space_left = 100 * MIB;
    REQUIRE(arena_init(TIB));
    REQUIRE(arena.size <= 75 * MIB && arena.size > 70 * MIB);
}

static void test_arena__leaves_a_quarter_of_a_limit_to_others(void **state)
{
    (void)state;
    assert_int_equal(fine(start_under_limit, NULL), 0);
}

static void start_without_addresses(void *limit)
{
    os_fake.address_space_left = *(size_t *)limit;
    REQUIRE(!arena_init(TIB));
    REQUIRE(arena.size == 0 && !arena_holds(&arena));
}

static void test_arena__says_so_when_there_is_nothing_at_all(void **state)
{
    (void)state;
    size_t limit = 10 * MIB;
    struct child_end end = child_run(start_without_addresses, &limit);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
    assert_ptr_equal(strstr(end.said, "freehold: cannot reserve address space"), end.said);
    assert_non_null(strstr(end.said, "ulimit -v"));
    assert_ptr_equal(strchr(end.said, '\n'), end.said + strlen(end.said) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__has_the_size_that_was_asked_for),
        cmocka_unit_test(test_arena__serves_any_page_size),
        cmocka_unit_test(test_arena__takes_less_when_much_is_refused),
        cmocka_unit_test(test_arena__takes_no_more_than_it_needs_if_that_is_refused),
        cmocka_unit_test(test_arena__other_memory_is_paid_for_with_what_lies_about),
        cmocka_unit_test(test_arena__debts_end_with_what_could_pay_them),
        cmocka_unit_test(test_arena__locked_memory_pays_nothing),
        cmocka_unit_test(test_arena__memory_on_its_way_back_is_waited_for),
        cmocka_unit_test(test_arena__leaves_a_quarter_of_a_limit_to_others),
        cmocka_unit_test(test_arena__says_so_when_there_is_nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
