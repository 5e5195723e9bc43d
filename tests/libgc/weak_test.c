/*
 * What could break: finalizers that never run, run twice, or in the wrong order; links that are cleared too early, too
 * late, or after they were taken back.
 */
#include <gc/gc_disclaim.h>

#include "libgc/kit.h"

struct node {
    struct node *other;
    long number;
};

static int runs, wrong;
static char ran[MANY];

static void note(void *object, void *data)
{
    struct node *node = object;
    runs++;
    if (node->number != (long)(intptr_t)data || ran[node->number]++) wrong++;
}

static void reset(void)
{
    GC_set_finalize_on_demand(1);
    collect();
    GC_invoke_finalizers();
    runs = wrong = 0;
    memset(ran, 0, sizeof ran);
}

typedef void register_fn(void *, GC_finalization_proc, void *, GC_finalization_proc *, void **);

static struct node *node_make(long number)
{
    struct node *node = GC_MALLOC(sizeof *node);
    node->number = number;
    return node;
}

static __attribute__((noinline)) void make_single(register_fn *add)
{
    for (long i = 0; i < MANY; i++) add(node_make(i), note, (void *)i, NULL, NULL);
}

static void test_weak__a_finalizer_runs_once(void **state)
{
    (void)state;
    register_fn *order[] = {GC_register_finalizer, GC_register_finalizer_ignore_self,
                            GC_register_finalizer_no_order, GC_register_finalizer_unreachable};
    for (int i = 0; i < 4; i++) {
        if (i == 3) GC_set_java_finalization(1);
        reset();
        make_single(order[i]);
        for (int k = 0; k < 3; k++) {
            collect();
            GC_invoke_finalizers();
        }
        assert_true(runs >= MOST);
        assert_int_equal(wrong, 0);
    }
    GC_set_java_finalization(0);
}

/* Pairs: the first refers to the second. */
static __attribute__((noinline)) void make_pairs(register_fn *add)
{
    for (long i = 0; i < MANY; i += 2) {
        struct node *a = node_make(i), *b = node_make(i + 1);
        a->other = b;
        add(a, note, (void *)i, NULL, NULL);
        add(b, note, (void *)(i + 1), NULL, NULL);
    }
}

static int ran_of(int first)
{
    int count = 0;
    for (int i = first; i < MANY; i += 2) count += ran[i];
    return count;
}

static void test_weak__referrers_come_first(void **state)
{
    (void)state;
    reset();
    make_pairs(GC_register_finalizer);
    collect();
    GC_invoke_finalizers();
    assert_true(ran_of(0) >= MOST / 2);
    assert_int_equal(ran_of(1), 0);
    for (int i = 0; i < 3; i++) {
        collect();
        GC_invoke_finalizers();
    }
    assert_true(ran_of(1) >= MOST / 2);
    assert_int_equal(wrong, 0);
}

static void test_weak__without_order_all_at_once(void **state)
{
    (void)state;
    reset();
    make_pairs(GC_register_finalizer_no_order);
    collect();
    GC_invoke_finalizers();
    assert_true(ran_of(0) >= MOST / 2 && ran_of(1) >= MOST / 2);
}

static __attribute__((noinline)) void make_cycles(register_fn *add, int length)
{
    for (long i = 0; i < MANY; i += length) {
        struct node *a = node_make(i), *b = length == 2 ? node_make(i + 1) : a;
        a->other = b;
        b->other = a;
        add(a, note, (void *)i, NULL, NULL);
        if (length == 2) add(b, note, (void *)(i + 1), NULL, NULL);
    }
}

static void quiet(char *text, GC_word argument)
{
    (void)text;
    (void)argument;
}

static void test_weak__cycles(void **state)
{
    (void)state;
    GC_set_warn_proc(quiet);
    reset();
    make_cycles(GC_register_finalizer, 2);
    make_cycles(GC_register_finalizer, 1);
    collect();
    GC_invoke_finalizers();
    assert_int_equal(runs, 0);
    reset();
    make_cycles(GC_register_finalizer_ignore_self, 1);
    collect();
    GC_invoke_finalizers();
    assert_true(runs >= MOST);
    reset();
    make_cycles(GC_register_finalizer_no_order, 2);
    collect();
    GC_invoke_finalizers();
    assert_true(runs >= MOST);
}

static void test_weak__registering_again_tells_what_was(void **state)
{
    (void)state;
    reset();
    struct node *node = node_make(1);
    GC_finalization_proc old;
    void *data;
    GC_register_finalizer(node, note, (void *)1, &old, &data);
    assert_true(old == NULL);
    GC_register_finalizer(node, note, (void *)2, &old, &data);
    assert_true(old == note && data == (void *)1);
    GC_register_finalizer(node, NULL, NULL, &old, &data);
    assert_true(old == note && data == (void *)2);
    GC_register_finalizer(node, NULL, NULL, &old, &data);
    assert_true(old == NULL && data == NULL);
}

static int notified;

static void notify(void)
{
    notified++;
}

static void test_weak__the_program_is_told(void **state)
{
    (void)state;
    reset();
    notified = 0;
    GC_set_finalizer_notifier(notify);
    make_single(GC_register_finalizer_no_order);
    collect();
    assert_true(notified >= 1);
    assert_int_equal(runs, 0);
    assert_true(GC_should_invoke_finalizers());
    assert_true(GC_invoke_finalizers() >= MOST);
    assert_false(GC_should_invoke_finalizers());
    GC_set_finalizer_notifier(NULL);
}

static void test_weak__not_on_demand_they_run_by_themselves(void **state)
{
    (void)state;
    reset();
    GC_set_finalize_on_demand(0);
    make_single(GC_register_finalizer);
    collect();
    assert_true(runs >= MOST);
    reset();
}

static void keep_data(void *object, void *data)
{
    (void)object;
    runs += strcmp(data, "kept") == 0;
}

static __attribute__((noinline)) void make_with_data(void)
{
    for (int i = 0; i < MANY; i++)
        GC_register_finalizer_no_order(GC_MALLOC(32), keep_data, GC_STRDUP("kept"), NULL, NULL);
}

static void test_weak__data_is_kept(void **state)
{
    (void)state;
    reset();
    make_with_data();
    collect();
    for (int i = 0; i < 20000; i++) memset(GC_MALLOC_ATOMIC(5), 'x', 5);
    GC_invoke_finalizers();
    assert_true(runs >= MOST);
}

static void note_tagged(void *object, void *data)
{
    (void)data;
    if ((uintptr_t)object % 16 != 3) wrong++;
    runs++;
}

static __attribute__((noinline)) void make_tagged(void)
{
    for (long i = 0; i < MANY; i++)
        GC_register_finalizer_no_order((char *)node_make(i) + 3, note_tagged, NULL, NULL, NULL);
}

static void test_weak__tagged_pointers(void **state)
{
    (void)state;
    reset();
    make_tagged();
    collect();
    GC_invoke_finalizers();
    assert_true(runs >= MOST);
    assert_int_equal(wrong, 0);
}

/* ---- links ---------------------------------------------------------------------------------------------------- */

static void *link_short[MANY], *link_long[MANY];

static __attribute__((noinline)) void make_linked(void **keep)
{
    for (long i = 0; i < MANY; i++) {
        struct node *node = node_make(i);
        if (keep) keep[i] = node;
        link_short[i] = (void *)HIDDEN(node);
        link_long[i] = (void *)HIDDEN(node);
        assert_int_equal(GC_general_register_disappearing_link(&link_short[i], node), GC_SUCCESS);
        assert_int_equal(GC_register_long_link(&link_long[i], node), GC_SUCCESS);
        assert_int_equal(GC_general_register_disappearing_link(&link_short[i], node), GC_DUPLICATE);
        if (!keep) GC_register_finalizer_no_order(node, note, (void *)i, NULL, NULL);
    }
}

static int nulls(void **links)
{
    int count = 0;
    for (int i = 0; i < MANY; i++) count += links[i] == NULL;
    return count;
}

static void test_weak__links_of_what_lives_stay(void **state)
{
    (void)state;
    void **keep = GC_MALLOC(MANY * sizeof *keep);
    reset();
    make_linked(keep);
    collect();
    assert_int_equal(nulls(link_short) + nulls(link_long), 0);
    for (int i = 0; i < MANY; i++) {
        assert_ptr_equal(keep[i], (void *)HIDDEN(link_short[i]));
        assert_true(GC_unregister_disappearing_link(&link_short[i]));
        assert_false(GC_unregister_disappearing_link(&link_short[i]));
        assert_true(GC_unregister_long_link(&link_long[i]));
    }
}

/* Long ones outlast the finalizer. */
static void test_weak__links_are_cleared(void **state)
{
    (void)state;
    reset();
    make_linked(NULL);
    collect();
    assert_true(nulls(link_short) >= MOST);
    assert_true(nulls(link_long) <= MANY - MOST);
    GC_invoke_finalizers();
    for (int i = 0; i < 3; i++) collect();
    assert_true(nulls(link_long) >= MOST);
    for (int i = 0; i < MANY; i++) GC_unregister_disappearing_link(&link_short[i]);
}

static void test_weak__a_link_moves(void **state)
{
    (void)state;
    static void *from, *to, *third;
    struct node *node = node_make(5);
    from = (void *)HIDDEN(node);
    assert_int_equal(GC_move_disappearing_link(&from, &to), GC_NOT_FOUND);
    GC_general_register_disappearing_link(&from, node);
    assert_int_equal(GC_move_disappearing_link(&from, &to), GC_SUCCESS);
    assert_int_equal(GC_move_disappearing_link(&from, &to), GC_NOT_FOUND);
    GC_general_register_disappearing_link(&third, node);
    assert_int_equal(GC_move_disappearing_link(&to, &third), GC_DUPLICATE);
    assert_false(GC_unregister_disappearing_link(&from));
    assert_true(GC_unregister_disappearing_link(&to));
    assert_true(GC_unregister_disappearing_link(&third));
    assert_int_equal(node->number, 5);
}

/* ---- toggle references, objects that are disclaimed ------------------------------------------------------------ */

static GC_ToggleRefStatus toggle_says;

static GC_ToggleRefStatus toggle_ask(void *object)
{
    (void)object;
    return toggle_says;
}

static __attribute__((noinline)) void make_toggled(void)
{
    for (long i = 0; i < MANY; i++) {
        struct node *node = node_make(i);
        link_short[i] = (void *)HIDDEN(node);
        GC_general_register_disappearing_link(&link_short[i], node);
        GC_toggleref_add(node, 1);
    }
}

static void test_weak__toggle_references(void **state)
{
    (void)state;
    reset();
    GC_set_toggleref_func(toggle_ask);
    toggle_says = GC_TOGGLE_REF_STRONG;
    make_toggled();
    collect();
    assert_int_equal(nulls(link_short), 0);
    toggle_says = GC_TOGGLE_REF_WEAK;
    collect();
    assert_true(nulls(link_short) >= MOST);
    toggle_says = GC_TOGGLE_REF_DROP;
    collect();
}

static void *disclaimed_first;

static void disclaimed(void *object, void *data)
{
    runs++;
    if (strcmp(object, "finalized") || data != (void *)7) wrong++;
}

static const struct GC_finalizer_closure closure = {disclaimed, (void *)7};

static __attribute__((noinline)) void make_finalized(void)
{
    for (int i = 0; i < MANY; i++) strcpy(GC_finalized_malloc(20, &closure), "finalized");
    disclaimed_first = GC_finalized_malloc(20, &closure);
    strcpy(disclaimed_first, "finalized");
}

static void test_weak__finalizers_on_reclaim(void **state)
{
    (void)state;
    reset();
    GC_init_finalized_malloc();
    make_finalized();
    collect();
    for (int i = 0; i < 20000; i++) GC_finalized_malloc(20, &closure);
    assert_true(runs >= MOST);
    assert_string_equal(disclaimed_first, "finalized");
}

static int refusals;

static int refuse(void *object)
{
    struct node *node = object;
    if (node->number != 5) return 0;
    refusals++;
    return 1;
}

static __attribute__((noinline)) void make_refused(unsigned kind)
{
    for (int i = 0; i < MANY; i++) {
        struct node *node = GC_generic_malloc(sizeof *node, (int)kind);
        node->number = 5;
        link_short[i] = (void *)HIDDEN(node);
    }
}

static void test_weak__what_is_disclaimed_stays(void **state)
{
    (void)state;
    unsigned kind = GC_new_kind(GC_new_free_list(), 0, 1, 1);
    GC_register_disclaim_proc((int)kind, refuse, 0);
    refusals = 0;
    make_refused(kind);
    collect();
    for (int i = 0; i < 20000; i++) memset(GC_MALLOC(sizeof(struct node)), 1, sizeof(struct node));
    assert_true(refusals >= MOST);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(((struct node *)HIDDEN(link_short[i]))->number, 5);
}

int main(void)
{
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weak__a_finalizer_runs_once),
        cmocka_unit_test(test_weak__referrers_come_first),
        cmocka_unit_test(test_weak__without_order_all_at_once),
        cmocka_unit_test(test_weak__cycles),
        cmocka_unit_test(test_weak__registering_again_tells_what_was),
        cmocka_unit_test(test_weak__the_program_is_told),
        cmocka_unit_test(test_weak__not_on_demand_they_run_by_themselves),
        cmocka_unit_test(test_weak__data_is_kept),
        cmocka_unit_test(test_weak__tagged_pointers),
        cmocka_unit_test(test_weak__links_of_what_lives_stay),
        cmocka_unit_test(test_weak__links_are_cleared),
        cmocka_unit_test(test_weak__a_link_moves),
        cmocka_unit_test(test_weak__toggle_references),
        cmocka_unit_test(test_weak__finalizers_on_reclaim),
        cmocka_unit_test(test_weak__what_is_disclaimed_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
