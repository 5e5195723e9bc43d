/*
 * Private zones (freehold/zone.h, src/hard/zone.h). What could break: an address of a zone serves somebody else, while it lives
 * or when it is destroyed; a destroyed zone's memory can still be touched, or a sealed one's written; a block is
 * cleared by one thread while another seals or destroys; a tag is good for a later life; a handle that is none is
 * believed; a zone does not survive a fork.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/zone.h>

#include "hard/zone_core.h"
#include "child_tests.h"
#include "kit/random.h"
#include "kit/unit.h"

const char *const freehold_options = "sample=0,canary=1,quarantine=4k";

/* ---- what can be touched: asked of the kernel, which says EFAULT where a program would end ------------- */

static int pipe_ends[2];

static bool can_be_read(const void *p)
{
    char c;
    if (write(pipe_ends[1], p, 1) != 1) return false;
    assert_int_equal(read(pipe_ends[0], &c, 1), 1);
    return true;
}

static bool can_be_written(void *p)
{
    char c = 0;
    assert_int_equal(write(pipe_ends[1], &c, 1), 1);
    if (read(pipe_ends[0], p, 1) == 1) return true;
    assert_int_equal(read(pipe_ends[0], &c, 1), 1);
    return false;
}

static int setup(void **state)
{
    (void)state;
    return pipe(pipe_ends);
}

/* ---- create -------------------------------------------------------------------------------------------- */

static void test_zone__create_refuses(void **state)
{
    (void)state;
    errno = 0;
    assert_null(fh_zone_create(NULL, 0, 0));
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_null(fh_zone_create("flags", 0, 1u << 7));
    assert_int_equal(errno, EINVAL);
}

static void test_zone__names_are_kept_and_cut(void **state)
{
    (void)state;
    char name[2 * FH_ZONE_NAME];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    fh_zone *zone = fh_zone_create(name, 0, 0), *other = fh_zone_create("keys", 32, 0);
    assert_int_equal(strlen(fh_zone_name(zone)), FH_ZONE_NAME - 1);
    assert_memory_equal(fh_zone_name(zone), name, FH_ZONE_NAME - 1);
    assert_string_equal(fh_zone_name(other), "keys");
    fh_zone_destroy(zone);
    fh_zone_destroy(other);
}

static void test_zone__handles_are_never_given_twice(void **state)
{
    (void)state;
    enum { ZONES = 200 };
    fh_zone *zone[ZONES];
    for (int i = 0; i < ZONES; i++) {
        zone[i] = fh_zone_create("short", 32, 0);
        assert_non_null(zone[i]);
        for (int j = 0; j < i; j++) assert_ptr_not_equal(zone[i], zone[j]);
        fh_zone_destroy(zone[i]);
    }
}

static void test_zone__blocks_lie_in_slots_of_one_size(void **state)
{
    (void)state;
    static const size_t most[] = {1, 24, 40, 100, 5000, 131064, 131065, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(most); i++) {
        fh_zone *zone = fh_zone_create("one size", most[i], 0);
        char *large = fh_zone_allocate(zone, most[i]), *small = fh_zone_allocate(zone, 1),
             *none = fh_zone_allocate(zone, 0);
        assert_true(large && small && none && large != small && small != none);
        assert_int_equal(core_region(large), core_region(small));
        assert_int_equal(core_region(large), core_region(none));
        errno = 0;
        assert_null(fh_zone_allocate(zone, most[i] + 1));
        assert_int_equal(errno, EINVAL);
        fh_zone_destroy(zone);
    }
}

/* ---- allocate -------------------------------------------------------------------------------------------- */

static void test_zone__blocks_of_all_sizes(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("all", 0, 0);
    for (size_t size = 0; size < 3 << 20; size = size * 3 / 2 + 1) {
        char *p = fh_zone_allocate(zone, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, 0xa5, size);
        assert_int_equal(fh_malloc_usable_size(p), size);
        assert_int_equal(fh_object_size(p), size);
        fh_zone_free(zone, p);
        p = fh_zone_allocate_zeroed(zone, 1, size);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        fh_zone_free(zone, p);
    }
    volatile size_t most = SIZE_MAX; /* the compiler would warn */
    errno = 0;
    assert_null(fh_zone_allocate_zeroed(zone, most / 2, 3));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(fh_zone_allocate(zone, most - 30));
    assert_int_equal(errno, ENOMEM);
    char *text = fh_zone_strdup(zone, "Es war einmal");
    assert_string_equal(text, "Es war einmal");
    assert_int_equal(fh_object_size(text), sizeof "Es war einmal");
    fh_zone_destroy(zone);
}

/* Nobody's tail is anybody else's past. */
static void test_zone__free_and_realloc_know_blocks_of_zones(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("realloc", 0, 0), *fixed = fh_zone_create("fixed", 500, 0);
    char *p = fh_zone_strdup(zone, "stays");
    for (size_t size = 6; size < 2 << 20; size = size * 2 + 7) {
        p = fh_realloc(p, size);
        assert_string_equal(p, "stays");
        assert_true(core_zone(p) == zone);
    }
    p = fh_realloc(p, 6);
    assert_string_equal(p, "stays");
    assert_true(core_zone(p) == zone);
    fh_free(p);
    assert_int_equal(fh_zone_count(zone), 0);
    p = fh_zone_allocate(fixed, 10);
    void *same = p;
    p = fh_realloc(p, 500);
    assert_ptr_equal(p, same);
    memset(p, 1, 500);
    assert_ptr_equal(fh_realloc(p, 20), p);
    assert_int_equal(fh_object_size(p), 20);
    errno = 0;
    assert_null(fh_realloc(p, 501));
    assert_int_equal(errno, ENOMEM);
    fh_zone_free(fixed, p);
    fh_zone_free(fixed, NULL);
    fh_zone_free_permanently(fixed, NULL);
    fh_zone_destroy(NULL);
    fh_zone_destroy(zone);
    fh_zone_destroy(fixed);
}

/* ---- misuse --------------------------------------------------------------------------------------------------- */

static fh_zone *one, *another;

static void free_twice(void *p)
{
    fh_zone_free(one, p);
    fh_zone_free(one, p);
}

static void free_elsewhere(void *p)
{
    fh_zone_free(another, p);
}

static void free_inside(void *p)
{
    fh_zone_free(one, (char *)p + 16);
}

static void free_of_malloc(void *unused)
{
    (void)unused;
    fh_zone_free(one, fh_malloc(40));
}

static void free_permanently_twice(void *p)
{
    fh_zone_free_permanently(one, p);
    fh_free_permanently(p);
}

static void forged(void *handle)
{
    assert_null(fh_zone_allocate(handle, 1));
}

static void free_after_destroy(void *p)
{
    fh_zone_destroy(one);
    fh_free(p);
}

static void use_after_destroy(void *unused)
{
    (void)unused;
    fh_zone_destroy(one);
    fh_zone_name(one);
}

static void destroy_twice(void *unused)
{
    (void)unused;
    fh_zone_destroy(one);
    fh_zone_destroy(one);
}

static void past_the_end(void *p)
{
    memset(p, 'x', 41);
    fh_zone_free(one, p);
}

static void test_zone__misuse_is_told(void **state)
{
    (void)state;
    one = fh_zone_create("one", 0, 0);
    another = fh_zone_create("another", 0, 0);
    char *p = fh_zone_allocate(one, 40), *large = fh_zone_allocate(one, 400000);
    stops(free_twice, p, "fh_zone_free(0x");
    stops(free_twice, p, "double free of a block of");
    stops(free_twice, large, "double free of a block of 400000 bytes");
    stops(free_elsewhere, p,
          "a block that is not of this zone: at the start of a block of 40 bytes");
    stops(free_elsewhere, large, "a block that is not of this zone");
    stops(free_of_malloc, NULL, "a block that is not of this zone");
    stops(free_inside, p, "16 bytes into a block of 40 bytes, not the start of a block");
    stops(free_permanently_twice, p, "fh_free_permanently(0x");
    stops(free_permanently_twice, large, "double free");
    stops(forged, p, "no zone, or a destroyed one");
    stops(forged, &one, "no zone, or a destroyed one");
    stops(forged, (char *)one + 64, "no zone, or a destroyed one");
    stops(forged, (char *)one - 4096 * 50000L, "no zone, or a destroyed one");
    stops(forged, (char *)one + 4096 * 14000L, "no zone, or a destroyed one");
    stops(free_after_destroy, p, "double free");
    stops(free_after_destroy, large, "double free");
    stops(use_after_destroy, NULL, "fh_zone_name(0x");
    stops(destroy_twice, NULL, "fh_zone_destroy(0x");
    stops(past_the_end, p, "past the end of a block of 40 bytes");
    fh_zone_destroy(one);
    fh_zone_destroy(another);
}

/* ---- addresses are a zone's own --------------------------------------------------------------------------------- */

enum { HELD = 64, HELD_BLOCKS = 40 };

struct held {
    uintptr_t from, to;
};

static void hold(struct held *held, const void *p)
{
    core_chunk(p, &held->from, &held->to);
}

static void assert_is_none_of(const struct held *held, size_t count, const void *p)
{
    for (size_t i = 0; i < count; i++)
        if ((uintptr_t)p >= held[i].from && (uintptr_t)p < held[i].to)
            fail_msg("%p lies where zone %zu was", p, i);
}

static void press(const struct held *held, size_t count)
{
    static const size_t size[] = {8, 48, 300, 4000, 30000, 200000, 3 << 20};
    void *block[COUNT_OF(size)][HELD_BLOCKS];
    for (size_t s = 0; s < COUNT_OF(size); s++)
        for (int i = 0; i < HELD_BLOCKS; i++)
            assert_is_none_of(held, count, block[s][i] = fh_malloc(size[s]));
    for (size_t s = 0; s < COUNT_OF(size); s++)
        for (int i = 0; i < HELD_BLOCKS; i++) fh_free(block[s][i]);
}

static void test_zone__addresses_serve_nobody_else(void **state)
{
    (void)state;
    static const size_t sizes[] = {48, 300, 4000, 200000};
    struct held held[HELD];
    fh_zone *zone[HELD];
    press(NULL, 0); /* malloc has freed memory in all these sizes */
    for (int i = 0; i < HELD; i++) {
        size_t size = sizes[(size_t)i % COUNT_OF(sizes)];
        zone[i] = fh_zone_create("own", size, 0);
        char *p = fh_zone_allocate(zone[i], size);
        assert_is_none_of(held, (size_t)i, p);
        hold(&held[i], p);
        fh_zone_free(zone[i], p);
        if (i % 8 == 7) press(held, (size_t)i + 1);
    }
    for (int i = 0; i < HELD; i += 2) fh_zone_destroy(zone[i]);
    fh_malloc_trim(0);
    for (int i = 0; i < 4; i++) press(held, HELD);
    for (int i = 1; i < HELD; i += 2) fh_zone_destroy(zone[i]);
    for (int i = 0; i < 4; i++) press(held, HELD);
}

static void test_zone__destroyed_memory_faults(void **state)
{
    (void)state;
    static const size_t size[] = {1, 48, 5000, 100000, 200000, 20 << 20, 100 << 20};
    fh_zone *zone = fh_zone_create("gone", 0, 0);
    char *p[COUNT_OF(size)], *freed = fh_zone_allocate(zone, 48);
    fh_zone_free(zone, freed);
    for (size_t i = 0; i < COUNT_OF(size); i++) {
        p[i] = fh_zone_allocate(zone, size[i]);
        p[i][size[i] - 1] = 'x';
        assert_true(can_be_read(p[i]) && can_be_written(p[i]));
    }
    fh_zone_destroy(zone);
    for (size_t i = 0; i < COUNT_OF(size); i++)
        assert_false(can_be_read(p[i]) || can_be_written(p[i] + size[i] - 1));
    assert_false(can_be_read(freed));
    for (int i = 0; i < 2000; i++) fh_free(fh_malloc(48)); /* what was in quarantine goes nowhere */
    assert_false(can_be_read(freed));
}

static void test_zone__destroyed_blocks_count_no_more(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("count", 0, 0);
    uint64_t before = core_live_bytes();
    for (int i = 0; i < 100; i++)
        if (!fh_zone_allocate(zone, i % 2 ? 100 : 300000)) fail();
    assert_true(core_live_bytes() >= before + 50 * 300000);
    fh_zone_destroy(zone);
    assert_true(core_live_bytes() == before);
}

static int mappings(void)
{
    int fd = open("/proc/self/maps", O_RDONLY), lines = 0;
    char buffer[4096];
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;)
        for (ssize_t i = 0; i < n; i++) lines += buffer[i] == '\n';
    close(fd);
    return lines;
}

/* A process may have 65530 mappings: what was a zone must not keep many of them. */
static void use_up(void *unused)
{
    (void)unused;
    char *of_malloc = fh_malloc(100);
    int before = mappings(), made = 0;
    for (fh_zone *zone; (zone = fh_zone_create("short", 100, 0)); made++) {
        void *p = fh_zone_allocate(zone, 100);
        fh_zone_destroy(zone);
        if (p == NULL) break;
    }
    EXPECT_OR_EXIT(errno == ENOMEM);
    EXPECT_OR_EXIT(made > 13500);
    EXPECT_OR_EXIT(mappings() - before < 3 * made);
    char *p = fh_malloc(5000);
    EXPECT_OR_EXIT(p && of_malloc);
    memset(p, 1, 5000);
    fh_free(p);
    fh_free(of_malloc);
}

static void test_zone__entries_run_out_in_order(void **state)
{
    (void)state;
    goes_on(use_up, NULL);
}

/* ---- for good ------------------------------------------------------------------------------------------------- */

static void test_zone__freed_for_good(void **state)
{
    (void)state;
    enum { GONE = 20 };
    fh_zone *zone = fh_zone_create("good", 0, 0);
    static const size_t size[] = {48, 200000};
    for (size_t s = 0; s < COUNT_OF(size); s++) {
        char *gone[GONE];
        for (int i = 0; i < GONE; i++) {
            gone[i] = i % 2 ? fh_malloc(size[s]) : fh_zone_allocate(zone, size[s]);
            memset(gone[i], 'x', size[s]);
            if (i % 2)
                fh_free_permanently(gone[i]);
            else
                fh_zone_free_permanently(zone, gone[i]);
            assert_true(s ? !can_be_read(gone[i]) : gone[i][0] == 0 && gone[i][47] == 0);
        }
        for (int i = 0; i < 3000; i++) {
            char *p = i % 2 ? fh_malloc(size[s]) : fh_zone_allocate(zone, size[s]);
            for (int j = 0; j < GONE; j++) assert_ptr_not_equal(p, gone[j]);
            fh_free(p);
        }
    }
    fh_free_permanently(NULL);
    fh_zone_destroy(zone);
}

/* ---- count and usage ----------------------------------------------------------------------------------------- */

static void test_zone__usage(void **state)
{
    (void)state;
    struct fh_zone_usage usage = {.size = sizeof usage};
    fh_zone *zone = fh_zone_create("usage", 0, 0);
    assert_int_equal(fh_zone_usage_get(zone, &usage), 0);
    assert_int_equal(usage.blocks + usage.bytes + usage.slot_bytes + usage.regions, 0);
    char *a = fh_zone_allocate(zone, 40), *b = fh_zone_allocate(zone, 300000);
    if (!fh_zone_allocate(zone, 41) || !fh_malloc(40)) fail();
    assert_int_equal(fh_zone_usage_get(zone, &usage), 0);
    assert_int_equal(usage.size, sizeof usage);
    assert_int_equal(usage.blocks, 3);
    assert_int_equal(usage.bytes, 40 + 300000 + 41);
    assert_int_equal(usage.regions, 3);
    assert_in_range(usage.slot_bytes, usage.bytes + 16, usage.bytes + 2 * 4096 + 64);
    fh_zone_free(zone, a);
    fh_zone_free(zone, b);
    assert_int_equal(fh_zone_count(zone), 1);
    struct fh_zone_usage part = {.size = offsetof(struct fh_zone_usage, bytes), .bytes = 77};
    assert_int_equal(fh_zone_usage_get(zone, &part), 0);
    assert_true(part.blocks == 1 && part.bytes == 77);
    part.size = 0;
    assert_int_equal(fh_zone_usage_get(zone, &part), -EINVAL);
    fh_zone_destroy(zone);
}

/* ---- seal ------------------------------------------------------------------------------------------------------- */

static void free_sealed(void *p)
{
    fh_zone_free(one, p);
}

static void free_sealed_by_free(void *p)
{
    fh_free(p);
}

static void realloc_sealed(void *p)
{
    assert_null(fh_realloc(p, 60));
}

static void test_zone__sealed(void **state)
{
    (void)state;
    static const size_t size[] = {1, 48, 5000, 100000, 200000, 20 << 20};
    char *p[COUNT_OF(size)];
    one = fh_zone_create("sealed", 0, 0);
    fh_zone *other = fh_zone_create("open", 0, 0);
    char *open = fh_zone_allocate(other, 48);
    for (size_t i = 0; i < COUNT_OF(size); i++) {
        p[i] = fh_zone_allocate(one, size[i]);
        memset(p[i], 'x', size[i]);
    }
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(fh_zone_seal(one), 0);
        assert_int_equal(fh_zone_seal(one), 0);
        for (size_t i = 0; i < COUNT_OF(size); i++) {
            assert_true(p[i][0] == 'x' && !can_be_written(p[i]));
            assert_true(p[i][size[i] - 1] == 'x' && !can_be_written(p[i] + size[i] - 1));
        }
        assert_true(can_be_written(open));
        errno = 0;
        assert_null(fh_zone_allocate(one, 48));
        assert_int_equal(errno, EACCES);
        stops(free_sealed, p[1], "fh_zone_free(0x");
        stops(free_sealed_by_free, p[1], "a sealed zone: at the start of a block of 48 bytes");
        stops(realloc_sealed, p[1], "a sealed zone");
        stops(free_sealed_by_free, p[4], "a sealed zone");
        assert_int_equal(fh_zone_count(one), COUNT_OF(size));
        assert_int_equal(fh_zone_unseal(one), 0);
        assert_int_equal(fh_zone_unseal(one), 0);
        for (size_t i = 0; i < COUNT_OF(size); i++) memset(p[i], 'x', size[i]);
    }
    fh_zone_seal(one);
    fh_zone_destroy(one);
    for (size_t i = 0; i < COUNT_OF(size); i++) assert_false(can_be_read(p[i]));
    fh_zone_destroy(other);
}

/* Slabs whose pages went while they were sealed can be written to afterwards. */
static void test_zone__unsealed_after_a_purge(void **state)
{
    (void)state;
    enum { BLOCKS = 3000 };
    static char *p[BLOCKS];
    fh_zone *zone = fh_zone_create("purged", 1000, 0);
    for (int i = 0; i < BLOCKS; i++) p[i] = fh_zone_allocate(zone, 1000);
    for (int i = 0; i < BLOCKS; i++) fh_zone_free(zone, p[i]);
    for (int i = 0; i < 2000; i++) fh_free(fh_malloc(1000)); /* out of the quarantine */
    assert_int_equal(fh_zone_seal(zone), 0);
    fh_malloc_trim(0);
    assert_int_equal(fh_zone_unseal(zone), 0);
    for (int i = 0; i < BLOCKS; i++) memset(p[i] = fh_zone_allocate(zone, 1000), 'x', 1000);
    fh_zone_destroy(zone);
}

/* The page behind a slab faults, sealed or not. */
static void test_zone__guards_stay(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("guards", 48, 0);
    char *p = fh_zone_allocate(zone, 48), *guard = core_guard(p);
    assert_false(can_be_read(guard));
    fh_zone_seal(zone);
    assert_false(can_be_read(guard));
    fh_zone_unseal(zone);
    assert_false(can_be_read(guard) || can_be_written(guard));
    fh_zone_destroy(zone);
}

/* ---- tags ------------------------------------------------------------------------------------------------------- */

static void untag(void *tagged)
{
    fh_zone_untag(one, tagged);
}

static void tag(void *p)
{
    fh_zone_tag(one, p);
}

static void test_zone__tags(void **state)
{
    (void)state;
    one = fh_zone_create("tags", 0, 0);
    another = fh_zone_create("others", 0, 0);
    static const size_t size[] = {48, 200000};
    for (size_t s = 0; s < COUNT_OF(size); s++) {
        char *p = fh_zone_allocate(one, size[s]), *q = fh_zone_allocate(another, size[s]);
        char *tagged = fh_zone_tag(one, p);
        assert_true((uintptr_t)tagged >> 56 && (uintptr_t)tagged << 8 >> 8 == (uintptr_t)p);
        assert_ptr_equal(fh_zone_untag(one, tagged), p);
        assert_int_equal(fh_zone_tag_check(one, tagged), 0);
        assert_int_equal(fh_zone_tag_check(another, tagged), -EINVAL);
        assert_int_equal(fh_zone_tag_check(one, p), -EINVAL);
        assert_int_equal(fh_zone_tag_check(one, tagged + 16), -EINVAL);
        assert_int_equal(fh_zone_tag_check(one, (void *)((uintptr_t)tagged ^ 1ull << 56)), -EINVAL);
        stops(untag, p, "a pointer without the right tag: at the start of a block of");
        stops(tag, q, "fh_zone_tag(0x");
        stops(tag, p + 16, "a block that is not of this zone");
        fh_zone_free(one, p);
        assert_int_equal(fh_zone_tag_check(one, tagged), -EINVAL);
        stops(untag, tagged, "a pointer without the right tag: at the start of a freed block");
    }
    fh_zone_destroy(one);
    fh_zone_destroy(another);
}

/* Every life of one place, again and again: never the tag of the life before. */
static void test_zone__tags_end_with_a_life(void **state)
{
    (void)state;
    enum { LIVES = 20000, SLOTS = 4096 };
    static uintptr_t start[SLOTS], tagged[SLOTS];
    fh_zone *zone = fh_zone_create("lives", 48, 0);
    unsigned again = 0;
    uint64_t seen[4] = {0};
    for (int i = 0; i < LIVES; i++) {
        uintptr_t p = (uintptr_t)fh_zone_allocate(zone, 48);
        uintptr_t now = (uintptr_t)fh_zone_tag(zone, (void *)p);
        size_t at = p / 64 % SLOTS;
        seen[now >> 62] |= 1ull << (now >> 56 & 63);
        if (start[at] == p) {
            again++;
            assert_true(now != tagged[at]);
            assert_int_equal(fh_zone_tag_check(zone, (void *)tagged[at]), -EINVAL);
        }
        start[at] = p;
        tagged[at] = now;
        fh_zone_free(zone, (void *)p);
    }
    assert_true(again > LIVES / 2);
    int tags = 0;
    for (int i = 0; i < 4; i++) tags += __builtin_popcountll(seen[i]);
    assert_int_equal(tags, 255);
    fh_zone_destroy(zone);
}

static void test_zone__rotation(void **state)
{
    (void)state;
    enum { BLOCKS = 64 };
    fh_zone *zone = fh_zone_create("rotate", 48, 0), *still = fh_zone_create("still", 48, 0);
    void *p[BLOCKS], *tagged[BLOCKS], *other = fh_zone_tag(still, fh_zone_allocate(still, 1));
    int right = 0;
    for (int i = 0; i < BLOCKS; i++)
        tagged[i] = fh_zone_tag(zone, p[i] = fh_zone_allocate(zone, 1));
    assert_int_equal(fh_zone_rotate(zone), 0);
    for (int i = 0; i < BLOCKS; i++) {
        right += fh_zone_tag_check(zone, tagged[i]) == 0;
        assert_ptr_equal(fh_zone_untag(zone, fh_zone_tag(zone, p[i])), p[i]);
    }
    assert_true(right < 5); /* one in 255 by chance */
    assert_int_equal(fh_zone_tag_check(still, other), 0);
    fh_zone_destroy(zone);
    fh_zone_destroy(still);
}

/* ---- one core --------------------------------------------------------------------------------------------------- */

static void allocate_away(void *unused)
{
    (void)unused;
    assert_null(fh_zone_allocate(one, 1));
}

static void test_zone__pinned(void **state)
{
    (void)state;
    cpu_set_t before, set;
    int cores[2], count = 0;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (int i = 0; i < CPU_SETSIZE && count < 2; i++)
        if (CPU_ISSET(i, &before)) cores[count++] = i;
    if (count < 2) skip();
    CPU_ZERO(&set);
    CPU_SET(cores[0], &set);
    sched_setaffinity(0, sizeof set, &set);
    one = fh_zone_create("pinned", 0, FH_ZONE_PINNED);
    void *p = fh_zone_allocate(one, 40), *q = fh_zone_allocate(one, 40);
    fh_zone_free(one, q);
    CPU_ZERO(&set);
    CPU_SET(cores[1], &set);
    sched_setaffinity(0, sizeof set, &set);
    stops(allocate_away, NULL, "fh_zone_allocate(0x");
    stops(allocate_away, NULL, "a zone of another core's");
    stops(free_sealed, p, "a zone of another core's: at the start of a block of 40 bytes");
    stops(free_sealed_by_free, p, "a zone of another core's");
    sched_setaffinity(0, sizeof before, &before);
    fh_zone_destroy(one);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static bool maps_say(const char *words)
{
    char line[512];
    bool said = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) said |= strstr(line, words) != NULL;
    fclose(maps);
    return said;
}

static void test_zone__named_in_maps(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("a[b]\n$c", 0, 0);
    if (!maps_say("[anon:freehold:heap]")) skip(); /* this kernel names no memory */
    if (!fh_zone_allocate(zone, 40) || !fh_zone_allocate(zone, 200000)) fail();
    assert_true(maps_say("[anon:freehold:zone a_b___c 48]"));
    assert_true(maps_say("[anon:freehold:zone a_b___c large 262144]"));
    fh_zone_destroy(zone);
    assert_false(maps_say("zone a_b___c"));
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000, PASSED = 512 };
static void *_Atomic passed[PASSED];
static _Atomic int failures;

/* Half of the blocks are freed by somebody else. */
static void *pass_around(void *zone)
{
    struct random random = {(uint64_t)(uintptr_t)&random};
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = 1 + random_next(&random) % 500;
        char *p = fh_zone_allocate(zone, size);
        memset(p, 'x', size);
        p = atomic_exchange(&passed[random_next(&random) % PASSED], p);
        if (p && *p != 'x') atomic_fetch_add(&failures, 1);
        if (p && i % 2) fh_zone_free(zone, p);
        if (p && i % 2 == 0) fh_free(p);
    }
    return NULL;
}

static void test_zone__threads(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    fh_zone *zone = fh_zone_create("threads", 0, 0);
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, pass_around, zone);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    assert_int_equal(failures, 0);
    for (int i = 0; i < PASSED; i++) fh_zone_free(zone, atomic_exchange(&passed[i], NULL));
    assert_int_equal(fh_zone_count(zone), 0);
    assert_int_equal(fh_zone_verify(zone), 0);
    fh_zone_destroy(zone);
}

static _Atomic bool stop;
static _Atomic(fh_zone *) current;

/* May be refused, and must not fault. */
static void *make_and_free(void *unused)
{
    (void)unused;
    while (!stop) {
        fh_zone *zone = current;
        char *p = fh_zone_allocate(zone, 3000), *q = fh_zone_allocate(zone, 200000);
        fh_free(p);
        fh_free(q);
    }
    return NULL;
}

static void goes_on_in_silence(void)
{
    fh_option_set("bad_free", "ignore");
    dup2(open("/dev/null", O_WRONLY), 2);
}

static void seal_meanwhile(void *unused)
{
    pthread_t thread[2];
    (void)unused;
    goes_on_in_silence();
    current = fh_zone_create("seals", 0, 0);
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, make_and_free, NULL);
    for (int i = 0; i < 1500; i++) {
        EXPECT_OR_EXIT(fh_zone_seal(current) == 0);
        EXPECT_OR_EXIT(fh_zone_unseal(current) == 0);
        if (i % 16 == 0) usleep(200);
    }
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

static void destroy_meanwhile(void *unused)
{
    pthread_t thread[2];
    (void)unused;
    goes_on_in_silence();
    current = fh_zone_create("first", 0, 0);
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, make_and_free, NULL);
    for (int i = 0; i < 300; i++) {
        fh_zone *old = current;
        current = fh_zone_create("next", 0, 0);
        if (i % 2) usleep(200);
        fh_zone_destroy(old);
    }
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
}

/* cmocka's handler is the program's: in the child it is to end like a program without one. */
static void by_default(void *body)
{
    signal(SIGSEGV, SIG_DFL);
    ((void (*)(void *))body)(NULL);
}

static void test_zone__sealed_and_destroyed_meanwhile(void **state)
{
    (void)state;
    goes_on(by_default, (void *)seal_meanwhile);
    goes_on(by_default, (void *)destroy_meanwhile);
}

/* ---- fork --------------------------------------------------------------------------------------------------------- */

static void destroy_here(void *p)
{
    fh_zone_free(one, p);
    if (!fh_zone_allocate(one, 48)) _exit(1);
    fh_zone_destroy(one);
    EXPECT_OR_EXIT(!can_be_read(p));
    fh_zone *zone = fh_zone_create("child's", 0, 0);
    EXPECT_OR_EXIT(zone && fh_zone_allocate(zone, 100));
}

static void test_zone__fork(void **state)
{
    (void)state;
    one = fh_zone_create("parent's", 0, 0);
    char *p = fh_zone_strdup(one, "mine");
    goes_on(destroy_here, p);
    assert_string_equal(p, "mine");
    assert_int_equal(fh_zone_count(one), 1);
    fh_zone_destroy(one);
}

static void *make_and_free_rightly(void *unused)
{
    (void)unused;
    while (!stop) fh_zone_free(one, fh_zone_allocate(one, 100000));
    return NULL;
}

/* Of a thread that has the record of one that vanished while it freed a block. */
static void *verify_in_child(void *unused)
{
    fh_free(fh_malloc(10));
    EXPECT_OR_EXIT(fh_zone_verify(one) == 0);
    return unused;
}

static void use_in_child(void *unused)
{
    (void)unused;
    alarm(20);
    for (int i = 0; i < 100; i++) fh_zone_free(one, fh_zone_allocate(one, 100000));
    pthread_t thread;
    pthread_create(&thread, NULL, verify_in_child, NULL);
    pthread_join(thread, NULL);
    EXPECT_OR_EXIT(fh_zone_seal(one) == 0);
    fh_zone_destroy(one);
}

static void test_zone__fork_in_the_middle(void **state)
{
    (void)state;
    pthread_t thread[2];
    one = fh_zone_create("busy", 0, 0);
    stop = false;
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, make_and_free_rightly, NULL);
    for (int i = 0; i < 30; i++) goes_on(use_in_child, NULL);
    stop = true;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    fh_zone_destroy(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: zone 0 is there still, which a handle that is none may seem to be */
        cmocka_unit_test(test_zone__misuse_is_told),
        cmocka_unit_test(test_zone__create_refuses),
        cmocka_unit_test(test_zone__names_are_kept_and_cut),
        cmocka_unit_test(test_zone__handles_are_never_given_twice),
        cmocka_unit_test(test_zone__blocks_lie_in_slots_of_one_size),
        cmocka_unit_test(test_zone__blocks_of_all_sizes),
        cmocka_unit_test(test_zone__free_and_realloc_know_blocks_of_zones),
        cmocka_unit_test(test_zone__addresses_serve_nobody_else),
        cmocka_unit_test(test_zone__destroyed_memory_faults),
        cmocka_unit_test(test_zone__destroyed_blocks_count_no_more),
        cmocka_unit_test(test_zone__entries_run_out_in_order),
        cmocka_unit_test(test_zone__freed_for_good),
        cmocka_unit_test(test_zone__usage),
        cmocka_unit_test(test_zone__sealed),
        cmocka_unit_test(test_zone__unsealed_after_a_purge),
        cmocka_unit_test(test_zone__guards_stay),
        cmocka_unit_test(test_zone__tags),
        cmocka_unit_test(test_zone__tags_end_with_a_life),
        cmocka_unit_test(test_zone__rotation),
        cmocka_unit_test(test_zone__pinned),
        cmocka_unit_test(test_zone__named_in_maps),
        cmocka_unit_test(test_zone__threads),
        cmocka_unit_test(test_zone__sealed_and_destroyed_meanwhile),
        cmocka_unit_test(test_zone__fork),
        cmocka_unit_test(test_zone__fork_in_the_middle),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
