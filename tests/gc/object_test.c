/*
 * Objects: every size, type and alignment. What could break: memory that is not zero, an object that is
 * too short or overlaps another, a reference that its type names and the collector does not follow, one
 * that it follows though it is none, more overhead than is promised.
 */
#include "gc/kit.h"

#include <freehold/freehold.h>

#include <stdlib.h>

struct pair {
    void *first;
    uint64_t number;
};
FH_GC_TYPE(pair, first)

struct many {
    uint64_t a;
    void *array[70];
    struct {
        uint64_t b;
        void *inner;
    } part;
    void *last;
};
FH_GC_TYPE(many, array, part.inner, last)

struct vec {
    uint64_t length;
    void *head;
    void *at[];
};
FH_GC_TRAILING(vec, struct vec, at, head)

struct blob {
    uint64_t length;
    void *not_followed;
};
FH_GC_LEAF_TYPE(blob)

struct tagged {
    uintptr_t word[4];
};
static void tagged_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    struct tagged *tagged = object;
    (void)size;
    for (int i = 0; i < 4; i++) fh_gc_visit_tagged(visitor, &tagged->word[i], ~(uintptr_t)7);
}
FH_GC_TRACED(tagged, struct tagged, tagged_trace)

static struct fh_gc_heap *heap;

static int setup(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fh_gc_destroy(heap);
    return 0;
}

static void test_object__every_size_is_zero_and_writable(void **state)
{
    (void)state;
    size_t sizes[] = {0,    1,    8,     16,    17,    24,    32,    33,     100,     2047,
                      2048, 4000, 16384, 30000, 65535, 65536, 65537, 200000, 1 << 20, 3 << 20};
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            char *p = fh_gc_new_bytes(heap, sizes[i]);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            assert_true(fh_gc_size(heap, p) >= sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(p[k], 0);
            memset(p, 0xa5, fh_gc_size(heap, p));
        }
        collect(heap);
    }
    assert_int_equal(fh_gc_verify(heap), 0);
}

static void test_object__follows_what_its_type_names(void **state)
{
    (void)state;
    struct many *many = fh_gc_new(heap, many);
    for (int i = 0; i < 70; i++) many->array[i] = node_new(heap, (uint64_t)i);
    many->part.inner = node_new(heap, 100);
    many->last = node_new(heap, 101);
    struct vec *vec = fh_gc_new_trailing(heap, vec, 9000);
    vec->head = many;
    for (int i = 0; i < 9000; i++) vec->at[i] = node_new(heap, (uint64_t)i);
    many = NULL;
    collect(heap);
    many = vec->head;
    for (int i = 0; i < 70; i++) assert_int_equal(((struct node *)many->array[i])->value, i);
    assert_int_equal(((struct node *)many->part.inner)->value, 100);
    assert_int_equal(((struct node *)many->last)->value, 101);
    for (int i = 0; i < 9000; i++) assert_int_equal(((struct node *)vec->at[i])->value, i);
}

static __attribute__((noinline)) void fill(struct blob **blob, void ***words,
                                           struct tagged **tagged)
{
    *blob = fh_gc_new(heap, blob);
    (*blob)->not_followed = list_new(heap, 1000);
    *words = fh_gc_new_words(heap, 64);
    (*words)[3] = (char *)list_new(heap, 10) + 7; /* an inside */
    *tagged = fh_gc_new(heap, tagged);
    (*tagged)->word[2] = (uintptr_t)list_new(heap, 20) | 5;
}

static void test_object__leaf_words_and_tagged_references(void **state)
{
    (void)state;
    struct blob *blob;
    void **words;
    struct tagged *tagged;
    fill(&blob, &words, &tagged);
    uint64_t live = live_objects(heap);
    assert_in_range(live, 33, 33 + 200); /* not the thousand behind the leaf */
    list_check((struct node *)((uintptr_t)words[3] - 7), 10);
    list_check((struct node *)(tagged->word[2] & ~(uintptr_t)7), 20);
    assert_int_equal(tagged->word[2] & 7, 5);
    assert_non_null(blob);
}

static void test_object__arrays_of_structures(void **state)
{
    (void)state;
    struct pair *pairs = fh_gc_new_array(heap, pair, 10000);
    for (int i = 0; i < 10000; i++) pairs[i].first = node_new(heap, (uint64_t)i);
    collect(heap);
    for (int i = 0; i < 10000; i++) assert_int_equal(((struct node *)pairs[i].first)->value, i);
    errno = 0;
    assert_null(fh_gc_new_array(heap, pair, SIZE_MAX / 4));
    assert_int_equal(errno, ENOMEM);
    assert_null(fh_gc_allocate(heap, FH_GC_BYTES, SIZE_MAX));
}

static void test_object__alignment(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        for (size_t size = 8; size < 200000; size = size * 3 + 5) {
            void *p = fh_gc_allocate_aligned(heap, FH_GC_BYTES, size, alignment);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % alignment, 0);
            memset(p, 1, size);
        }
    }
    assert_null(fh_gc_allocate_aligned(heap, FH_GC_BYTES, 8, 48));
    assert_int_equal(errno, EINVAL);
    assert_int_equal(fh_gc_verify(heap), 0);
}

static void test_object__questions_about_one(void **state)
{
    (void)state;
    struct node *node = node_new(heap, 1);
    assert_ptr_equal(fh_gc_base(heap, (char *)node + 23), node);
    assert_null(fh_gc_base(heap, (char *)node + fh_gc_size(heap, node)));
    assert_int_equal(fh_gc_size(heap, node), 32);
    assert_string_equal(fh_gc_type_of(heap, node)->name, "node");
    assert_null(fh_gc_base(heap, &node));
    assert_null(fh_gc_base(heap, NULL));
    char *large = fh_gc_new_bytes(heap, 300000);
    assert_ptr_equal(fh_gc_base(heap, large + 299999), large);
    assert_int_equal(fh_gc_size(heap, large), 300000);
}

static void test_object__is_described(void **state)
{
    (void)state;
    struct fh_description d;
    struct node *node = node_new(heap, 1);
    assert_int_equal(fh_describe((char *)node + 5, &d), FH_GC_OBJECT);
    assert_ptr_equal(d.start, node);
    assert_int_equal(d.size, 32);
    assert_int_equal(d.offset, 5);
    char *large = fh_gc_new_bytes(heap, 300000);
    assert_int_equal(fh_describe(large + 250000, &d), FH_GC_OBJECT);
    assert_ptr_equal(d.start, large);
    char text[200];
    assert_true(fh_describe_text(node, text, sizeof text) > 0);
    assert_non_null(strstr(text, "object of the collector"));
}

/* 1/16 for mark bytes and 1/64 for log bits, and nothing in the blocks but objects and their rounding. */
static void test_object__overhead_is_what_is_promised(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct node **keep = (struct node **)fh_gc_new_pointers(heap, COUNT);
    struct fh_gc_stats before, after;
    fh_gc_stats_get(heap, &before);
    for (int i = 0; i < COUNT; i++) keep[i] = node_new(heap, 0);
    fh_gc_stats_get(heap, &after);
    size_t bytes = after.heap_bytes - before.heap_bytes;
    assert_true(bytes <= COUNT * 32 + 2 * 65536);
    assert_true(after.metadata_bytes <= after.heap_bytes / 16 + after.heap_bytes / 64);
}

static void test_object__copies(void **state)
{
    (void)state;
    char *copy = fh_gc_strdup(heap, "a string");
    collect(heap);
    assert_string_equal(copy, "a string");
    assert_memory_equal(fh_gc_memdup(heap, FH_GC_BYTES, "1234567", 8), "1234567", 8);
}

/* More bytes than the type has: what is behind is the trace function's to find, and counts. */
struct tail {
    uint64_t count;
};

static void tail_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    void **slot = (void **)((struct tail *)object + 1);
    for (size_t i = 0; i < size / sizeof *slot - 1; i++) fh_gc_visit(visitor, &slot[i]);
}
FH_GC_TRACED(tail, struct tail, tail_trace)

struct lump {
    char bytes[48];
};
FH_GC_LEAF_TYPE(lump)

static __attribute__((noinline)) void tail_fill(struct tail *tail, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        fh_gc_store(heap, (struct node **)(tail + 1) + i, node_new(heap, i));
}

static void test_object__longer_than_its_type(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 100, 5000, 20000};
    for (size_t k = 0; k < COUNT_OF(counts); k++) {
        struct tail *tail = fh_gc_allocate(heap, &fh_gc_type_tail, 8 + counts[k] * 8);
        tail_fill(tail, counts[k]);
        for (int i = 0; i < 2; i++) collect(heap);
        for (uint64_t i = 0; i < counts[k]; i++)
            assert_int_equal((((struct node **)(tail + 1))[i])->value, i);
    }
    void *lump[500];
    struct fh_gc_stats stats;
    for (size_t i = 0; i < COUNT_OF(lump); i++)
        lump[i] = fh_gc_allocate(heap, &fh_gc_type_lump, 4096);
    collect(heap);
    fh_gc_stats_get(heap, &stats);
    assert_true(stats.live_bytes >= COUNT_OF(lump) * 4096);
    for (size_t i = 0; i < COUNT_OF(lump); i++) assert_int_equal(fh_gc_size(heap, lump[i]), 4096);
    assert_int_equal(fh_gc_verify(heap), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_object__every_size_is_zero_and_writable, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_object__leaf_words_and_tagged_references, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_object__follows_what_its_type_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__arrays_of_structures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__alignment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__questions_about_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__is_described, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__overhead_is_what_is_promised, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object__longer_than_its_type, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
