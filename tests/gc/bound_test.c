/*
 * What must not grow. What could break: threads that allocate at once pass a limit together; work that should be in
 * proportion to what there is goes with its square; a table keeps what is over; an exception becomes the rule. The
 * times allowed are a hundred times what is needed, and a tenth of what squares would take.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static struct fh_gc_heap *heap;

static struct fh_gc_stats stats_now(void)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    return stats;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- the limit ---------------------------------------------------------------------------------------------------- */

enum { LIMIT = 50 << 20, LARGE = 20 << 20, THREADS = 8 };

static void *thread_allocates_large(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) {
        char *large = fh_gc_new_bytes(heap, LARGE);
        if (large) *large = 1;
    }
    return NULL;
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

static void test_bound__threads_do_not_pass_the_limit_together(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .limit = LIMIT};
        pthread_t thread[THREADS];
        assert_non_null(heap = fh_gc_create(&options));
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, thread_allocates_large, NULL), 0);
        for (int i = 0; i < THREADS; i++) fh_gc_blocking(join, &thread[i]);
        assert_in_range(stats_now().heap_bytes_peak, LARGE, LIMIT);
        assert_in_range(stats_now().heap_bytes, 0, LIMIT);
        fh_gc_destroy(heap);
    }
}

/* ---- squares ------------------------------------------------------------------------------------------------------- */

struct inner {
    struct fh_gc_table *table;
    void **keys;
};
FH_GC_TYPE(inner, table, keys)

static struct fh_gc_ephemeron *outer;
static struct node *way;

/* A weak table inside a value that marking gets at last, since its key is at the end of a list. */
static __attribute__((noinline)) void tables_in_each_other(size_t entries)
{
    struct inner *inner = fh_gc_new(heap, inner);
    fh_gc_store(heap, &inner->table, fh_gc_table_new(heap));
    fh_gc_store(heap, &inner->keys, fh_gc_new_pointers(heap, entries));
    for (size_t i = 0; i < entries; i++) {
        struct node *key = node_new(heap, i);
        fh_gc_store(heap, &inner->keys[i], key);
        assert_int_equal(fh_gc_table_set(heap, inner->table, key, NULL), 0);
    }
    struct node *key = node_new(heap, 0), *list = key;
    for (int i = 0; i < 100000; i++) {
        struct node *node = node_new(heap, 0);
        fh_gc_store(heap, &node->right, list);
        list = node;
    }
    fh_gc_store(heap, &outer, fh_gc_ephemeron_new(heap, key, inner));
    fh_gc_store(heap, &way, list);
}

static void test_bound__weak_tables_in_weak_tables(void **state)
{
    enum { ENTRIES = 200000 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p]};
        assert_non_null(heap = fh_gc_create(&options));
        tables_in_each_other(ENTRIES);
        double start = seconds();
        fh_gc_collect(heap, FH_GC_FULL);
        assert_true(seconds() - start < 4);
        struct inner *inner = fh_gc_ephemeron_value(heap, outer);
        assert_non_null(inner);
        assert_int_equal(fh_gc_table_count(heap, inner->table), ENTRIES);
        fh_gc_store(heap, &outer, NULL);
        fh_gc_store(heap, &way, NULL);
        fh_gc_destroy(heap);
    }
}

static void test_bound__many_pins(void **state)
{
    enum { PINS = 200000 };
    (void)state;
    assert_non_null(heap = fh_gc_create(NULL));
    void **object = fh_gc_new_pointers(heap, PINS);
    for (size_t i = 0; i < PINS; i++) object[i] = node_new(heap, i);
    double start = seconds();
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < PINS; i++) assert_int_equal(fh_gc_pin(heap, object[i]), 0);
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < PINS; i++) assert_int_equal(fh_gc_unpin(heap, object[i]), 0);
    assert_true(seconds() - start < 4);
    assert_int_equal(fh_gc_unpin(heap, object[0]), -ENOENT);
    fh_gc_destroy(heap);
}

/* ---- what is over --------------------------------------------------------------------------------------------------- */

static void nothing(void *object, void *unused)
{
    (void)object;
    (void)unused;
}

static __attribute__((noinline)) void finalizable(int objects)
{
    for (int i = 0; i < objects; i++)
        assert_int_equal(fh_gc_finalizer_add(heap, node_new(heap, 0), nothing, NULL, 0), 0);
}

/* There are always some left to run. */
static void test_bound__finalizers_that_have_run_are_forgotten(void **state)
{
    enum { EACH = 3000, ROUNDS = 200 };
    uint64_t early = 0;
    (void)state;
    assert_non_null(heap = fh_gc_create(NULL));
    for (int i = 0; i < ROUNDS; i++) {
        finalizable(EACH);
        collect(heap);
        fh_gc_finalize(heap, i ? EACH : EACH / 2);
        if (i == ROUNDS / 10) early = stats_now().table_bytes;
    }
    assert_true(fh_gc_finalize_pending(heap) > 0);
    assert_in_range(stats_now().table_bytes, 0, early * 2);
    fh_gc_destroy(heap);
}

enum { HANDLES = 50 };

static __attribute__((noinline)) void transform_one(struct fh_gc_handle **handle)
{
    void **from = malloc(sizeof *from), **to = malloc(sizeof *to);
    int result = -EBUSY;
    for (int i = 0; i < HANDLES - 1 && result == -EBUSY; i++) { /* one may be left on the stack */
        *from = fh_gc_handle_get(handle[i]);
        *to = fh_gc_handle_get(handle[HANDLES - 1]);
        stack_clear();
        result = fh_gc_transform(heap, from, to, 1);
    }
    assert_int_equal(result, 0);
    free(from);
    free(to);
}

static __attribute__((noinline)) void handles_make(struct fh_gc_handle **handle)
{
    for (int i = 0; i < HANDLES; i++) handle[i] = fh_gc_handle_new(heap, node_new(heap, 5));
}

/* A transform makes the next collection a full one: no other. And stores into old objects are remembered then. */
static void test_bound__minor_collections_come_back(void **state)
{
    static struct fh_gc_handle *handle[HANDLES];
    struct fh_gc_options options = {.policy = FH_GC_GENERATIONAL,
                                    .debug = FH_GC_VERIFY | FH_GC_POISON};
    (void)state;
    assert_non_null(heap = fh_gc_create(&options));
    handles_make(handle);
    struct node *old = list_new(heap, 1000);
    collect(heap);
    fh_gc_store(heap, &old->left, node_new(heap, 7)); /* remembered by now */
    stack_clear();
    transform_one(handle);
    for (int i = 0; i < 10; i++) fh_gc_collect(heap, FH_GC_MINOR);
    assert_in_range(stats_now().minor_collections, 9, 9);
    fh_gc_store(heap, &old->left, node_new(heap, 8));
    stack_clear();
    for (int i = 0; i < 3; i++) fh_gc_collect(heap, FH_GC_MINOR);
    assert_int_equal(old->left->value, 8);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bound__threads_do_not_pass_the_limit_together),
        cmocka_unit_test(test_bound__weak_tables_in_weak_tables),
        cmocka_unit_test(test_bound__many_pins),
        cmocka_unit_test(test_bound__finalizers_that_have_run_are_forgotten),
        cmocka_unit_test(test_bound__minor_collections_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
