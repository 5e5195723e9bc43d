/*
 * What could break: a thread that is suspended goes on all the same, or never again; what its stack holds is collected
 * meanwhile; a collection waits for it; a thread that ends, waits, or is inside the collector confuses who suspends it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "libgc/kit.h"

#include <gc/javaxfc.h>

static int stop;
static long steps; /* of the thread that works */

static int urgent; /* calls of the program's handler of SIGURG */

#define LOADED(word) __atomic_load_n(&(word), __ATOMIC_SEQ_CST)
#define STORED(word, value) __atomic_store_n(&(word), value, __ATOMIC_SEQ_CST)

static void count_urgent(int signal)
{
    (void)signal;
    __atomic_add_fetch(&urgent, 1, __ATOMIC_SEQ_CST);
}

/* A list that only this frame knows, made anew all the time. */
static void *work(void *argument)
{
    (void)argument;
    while (!LOADED(stop)) {
        void **list = NULL;
        for (int i = 0; i < 1000; i++) {
            void **node = GC_MALLOC(4 * sizeof *node);
            node[0] = list;
            node[1] = (void *)HIDDEN(i);
            list = node;
            __atomic_add_fetch(&steps, 1, __ATOMIC_SEQ_CST);
        }
        for (int i = 999; i >= 0; i--, list = list[0])
            if (list[1] != (void *)HIDDEN(i)) return NULL;
    }
    return argument ? argument : "good";
}

static pthread_t work_start(void)
{
    pthread_t thread;
    STORED(stop, 0);
    STORED(steps, 0);
    assert_int_equal(GC_pthread_create(&thread, NULL, work, NULL), 0);
    while (LOADED(steps) == 0) usleep(100);
    return thread;
}

static void work_end(pthread_t thread)
{
    void *result;
    STORED(stop, 1);
    assert_int_equal(GC_pthread_join(thread, &result), 0);
    assert_non_null(result);
}

static void assert_stands(void)
{
    long before = LOADED(steps);
    usleep(3000);
    assert_int_equal(LOADED(steps), before);
}

static void assert_runs(void)
{
    long before = LOADED(steps);
    for (int i = 0; i < 20000 && LOADED(steps) == before; i++) usleep(1000);
    assert_true(LOADED(steps) > before);
}

static void test_suspend__stands_and_goes_on(void **state)
{
    (void)state;
    pthread_t thread = work_start();
    for (int i = 0; i < 30; i++) {
        assert_false(GC_is_thread_suspended(thread));
        GC_suspend_thread(thread);
        assert_true(GC_is_thread_suspended(thread));
        assert_stands();
        GC_resume_thread(thread);
        assert_runs();
    }
    work_end(thread);
}

static void test_suspend__its_stack_is_searched(void **state)
{
    (void)state;
    pthread_t thread = work_start();
    for (int i = 0; i < 20; i++) {
        GC_suspend_thread(thread);
        collect();
        for (int k = 0; k < 20000; k++) memset(GC_MALLOC(32), 0xff, 32);
        assert_stands();
        GC_resume_thread(thread);
        assert_runs();
    }
    work_end(thread);
}

/* The first resume ends it. */
static void test_suspend__without_counts(void **state)
{
    (void)state;
    pthread_t thread = work_start();
    for (int i = 0; i < 3; i++) GC_suspend_thread(thread);
    assert_stands();
    GC_resume_thread(thread);
    assert_false(GC_is_thread_suspended(thread));
    assert_runs();
    GC_resume_thread(thread);
    assert_runs();
    work_end(thread);
}

static void *work_itself(void *argument)
{
    char *text = GC_STRDUP("what it has");
    STORED(steps, 1);
    GC_suspend_thread(pthread_self());
    STORED(steps, 2);
    return strcmp(text, "what it has") == 0 ? text : argument;
}

static void test_suspend__itself(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    STORED(steps, 0);
    assert_int_equal(GC_pthread_create(&thread, NULL, work_itself, NULL), 0);
    while (!GC_is_thread_suspended(thread)) usleep(100);
    collect();
    for (int k = 0; k < 20000; k++) memset(GC_MALLOC_ATOMIC(12), 0xff, 12);
    assert_int_equal(LOADED(steps), 1);
    GC_resume_thread(thread);
    GC_pthread_join(thread, &result);
    assert_string_equal(result, "what it has");
}

static int pipe_ends[2];

static void *wait_for_byte(void *data)
{
    char byte;
    STORED(steps, 1);
    return read(pipe_ends[0], &byte, 1) == 1 ? data : NULL;
}

static void *work_waits(void *argument)
{
    char *text = GC_STRDUP(argument);
    void *result = GC_do_blocking(wait_for_byte, text);
    STORED(steps, 2);
    return result;
}

/* It counts as suspended while it waits, and stands when the wait is over. */
static void test_suspend__in_do_blocking(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    STORED(steps, 0);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(GC_pthread_create(&thread, NULL, work_waits, "kept over both"), 0);
    while (LOADED(steps) == 0) usleep(100);
    GC_suspend_thread(thread);
    assert_true(GC_is_thread_suspended(thread));
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    usleep(20000);
    assert_int_equal(LOADED(steps), 1);
    collect();
    GC_resume_thread(thread);
    GC_pthread_join(thread, &result);
    assert_string_equal(result, "kept over both");
    assert_int_equal(LOADED(steps), 2);
}

static void *work_short(void *argument)
{
    for (int i = 0; i < 100; i++) GC_MALLOC(40);
    return argument;
}

/* While it ends, and afterwards: nothing happens, and nobody waits. */
static void test_suspend__of_one_that_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        assert_int_equal(GC_pthread_create(&thread, NULL, work_short, &thread), 0);
        if (i % 2) usleep(100);
        GC_suspend_thread(thread);
        GC_gcollect();
        GC_resume_thread(thread);
        GC_pthread_join(thread, NULL);
    }
}

static void *work_suspends(void *argument)
{
    while (!LOADED(stop)) {
        GC_suspend_thread(*(pthread_t *)argument);
        GC_resume_thread(*(pthread_t *)argument);
    }
    return "good";
}

static void *work_collects(void *argument)
{
    while (!LOADED(stop)) GC_gcollect();
    return argument ? argument : "good";
}

/* It has the linker's lock for some of the time, which who suspends it needs to collect. */
static void test_suspend__of_one_that_collects(void **state)
{
    (void)state;
    pthread_t thread;
    STORED(stop, 0);
    assert_int_equal(GC_pthread_create(&thread, NULL, work_collects, NULL), 0);
    for (int i = 0; i < 300; i++) {
        GC_suspend_thread(thread);
        GC_gcollect();
        GC_resume_thread(thread);
        if (i % 4) usleep(i % 4 * 30);
    }
    STORED(stop, 1);
    GC_pthread_join(thread, NULL);
}

/* Two suspend the same one, one collects, and all come to an end. */
static void test_suspend__with_collections_meanwhile(void **state)
{
    (void)state;
    pthread_t thread = work_start(), other[3];
    assert_int_equal(GC_pthread_create(&other[0], NULL, work_suspends, &thread), 0);
    assert_int_equal(GC_pthread_create(&other[1], NULL, work_suspends, &thread), 0);
    assert_int_equal(GC_pthread_create(&other[2], NULL, work_collects, NULL), 0);
    for (int i = 0; i < 30; i++) {
        usleep(10000);
        assert_runs();
    }
    STORED(stop, 1);
    for (int i = 0; i < 3; i++) GC_pthread_join(other[i], NULL);
    GC_resume_thread(thread);
    work_end(thread);
}

/* The signals by which threads were suspended and stopped are not for the program's own handler; one of these may be
 * taken for another's, if two come at once. */
static void test_suspend__signals_of_others_are_passed_on(void **state)
{
    (void)state;
    assert_true(LOADED(urgent) < 10);
    int before = LOADED(urgent);
    raise(SIGURG);
    assert_int_equal(LOADED(urgent), before + 1);
}

int main(void)
{
    signal(SIGURG, count_urgent);
    GC_INIT();
    alarm(60);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suspend__stands_and_goes_on),
        cmocka_unit_test(test_suspend__its_stack_is_searched),
        cmocka_unit_test(test_suspend__without_counts),
        cmocka_unit_test(test_suspend__itself),
        cmocka_unit_test(test_suspend__in_do_blocking),
        cmocka_unit_test(test_suspend__of_one_that_ends),
        cmocka_unit_test(test_suspend__of_one_that_collects),
        cmocka_unit_test(test_suspend__with_collections_meanwhile),
        cmocka_unit_test(test_suspend__signals_of_others_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
