/*
 * Fences. What could break: a write beyond an object's end that is not found, or is blamed on another object;
 * an object that is found guilty, is longer than it was asked to be, or loses its type, when nobody did
 * anything wrong.
 */
#include "gc/kit.h"

#include <stdio.h>

#include "kit/child.h"
#include "kit/random.h"

static struct fh_gc_heap *heap;
static void *root;

static void heap_new(enum fh_gc_policy policy, uint32_t debug)
{
    struct fh_gc_options options = {.policy = policy, .debug = FH_GC_FENCE | debug};
    heap = fh_gc_create(&options);
    assert_non_null(heap);
}

/* ---- nothing wrong ---------------------------------------------------------------------------------------- */

struct tiny {
    struct tiny *next;
};
FH_GC_TYPE(tiny, next)
struct leaf {
    uint64_t word[2];
};
FH_GC_LEAF_TYPE(leaf)

static const size_t sizes[] = {0,     1,     7,     8,      15,    16,    17,    24,
                               31,    32,    33,    100,    1000,  2047,  2048,  4096,
                               4097,  10000, 65503, 65504,  65519, 65520, 65521, 65535,
                               65536, 65537, 70001, 131057, 131072};

static void fill_all(enum fh_gc_policy policy, uint32_t debug)
{
    heap_new(policy, debug);
    void **objects = fh_gc_new_pointers(heap, COUNT_OF(sizes));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            unsigned char *p = fh_gc_new_bytes(heap, sizes[i]);
            assert_non_null(p);
            assert_int_equal(fh_gc_size(heap, p), sizes[i]);
            for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(p[k], 0);
            memset(p, 0xff, sizes[i]);
            fh_gc_store(heap, &objects[i], (void *)p);
        }
        assert_int_equal(fh_gc_verify(heap), 0);
        collect(heap);
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            assert_ptr_equal(fh_gc_base(heap, objects[i]), objects[i]);
            assert_int_equal(fh_gc_size(heap, objects[i]), sizes[i]);
        }
    }
    fh_gc_destroy(heap);
}

static void test_fence__whole_objects_pass(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        fill_all(policies[p], 0);
        fill_all(policies[p], FH_GC_VERIFY | FH_GC_POISON);
        fill_all(policies[p], FH_GC_VERIFY | FH_GC_MOVE_ALL);
    }
}

static bool count_object(void *object, size_t size, const struct fh_gc_type *type, void *data)
{
    struct fh_gc_stats *stats = data;
    assert_int_equal(size % 16, 0);
    assert_ptr_equal(fh_gc_type_of(heap, object), type);
    stats->objects_marked++;
    return true;
}

static void test_fence__types_are_what_they_were(void **state)
{
    (void)state;
    heap_new(FH_GC_MARK, FH_GC_VERIFY);
    struct tiny *volatile tiny = fh_gc_new(heap, tiny);
    struct leaf *volatile leaf = fh_gc_new(heap, leaf);
    struct node *volatile node = node_new(heap, 3);
    void **volatile pointers = fh_gc_new_pointers(heap, 3);
    struct node *volatile array = fh_gc_new_array(heap, node, 5);
    char *volatile aligned = fh_gc_allocate_aligned(heap, FH_GC_BYTES, 5000, 4096);
    fh_gc_store(heap, &tiny->next, fh_gc_new(heap, tiny));
    fh_gc_store(heap, &pointers[2], fh_gc_new_bytes(heap, 5));
    fh_gc_store(heap, &array[4].right, fh_gc_new(heap, node));
    memset(aligned, 1, 5000);
    collect(heap);
    assert_string_equal(fh_gc_type_of(heap, tiny)->name, "tiny");
    assert_string_equal(fh_gc_type_of(heap, leaf)->name, "leaf");
    assert_string_equal(fh_gc_type_of(heap, node)->name, "node");
    assert_int_equal(fh_gc_size(heap, tiny), sizeof *tiny);
    assert_int_equal(fh_gc_size(heap, array), 5 * sizeof *array);
    assert_int_equal(fh_gc_size(heap, pointers[2]), 5);
    assert_string_equal(fh_gc_type_of(heap, array[4].right)->name, "node");
    assert_string_equal(fh_gc_type_of(heap, tiny->next)->name, "tiny");
    /* An address behind the end is not in the object. */
    assert_null(fh_gc_base(heap, (char *)tiny + 16));
    struct fh_gc_stats walked = {0};
    assert_int_equal(fh_gc_walk(heap, count_object, &walked), 0);
    assert_true(walked.objects_marked >= 9);
    fh_gc_destroy(heap);
}

/* ---- something wrong ----------------------------------------------------------------------------------------- */

struct misuse {
    size_t size, at; /* what is written */
    enum fh_gc_policy policy;
    bool dead;
};

static __attribute__((noinline)) void write_beyond(const struct misuse *misuse)
{
    char *p = fh_gc_new_bytes(heap, misuse->size);
    p[misuse->at] ^= 0x11;
    root = misuse->dead ? NULL : p;
}

static void misuse_run(void *data)
{
    const struct misuse *misuse = data;
    struct fh_gc_options options = {
        .policy = misuse->policy, .debug = FH_GC_FENCE, .exact_stacks = misuse->policy != 2};
    heap = fh_gc_create(&options);
    write_beyond(misuse);
    stack_clear();
    fh_gc_collect(heap, FH_GC_FULL);
}

static void expect_found(struct misuse misuse)
{
    char line[100];
    struct child_end end = child_run(misuse_run, &misuse);
    snprintf(line, sizeof line, "of type bytes, %zu bytes, was written beyond its end",
             misuse.size);
    if (!strstr(end.said, line)) fail_msg("size %zu at %zu: %s", misuse.size, misuse.at, end.said);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "freehold: gc: object 0x"));
}

static void test_fence__a_collection_finds_what_was_written(void **state)
{
    (void)state;
    static const size_t some[] = {1, 8, 16, 20, 100, 3000, 65510, 65530, 100000};
    for (size_t i = 0; i < COUNT_OF(some); i++) {
        size_t size = some[i], fence = (size + 15) / 16 * 16;
        expect_found((struct misuse){size, size, FH_GC_MARK, false});
        expect_found((struct misuse){size, fence, FH_GC_MARK, true});
        expect_found((struct misuse){size, fence + 7, FH_GC_GENERATIONAL, false});
        expect_found((struct misuse){size, fence + 8, FH_GC_CONCURRENT, false});
        expect_found((struct misuse){size, fence + 15, FH_GC_MARK, false});
    }
}

static void test_fence__verify_says_so_and_goes_on(void **state)
{
    (void)state;
    struct random random = {.state = random_seed()};
    print_message("seed %llu\n", (unsigned long long)random.state);
    for (int round = 0; round < 40; round++) {
        heap_new(FH_GC_MARK, 0);
        struct node *list = list_new(heap, 50), *node = list;
        for (uint64_t k = random_below(&random, 49); k > 0; k--) node = node->right;
        volatile char *p = (char *)node;
        size_t at = sizeof *node + random_below(&random, 24);
        char flip = (char)(1 + random_below(&random, 255));
        assert_int_equal(fh_gc_verify(heap), 0);
        p[at] ^= flip;
        assert_int_equal(fh_gc_verify(heap), -EINVAL);
        p[at] ^= flip;
        assert_int_equal(fh_gc_verify(heap), 0);
        collect(heap);
        fh_gc_destroy(heap);
    }
}

/* Both copies are gone: the size is not known any more, that it was written is. */
static void test_fence__overwritten_altogether(void **state)
{
    (void)state;
    heap_new(FH_GC_MARK, 0);
    char *p = fh_gc_new_bytes(heap, 100);
    volatile char *behind = p;
    char saved[28];
    for (int i = 0; i < 28; i++) saved[i] = behind[100 + i];
    for (int i = 0; i < 28; i++) behind[100 + i] = 'x';
    assert_int_equal(fh_gc_verify(heap), -EINVAL);
    assert_int_equal(fh_gc_size(heap, p), 112);
    for (int i = 0; i < 28; i++) behind[100 + i] = saved[i];
    assert_int_equal(fh_gc_verify(heap), 0);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fence__a_collection_finds_what_was_written),
        cmocka_unit_test(test_fence__whole_objects_pass),
        cmocka_unit_test(test_fence__types_are_what_they_were),
        cmocka_unit_test(test_fence__verify_says_so_and_goes_on),
        cmocka_unit_test(test_fence__overwritten_altogether),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
