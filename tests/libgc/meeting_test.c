/*
 * What could break: a program of one thread is stopped elsewhere than where it allocates, and its procedures find its
 * structures half changed; or a cycle waits for an allocation that never comes, and with it whoever waits for the cycle: a
 * collection by call, a fork, the end of the process. The heap is large enough to be marked beside the program.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libgc/kit.h"

enum { ROWS = 3000, ROW = 16384, ROUNDS = 20000 }; /* 48 MiB that stay */

static volatile int allocates; /* the only thread is inside of the collector's functions */
static volatile long looked, looked_elsewhere, looked_wrong;
static volatile pid_t cycle_thread;
static void ***rows;
static unsigned kind;
static pid_t first;

static void look(void)
{
    looked++;
    if (!allocates) looked_elsewhere++;
    /* What such a procedure may ask, whichever thread it is on. */
    if (GC_base((char *)rows + ROW) != rows || GC_size(rows) < ROWS * sizeof *rows ||
        GC_get_heap_size() == 0)
        looked_wrong++;
}

static struct GC_ms_entry *mark_look(GC_word *object, struct GC_ms_entry *top,
                                     struct GC_ms_entry *limit, GC_word environment)
{
    (void)limit;
    (void)environment;
    if (*object) look(); /* not of an object that is being made */
    return top;
}

static void push_look(void)
{
    look();
}

static void note_thread(void)
{
    cycle_thread = gettid();
}

static void *allocate(size_t size)
{
    allocates = 1;
    void *p = GC_MALLOC(size);
    allocates = 0;
    return p;
}

static void churn(size_t rounds)
{
    for (size_t i = 0; i < rounds; i++) {
        void **row = allocate(i % 16 ? 240 : ROW);
        row[0] = rows[i % ROWS];
        rows[i % ROWS] = row;
        if (i % 16 == 0) row[0] = NULL;
        for (volatile int k = 0; k < 2000; k++) {
        }
    }
}

/* A cycle was begun by an allocation and stands open. */
static void cycle_begin(void)
{
    cycle_thread = 0;
    for (int i = 0; cycle_thread == 0 && i < 1000; i++) churn(ROUNDS / 100);
    assert_true(cycle_thread != 0);
}

static void test_meeting__only_where_it_allocates(void **state)
{
    (void)state;
    GC_word before = GC_get_gc_no();
    looked = looked_elsewhere = 0;
    for (int i = 0; i < 100 && GC_get_gc_no() < before + 5; i++) churn(ROUNDS);
    assert_true(GC_get_gc_no() >= before + 5);
    assert_true(looked > 0);
    assert_int_equal(looked_elsewhere, 0);
    assert_int_equal(looked_wrong, 0);
    assert_int_not_equal(cycle_thread, first); /* they were cycles */
}

static void test_meeting__collection_by_call(void **state)
{
    (void)state;
    cycle_begin();
    allocates = 1;
    GC_gcollect();
    allocates = 0;
    assert_int_equal(looked_elsewhere, 0);
}

static int child_status(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void test_meeting__fork(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        cycle_begin();
        allocates = 1;
        pid_t child = fork();
        allocates = 0;
        if (child == 0) {
            churn(ROUNDS);
            allocates = 1;
            GC_gcollect();
            _exit(looked_elsewhere ? 1 : 0);
        }
        assert_int_equal(child_status(child), 0);
    }
    assert_int_equal(looked_elsewhere, 0);
}

static void test_meeting__end_of_the_process(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        cycle_begin();
        exit(0);
    }
    assert_int_equal(child_status(child), 0);
}

int main(void)
{
    GC_INIT();
    GC_enable_incremental(); /* small heaps are stopped else */
    alarm(120);
    first = gettid();
    kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(GC_new_proc(mark_look), 0), 0, 1);
    GC_set_push_other_roots(push_look);
    GC_set_start_callback(note_thread);
    allocates = 1;
    rows = GC_MALLOC(ROWS * sizeof *rows);
    GC_word *looker = GC_generic_malloc(64, (int)kind);
    *looker = 1;
    for (int i = 0; i < ROWS; i++) rows[i] = GC_MALLOC(ROW);
    for (int i = 0; i < 3; i++) GC_gcollect();
    allocates = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meeting__only_where_it_allocates),
        cmocka_unit_test(test_meeting__collection_by_call),
        cmocka_unit_test(test_meeting__fork),
        cmocka_unit_test(test_meeting__end_of_the_process),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (*looker != 1);
}
