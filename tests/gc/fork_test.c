/*
 * Forks that come at a bad moment. What could break: a thread that forks inside fh_gc_blocking counts as busy ever
 * after, and no collection gets by it; a child inherits a lock that a thread held which is not there; in the child the
 * thread that runs finalizers is missing, and nobody notices.
 */
#include "gc/kit.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/options.h"

static struct fh_gc_heap *heap;
static _Atomic int done;

static void child_expect(pid_t child, int expected)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, expected);
}

static void *join(void *thread)
{
    pthread_join(*(pthread_t *)thread, NULL);
    return NULL;
}

/* ---- inside fh_gc_blocking ------------------------------------------------------------------------------------ */

static void *thread_forks_blocked(void *unused)
{
    (void)unused;
    fh_gc_thread_attach();
    for (int i = 0; i < 100; i++) {
        fh_gc_blocking_begin();
        pid_t child = fork();
        if (child == 0) _exit(0);
        child_expect(child, 0);
        fh_gc_blocking_end();
    }
    done = 1;
    return NULL;
}

static void test_fork__while_blocked(void **state)
{
    (void)state;
    if (KIT_THREAD_SANITIZER) skip();
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        pthread_t thread;
        struct fh_gc_options options = {.policy = policies[p]};
        assert_non_null(heap = fh_gc_create(&options));
        done = 0;
        assert_int_equal(pthread_create(&thread, NULL, thread_forks_blocked, NULL), 0);
        alarm(100); /* what is wrong shows by waiting for ever */
        while (!done) list_check(list_new(heap, 500), 500), fh_gc_collect(heap, FH_GC_FULL);
        fh_gc_blocking(join, &thread);
        alarm(0);
        fh_gc_destroy(heap);
    }
}

/* ---- while the first heap is made ------------------------------------------------------------------------------- */

static void *thread_makes_heaps(void *unused)
{
    (void)unused;
    while (!done) fh_gc_destroy(fh_gc_create(NULL));
    return NULL;
}

static void child_uses_heap(void)
{
    alarm(30);
    struct fh_gc_heap *own = fh_gc_create(NULL);
    if (own == NULL) _exit(1);
    list_check(list_new(own, 1000), 1000);
    fh_gc_collect(own, FH_GC_FULL);
    _exit(0);
}

static void test_fork__while_heaps_come_and_go(void **state)
{
    (void)state;
    pthread_t thread;
    if (KIT_THREAD_SANITIZER) skip();
    done = 0;
    assert_int_equal(pthread_create(&thread, NULL, thread_makes_heaps, NULL), 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) child_uses_heap();
        child_expect(child, 0);
    }
    done = 1;
    pthread_join(thread, NULL);
}

/* ---- finalizers in the child ------------------------------------------------------------------------------------- */

static _Atomic int finalized;

static void count(void *object, void *unused)
{
    (void)object;
    (void)unused;
    finalized++;
}

static __attribute__((noinline)) void drop(int objects)
{
    for (int i = 0; i < objects; i++) fh_gc_finalizer_add(heap, node_new(heap, 0), count, NULL, 0);
}

static void child_finalizes(void)
{
    enum { OBJECTS = 100, SOME = 40 };
    alarm(30);
    drop(OBJECTS);
    for (int i = 0; i < 300 && finalized < SOME; i++) {
        stack_clear();
        fh_gc_collect(heap, FH_GC_FULL);
        usleep(10000);
    }
    bool good = finalized >= SOME;
    fh_gc_destroy(heap);
    _exit(good ? 0 : 1);
}

static void test_fork__finalizers_run_in_the_child(void **state)
{
    (void)state;
    if (KIT_THREAD_SANITIZER) skip();
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        struct fh_gc_options options = {.policy = policies[p], .finalizer_thread = true};
        assert_non_null(heap = fh_gc_create(&options));
        pid_t child = fork();
        if (child == 0) child_finalizes();
        child_expect(child, 0);
        child = fork(); /* one that never needs it */
        if (child == 0) {
            fh_gc_destroy(heap);
            _exit(0);
        }
        child_expect(child, 0);
        fh_gc_destroy(heap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork__while_blocked),
        cmocka_unit_test(test_fork__while_heaps_come_and_go),
        cmocka_unit_test(test_fork__finalizers_run_in_the_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
