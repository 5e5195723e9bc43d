/*
 * How large a heap becomes. What could break: garbage that nobody keeps makes a heap grow (while a cycle goes on;
 * where next to nothing is alive; where it lies outside of the heap), or what a spike has left is never given back.
 */
#include "gc/kit.h"

#include <freehold/freehold.h>

#include <pthread.h>

static struct fh_gc_heap *heap;

static struct fh_gc_stats stats(void)
{
    struct fh_gc_stats read;
    fh_gc_stats_get(heap, &read);
    return read;
}

static void create(enum fh_gc_policy policy, enum fh_gc_sizing sizing)
{
    struct fh_gc_options options = {.policy = policy, .sizing = sizing};
    heap = fh_gc_create(&options);
    assert_non_null(heap);
}

static void *litter(void *unused)
{
    for (int i = 0; i < 6000000; i++)
        if (fh_gc_new(heap, node) == NULL) return NULL;
    fh_gc_thread_detach();
    return unused;
}

static void *join(void *threads)
{
    pthread_t *thread = threads;
    for (int t = 0; t < 3; t++) pthread_join(thread[t], NULL);
    return NULL;
}

/* More threads than processors: the collector gets its turn late. */
static void test_size__threads_that_litter(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create(policies[p], FH_GC_GROW);
        pthread_t thread[3];
        for (int t = 0; t < 3; t++)
            assert_int_equal(pthread_create(&thread[t], NULL, litter, NULL), 0);
        fh_gc_blocking(join, thread);
        assert_in_range(stats().heap_bytes_peak, 1, 64 << 20);
        fh_gc_destroy(heap);
    }
}

static void test_size__adaptive_with_little_alive(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create(policies[p], FH_GC_ADAPTIVE);
        for (int i = 0; i < 20000000; i++) (void)fh_gc_new(heap, node);
        assert_in_range(stats().heap_bytes_peak, 1, 96 << 20);
        fh_gc_destroy(heap);
    }
}

/* Objects of 16 bytes that stand for 1 MiB each. */
static void test_size__external_memory_is_bounded(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create(policies[p], FH_GC_GROW);
        for (int i = 0; i < 2000; i++) {
            (void)fh_gc_new_bytes(heap, 16);
            fh_gc_external(heap, 1 << 20);
        }
        /* 8 MiB of target: at least one for each 32 */
        assert_true(stats().collections_why[FH_GC_WHY_EXTERNAL] >= 2000 / 32);
        fh_gc_destroy(heap);
    }
}

static __attribute__((noinline)) void spike(void)
{
    struct node *list = NULL;
    for (int i = 0; i < 2000000; i++) {
        struct node *node = fh_gc_new(heap, node);
        fh_gc_store(heap, &node->right, list);
        list = node;
    }
    assert_true(stats().heap_bytes > 48 << 20);
}

/* Garbage that was all alive a moment ago. */
static void create_with_spike(enum fh_gc_policy policy)
{
    create(policy, FH_GC_GROW);
    spike();
    stack_clear();
}

static void test_size__spikes_go_back(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create_with_spike(policies[p]);
        fh_gc_collect(heap, FH_GC_FULL);
        assert_in_range(stats().heap_bytes, 0, 16 << 20);
        fh_gc_destroy(heap);
    }
}

/* Nobody calls for a full collection, and what is allocated now dies young. A collector beside the program
 * may be late at any one moment, so it is the first good one that counts. */
static void test_size__old_garbage_is_found(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create_with_spike(policies[p]);
        for (uint64_t start = stats().allocated_bytes; stats().heap_bytes > 32 << 20;) {
            assert_true(stats().allocated_bytes - start < (uint64_t)20 * 256 << 20);
            for (int i = 0; i < 100000; i++) (void)fh_gc_new_bytes(heap, 1024);
        }
        fh_gc_destroy(heap);
    }
}

static void test_size__lowered_limits_are_kept(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        create_with_spike(policies[p]);
        assert_int_equal(fh_gc_limit_set(heap, 2 << 20), 0);
        for (int i = 0; i < 100000; i++) (void)fh_gc_new(heap, node);
        assert_in_range(stats().heap_bytes, 0, 2 << 20);
        fh_gc_destroy(heap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size__threads_that_litter),
        cmocka_unit_test(test_size__adaptive_with_little_alive),
        cmocka_unit_test(test_size__external_memory_is_bounded),
        cmocka_unit_test(test_size__spikes_go_back),
        cmocka_unit_test(test_size__old_garbage_is_found),
        cmocka_unit_test(test_size__lowered_limits_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
