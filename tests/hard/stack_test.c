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

/* A frame whose table says that its caller is found where there is no memory. */
void wrong_frame(void);
#if defined(__x86_64__)
__asm__(".text\n.type wrong_frame, @function\nwrong_frame:\n.cfi_startproc\n"
        "push %rbx\n.cfi_adjust_cfa_offset 8\nmov $0x10, %ebx\n.cfi_def_cfa rbx, 16\n"
        "call in_wrong_frame\n.cfi_def_cfa rsp, 16\npop %rbx\n.cfi_adjust_cfa_offset -8\nret\n"
        ".cfi_endproc\n.size wrong_frame, . - wrong_frame\n");
#elif defined(__aarch64__)
__asm__(".text\n.type wrong_frame, %function\nwrong_frame:\n.cfi_startproc\n"
        "stp x19, x30, [sp, -16]!\nmov x19, 0x10\n.cfi_def_cfa x19, 16\n.cfi_offset x30, -8\n"
        "bl in_wrong_frame\n.cfi_def_cfa sp, 16\nldp x19, x30, [sp], 16\nret\n"
        ".cfi_endproc\n.size wrong_frame, . - wrong_frame\n");
#endif

void in_wrong_frame(void);
void in_wrong_frame(void)
{
    count = stack_take(pcs, STACK_MOST, 0);
    __asm__ volatile("");
}

static void take_in_wrong_frame(void *unused)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t all, now;
    (void)unused;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL); /* as many threads have it */
    for (int i = 0; i < 3; i++) {
        wrong_frame();
        if (count != 2 || pcs[1] < (uintptr_t)wrong_frame || pcs[1] > (uintptr_t)wrong_frame + 50)
            _exit(1);
    }
    sigprocmask(SIG_BLOCK, NULL, &now);
    if (!sigismember(&now, SIGSEGV)) _exit(2);
    _exit(stack_take(pcs, STACK_MOST, 0) < 3);
}

static void test_stack__survives_one_that_leads_nowhere(void **state)
{
    (void)state;
    struct child_end end = child_run(take_in_wrong_frame, NULL);
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
