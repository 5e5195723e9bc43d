/*
 * The thread that runs finalizers. What could break: it is missing in the child of a fork; who destroys the heap
 * waits for all that is queued.
 */
#include "gc/kit.h"

#include <unistd.h>

#include "kit/child.h"
#include "kit/options.h"

enum { MANY = 200, FEW = 40 }; /* the rest, buffers on the stack may keep: they are not cleared */

static struct fh_gc_heap *heap;
static _Atomic int finalized;

static void slow(void *object, void *data)
{
    (void)object;
    (void)data;
    finalized++;
    usleep(20000);
}

static void quick(void *object, void *data)
{
    (void)object;
    (void)data;
    finalized++;
}

static __attribute__((noinline)) void doom(fh_gc_finalizer_fn *function)
{
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(fh_gc_finalizer_add(heap, node_new(heap, i), function, NULL, 0), 0);
}

static void heap_make(enum fh_gc_policy policy)
{
    struct fh_gc_options options = {.policy = policy, .finalizer_thread = true};
    heap = fh_gc_create(&options);
    assert_non_null(heap);
    finalized = 0;
}

static void test_finalizer__destroy_does_not_run_what_is_pending(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap_make(policies[p]);
        doom(slow);
        collect(heap);
        while (finalized == 0) usleep(1000);
        fh_gc_destroy(heap);
        int then = finalized;
        assert_in_range(then, 1, MANY / 2);
    }
}

/* Until they have run; without the thread, until it is killed. */
static void finalizers_run(void *unused)
{
    (void)unused;
    finalized = 0;
    doom(quick);
    while (finalized < FEW) {
        collect(heap);
        usleep(1000);
    }
    fh_gc_destroy(heap);
}

static void test_finalizer__a_child_of_fork_has_its_thread(void **state)
{
    (void)state;
    if (KIT_ADDRESS_SANITIZER) skip(); /* its own malloc knows no fork: see CMakeLists.txt */
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap_make(policies[p]);
        struct child_end end = child_run(finalizers_run, NULL);
        assert_int_equal(end.status, 0);
        finalizers_run(NULL);
    }
}

static void destroy_here(void *object, void *data)
{
    (void)object;
    (void)data;
    fh_gc_destroy(heap);
}

static void finalizer_destroys(void *unused)
{
    (void)unused;
    heap_make(FH_GC_MARK);
    doom(destroy_here);
    for (;; usleep(1000)) collect(heap);
}

static void test_finalizer__that_destroys_its_heap_is_told(void **state)
{
    (void)state;
    struct child_end end = child_run(finalizer_destroys, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "a heap is destroyed by one of its finalizers"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finalizer__destroy_does_not_run_what_is_pending),
        cmocka_unit_test(test_finalizer__a_child_of_fork_has_its_thread),
        cmocka_unit_test(test_finalizer__that_destroys_its_heap_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
