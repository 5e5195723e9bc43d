/*
 * Weakness. What could break: a weak reference keeps its target, or outlives it; an ephemeron keeps its
 * value too long, or not long enough, or a chain of them costs its square; a finalizer runs early, twice,
 * before that of a referrer, or not at all.
 */
#include "gc/kit.h"

#include <stdlib.h>
#include <unistd.h>

enum { MANY = 400, FEW = 60 }; /* what a conservative search may keep by chance */

static struct fh_gc_heap *heap;

static void each_policy(void (*body)(void))
{
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        body();
        fh_gc_destroy(heap);
    }
}

/* ---- weak references ------------------------------------------------------------------------------------ */

static struct fh_gc_weak *weak[MANY];
static struct node *kept[MANY];

static __attribute__((noinline)) void weak_fill(void)
{
    for (int i = 0; i < MANY; i++) {
        struct node *node = node_new(heap, (uint64_t)i);
        if (i % 2) fh_gc_store(heap, &kept[i], node);
        fh_gc_store(heap, &weak[i], fh_gc_weak_new(heap, node));
    }
}

static __attribute__((noinline)) int weak_alive(int remainder)
{
    int alive = 0;
    for (int i = remainder; i < MANY; i += 2) {
        struct node *node = fh_gc_weak_get(heap, weak[i]);
        if (node) assert_int_equal(node->value, i);
        alive += node != NULL;
    }
    return alive;
}

static __attribute__((noinline)) void weak_retarget(void)
{
    for (int i = 0; i < MANY; i += 2) fh_gc_weak_set(heap, weak[i], NULL);
    for (int i = 1; i < MANY; i += 2) fh_gc_store(heap, &kept[i], NULL);
}

static void weak_references(void)
{
    weak_fill();
    assert_int_equal(weak_alive(0), MANY / 2);
    collect(heap);
    assert_int_equal(weak_alive(1), MANY / 2);
    assert_in_range(weak_alive(0), 0, FEW);
    weak_retarget();
    collect(heap);
    assert_in_range(weak_alive(1), 0, FEW);
    memset(weak, 0, sizeof weak);
}

static void test_weak__reference_is_cleared_with_its_target(void **state)
{
    (void)state;
    each_policy(weak_references);
}

/* ---- ephemerons ---------------------------------------------------------------------------------------------- */

static struct fh_gc_ephemeron *ephemeron[MANY];

/* In chains of ten each value is the key of the next: all live or die with the first. */
static __attribute__((noinline)) void chain_fill(void)
{
    struct node *key = NULL;
    for (int i = 0; i < MANY; i++) {
        if (i % 10 == 0) {
            key = node_new(heap, (uint64_t)i);
            fh_gc_store(heap, &kept[i], key);
        }
        struct node *value = node_new(heap, (uint64_t)i + 1);
        /* From the last to the first, so that none is met after its key. */
        fh_gc_store(heap, &ephemeron[MANY - 1 - i], fh_gc_ephemeron_new(heap, key, value));
        key = value;
    }
}

static __attribute__((noinline)) int chain_alive(void)
{
    int alive = 0;
    for (int i = 0; i < MANY; i++) {
        struct node *key = fh_gc_ephemeron_key(heap, ephemeron[i]);
        struct node *value = fh_gc_ephemeron_value(heap, ephemeron[i]);
        assert_int_equal(key != NULL, value != NULL);
        if (key) assert_int_equal(key->value + 1, value->value);
        alive += key != NULL;
    }
    return alive;
}

static __attribute__((noinline)) void kept_drop(void)
{
    for (int i = 0; i < MANY; i++) fh_gc_store(heap, &kept[i], NULL);
}

static void ephemerons(void)
{
    chain_fill();
    collect(heap);
    assert_int_equal(chain_alive(), MANY);
    fh_gc_ephemeron_set_value(heap, ephemeron[0], fh_gc_ephemeron_value(heap, ephemeron[0]));
    kept_drop();
    for (int i = 0; i < 3; i++) collect(heap);
    assert_in_range(chain_alive(), 0, 10 * FEW); /* a word on the stack may keep a chain */
    memset(ephemeron, 0, sizeof ephemeron);
}

static void test_weak__ephemerons_live_as_long_as_their_keys(void **state)
{
    (void)state;
    each_policy(ephemerons);
}

/* Ten times the chain may take some thirty times as long for the noise of a machine, not a hundred. */
static uint64_t chain_time(int length)
{
    struct fh_gc_options options = {.initial = (size_t)1 << 30};
    heap = fh_gc_create(&options);
    void **all = fh_gc_new_pointers(heap, (size_t)length);
    struct node *first = node_new(heap, 0), *key = first;
    for (int i = length; i-- > 0;) {
        struct node *value = node_new(heap, 0);
        all[i] = fh_gc_ephemeron_new(heap, key, value);
        key = value;
    }
    struct fh_gc_stats stats;
    collect(heap);
    fh_gc_stats_get(heap, &stats);
    assert_non_null(first);
    for (int i = 0; i < length; i++) assert_non_null(fh_gc_ephemeron_key(heap, all[i]));
    fh_gc_destroy(heap);
    return stats.stop_ns;
}

static void test_weak__chain_of_ephemerons_is_linear(void **state)
{
    (void)state;
    uint64_t shorter = chain_time(20000), longer = chain_time(200000);
    assert_true(longer < shorter * 60 + 50000000);
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static struct fh_gc_table *table;

static __attribute__((noinline)) void table_fill(void)
{
    for (int i = 0; i < MANY; i++) {
        fh_gc_store(heap, &kept[i], node_new(heap, (uint64_t)i));
        assert_int_equal(fh_gc_table_set(heap, table, kept[i], list_new(heap, (uint64_t)i % 5)), 0);
    }
}

static __attribute__((noinline)) void table_check(int step)
{
    for (int i = 0; i < MANY; i += step)
        list_check(fh_gc_table_get(heap, table, kept[i], NULL), (uint64_t)i % 5);
}

static __attribute__((noinline)) void table_thin(void)
{
    for (int i = 0; i < MANY; i++)
        if (i % 4) fh_gc_store(heap, &kept[i], NULL);
}

static __attribute__((noinline)) int table_walk(void)
{
    size_t at = 0;
    void *key, *value;
    int count = 0;
    while (fh_gc_table_next(heap, table, &at, &key, &value)) {
        list_check(value, ((struct node *)key)->value % 5);
        count++;
    }
    return count;
}

static void tables(void)
{
    fh_gc_store(heap, &table, fh_gc_table_new(heap));
    table_fill();
    assert_int_equal(fh_gc_table_count(heap, table), MANY);
    collect(heap);
    table_check(1);
    table_thin();
    collect(heap);
    table_check(4);
    assert_in_range(fh_gc_table_count(heap, table), MANY / 4, MANY / 4 + FEW);
    assert_in_range(table_walk(), MANY / 4, MANY / 4 + FEW);
    assert_true(fh_gc_table_remove(heap, table, kept[0]));
    assert_false(fh_gc_table_remove(heap, table, kept[0]));
    assert_ptr_equal(fh_gc_table_get(heap, table, kept[0], &table), &table);
    assert_int_equal(fh_gc_table_set(heap, table, NULL, NULL), -EINVAL);
    table_fill(); /* again, over what has died */
    table_check(1);
    fh_gc_store(heap, &table, NULL);
    kept_drop();
}

static void test_weak__table_forgets_dead_keys(void **state)
{
    (void)state;
    each_policy(tables);
}

/* ---- links ---------------------------------------------------------------------------------------------------------------- */

static void *slot[MANY]; /* complemented would do; here the link alone knows the target */

static __attribute__((noinline)) void links_fill(void **hidden)
{
    for (int i = 0; i < MANY; i++) {
        struct node *node = node_new(heap, (uint64_t)i);
        if (i % 2) fh_gc_store(heap, &kept[i], node);
        hidden[i] = (void *)~(uintptr_t)node;
        assert_int_equal(fh_gc_link_add(heap, &hidden[i], node), 0);
    }
}

static void links(void)
{
    links_fill(slot);
    collect(heap);
    int cleared = 0;
    for (int i = 0; i < MANY; i++) {
        if (i % 2) assert_non_null(slot[i]);
        cleared += slot[i] == NULL;
    }
    assert_in_range(cleared, MANY / 2 - FEW, MANY / 2);
    for (int i = 1; i < MANY; i += 4) assert_int_equal(fh_gc_link_remove(heap, &slot[i]), 0);
    assert_int_equal(fh_gc_link_remove(heap, &slot[1]), -ENOENT);
    kept_drop();
    collect(heap);
    for (int i = 1; i < MANY; i += 4) assert_non_null(slot[i]);
}

static void test_weak__links_disappear(void **state)
{
    (void)state;
    each_policy(links);
}

static __attribute__((noinline)) void open_fill(struct node **at)
{
    for (int i = 0; i < MANY; i++) {
        at[i] = node_new(heap, (uint64_t)i);
        if (i % 2) fh_gc_store(heap, &kept[i], at[i]);
        assert_int_equal(fh_gc_link_add(heap, &at[i], at[i]), 0);
    }
}

/* In memory of malloc, which is no root. */
static void links_read(void)
{
    struct node **at = malloc(MANY * sizeof *at);
    int cleared = 0;
    open_fill(at);
    collect(heap);
    for (int i = 0; i < MANY; i++) {
        struct node *target = fh_gc_link_get(heap, &at[i]);
        if (target) assert_int_equal(target->value, i);
        if (i % 2) assert_non_null(target);
        cleared += target == NULL;
    }
    assert_in_range(cleared, MANY / 2 - FEW, MANY / 2);
    for (int i = 0; i < MANY; i++) fh_gc_link_remove(heap, &at[i]);
    kept_drop();
    free(at);
}

static void test_weak__links_are_read(void **state)
{
    (void)state;
    each_policy(links_read);
}

/* ---- finalizers ------------------------------------------------------------------------------------------------------------- */

static int order[2 * MANY], ordered;
static struct node *resurrected;

static void note(void *object, void *data)
{
    struct node *node = object;
    (void)data;
    int at =
        __atomic_fetch_add(&ordered, 1, __ATOMIC_RELAXED); /* on the heap's thread, in one test */
    order[at] = (int)node->value;
    (void)list_new(heap, 10); /* a finalizer may allocate */
}

static void resurrect(void *object, void *data)
{
    (void)data;
    fh_gc_store(heap, &resurrected, object);
    ordered++;
}

/* Pairs: the even one refers to the odd one. */
static __attribute__((noinline)) void finalizers_fill(void)
{
    for (uint64_t i = 0; i < MANY; i += 2) {
        struct node *first = node_new(heap, i), *second = node_new(heap, i + 1);
        fh_gc_store(heap, &first->left, second);
        assert_int_equal(fh_gc_finalizer_add(heap, second, note, NULL, 0), 0);
        assert_int_equal(fh_gc_finalizer_add(heap, first, note, NULL, 0), 0);
    }
}

static void finalizers_run(void)
{
    for (int i = 0; i < 4; i++) {
        collect(heap);
        fh_gc_finalize(heap, 0);
    }
}

static void finalizers(void)
{
    bool first_seen[MANY] = {false};
    ordered = 0;
    finalizers_fill();
    finalizers_run();
    assert_in_range(ordered, MANY / 2,
                    MANY); /* a vector register may keep eight, and each its referrer's */
    for (int i = 0; i < ordered; i++) {
        assert_false(first_seen[order[i]]);
        first_seen[order[i]] = true;
        if (order[i] % 2) assert_true(first_seen[order[i] - 1]); /* the referrer was first */
    }
    assert_int_equal(fh_gc_finalize_pending(heap), 0);
}

static void test_weak__finalizers_run_once_referrer_first(void **state)
{
    (void)state;
    each_policy(finalizers);
}

static __attribute__((noinline)) void cycles_fill(unsigned flags)
{
    for (uint64_t i = 0; i < MANY; i += 2) {
        struct node *first = node_new(heap, i), *second = node_new(heap, i + 1);
        fh_gc_store(heap, &first->left, second);
        fh_gc_store(heap, &second->left, first);
        fh_gc_finalizer_add(heap, first, note, NULL, flags);
        fh_gc_finalizer_add(heap, second, note, NULL, flags);
    }
}

static void cycles(void)
{
    ordered = 0;
    cycles_fill(0);
    finalizers_run();
    assert_int_equal(ordered, 0);
    cycles_fill(FH_GC_UNORDERED);
    finalizers_run();
    assert_in_range(ordered, MANY - 2 * FEW, MANY);
}

static void test_weak__cycles_wait_unless_unordered(void **state)
{
    (void)state;
    each_policy(cycles);
}

static __attribute__((noinline)) void cancel_fill(void)
{
    for (uint64_t i = 0; i < MANY; i++) {
        struct node *node = node_new(heap, i);
        assert_int_equal(fh_gc_finalizer_add(heap, node, note, NULL, 0), 0);
        assert_int_equal(fh_gc_finalizer_cancel(heap, node), 0);
        assert_int_equal(fh_gc_finalizer_cancel(heap, node), -ENOENT);
    }
    assert_int_equal(fh_gc_finalizer_add(heap, list_new(heap, 50), resurrect, NULL, 0), 0);
}

static void cancel(void)
{
    ordered = 0;
    cancel_fill();
    finalizers_run();
    assert_in_range(ordered, 0, 1);
    if (ordered) list_check(resurrected, 50);
    collect(heap);
    if (ordered) list_check(resurrected, 50);
    fh_gc_store(heap, &resurrected, NULL);
    assert_int_equal(fh_gc_finalizer_add(heap, NULL, note, NULL, 0), -EINVAL);
    assert_int_equal(fh_gc_finalizer_add(heap, &ordered, note, NULL, 0), -EINVAL);
}

static void test_weak__finalizers_are_cancelled_and_resurrect(void **state)
{
    (void)state;
    each_policy(cancel);
}

/* ---- weak references that are dead for a while ---------------------------------------------------------- */

static struct node *carrier;
static struct fh_gc_handle *target[MANY];

static void bring_back(void *object, void *unused)
{
    (void)unused;
    fh_gc_store(heap, &carrier, (struct node *)object);
}

/* Each refers to the next, and to a weak reference to an object that lives. */
static __attribute__((noinline)) void carriers_make(void)
{
    struct node *list = NULL;
    for (uint64_t i = 0; i < MANY; i++) {
        struct node *node = node_new(heap, i), *held = node_new(heap, i);
        target[i] = fh_gc_handle_new(heap, held);
        fh_gc_store(heap, &node->left, (struct node *)fh_gc_weak_new(heap, held));
        fh_gc_store(heap, &node->right, list);
        list = node;
    }
    assert_int_equal(fh_gc_finalizer_add(heap, list, bring_back, NULL, 0), 0);
}

static __attribute__((noinline)) int carriers_read(void)
{
    int alive = 0;
    for (struct node *node = carrier; node; node = node->right) {
        struct node *held = fh_gc_weak_get(heap, (struct fh_gc_weak *)node->left);
        if (held) assert_non_null(fh_gc_base(heap, held));
        alive += held != NULL;
    }
    return alive;
}

static void resurrected_weak(void)
{
    carriers_make();
    for (int i = 0; i < 3 && carrier == NULL; i++) {
        collect(heap);
        fh_gc_finalize(heap, 0);
    }
    if (carrier) assert_int_equal(carriers_read(), MANY); /* else a word on the stack kept it */
    for (int i = 0; i < MANY; i++) fh_gc_handle_free(target[i]);
    collect(heap);
    assert_in_range(carriers_read(), 0, FEW);
    fh_gc_store(heap, &carrier, NULL);
}

static void test_weak__references_that_finalizers_bring_back_are_cleared(void **state)
{
    (void)state;
    each_policy(resurrected_weak);
}

/* ---- many, that come and go ------------------------------------------------------------------------------ */

enum { CROWD = 30000 };

static __attribute__((noinline)) void crowd(struct node **at)
{
    static void *slot[CROWD];
    for (uint64_t i = 0; i < CROWD; i++) {
        fh_gc_store(heap, &at[i], node_new(heap, i));
        assert_int_equal(fh_gc_finalizer_add(heap, at[i], note, NULL, 0), 0);
        assert_int_equal(fh_gc_link_add(heap, &slot[i], at[i]), 0);
        if (i % 3 == 0) assert_int_equal(fh_gc_finalizer_cancel(heap, at[i / 3 * 3]), 0);
    }
    for (uint64_t i = 0; i < CROWD; i++) {
        assert_int_equal(fh_gc_link_remove(heap, &slot[i]), 0);
        assert_int_equal(fh_gc_link_remove(heap, &slot[i]), -ENOENT);
        assert_int_equal(fh_gc_finalizer_cancel(heap, at[i]), i % 3 ? 0 : -ENOENT);
    }
}

static void crowds(void)
{
    struct node **at = (struct node **)fh_gc_new_pointers(heap, CROWD);
    for (int i = 0; i < 2; i++) crowd(at);
}

static void test_weak__indexes_of_many_are_right(void **state)
{
    (void)state;
    each_policy(crowds);
}

static void test_weak__finalizer_thread(void **state)
{
    (void)state;
    struct fh_gc_options options = {.finalizer_thread = true};
    heap = fh_gc_create(&options);
    ordered = 0;
    finalizers_fill();
    for (int i = 0; i < 2000 && __atomic_load_n(&ordered, __ATOMIC_RELAXED) < MANY - FEW; i++) {
        collect(heap);
        usleep(1000);
    }
    assert_in_range(__atomic_load_n(&ordered, __ATOMIC_RELAXED), MANY - FEW, MANY);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weak__reference_is_cleared_with_its_target),
        cmocka_unit_test(test_weak__ephemerons_live_as_long_as_their_keys),
        cmocka_unit_test(test_weak__chain_of_ephemerons_is_linear),
        cmocka_unit_test(test_weak__table_forgets_dead_keys),
        cmocka_unit_test(test_weak__links_disappear),
        cmocka_unit_test(test_weak__links_are_read),
        cmocka_unit_test(test_weak__finalizers_run_once_referrer_first),
        cmocka_unit_test(test_weak__cycles_wait_unless_unordered),
        cmocka_unit_test(test_weak__finalizers_are_cancelled_and_resurrect),
        cmocka_unit_test(test_weak__references_that_finalizers_bring_back_are_cleared),
        cmocka_unit_test(test_weak__indexes_of_many_are_right),
        cmocka_unit_test(test_weak__finalizer_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
