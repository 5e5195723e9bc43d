/*
 * What could break: roots that are not seen or stay after their removal, callbacks that do not come, collections
 * while they are switched off, numbers that say nonsense.
 */
#include <stdlib.h>

#include "libgc/kit.h"

static void *links[MANY];

static __attribute__((noinline)) void make_watched(void **where)
{
    for (int i = 0; i < MANY; i++) {
        void *p = GC_MALLOC(48);
        where[i] = p;
        links[i] = (void *)HIDDEN(p);
        GC_general_register_disappearing_link(&links[i], p);
    }
}

static int gone(void)
{
    int count = 0;
    for (int i = 0; i < MANY; i++) count += links[i] == NULL;
    return count;
}

static void test_setting__roots_of_malloc(void **state)
{
    (void)state;
    void **where = calloc(MANY, sizeof *where);
    GC_add_roots(where, where + MANY);
    make_watched(where);
    collect();
    assert_int_equal(gone(), 0);
    GC_remove_roots(where, where + MANY);
    collect();
    assert_true(gone() >= MOST);
    free(where);
}

static void **pushed;
static GC_push_other_roots_proc push_before;

static void push(void)
{
    if (pushed) GC_push_all(pushed, pushed + MANY);
    if (push_before) push_before();
}

static void test_setting__roots_that_the_program_pushes(void **state)
{
    (void)state;
    pushed = calloc(MANY, sizeof *pushed);
    push_before = GC_get_push_other_roots();
    GC_set_push_other_roots(push);
    make_watched(pushed);
    collect();
    assert_int_equal(gone(), 0);
    void **were = pushed;
    pushed = NULL;
    collect();
    assert_true(gone() >= MOST);
    GC_set_push_other_roots(push_before);
    free(were);
}

static void *excluded[MANY];

static void test_setting__static_data_that_is_excluded(void **state)
{
    (void)state;
    GC_exclude_static_roots(excluded, excluded + MANY);
    make_watched(excluded);
    collect();
    assert_true(gone() >= MOST);
}

static int starts;
static int events[16];

static void on_start(void)
{
    starts++;
}

static void on_event(GC_EventType event)
{
    events[event]++;
}

static void test_setting__callbacks_of_a_collection(void **state)
{
    (void)state;
    GC_set_start_callback(on_start);
    GC_set_on_collection_event(on_event);
    GC_word before = GC_get_gc_no();
    GC_gcollect();
    assert_true(starts >= 1);
    assert_true(GC_get_gc_no() > before);
    for (int event = GC_EVENT_START; event <= GC_EVENT_POST_START_WORLD; event++)
        assert_true(events[event] >= 1);
    GC_set_start_callback(NULL);
    GC_set_on_collection_event(NULL);
}

static void test_setting__no_collection_while_disabled(void **state)
{
    (void)state;
    GC_disable();
    GC_word before = GC_get_gc_no();
    for (int i = 0; i < 100000; i++) GC_MALLOC(1000);
    assert_int_equal(GC_get_gc_no(), before);
    assert_true(GC_is_disabled());
    GC_enable();
    assert_false(GC_is_disabled());
    for (int i = 0; i < 300000; i++) GC_MALLOC(1000);
    assert_true(GC_get_gc_no() > before);
}

static void test_setting__numbers(void **state)
{
    (void)state;
    GC_gcollect();
    size_t total = GC_get_total_bytes();
    void *p = GC_MALLOC(5000000);
    assert_true(GC_get_heap_size() >= 5000000);
    assert_true(GC_get_total_bytes() >= total + 5000000);
    assert_true(GC_get_bytes_since_gc() >= 5000000);
    GC_word size, free_bytes, unmapped, since, all;
    GC_get_heap_usage_safe(&size, &free_bytes, &unmapped, &since, &all);
    assert_true(size >= 5000000 && free_bytes < size && since >= 5000000 && all >= since);
    struct GC_prof_stats_s stats;
    assert_int_equal(GC_get_prof_stats(&stats, sizeof stats), sizeof stats);
    assert_true(stats.heapsize_full >= 5000000 && stats.gc_no == GC_get_gc_no());
    GC_gcollect();
    size_t freed = GC_get_expl_freed_bytes_since_gc();
    GC_FREE(p);
    assert_true(GC_get_expl_freed_bytes_since_gc() >= freed + 5000000);
    p = GC_MALLOC(1000);
    freed = GC_get_expl_freed_bytes_since_gc();
    GC_FREE(p);
    assert_true(GC_get_expl_freed_bytes_since_gc() >= freed + 1000);
    GC_gcollect();
    assert_true(GC_get_expl_freed_bytes_since_gc() < 1000000);
}

static void *failed(size_t size)
{
    (void)size;
    return "no memory";
}

static void test_setting__memory_that_is_out(void **state)
{
    (void)state;
    GC_set_oom_fn(failed);
    assert_string_equal(GC_MALLOC(SIZE_MAX / 2), "no memory");
    GC_set_max_heap_size(GC_get_heap_size() + (8 << 20));
    size_t more = GC_get_heap_size() + (100 << 20);
    assert_string_equal(GC_MALLOC(more), "no memory");
    GC_set_max_heap_size(0);
    void *p = GC_MALLOC(more);
    assert_true(GC_base(p) == p);
    GC_FREE(p);
}

static void test_setting__what_is_set_is_told(void **state)
{
    (void)state;
    GC_set_free_space_divisor(5);
    assert_int_equal(GC_get_free_space_divisor(), 5);
    GC_set_no_dls(0);
    assert_int_equal(GC_get_no_dls(), 0);
    assert_true(GC_get_version() >= (8u << 16));
    assert_true(GC_expand_hp(1 << 20));
    assert_true(GC_is_init_called());
    assert_true(GC_get_suspend_signal() > 0);
}

static void test_setting__debug_objects(void **state)
{
    (void)state;
    char *p = GC_debug_malloc(20, GC_EXTRAS);
    memset(p, 1, 20);
    assert_ptr_equal((char *)GC_base(p) + GC_get_debug_header_size(), p);
    p = GC_debug_realloc(p, 40, GC_EXTRAS);
    assert_int_equal(p[19], 1);
    GC_debug_free(p);
    assert_string_equal(GC_debug_strdup("text", GC_EXTRAS), "text");
}

int main(void)
{
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setting__roots_of_malloc),
        cmocka_unit_test(test_setting__roots_that_the_program_pushes),
        cmocka_unit_test(test_setting__static_data_that_is_excluded),
        cmocka_unit_test(test_setting__callbacks_of_a_collection),
        cmocka_unit_test(test_setting__no_collection_while_disabled),
        cmocka_unit_test(test_setting__numbers),
        cmocka_unit_test(test_setting__memory_that_is_out),
        cmocka_unit_test(test_setting__what_is_set_is_told),
        cmocka_unit_test(test_setting__debug_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
