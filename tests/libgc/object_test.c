/*
 * What could break: memory that is not zero, or handed out twice; what is referred to from an object, its inside or
 * just beyond its end, and is collected all the same; freed and resized objects of every size.
 */
#include <stdlib.h>

#include "libgc/kit.h"

struct node {
    struct node *next;
    long value;
};

static void test_object__new_memory_is_zero(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++)
        for (size_t size = 0; size < 300000; size += size / 3 + 7) {
            char *p = GC_MALLOC(size);
            for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
            memset(p, 0x55, size);
            if (round % 3 == 0) GC_FREE(p);
        }
}

static void test_object__a_list_survives(void **state)
{
    (void)state;
    struct node *list = NULL;
    for (long i = 0; i < 300000; i++) {
        struct node *node = GC_MALLOC(sizeof *node);
        node->value = i;
        node->next = list;
        list = node;
        GC_MALLOC_ATOMIC(100);
    }
    GC_gcollect();
    for (long i = 300000; i-- > 0; list = list->next) assert_int_equal(list->value, i);
    assert_null(list);
}

static void test_object__interior_pointers_keep(void **state)
{
    (void)state;
    static char *inside[MANY], *beyond[MANY];
    for (int i = 0; i < MANY; i++) {
        size_t size = 16 + (size_t)i * 16;
        char *a = GC_MALLOC_ATOMIC(size), *b = GC_MALLOC_ATOMIC(size);
        memset(a, i, size);
        memset(b, i, size);
        inside[i] = a + size / 2;
        beyond[i] = b + size;
    }
    collect();
    for (int i = 0; i < 20000; i++)
        memset(GC_MALLOC_ATOMIC(16 + (size_t)(i % MANY) * 16), 0xee, 16);
    for (int i = 0; i < MANY; i++) {
        size_t size = 16 + (size_t)i * 16;
        char *a = GC_base(inside[i]), *b = GC_base(beyond[i]);
        assert_ptr_equal(a, inside[i] - size / 2);
        assert_ptr_equal(b, beyond[i] - size);
        for (size_t k = 0; k < size; k++) assert_int_equal((unsigned char)a[k], (unsigned char)i);
        for (size_t k = 0; k < size; k++) assert_int_equal((unsigned char)b[k], (unsigned char)i);
    }
}

static void test_object__base_and_size(void **state)
{
    (void)state;
    for (size_t size = 1; size < 400000; size = size * 5 / 3 + 1) {
        char *p = GC_MALLOC(size);
        assert_true(GC_size(p) >= size);
        assert_ptr_equal(GC_base(p), p);
        assert_ptr_equal(GC_base(p + size - 1), p);
        assert_true(GC_is_heap_ptr(p));
    }
    int local;
    void *foreign = malloc(10);
    assert_null(GC_base(&local));
    assert_null(GC_base(foreign));
    assert_false(GC_is_heap_ptr(&local));
    free(foreign);
    size_t size;
    void *p = GC_MALLOC_ATOMIC(40);
    assert_int_equal(GC_get_kind_and_size(p, &size), 0);
    assert_true(size >= 40);
    assert_int_equal(GC_get_kind_and_size(GC_MALLOC(40), NULL), 1);
}

static void test_object__freed_memory_is_used_again(void **state)
{
    (void)state;
    GC_gcollect();
    size_t before = GC_get_heap_size();
    for (int i = 0; i < 3000000; i++) {
        char *p = GC_MALLOC(16 + (size_t)(i % 50) * 16);
        p[0] = 1;
        GC_FREE(p);
    }
    for (int i = 0; i < 3000; i++) GC_FREE(GC_MALLOC(1 << 20));
    assert_true(GC_get_heap_size() < before + (32u << 20));
    GC_FREE(NULL);
}

static void test_object__realloc_keeps_contents(void **state)
{
    (void)state;
    srand(1);
    unsigned char *p = NULL;
    size_t had = 0;
    for (int i = 0; i < 3000; i++) {
        size_t size = 1 + (size_t)rand() % (i % 10 ? 500 : 200000);
        p = GC_REALLOC(p, size);
        for (size_t k = 0; k < had && k < size; k++) assert_int_equal(p[k], (unsigned char)k);
        for (size_t k = 0; k < size; k++) p[k] = (unsigned char)k;
        had = size;
    }
    assert_null(GC_REALLOC(p, 0));
}

static void test_object__uncollectable_ones_stay_and_keep(void **state)
{
    (void)state;
    static uintptr_t hidden[MANY];
    for (long i = 0; i < MANY; i++) {
        struct node **p = GC_MALLOC_UNCOLLECTABLE(sizeof *p);
        *p = GC_MALLOC(sizeof **p);
        (*p)->value = i;
        hidden[i] = HIDDEN(p);
    }
    collect();
    for (int i = 0; i < 100000; i++)
        memset(GC_MALLOC(sizeof(struct node)), 0xee, sizeof(struct node));
    for (long i = 0; i < MANY; i++) {
        struct node **p = (struct node **)HIDDEN(hidden[i]);
        assert_int_equal((*p)->value, i);
        GC_FREE(p);
    }
}

static void test_object__many_at_once(void **state)
{
    (void)state;
    long count = 0;
    for (int round = 0; round < 1000; round++) {
        void *list = GC_malloc_many(32);
        assert_non_null(list);
        for (; list; count++) {
            void *next = GC_NEXT(list);
            assert_null(((void **)list)[1]);
            memset(list, 0x77, 32);
            list = next;
        }
    }
    assert_true(count >= 1000);
}

static void test_object__sizes_that_wrap(void **state)
{
    (void)state;
    volatile size_t most = SIZE_MAX; /* the compiler knows what it may be asked for */
    for (size_t below = 0; below < 100; below++) {
        assert_null(GC_malloc(most - below));
        assert_null(GC_malloc_atomic(most - below));
    }
    assert_null(GC_malloc(most / 2));
    assert_null(GC_malloc_uncollectable(most / 2 + 1));
}

static void test_object__copies_and_alignment(void **state)
{
    (void)state;
    assert_string_equal(GC_STRDUP("a text"), "a text");
    assert_string_equal(GC_STRNDUP("a text", 3), "a t");
    assert_null(GC_STRDUP(NULL));
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        char *p = GC_memalign(alignment, 100);
        assert_int_equal((uintptr_t)p % alignment, 0);
        memset(p, 1, 100);
    }
    void *p;
    assert_int_equal(GC_posix_memalign(&p, 64, 10), 0);
    assert_int_equal((uintptr_t)p % 64, 0);
}

static void test_object__atomic_ones_keep_nothing(void **state)
{
    (void)state;
    static uintptr_t *atomic;
    static uintptr_t hidden[MANY];
    static void *links[MANY];
    atomic = GC_MALLOC_ATOMIC(MANY * sizeof *atomic);
    for (int i = 0; i < MANY; i++) {
        void *p = GC_MALLOC(64);
        atomic[i] = (uintptr_t)p;
        hidden[i] = HIDDEN(p);
        links[i] = (void *)hidden[i];
        GC_general_register_disappearing_link(&links[i], p);
    }
    collect();
    int gone = 0;
    for (int i = 0; i < MANY; i++) gone += links[i] == NULL;
    assert_true(gone >= MOST);
}

int main(void)
{
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object__new_memory_is_zero),
        cmocka_unit_test(test_object__a_list_survives),
        cmocka_unit_test(test_object__interior_pointers_keep),
        cmocka_unit_test(test_object__base_and_size),
        cmocka_unit_test(test_object__freed_memory_is_used_again),
        cmocka_unit_test(test_object__realloc_keeps_contents),
        cmocka_unit_test(test_object__uncollectable_ones_stay_and_keep),
        cmocka_unit_test(test_object__many_at_once),
        cmocka_unit_test(test_object__sizes_that_wrap),
        cmocka_unit_test(test_object__copies_and_alignment),
        cmocka_unit_test(test_object__atomic_ones_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
