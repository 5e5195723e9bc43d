/*
 * Zones with tags of the processor's (src/os/tag.h), over a table in its place (src/os/fake/tag.c). What could break: memory
 * that keeps its tag when it is freed, or has a neighbour's; bytes behind a block that have the block's; a pointer
 * of another life that free takes; a block that is cleared while the processor checks. On a machine that has tags, tagged.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include <freehold/freehold.h>
#include <freehold/zone.h>

#include "kit/child.h"
#include "kit/unit.h"
#include "os/tag.h"

const char *const freehold_options = "sample=0,quarantine=0";

extern bool fake_tags_unchecked;

static char *plain(void *p)
{
    return (char *)((uintptr_t)p << 8 >> 8);
}

static fh_zone *zone;

static int setup(void **state)
{
    (void)state;
    zone = fh_zone_create("tagged", 100, FH_ZONE_TAGGED);
    return zone ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    fh_zone_destroy(zone);
    return 0;
}

static void test_tag__only_for_small_blocks_of_one_size(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 131065, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        errno = 0;
        assert_null(fh_zone_create("wrong", wrong[i], FH_ZONE_TAGGED));
        assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(fh_zone_seal(zone), -EOPNOTSUPP);
}

/* As much as was asked for, in granules, has the pointer's tag; the rest of the slot none. */
static void test_tag__a_block_has_its_pointers_tag(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 100; size++) {
        char *p = fh_zone_allocate(zone, size);
        unsigned tag = os_tag_of(p);
        assert_in_range(tag, 1, 15);
        assert_int_equal((uintptr_t)p >> 60, 0);
        for (size_t at = 0; at < 112; at += 16)
            assert_int_equal(os_tag_get(plain(p) + at), at < size ? tag : 0);
        assert_int_equal(fh_malloc_usable_size(p), size);
        fh_zone_free(zone, p);
        for (size_t at = 0; at < 112; at += 16) assert_int_equal(os_tag_get(plain(p) + at), 0);
        p = fh_zone_allocate(zone, 100);
        fh_zone_free_permanently(zone, p);
        assert_int_equal(os_tag_get(plain(p)), 0);
    }
    assert_false(fake_tags_unchecked);
}

enum { BLOCKS = 2000, SLOT = 112, TURNS = 20 };

/* Slots of full size, so that nothing of another tag lies between them. */
static void test_tag__neighbours_and_next_lives_differ(void **state)
{
    (void)state;
    static char *p[BLOCKS], *before[BLOCKS];
    fh_zone *full = fh_zone_create("full", 104, FH_ZONE_TAGGED);
    unsigned neighbours = 0, again = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < BLOCKS; i++) p[i] = fh_zone_allocate(full, 104);
        for (int i = 0; i < BLOCKS; i++) {
            unsigned next = os_tag_get(plain(p[i]) + SLOT);
            assert_int_not_equal(next, os_tag_of(p[i]));
            neighbours += next != 0;
        }
        for (int i = 0; i < BLOCKS && turn; i += 50) /* a few of them are enough */
            for (int j = 0; j < BLOCKS; j++) {
                if (plain(p[i]) != plain(before[j])) continue;
                assert_ptr_not_equal(p[i], before[j]);
                again++;
            }
        memcpy(before, p, sizeof p);
        for (int i = 0; i < BLOCKS; i++) fh_zone_free(full, p[i]);
    }
    assert_true(neighbours > BLOCKS && again > 100);
    fh_zone_destroy(full);
}

static void test_tag__realloc_moves(void **state)
{
    (void)state;
    char *p = fh_zone_allocate(zone, 20), *q;
    memcpy(plain(p), "stays", 6);
    q = fh_realloc(p, 90);
    assert_true(plain(q) != plain(p) && os_tag_get(plain(q)) == os_tag_of(q) && os_tag_of(q));
    assert_string_equal(plain(q), "stays");
    assert_int_equal(os_tag_get(plain(p)), 0);
    fh_free(q);
    assert_int_equal(fh_zone_count(zone), 0);
}

/* ---- misuse ------------------------------------------------------------------------------------------------- */

static void free_it(void *p)
{
    fh_free(p);
}

static void free_in_zone(void *p)
{
    fh_zone_free(zone, p);
}

static void free_for_good(void *p)
{
    fh_free_permanently(p);
}

static void realloc_it(void *p)
{
    assert_null(fh_realloc(p, 10));
}

static void free_twice(void *p)
{
    fh_free(p);
    fh_free(p);
}

static void stops(void (*body)(void *), void *argument, const char *words)
{
    struct child_end end = child_run(body, argument);
    if (end.signal != SIGABRT || !strstr(end.said, words)) fail_msg("%d: %s", end.signal, end.said);
}

static void test_tag__wrong_pointers_are_told(void **state)
{
    (void)state;
    static const char wrong[] =
        "a pointer without the right tag: at the start of a block of 40 bytes";
    char *p = fh_zone_allocate(zone, 40);
    char *other = os_tag_with(plain(p), os_tag_of(p) % 15 + 1);
    stops(free_it, plain(p), wrong);
    stops(free_it, other, wrong);
    stops(free_in_zone, other, wrong);
    stops(free_for_good, other, wrong);
    stops(realloc_it, other, wrong);
    stops(free_twice, p, "double free of a block of 40 bytes");
    char *of_malloc = fh_malloc(40);
    stops(free_it, os_tag_with(of_malloc, 3), "free(0x");
    fh_free(of_malloc);
    fh_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag__only_for_small_blocks_of_one_size),
        cmocka_unit_test(test_tag__a_block_has_its_pointers_tag),
        cmocka_unit_test(test_tag__neighbours_and_next_lives_differ),
        cmocka_unit_test(test_tag__realloc_moves),
        cmocka_unit_test(test_tag__wrong_pointers_are_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
