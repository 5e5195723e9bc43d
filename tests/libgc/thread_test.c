/*
 * What could break: what only another thread's stack, its argument or its result holds is collected; a waiting thread
 * stops the world for ever; a child of fork cannot collect.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libgc/kit.h"

enum { THREADS = 4 };

static void *tree(int depth)
{
    void **node = GC_MALLOC(3 * sizeof *node);
    node[2] = (void *)(intptr_t)depth;
    if (depth > 0) node[0] = tree(depth - 1);
    if (depth > 0) node[1] = tree(depth - 1);
    return node;
}

static long tree_count(void **node)
{
    return node ? 1 + tree_count(node[0]) + tree_count(node[1]) : 0;
}

static void *work(void *argument)
{
    long sum = 0;
    for (int i = 0; i < 30; i++) sum += tree_count(tree(10));
    char *text = GC_MALLOC_ATOMIC(100);
    strcpy(text, argument);
    return sum == 30 * 2047 ? text : NULL;
}

static void test_thread__arguments_and_results_are_kept(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(GC_pthread_create(&thread[i], NULL, work, GC_STRDUP("an argument")),
                             0);
        GC_gcollect();
        usleep(5000);
        collect();
        for (int i = 0; i < THREADS; i++) {
            void *result;
            assert_int_equal(GC_pthread_join(thread[i], &result), 0);
            assert_string_equal(result, "an argument");
        }
    }
}

static void *work_exit(void *argument)
{
    GC_pthread_exit(work(argument));
}

static void test_thread__exit_and_detach(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    GC_pthread_create(&thread, NULL, work_exit, "by exit");
    GC_pthread_join(thread, &result);
    assert_string_equal(result, "by exit");
    GC_pthread_create(&thread, NULL, work, "alone");
    assert_int_equal(GC_pthread_detach(thread), 0);
}

static void *work_little(void *argument)
{
    return GC_MALLOC(32) ? argument : NULL;
}

static void *work_joins(void *argument)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        void *result = NULL;
        if (GC_pthread_create(&thread, NULL, work_little, argument) != 0) continue;
        if (i % 4 == 0) GC_pthread_detach(thread);
        if (i % 4 && (GC_pthread_join(thread, &result) != 0 || result != argument)) return NULL;
    }
    return argument;
}

/* Ids are used again as soon as a thread is joined. */
static void test_thread__many_short_ones(void **state)
{
    (void)state;
    pthread_t thread[THREADS];
    void *result;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(GC_pthread_create(&thread[i], NULL, work_joins, &thread[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(GC_pthread_join(thread[i], &result), 0);
        assert_ptr_equal(result, &thread[i]);
    }
}

static int registered;

static void *work_foreign(void *argument)
{
    struct GC_stack_base base;
    if (GC_get_stack_base(&base) != GC_SUCCESS) return NULL;
    registered = GC_register_my_thread(&base);
    void *result = work(argument);
    if (registered == GC_SUCCESS) GC_unregister_my_thread();
    return result ? "done" : NULL;
}

static void test_thread__foreign_threads_register(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    GC_allow_register_threads();
    assert_int_equal(pthread_create(&thread, NULL, work_foreign, "foreign"), 0);
    for (int i = 0; i < 10; i++) GC_gcollect();
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_int_equal(registered, GC_SUCCESS);
}

static int pipe_ends[2];

static void *active(void *data)
{
    char **kept = data;
    GC_gcollect();
    return GC_STRDUP(*kept);
}

static void *wait_for_byte(void *data)
{
    char byte;
    if (read(pipe_ends[0], &byte, 1) != 1) return NULL;
    return GC_call_with_gc_active(active, data);
}

static void *work_waiting(void *argument)
{
    char *text = GC_STRDUP(argument);
    void *result = GC_do_blocking(wait_for_byte, &text);
    return strcmp(text, argument) ? NULL : result;
}

static void test_thread__waiting_threads_keep_their_stack(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    assert_int_equal(pipe(pipe_ends), 0);
    GC_pthread_create(&thread, NULL, work_waiting, "held over a wait");
    usleep(20000);
    collect();
    for (int i = 0; i < 1000; i++) memset(GC_MALLOC_ATOMIC(17), 'x', 17);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    GC_pthread_join(thread, &result);
    assert_string_equal(result, "held over a wait");
}

static void *locked(void *data)
{
    return (char *)data + 1;
}

static void test_thread__the_lock(void **state)
{
    (void)state;
    char text[] = "ab";
    assert_ptr_equal(GC_call_with_alloc_lock(locked, text), text + 1);
}

static void *churn(void *argument)
{
    for (long i = 0; !__atomic_load_n((int *)argument, __ATOMIC_ACQUIRE); i++) {
        void **p = GC_MALLOC(16 + (size_t)(i % 40) * 8);
        p[0] = p;
        if (i % 3 == 0) GC_FREE(p);
    }
    return NULL;
}

static void test_thread__a_child_of_fork_collects(void **state)
{
    (void)state;
    static int stop;
    pthread_t thread[2];
    void *before = tree(12);
    for (int i = 0; i < 2; i++) GC_pthread_create(&thread[i], NULL, churn, &stop);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            collect();
            long sum = 0;
            for (int k = 0; k < 20; k++) sum += tree_count(tree(10));
            collect();
            _exit(sum == 20 * 2047 && tree_count(before) == 8191 ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        GC_gcollect();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) GC_pthread_join(thread[i], NULL);
    assert_int_equal(tree_count(before), 8191);
}

int main(void)
{
    GC_set_handle_fork(1);
    GC_INIT();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__arguments_and_results_are_kept),
        cmocka_unit_test(test_thread__exit_and_detach),
        cmocka_unit_test(test_thread__many_short_ones),
        cmocka_unit_test(test_thread__foreign_threads_register),
        cmocka_unit_test(test_thread__waiting_threads_keep_their_stack),
        cmocka_unit_test(test_thread__the_lock),
        cmocka_unit_test(test_thread__a_child_of_fork_collects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
