/*
 * What a program may ask of the hardened heap (freehold/zone.h): how much of a block is left, what is live, what is
 * damaged, which words of stacks are stale; and which types are kept apart. What could break: a bound that is off by
 * one; a block that is forgotten, or one of another zone that is told; damage that is not seen, or seen where none
 * is, while other threads make and free blocks; a type that wanders from bucket to bucket.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/zone.h>

#include "hard/zone_core.h"
#include "child_tests.h"
#include "kit/unit.h"

const char *const freehold_options = "sample=0,canary=1";

#define MASK 0x5555555555555555ull

/* ---- sizes and ranges ---------------------------------------------------------------------------------- */

static void range_is_too_long(void *p)
{
    fh_check_range(p, 41);
}

static void range_in_freed(void *p)
{
    fh_free(p);
    fh_check_range(p, 1);
}

static void range_ignored(void *p)
{
    fh_option_set("bad_free", "ignore");
    EXPECT_OR_EXIT(fh_check_range(p, 41) == -EFAULT);
    EXPECT_OR_EXIT(fh_check_range(p, 40) == 0);
}

static void test_look__object_size(void **state)
{
    (void)state;
    static char not_ours[16];
    fh_zone *zone = fh_zone_create("sizes", 0, 0);
    static const size_t size[] = {0, 1, 40, 41, 5000, 131064, 131065, 1 << 20};
    for (size_t i = 0; i < 2 * COUNT_OF(size); i++) {
        size_t n = size[i / 2];
        char *p = i % 2 ? fh_malloc(n) : fh_zone_allocate(zone, n);
        assert_int_equal(fh_object_size(p), n);
        assert_int_equal(fh_object_size(p + n / 2), n - n / 2);
        assert_int_equal(fh_object_size(p + n), 0);
        fh_free(p);
        assert_int_equal(fh_object_size(p), 0);
        assert_int_equal(fh_object_size(p + n / 2), 0);
    }
    assert_true(fh_object_size(not_ours) == SIZE_MAX && fh_object_size(NULL) == SIZE_MAX);
    assert_true(fh_object_size(&zone) == SIZE_MAX);
    fh_zone_destroy(zone);
}

static void test_look__check_range(void **state)
{
    (void)state;
    static char not_ours[16];
    char *p = fh_malloc(40);
    assert_int_equal(fh_check_range(p, 40), 0);
    assert_int_equal(fh_check_range(p + 39, 1), 0);
    assert_int_equal(fh_check_range(p + 40, 0), 0);
    assert_int_equal(fh_check_range(not_ours, SIZE_MAX), 0);
    stops(range_is_too_long, p, "fh_check_range(0x");
    stops(range_is_too_long, p,
          "would reach 1 byte past the end of a block of 40 bytes (41 bytes, from its start on)");
    stops(range_in_freed, p, "a freed block");
    goes_on(range_ignored, p);
    fh_free(p);
}

/* ---- live blocks ----------------------------------------------------------------------------------------- */

enum { TOLD_MOST = 4096 };
static struct {
    struct fh_live_block block[TOLD_MOST];
    size_t count;
} told;

static void tell(const struct fh_live_block *block, void *context)
{
    assert_ptr_equal(context, &told);
    if (told.count < TOLD_MOST) told.block[told.count++] = *block;
}

static const struct fh_live_block *told_of(const void *p)
{
    for (size_t i = 0; i < told.count; i++)
        if (told.block[i].start == p) return &told.block[i];
    return NULL;
}

/* Blocks of one slot size are told one after the other. */
static void assert_in_order(void)
{
    size_t seen[TOLD_MOST], sizes = 0;
    for (size_t i = 0; i < told.count; i++) {
        unsigned region = core_region(told.block[i].start);
        if (i && region == core_region(told.block[i - 1].start)) continue;
        for (size_t j = 0; j < sizes; j++) assert_int_not_equal(seen[j], region);
        seen[sizes++] = region;
    }
}

static void test_look__leaks(void **state)
{
    (void)state;
    fh_zone *zone = fh_zone_create("leaks", 0, 0), *other = fh_zone_create("others", 0, 0);
    size_t before = fh_hardened_leaks(NULL, NULL, NULL);
    enum {
        MANY = 2000,
        WIDE = 100000
    }; /* more than a chunk of one size: those of others lie between */
    fh_zone *wide = fh_zone_create("wide", WIDE, 0);
    for (int i = 0; i < MANY; i++)
        if (!fh_zone_allocate(wide, WIDE)) fail();
    before += MANY;
    void *a = fh_malloc(40), *b = fh_malloc(300000), *c = fh_zone_allocate(zone, 40),
         *d = fh_zone_allocate(zone, 300000), *e = fh_zone_allocate(other, 41), *f = fh_malloc(50),
         *g = fh_malloc(40);
    fh_free(f);
    told.count = 0;
    assert_int_equal(fh_hardened_leaks(NULL, tell, &told), before + 6);
    assert_int_equal(told.count, before + 6);
    assert_in_order();
    assert_true(told_of(a)->size == 40 && told_of(a)->zone == NULL && told_of(a)->slot_size == 48);
    assert_true(told_of(b)->size == 300000 && told_of(b)->slot_size >= 300000);
    assert_true(told_of(c)->zone == zone && told_of(e)->zone == other && told_of(g));
    assert_true(told_of(a)->thread == told_of(c)->thread && told_of(a)->thread != 0);
    assert_null(told_of(f));
    told.count = 0;
    assert_int_equal(fh_hardened_leaks(zone, tell, &told), 2);
    assert_true(told.count == 2 && told_of(c) && told_of(d));
    fh_free(a), fh_free(b), fh_free(g);
    fh_zone_destroy(zone);
    fh_zone_destroy(other);
    fh_zone_destroy(wide);
    assert_int_equal(fh_hardened_leaks(NULL, NULL, NULL), before - MANY);
}

/* ---- damage ------------------------------------------------------------------------------------------------ */

static fh_zone *one;

static void overflow_and_verify(void *p)
{
    ((char *)p)[40] = 'x';
    fh_hardened_verify();
}

static void overflow_far_and_verify(void *p)
{
    ((char *)p)[300001] = 'x';
    fh_hardened_verify();
}

static void touch_freed_and_verify(void *p)
{
    fh_free(p);
    ((char *)p)[3] = 'x';
    fh_hardened_verify();
}

static void verify_of_zone(void *p)
{
    ((char *)p)[40] = 'x';
    fh_zone_verify(one);
}

/* Each is told once, and is as it was again. */
static void ignored_and_mended(void *unused)
{
    (void)unused;
    fh_option_set("bad_free", "ignore");
    dup2(open("/dev/null", O_WRONLY), 2);
    char *p = fh_malloc(40), *q = fh_malloc(100), *r = fh_zone_allocate(one, 40);
    p[40] = q[103] = r[45] = 'x';
    EXPECT_OR_EXIT(fh_zone_verify(one) == 1);
    EXPECT_OR_EXIT(fh_hardened_verify() == 2);
    EXPECT_OR_EXIT(fh_hardened_verify() == 0);
}

/* A sealed zone cannot be mended: it is told again. */
static void sealed_and_damaged(void *unused)
{
    (void)unused;
    fh_option_set("bad_free", "ignore");
    dup2(open("/dev/null", O_WRONLY), 2);
    signal(SIGSEGV, SIG_DFL);
    char *p = fh_zone_allocate(one, 40);
    p[40] = 'x';
    EXPECT_OR_EXIT(fh_zone_seal(one) == 0);
    EXPECT_OR_EXIT(fh_zone_verify(one) == 1);
    EXPECT_OR_EXIT(fh_zone_verify(one) == 1);
    EXPECT_OR_EXIT(fh_zone_unseal(one) == 0);
    EXPECT_OR_EXIT(fh_zone_verify(one) == 1);
    EXPECT_OR_EXIT(fh_zone_verify(one) == 0);
}

static _Atomic int turn;

/* Its quarantine ends with the thread. */
static void *free_it(void *p)
{
    fh_free(p);
    for (turn = 1; turn == 1;) usleep(1000);
    return NULL;
}

/* What another thread has freed it may be clearing still: it is looked at when it is handed out, and not before. */
static void freed_by_another(void *p)
{
    pthread_t thread;
    void *q = fh_malloc(50);
    pthread_create(&thread, NULL, free_it, p);
    while (turn == 0) usleep(1000);
    ((char *)p)[3] = 'x';
    EXPECT_OR_EXIT(fh_hardened_verify() == 0);
    ((char *)p)[3] = 0;
    turn = 2;
    pthread_join(thread, NULL);
    fh_free(q);
}

static void test_look__verify(void **state)
{
    (void)state;
    char *p = fh_malloc(40), *large = fh_malloc(300001);
    one = fh_zone_create("verified", 0, 0);
    char *q = fh_zone_allocate(one, 40);
    assert_int_equal(fh_hardened_verify(), 0);
    assert_int_equal(fh_zone_verify(one), 0);
    stops(overflow_and_verify, p, "fh_hardened_verify(0x");
    stops(overflow_and_verify, p, "past the end of a block of 40 bytes");
    stops(overflow_far_and_verify, large, "past the end of a block of 300001 bytes");
    stops(touch_freed_and_verify, p, "after free, into a freed block");
    stops(verify_of_zone, q, "fh_zone_verify(0x");
    goes_on(verify_of_zone, p); /* which is not the zone's */
    goes_on(freed_by_another, p);
    goes_on(ignored_and_mended, NULL);
    goes_on(sealed_and_damaged, NULL);
    fh_free(p), fh_free(large);
    fh_zone_destroy(one);
}

/* ---- large blocks ---------------------------------------------------------------------------------------- */

enum large_deed { FREED, FREED_FOR_GOOD, GROWN, SHRUNK, LOOKED_AT };

struct large_case {
    char *p;
    size_t size;
    enum large_deed deed;
    long at; /* where it is written to: from its start, or from `size` on */
    unsigned count;
};

static void large_harm(void *argument)
{
    const struct large_case *c = argument;
    memset(c->at < 0 ? c->p + c->at : c->p + c->size + c->at, 'x', c->count);
    switch (c->deed) {
    case FREED: fh_free(c->p); break;
    case FREED_FOR_GOOD: fh_free_permanently(c->p); break;
    case GROWN: c->p[0] = *(char *)fh_realloc(c->p, c->size + 1000); break;
    case SHRUNK: c->p[0] = *(char *)fh_realloc(c->p, c->size - 1000); break;
    case LOOKED_AT: fh_hardened_verify(); break;
    }
}

static const char *const large_calls[] = {"free(0x", "fh_free_permanently(0x", "realloc(0x",
                                          "realloc(0x", "fh_hardened_verify(0x"};

/* Told by the call that saw it, of a block that lives, with who made it. */
static void assert_large_told(char *p, size_t size, long at, unsigned count, const char *says)
{
    char kind[64];
    snprintf(kind, sizeof kind, "%zu bytes at %p, live, of ", size, (void *)p);
    for (unsigned deed = FREED; deed <= LOOKED_AT; deed++) {
        struct large_case c = {.p = p, .size = size, .deed = deed, .at = at, .count = count};
        char first[160];
        snprintf(first, sizeof first, "freehold: %s", large_calls[deed]);
        stops(large_harm, &c, first);
        stops(large_harm, &c, says);
        stops(large_harm, &c, kind);
        stops(large_harm, &c, ", made by thread number ");
    }
}

static void test_look__large_blocks_and_what_lies_around_them(void **state)
{
    (void)state;
    enum { SIZE = 300001 };
    fh_zone *zone = fh_zone_create("large", 0, 0);
    char *blocks[] = {fh_malloc(SIZE), fh_calloc(1, SIZE), fh_aligned_alloc(64, SIZE),
                      fh_zone_allocate(zone, SIZE)};
    for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        assert_large_told(blocks[i], SIZE, 0, 1,
                          "write of at least 1 byte past the end of a block of 300001 bytes");
        assert_large_told(blocks[i], SIZE, -1, 1,
                          "write of at least 1 byte in front of a block of 300001 bytes");
        assert_large_told(blocks[i], SIZE, -700, 3, /* beyond what is read at once */
                          "write of at least 700 bytes in front of a block of 300001 bytes");
        fh_free(blocks[i]);
    }
    fh_zone_destroy(zone);
}

static _Atomic bool stop;

static void *make_and_free(void *unused)
{
    (void)unused;
    unsigned turn = 0;
    void *kept[64] = {0};
    for (; !stop; turn++) {
        void **p = &kept[turn % 64];
        size_t size = turn % 8 ? turn * 37 % 3000 + 1 : 120000; /* to clear that takes a while */
        if (turn % 3)
            *p = fh_realloc(*p, size);
        else
            fh_free(*p), *p = fh_malloc(size);
        memset(*p, 'x', size);
        if (turn % 1000 == 0) fh_zone_free(one, fh_zone_allocate(one, 200000));
    }
    for (int i = 0; i < 64; i++) fh_free(kept[i]);
    return NULL;
}

static void *make_and_destroy(void *unused)
{
    (void)unused;
    while (!stop) {
        fh_zone *zone = fh_zone_create("short", 0, 0);
        for (size_t size = 16; size < 500000; size *= 4)
            memset(fh_zone_allocate(zone, size), 'x', size);
        fh_zone_destroy(zone);
    }
    return NULL;
}

static void test_look__verify_while_others_go_on(void **state)
{
    (void)state;
    pthread_t thread[3];
    one = fh_zone_create("busy", 0, 0);
    stop = false;
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, i ? make_and_free : make_and_destroy, NULL);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(fh_hardened_verify(), 0);
        fh_hardened_leaks(NULL, NULL, NULL);
    }
    stop = true;
    for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
    fh_zone_destroy(one);
}

/* ---- words of stacks --------------------------------------------------------------------------------------- */

static uintptr_t wanted;
static const void *found_at;
static uint32_t found_thread;
static long others;

static void look_for(const struct fh_stale_word *word, void *context)
{
    assert_ptr_equal(context, &wanted);
    if (((uintptr_t)word->start ^ MASK) != wanted) {
        others++;
        return;
    }
    found_at = word->word;
    found_thread = word->thread;
    assert_true((uintptr_t)word->pointer >= (uintptr_t)word->start);
}

static __attribute__((noinline)) uintptr_t freed_block(size_t size)
{
    void *p = fh_malloc(size);
    fh_free(p);
    return (uintptr_t)p ^ MASK;
}

static __attribute__((noinline)) void scrub(void)
{
    volatile char bytes[16384];
    memset((char *)bytes, 0, sizeof bytes);
}

static __attribute__((noinline)) long search(unsigned whose)
{
    found_at = NULL;
    others = 0;
    return fh_hardened_search_stack(whose, look_for, &wanted);
}

static void test_look__own_stack(void **state)
{
    (void)state;
    static const size_t size[] = {40, 5000, 300000};
    for (size_t i = 0; i < COUNT_OF(size); i++) {
        volatile uintptr_t word = 0;
        wanted = freed_block(size[i]);
        scrub();
        search(FH_STACK_OWN);
        assert_null(found_at);
        word = (wanted ^ MASK) + (size[i] < 300000 ? 7 : 0);
        long count = search(FH_STACK_OWN);
        assert_ptr_equal(found_at, &word);
        assert_int_equal(count, others + 1);
        assert_int_equal(found_thread, (uint32_t)gettid());
        assert_int_equal(fh_hardened_search_stack(FH_STACK_OWN, NULL, NULL), count);
        word = 0;
        search(FH_STACK_OWN);
        assert_null(found_at);
    }
}

static int gate[2];
static _Atomic uint32_t sleeper;
static const volatile uintptr_t *_Atomic sleepers_word;

static void *sleep_with_a_word(void *unused)
{
    (void)unused;
    char c;
    volatile uintptr_t word = wanted ^ MASK;
    sleepers_word = &word;
    sleeper = (uint32_t)gettid();
    return read(gate[0], &c, 1) == 1 && word ? NULL : &gate;
}

/* The search can only see who sleeps already. */
static bool found_on_the_sleepers(void)
{
    for (int i = 0; i < 200; i++, usleep(10000)) {
        search(FH_STACK_ALL);
        if (found_at == (const void *)sleepers_word) return true;
    }
    return false;
}

static void test_look__stacks_of_others(void **state)
{
    (void)state;
    pthread_t thread;
    pthread_attr_t attributes;
    for (int in_a_block = 0; in_a_block < 2; in_a_block++) {
        void *block = fh_aligned_alloc(4096, 256 << 10);
        wanted = freed_block(600);
        scrub();
        assert_int_equal(pipe(gate), 0);
        pthread_attr_init(&attributes);
        if (in_a_block) pthread_attr_setstack(&attributes, block, 256 << 10);
        sleeper = 0;
        pthread_create(&thread, &attributes, sleep_with_a_word, NULL);
        while (sleeper == 0) usleep(1000);
        assert_true(found_on_the_sleepers());
        assert_int_equal(found_thread, sleeper);
        search(FH_STACK_OWN);
        assert_null(found_at);
        assert_int_equal(write(gate[1], "x", 1), 1);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        fh_free(block);
        close(gate[0]), close(gate[1]);
    }
}

/* ---- types --------------------------------------------------------------------------------------------------- */

struct node {
    struct node *next;
    char text[32];
};

static void test_look__types(void **state)
{
    (void)state;
    enum { DATA = 3, TYPES = 64, BLOCKS = 20 };
    unsigned seen = 0;
    for (int t = 0; t < TYPES; t++) {
        char name[16];
        snprintf(name, sizeof name, "struct t%d", t);
        unsigned bucket = core_bucket(fh_malloc_typed(40, name));
        for (int i = 0; i < BLOCKS; i++)
            assert_int_equal(core_bucket(fh_malloc_typed(40, name)), bucket);
        seen |= 1u << bucket;
    }
    assert_int_equal(seen, 7); /* and never among data */
    struct node *node = fh_new(struct node), *nodes = fh_new_array(struct node, 10);
    assert_int_equal(fh_object_size(node), sizeof *node);
    assert_int_equal(fh_object_size(nodes), 10 * sizeof *node);
    assert_int_equal(core_bucket(node), core_bucket(nodes));
    char *text = fh_malloc_data(100), *one_char = fh_new_data(char);
    assert_true(core_bucket(text) == DATA && core_bucket(one_char) == DATA);
    volatile size_t many = SIZE_MAX / 4;
    errno = 0;
    assert_null(fh_new_array(struct node, many));
    assert_int_equal(errno, ENOMEM);
    fh_free(node), fh_free(nodes), fh_free(text), fh_free(one_char);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look__object_size),
        cmocka_unit_test(test_look__check_range),
        cmocka_unit_test(test_look__leaks),
        cmocka_unit_test(test_look__large_blocks_and_what_lies_around_them),
        cmocka_unit_test(test_look__verify),
        cmocka_unit_test(test_look__verify_while_others_go_on),
        cmocka_unit_test(test_look__own_stack),
        cmocka_unit_test(test_look__stacks_of_others),
        cmocka_unit_test(test_look__types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
