/*
 * What programs should not do, or hardly ever do. What could break: a mistake damages the heap instead of being
 * told, or ends in a crash where the answer is defined; data as deep as memory overflows a stack.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "kit/child.h"

static struct fh_gc_heap *heap;

static void each_policy(void (*body)(void))
{
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        body();
        assert_int_equal(fh_gc_verify(heap), 0);
        fh_gc_destroy(heap);
    }
}

/* ---- types -------------------------------------------------------------------------------------------------- */

static const struct fh_gc_field outside = {24, 1}, misaligned = {4, 1}, first = {0, 1};

static struct {
    struct fh_gc_type type;
    const char *line;
} wrong[] = {
    {{.name = "a", .size = 24, .fields = &outside, .field_count = 1},
     "type 'a': a field reaches outside of the object"},
    {{.name = "b", .size = 24, .fields = &misaligned, .field_count = 1},
     "type 'b': a field is not at a multiple of 8"},
    {{.name = "c", .size = 24, .field_count = 1}, "type 'c': it counts fields but names none"},
    {{.name = "d"}, "type 'd': its size is zero"},
    {{.name = "e", .size = 4, .element = 8, .element_fields = &first, .element_field_count = 1},
     "type 'e': its elements do not begin at a multiple of 8"},
    {{.name = "f", .element = 12, .element_fields = &first, .element_field_count = 1},
     "type 'f': its elements are not a multiple of 8 long"},
};

static void wrong_types(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (fh_gc_type_register(&wrong[i].type) != -EINVAL) abort();
}

static void test_misuse__wrong_types_are_told(void **state)
{
    (void)state;
    struct child_end end = child_run(wrong_types, NULL);
    assert_int_equal(end.status, 0);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        char line[100];
        snprintf(line, sizeof line, "freehold: gc: %s\n", wrong[i].line);
        assert_non_null(strstr(end.said, line));
    }
}

/* ---- stale pointers ------------------------------------------------------------------------------------------ */

static struct node *stale[100];

/* Complemented, so that nothing finds them. */
static __attribute__((noinline)) void stale_fill(void)
{
    for (size_t i = 0; i < COUNT_OF(stale); i++)
        stale[i] = (struct node *)~(uintptr_t)node_new(heap, i);
}

/* Without FH_GC_VERIFY, which ends the program: it keeps what object is there by now, if any. */
static void stale_stores(struct node *kept)
{
    stale_fill();
    collect(heap);
    for (size_t i = 0; i < COUNT_OF(stale); i++) {
        fh_gc_store(heap, &kept->left, (struct node *)~(uintptr_t)stale[i]);
        list_check(list_new(heap, 3000), 3000);
        if (i % 10 == 0) collect(heap);
    }
    fh_gc_store(heap, &kept->left, NULL);
    assert_int_equal(kept->value, 7);
}

static void test_misuse__stale_pointers_are_whatever_is_there(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .initial = 1 << 20};
        heap = fh_gc_create(&options);
        stale_stores(node_new(heap, 7));
        assert_int_equal(fh_gc_verify(heap), 0);
        fh_gc_destroy(heap);
    }
}

/* ---- heaps that go while they are in use ------------------------------------------------------------------------- */

static void *slots[10];

static void ignore(void *object, void *data)
{
    (void)object;
    (void)data;
}

static void everything_made(void)
{
    static struct node *linked;
    assert_int_equal(fh_gc_root_add(heap, slots, COUNT_OF(slots)), 0);
    for (size_t i = 0; i < COUNT_OF(slots); i++)
        fh_gc_store(heap, &slots[i], (void *)list_new(heap, 1000));
    linked = slots[0];
    assert_non_null(fh_gc_handle_new(heap, slots[1]));
    assert_non_null(fh_gc_weak_new(heap, slots[2]));
    assert_int_equal(fh_gc_pin(heap, slots[3]), 0);
    assert_int_equal(fh_gc_link_add(heap, &linked, slots[0]), 0);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(fh_gc_finalizer_add(heap, node_new(heap, i), ignore, NULL, 0), 0);
    collect(heap);
}

static void test_misuse__heap_with_live_roots_is_destroyed(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .finalizer_thread = p == 0};
        heap = fh_gc_create(&options);
        everything_made();
        struct node *local = slots[5];
        FH_GC_FRAME(local);
        fh_gc_destroy(heap);
        /* Roots, frames and stacks that still refer to it mean nothing to the next. */
        heap = heap_with(policies[p]);
        struct node *list = list_new(heap, 3000);
        collect(heap);
        list_check(list, 3000);
        assert_int_equal(fh_gc_root_remove(heap, slots), -ENOENT);
        assert_int_equal(fh_gc_unpin(heap, slots[3]), -ENOENT);
        fh_gc_destroy(heap);
    }
}

/* ---- limits --------------------------------------------------------------------------------------------------- */

static void test_misuse__absurd_limits(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p],
                                        .limit = SIZE_MAX,
                                        .initial = SIZE_MAX / 2,
                                        .growth_percent = 10000,
                                        .markers = 1024};
        heap = fh_gc_create(&options);
        assert_non_null(heap);
        struct node *list = list_new(heap, 3000);
        collect(heap);
        assert_null(fh_gc_new_bytes(heap, SIZE_MAX));
        assert_int_equal(errno, ENOMEM);
        assert_null(fh_gc_new_array(heap, node, SIZE_MAX / 8));
        assert_null(fh_gc_allocate_aligned(heap, FH_GC_BYTES, 100, 8192));
        assert_int_equal(errno, EINVAL);
        assert_int_equal(fh_gc_limit_set(heap, 1), -EINVAL);
        assert_int_equal(fh_gc_limit_set(heap, SIZE_MAX), 0);
        /* Below what is in use: the next allocation that needs room fails, nothing else. */
        assert_int_equal(fh_gc_limit_set(heap, 256 << 10), 0);
        assert_null(fh_gc_new_bytes(heap, 1 << 20));
        list_check(list, 3000);
        fh_gc_destroy(heap);
    }
}

/* ---- finalizers ------------------------------------------------------------------------------------------------- */

static int finalized;

/* All of it is allowed there. */
static void busy_finalizer(void *object, void *data)
{
    struct node *node = object;
    (void)data;
    list_check(list_new(heap, 100), 100);
    if (node->value % 50 == 0) fh_gc_collect(heap, FH_GC_FULL);
    if (node->value < 100) {
        struct node *next = node_new(heap, node->value + 1000);
        assert_int_equal(fh_gc_finalizer_add(heap, next, busy_finalizer, NULL, 0), 0);
    }
    finalized++;
}

static __attribute__((noinline)) void finalizers_fill(void)
{
    for (uint64_t i = 0; i < 200; i++)
        assert_int_equal(fh_gc_finalizer_add(heap, node_new(heap, i), busy_finalizer, NULL, 0), 0);
}

static void finalizers_work(void)
{
    finalized = 0;
    finalizers_fill();
    for (int i = 0; i < 5; i++) {
        collect(heap);
        fh_gc_finalize(heap, 0);
    }
    assert_in_range(finalized, 270, 300); /* some may lie about on the stack */
}

static void test_misuse__finalizers_allocate_and_collect(void **state)
{
    (void)state;
    each_policy(finalizers_work);
}

/* ---- depth --------------------------------------------------------------------------------------------------------- */

#ifndef DEPTH
#define DEPTH 10000000
#endif

/* Deep by either field, with a leaf at the other. */
static __attribute__((noinline)) struct node *comb_new(uint64_t length)
{
    struct node *comb = NULL, *leaf = node_new(heap, 0);
    for (uint64_t i = 0; i < length; i++) {
        struct node *node = fh_gc_new(heap, node);
        assert_non_null(node);
        fh_gc_store(heap, &node->left, i % 2 ? comb : leaf);
        fh_gc_store(heap, &node->right, i % 2 ? leaf : comb);
        comb = node;
    }
    return comb;
}

static void test_misuse__data_is_ten_million_deep(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p]};
        heap = fh_gc_create(&options);
        struct node *comb = comb_new(DEPTH);
        struct fh_gc_stats stats;
        collect(heap);
        fh_gc_stats_get(heap, &stats);
        assert_true(stats.objects_marked > DEPTH);
        assert_int_equal(stats.stack_overflows, 0);
        uint64_t i = DEPTH;
        for (struct node *at = comb; at; at = i % 2 ? at->left : at->right) i--;
        assert_int_equal(i, 0);
        fh_gc_destroy(heap);
    }
}

/* ---- frames -------------------------------------------------------------------------------------------------- */

static jmp_buf out;

static __attribute__((noinline)) void frame_leave(void)
{
    struct node *local = node_new(heap, 1);
    FH_GC_FRAME(local);
    longjmp(out, 1);
}

static __attribute__((noinline)) void frame_leave_from(int depth)
{
    struct node *local = node_new(heap, 1);
    FH_GC_FRAME(local);
    if (depth > 0) frame_leave();
    longjmp(out, 1);
}

static void frames_left(void *depth)
{
    heap = heap_with(FH_GC_MARK);
    for (volatile int i = 0; i < 2; i++)
        if (setjmp(out) == 0) frame_leave_from((int)(uintptr_t)depth);
}

static void test_misuse__frames_left_by_longjmp_are_told(void **state)
{
    (void)state;
    for (uintptr_t depth = 0; depth < 2; depth++) {
        struct child_end end = child_run(frames_left, (void *)depth);
        assert_int_equal(end.signal, SIGABRT);
        assert_non_null(strstr(end.said, "an FH_GC_FRAME was left by longjmp"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse__wrong_types_are_told),
        cmocka_unit_test(test_misuse__stale_pointers_are_whatever_is_there),
        cmocka_unit_test(test_misuse__heap_with_live_roots_is_destroyed),
        cmocka_unit_test(test_misuse__absurd_limits),
        cmocka_unit_test(test_misuse__finalizers_allocate_and_collect),
        cmocka_unit_test(test_misuse__frames_left_by_longjmp_are_told),
        cmocka_unit_test(test_misuse__data_is_ten_million_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
