/*
 * What could break: references that only a descriptor or a mark procedure tells of are lost, or others are followed.
 */
#include "libgc/kit.h"

struct pair {
    void *kept;
    uintptr_t not_kept;
};

static void *links[MANY], *others[MANY];

static __attribute__((noinline)) void *object_watched(void **link)
{
    void *p = GC_MALLOC_ATOMIC(64);
    memset(p, 0x33, 64);
    *link = (void *)HIDDEN(p);
    GC_general_register_disappearing_link(link, p);
    return p;
}

static int gone(void **link)
{
    int count = 0;
    for (int i = 0; i < MANY; i++) count += link[i] == NULL;
    return count;
}

static void forget(void)
{
    for (int i = 0; i < MANY; i++) GC_unregister_disappearing_link(&links[i]);
    for (int i = 0; i < MANY; i++) GC_unregister_disappearing_link(&others[i]);
}

/* Fills objects that `make` makes, and looks what a collection leaves. */
static __attribute__((noinline)) void fill(struct pair **all, struct pair *(*make)(void))
{
    for (int i = 0; i < MANY; i++) {
        all[i] = make();
        all[i]->kept = object_watched(&links[i]);
        all[i]->not_kept = (uintptr_t)object_watched(&others[i]);
    }
}

static void check(struct pair *(*make)(void))
{
    struct pair **all = GC_MALLOC(MANY * sizeof *all);
    fill(all, make);
    collect();
    assert_int_equal(gone(links), 0);
    assert_true(gone(others) >= MOST);
    for (int i = 0; i < MANY; i++) assert_int_equal(((unsigned char *)all[i]->kept)[63], 0x33);
    forget();
}

static GC_descr first_word;

static struct pair *make_typed(void)
{
    return GC_malloc_explicitly_typed(sizeof(struct pair), first_word);
}

static void test_kind__a_bitmap(void **state)
{
    (void)state;
    GC_word bits[GC_BITMAP_SIZE(struct pair)] = {0};
    GC_set_bit(bits, GC_WORD_OFFSET(struct pair, kept));
    first_word = GC_make_descriptor(bits, GC_WORD_LEN(struct pair));
    check(make_typed);
}

static struct pair *make_array(void)
{
    return (struct pair *)GC_calloc_explicitly_typed(5, sizeof(struct pair), first_word) + 0;
}

static void test_kind__an_array(void **state)
{
    (void)state;
    check(make_array);
}

static GC_descr long_one;

static struct pair *make_long(void)
{
    return (struct pair *)((void **)GC_malloc_explicitly_typed(210 * sizeof(void *), long_one) +
                           200);
}

static void test_kind__a_long_bitmap(void **state)
{
    (void)state;
    GC_word bits[4] = {0};
    GC_set_bit(bits, 3);
    GC_set_bit(bits, 200);
    long_one = GC_make_descriptor(bits, 201);
    check(make_long);
}

static unsigned pair_kind;
static int calls;

static struct GC_ms_entry *pair_mark(GC_word *object, struct GC_ms_entry *top,
                                     struct GC_ms_entry *limit, GC_word environment)
{
    struct pair *pair = (struct pair *)object;
    if (environment != 77) return top;
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    return GC_MARK_AND_PUSH(pair->kept, top, limit, &pair->kept);
}

static struct pair *make_kind(void)
{
    return GC_generic_malloc(sizeof(struct pair), (int)pair_kind);
}

static void test_kind__a_mark_procedure(void **state)
{
    (void)state;
    unsigned proc = GC_new_proc(pair_mark);
    pair_kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, 77), 0, 1);
    check(make_kind);
    assert_true(calls >= MANY);
    size_t size;
    assert_int_equal(GC_get_kind_and_size(make_kind(), &size), (int)pair_kind);
}

static void test_kind__many_of_a_kind(void **state)
{
    (void)state;
    void *list = NULL;
    GC_generic_malloc_many(sizeof(struct pair), (int)pair_kind, &list);
    assert_non_null(list);
    for (; list; list = GC_NEXT(list)) assert_true(GC_size(list) >= sizeof(struct pair));
}

struct described {
    void *kept;
    uintptr_t not_kept;
    GC_word descriptor;
};

static unsigned described_kind;

static struct pair *make_described(void)
{
    struct described *p = GC_generic_malloc(sizeof *p, (int)described_kind);
    p->descriptor = (GC_word)1 << 63 | GC_DS_BITMAP;
    return (struct pair *)p;
}

static void test_kind__a_descriptor_in_each_object(void **state)
{
    (void)state;
    described_kind = GC_new_kind(GC_new_free_list(),
                                 offsetof(struct described, descriptor) | GC_DS_PER_OBJECT, 0, 1);
    check(make_described);
}

static struct pair *make_leafless(void)
{
    static unsigned kind;
    if (kind == 0) kind = GC_new_kind(GC_new_free_list(), 8 | GC_DS_LENGTH, 0, 1);
    return GC_generic_malloc(sizeof(struct pair), (int)kind);
}

static void test_kind__a_length(void **state)
{
    (void)state;
    check(make_leafless);
}

int main(void)
{
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kind__a_bitmap),
        cmocka_unit_test(test_kind__an_array),
        cmocka_unit_test(test_kind__a_long_bitmap),
        cmocka_unit_test(test_kind__a_mark_procedure),
        cmocka_unit_test(test_kind__many_of_a_kind),
        cmocka_unit_test(test_kind__a_descriptor_in_each_object),
        cmocka_unit_test(test_kind__a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
