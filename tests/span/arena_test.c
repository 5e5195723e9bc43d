/*
 * How the arena comes to its addresses, each case in a process of its own.
 *
 * What could break: a process that has few addresses, or a kernel that refuses large reservations;
 * both must get a smaller arena, and only if nothing at all can be had, one line and no crash.
 */
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
        cmocka_unit_test(test_arena__leaves_a_quarter_of_a_limit_to_others),
        cmocka_unit_test(test_arena__says_so_when_there_is_nothing_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
