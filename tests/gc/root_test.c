/*
 * Roots: threads, statics, registered ones. What could break: something that only one kind of root refers
 * to is freed; something that nothing refers to any more stays; a thread that waits, ends or forks holds
 * everybody up.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kit/options.h"

static struct fh_gc_heap *heap;
static struct node *global[500];
static _Thread_local struct node *local[300];

static void each_policy(void (*body)(void))
{
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap = heap_with(policies[p]);
        body();
        fh_gc_destroy(heap);
    }
}

/* Many objects that do not refer to each other: a word left on the stack keeps one of them at most. */
static __attribute__((noinline)) void scatter(struct node **to, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) fh_gc_store(heap, &to[i], node_new(heap, i));
}

static __attribute__((noinline)) void scatter_check(struct node *const *at, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) assert_int_equal(at[i]->value, i);
}

static __attribute__((noinline)) void scatter_drop(struct node **at, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) fh_gc_store(heap, &at[i], NULL);
}

static void globals(void)
{
    scatter(global, 500);
    scatter(local, 300);
    for (int i = 0; i < 3; i++) collect(heap);
    scatter_check(global, 500);
    scatter_check(local, 300);
    scatter_drop(global, 500);
    scatter_drop(local, 300);
    assert_in_range(live_objects(heap), 0, 100);
}

static void test_root__static_and_thread_local_variables(void **state)
{
    (void)state;
    each_policy(globals);
}

static void registered(void)
{
    struct node **exact = calloc(400, sizeof *exact), **range = calloc(400, sizeof *range);
    assert_int_equal(fh_gc_root_add(heap, exact, 400), 0);
    assert_int_equal(fh_gc_root_range(heap, range, 400 * sizeof *range), 0);
    scatter(exact, 400);
    scatter(range, 400);
    collect(heap);
    scatter_check(exact, 400);
    scatter_check(range, 400);
    assert_int_equal(fh_gc_root_remove(heap, exact), 0);
    assert_int_equal(fh_gc_root_remove(heap, range), 0);
    assert_int_equal(fh_gc_root_remove(heap, range), -ENOENT);
    assert_int_equal(fh_gc_root_add(heap, (char *)exact + 1, 4), -EINVAL);
    assert_in_range(live_objects(heap), 0, 100); /* the blocks still hold the addresses */
    free(exact);
    free(range);
}

static void test_root__slots_and_ranges(void **state)
{
    (void)state;
    each_policy(registered);
}

/* Long ranges are searched part by part: no word may get lost in between. */
static void unaligned(void)
{
    enum { COUNT = 60000 };
    char *memory = calloc(COUNT + 2, sizeof(void *));
    struct node **range = (struct node **)(memory + sizeof *range);
    assert_int_equal(fh_gc_root_range(heap, memory + 4, COUNT * sizeof *range), 0);
    scatter(range, COUNT - 1);
    for (int i = 0; i < 2; i++) collect(heap);
    scatter_check(range, COUNT - 1);
    assert_int_equal(fh_gc_root_remove(heap, memory + 4), 0);
    free(memory);
}

static void test_root__ranges_that_are_not_aligned(void **state)
{
    (void)state;
    each_policy(unaligned);
}

static __attribute__((noinline)) void handles_make(struct fh_gc_handle **handle)
{
    for (uint64_t i = 0; i < 400; i++) handle[i] = fh_gc_handle_new(heap, node_new(heap, i));
}

static __attribute__((noinline)) void handles_check(struct fh_gc_handle **handle)
{
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(((struct node *)fh_gc_handle_get(handle[i]))->value, i);
}

static void handles(void)
{
    static struct fh_gc_handle *handle[400];
    handles_make(handle);
    collect(heap);
    handles_check(handle);
    for (int i = 0; i < 200; i++) fh_gc_handle_set(handle[i], NULL);
    for (int i = 200; i < 400; i++) fh_gc_handle_free(handle[i]);
    assert_in_range(live_objects(heap), 0, 100);
    assert_ptr_equal(fh_gc_handle_new(heap, NULL), handle[399]); /* used again */
    fh_gc_handle_free(NULL);
}

static void test_root__handles(void **state)
{
    (void)state;
    each_policy(handles);
}

/* With exact stacks a frame is all there is. */
static void test_root__frames_are_exact(void **state)
{
    (void)state;
    struct fh_gc_options options = {.exact_stacks = true, .no_static_data = true};
    heap = fh_gc_create(&options);
    struct node *kept = NULL, *dropped = NULL;
    {
        FH_GC_FRAME(kept);
        kept = node_new(heap, 7);
        dropped = node_new(heap, 8);
        assert_int_equal(live_objects(heap), 1);
        assert_int_equal(kept->value, 7);
    }
    assert_non_null(dropped);
    assert_int_equal(live_objects(heap), 0);
    fh_gc_destroy(heap);
}

/* ---- threads ------------------------------------------------------------------------------------------------ */

struct waiting {
    _Atomic int ready, go;
};

static void *thread_sleeps(void *data)
{
    struct waiting *w = data;
    __atomic_store_n((int *)&w->ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n((int *)&w->go, __ATOMIC_ACQUIRE)) usleep(200);
    return NULL;
}

static void *thread_holds(void *data)
{
    struct node *held[600];
    scatter(held, 600); /* attached by the first allocation */
    thread_sleeps(data);
    scatter_check(held, 600);
    return NULL;
}

static void *thread_blocks(void *data)
{
    struct node *held[600];
    scatter(held, 600);
    fh_gc_blocking(thread_sleeps, data);
    scatter_check(held, 600);
    return NULL;
}

static void *thread_spins(void *data)
{
    struct waiting *w = data;
    struct node *held[600];
    scatter(held, 600);
    __atomic_store_n((int *)&w->ready, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n((int *)&w->go, __ATOMIC_ACQUIRE)) {
    }
    scatter_check(held, 600);
    return NULL;
}

static void threads(void)
{
    void *(*const kinds[])(void *) = {thread_holds, thread_blocks, thread_spins};
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct waiting w = {0, 0};
        pthread_t thread;
        pthread_create(&thread, NULL, kinds[k], &w);
        while (!w.ready) usleep(100);
        for (int i = 0; i < 3; i++) collect(heap);
        w.go = 1;
        pthread_join(thread, NULL);
    }
    assert_in_range(live_objects(heap), 0, 100); /* their stacks are gone */
}

static void test_root__stacks_of_threads(void **state)
{
    (void)state;
    each_policy(threads);
}

static void *thread_allocates(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++) list_check(list_new(heap, 5000), 5000);
    return NULL;
}

static void many_threads(void)
{
    for (int round = 0; round < 5; round++) {
        pthread_t thread[8];
        for (int i = 0; i < 8; i++) pthread_create(&thread[i], NULL, thread_allocates, NULL);
        for (int i = 0; i < 8; i++) pthread_join(thread[i], NULL);
    }
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(stats.threads, 1);
}

static void test_root__threads_come_and_go(void **state)
{
    (void)state;
    each_policy(many_threads);
}

static void test_root__detached_thread(void **state)
{
    (void)state;
    heap = heap_with(FH_GC_MARK);
    assert_int_equal(fh_gc_thread_detach(), 0);
    assert_int_equal(fh_gc_thread_detach(), -ESRCH);
    assert_int_equal(fh_gc_thread_attach(), 0);
    assert_int_equal(fh_gc_thread_attach(), 0);
    list_check(list_new(heap, 100), 100);
    fh_gc_destroy(heap);
}

static struct node *shared;

static void *thread_stores(void *unused)
{
    struct fh_gc_stats stats;
    (void)unused;
    fh_gc_store(heap, &shared->left, NULL); /* no allocation, no call before it */
    fh_gc_stats_get(heap, &stats);
    assert_int_equal(stats.threads, 2);
    return NULL;
}

static void first_store(void)
{
    pthread_t thread;
    fh_gc_store(heap, &shared, node_new(heap, 1));
    pthread_create(&thread, NULL, thread_stores, NULL);
    pthread_join(thread, NULL);
    fh_gc_store(heap, &shared, NULL);
}

static void test_root__first_store_attaches(void **state)
{
    (void)state;
    each_policy(first_store);
}

/* ---- fork ------------------------------------------------------------------------------------------------------ */

static void *thread_allocates_until(void *data)
{
    struct waiting *w = data;
    while (!__atomic_load_n((int *)&w->go, __ATOMIC_ACQUIRE)) list_check(list_new(heap, 500), 500);
    return NULL;
}

static void forks(void)
{
    struct waiting w = {0, 0};
    pthread_t thread[2];
    struct node *kept = list_new(heap, 3000);
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, thread_allocates_until, &w);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int k = 0; k < 30; k++) list_check(list_new(heap, 5000), 5000);
            collect(heap);
            list_check(kept, 3000);
            _exit(fh_gc_verify(heap) == 0 ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    w.go = 1;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    list_check(kept, 3000);
}

static void test_root__fork(void **state)
{
    (void)state;
    if (KIT_THREAD_SANITIZER) skip(); /* it ends a child that starts threads, as collections do */
    each_policy(forks);
}

/* ---- depth --------------------------------------------------------------------------------------------------------- */

static void deep(void)
{
    enum { LENGTH = 3000000 };
    struct node *list = list_new(heap, LENGTH);
    collect(heap);
    list_check(list, LENGTH);
}

static void test_root__a_list_of_millions_needs_no_stack(void **state)
{
    (void)state;
    heap = fh_gc_create(NULL);
    deep();
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root__static_and_thread_local_variables),
        cmocka_unit_test(test_root__slots_and_ranges),
        cmocka_unit_test(test_root__ranges_that_are_not_aligned),
        cmocka_unit_test(test_root__handles),
        cmocka_unit_test(test_root__frames_are_exact),
        cmocka_unit_test(test_root__stacks_of_threads),
        cmocka_unit_test(test_root__threads_come_and_go),
        cmocka_unit_test(test_root__detached_thread),
        cmocka_unit_test(test_root__first_store_attaches),
        cmocka_unit_test(test_root__fork),
        cmocka_unit_test(test_root__a_list_of_millions_needs_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
