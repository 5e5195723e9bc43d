/*
 * The order in which the marker scans a large heap, and that the order loses nothing.
 *
 * What could break: a high stack that is worked on from its top, each block a miss of the TLB; a batch that
 * drops or repeats a block; a pass that ends while words or blocks still wait for their memory.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"
#include "leaks/reserve.h"
#include "span/reach.h"

enum { SIZE = 32, BLOCKS = 3 * REACH_BATCH, CHAINS = REACH_BATCH + REACH_BATCH / 2, WORKERS = 2 };
#define BASE 0x7f2200000000ull
#define BYTES ((size_t)BLOCKS * SIZE)

static struct reach reach;
static struct reach_region region;
static uint64_t *words, *roots;

static uint64_t address(size_t block)
{
    return BASE + block * SIZE;
}

/* Roots lead to a block each, that one to another; all are in no order. */
static void make_heap(void)
{
    struct random random = {1};
    size_t *place = calloc(BLOCKS, sizeof *place);
    for (size_t i = 0; i < BLOCKS; i++) place[i] = i;
    for (size_t i = BLOCKS; i > 1; i--) {
        size_t other = random_below(&random, i), this = place[i - 1];
        place[i - 1] = place[other];
        place[other] = this;
    }
    for (size_t i = 0; i < CHAINS; i++) {
        roots[i] = address(place[i]);
        words[place[i] * SIZE / 8 + 1] = address(place[CHAINS + i]);
    }
    free(place);
}

static int set_up(void **state)
{
    (void)state;
    words = calloc(1, BYTES);
    roots = calloc(CHAINS, sizeof *roots);
    if (!words || !roots) return 1;
    make_heap();
    region =
        (struct reach_region){.start = BASE, .end = BASE + BYTES, .bytes = (unsigned char *)words};
    assert_true(reach_init(&reach, &region, 1, reserve, release));
    for (size_t i = 0; i < BLOCKS; i++) reach_add(&reach, address(i), true);
    assert_true(reach_seal(&reach));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    reach_finish(&reach);
    free(words);
    free(roots);
    return 0;
}

static void test_order__a_high_stack_is_taken_by_rising_address(void **state)
{
    struct reach_worker w;
    uint64_t start, before = 0, sum = 0, wanted = 0;
    size_t rest = CHAINS - REACH_BATCH;
    assert_true(reach_worker_init(&w, &reach));
    memcpy(w.stack, roots, CHAINS * sizeof *roots);
    w.count = CHAINS;
    for (size_t i = 0; i < REACH_BATCH; i++, before = start) {
        assert_true(reach_next(&w, &start));
        assert_true(start >> 12 >= before >> 12);
        sum += start * start;
        wanted += roots[rest + i] * roots[rest + i];
    }
    assert_int_equal(sum, wanted);
    assert_int_equal(w.count, rest);
    assert_true(reach_next(&w, &start)); /* the rest is low, and goes from its top */
    assert_int_equal(start, roots[rest - 1]);
    reach_worker_finish(&w);
    (void)state;
}

static void *drain(void *worker)
{
    reach_drain(worker);
    return NULL;
}

static void test_order__every_block_is_scanned_once(void **state)
{
    struct reach_worker w[WORKERS];
    pthread_t other;
    for (int i = 0; i < WORKERS; i++) assert_true(reach_worker_init(&w[i], &reach));
    for (size_t i = 0; i < CHAINS; i++) reach_root(&w[0], roots[i]);
    assert_int_equal(pthread_create(&other, NULL, drain, &w[1]), 0);
    reach_drain(&w[0]);
    pthread_join(other, NULL);
    assert_int_equal(w[0].scanned + w[1].scanned, 2ull * CHAINS * SIZE);
    for (size_t i = 0; i < BLOCKS; i++)
        assert_int_equal(reach_kind_of(&reach, address(i)), REACH_REACHED);
    for (int i = 0; i < WORKERS; i++) reach_worker_finish(&w[i]);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order__a_high_stack_is_taken_by_rising_address, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_order__every_block_is_scanned_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
