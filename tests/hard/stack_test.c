/*
 * Stacks. What could break: frames left out or invented, an allocation or a lock on the way (in a signal handler, in
 * the dynamic linker), a fault on a stack that is not what its tables say.
 */
#include "kit/unit.h"

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hard/stack.h"
#include "kit/child.h"
#include "os/fault.h"

static uintptr_t pcs[STACK_MOST];
static unsigned count;

static FH_NOINLINE void innermost(unsigned skip)
{
    count = stack_take(pcs, STACK_MOST, skip);
    __asm__ volatile("");
}

static FH_NOINLINE void middle(unsigned skip)
{
    innermost(skip);
    __asm__ volatile("");
}

/* The code of a function lies behind its name; these are small. */
static bool is_in(uintptr_t pc, void (*function)(unsigned))
{
    return pc > (uintptr_t)function && pc - (uintptr_t)function < 200;
}

static void test_stack__tells_its_callers_innermost_first(void **state)
{
    (void)state;
    middle(0);
    assert_true(count >= 4);
    assert_true(is_in(pcs[0], innermost));
    assert_true(is_in(pcs[1], middle));
    middle(1);
    assert_true(is_in(pcs[0], middle));
}

static void test_stack__stops_where_it_is_told(void **state)
{
    (void)state;
    uintptr_t few[3] = {0, 0, 42};
    assert_int_equal(stack_take(few, 2, 0), 2);
    assert_int_equal(few[2], 42);
    assert_int_equal(stack_take(few, 0, 0), 0);
}

static int compare(const void *a, const void *b)
{
    innermost(0);
    return *(const int *)a - *(const int *)b;
}

static void test_stack__goes_through_code_without_frame_pointers(void **state)
{
    (void)state;
    int array[] = {3, 1, 2};
    Dl_info of_libc, info;
    unsigned through_libc = 0;
    qsort(array, 3, sizeof *array, compare);
    assert_true(dladdr(dlsym(RTLD_DEFAULT, "qsort"), &of_libc));
    for (unsigned i = 0; i < count; i++)
        if (dladdr((void *)pcs[i], &info) && info.dli_fbase == of_libc.dli_fbase) through_libc++;
    assert_true(through_libc >= 2); /* qsort, and who called main */
    assert_true(count > through_libc + 2);
}

/* ---- in a handler ----------------------------------------------------------------------------------------------- */

static volatile uintptr_t interrupted;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    interrupted = os_context_pc(context);
    count = stack_take_from(interrupted, pcs, STACK_MOST);
}

static FH_NOINLINE void raiser(unsigned skip)
{
    (void)skip;
    kill(getpid(), SIGUSR1);
    __asm__ volatile("");
}

static void test_stack__begins_at_what_a_signal_interrupted(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raiser(0);
    assert_true(count >= 3);
    assert_int_equal(pcs[0], interrupted);
    assert_true(is_in(pcs[1], raiser) || is_in(pcs[2], raiser));
}

/* ---- a stack that is not what it should be --------------------------------------------------------------------- */

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    stack_fault();
    _exit(100 + signal); /* a fault elsewhere */
}

static void fill_with_rubbish(void *unused)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t all, now;
    (void)unused;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* as many threads have it */
    uintptr_t *frame = __builtin_frame_address(0), saved = frame[0], back = frame[1];
    frame[0] = 0x10; /* where the caller keeps its frame pointer, and its return address */
    frame[1] = (uintptr_t)fill_with_rubbish + 1;
    count = stack_take(pcs, STACK_MOST, 0);
    frame[0] = saved;
    frame[1] = back;
    sigprocmask(SIG_BLOCK, NULL, &now);
    if (count < 1 || !sigismember(&now, SIGSEGV)) _exit(1);
    count = stack_take(pcs, STACK_MOST, 0);
    _exit(count < 2);
}

static void test_stack__survives_one_that_leads_nowhere(void **state)
{
    (void)state;
    struct child_end end = child_run(fill_with_rubbish, NULL);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
}

static void test_stack__allocates_nothing(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < 1000; i++) middle(0);
    struct mallinfo2 after = mallinfo2();
    assert_int_equal(before.uordblks, after.uordblks);
    assert_int_equal(before.hblks, after.hblks);
}

static void *in_thread(void *unused)
{
    (void)unused;
    uintptr_t mine[STACK_MOST];
    for (int i = 0; i < 2000; i++)
        if (stack_take(mine, STACK_MOST, 0) < 2) return (void *)1;
    return NULL;
}

static void test_stack__is_each_threads_own(void **state)
{
    (void)state;
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, in_thread, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
}

int main(void)
{
    stack_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stack__tells_its_callers_innermost_first),
        cmocka_unit_test(test_stack__stops_where_it_is_told),
        cmocka_unit_test(test_stack__goes_through_code_without_frame_pointers),
        cmocka_unit_test(test_stack__begins_at_what_a_signal_interrupted),
        cmocka_unit_test(test_stack__survives_one_that_leads_nowhere),
        cmocka_unit_test(test_stack__allocates_nothing),
        cmocka_unit_test(test_stack__is_each_threads_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
