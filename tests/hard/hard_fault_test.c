/*
 * Faults. What could break: a fault in memory of ours that goes by, one of somebody else's that is taken for ours,
 * that meets another handler, stack, mask or flags than the program asked for, or ends the process by another
 * signal; what a program is told when it asks for its handlers; a child made by vfork that changes its parent's.
 */
#include "kit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "hard/fault.h"
#include "hard/report.h"
#include "kit/child.h"

static volatile char sink;
static char *nothing; /* a page that faults, of the program's */

/* cmocka has its own handlers of faults by now: each child begins as a program does. */
static struct child_end run(void (*body)(void *), void *argument)
{
    struct sigaction before[2], plain = {.sa_handler = SIG_DFL};
    sigaction(SIGSEGV, &plain, &before[0]);
    sigaction(SIGBUS, &plain, &before[1]);
    struct child_end end = child_run(body, argument);
    sigaction(SIGSEGV, &before[0], NULL);
    sigaction(SIGBUS, &before[1], NULL);
    return end;
}

static void must(bool condition, int status)
{
    if (!condition) _exit(status);
}

/* ---- ours ------------------------------------------------------------------------------------------------------- */

static void run_into_guard(void *unused)
{
    (void)unused;
    fake_live(FAKE_SLOTS - 1, 48, KIND_MALLOC)[48 + 4096] = 1; /* the slab ends before */
}

static void touch_freed_large(void *unused)
{
    char *p = fake_large(20000);
    (void)unused;
    fake_large_state(SLOT_QUARANTINED);
    sink = p[12345];
}

static void run_off_large(void *unused)
{
    (void)unused;
    fake_large(20000)[20000 + 4096] = 1;
}

static void run_before_large(void *unused)
{
    char *p = fake_large(20000);
    (void)unused;
    sink = p[-8192];
}

static void touch_records(void *unused)
{
    (void)unused;
    hard.meta = (uintptr_t)nothing;
    sink = *nothing;
}

static void on_own_stack(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
    _exit(50);
}

static void program_has_a_handler(void *unused)
{
    struct sigaction action = {.sa_sigaction = on_own_stack, .sa_flags = SA_SIGINFO};
    (void)unused;
    must(sigaction(SIGSEGV, &action, NULL) == 0, 1);
    run_off_large(NULL);
}

static void test_fault__ours_are_told(void **state)
{
    (void)state;
    const struct {
        void (*body)(void *);
        const char *says;
    } cases[] = {
        {run_into_guard, ": write 4096 bytes past the end of a block of 48 bytes; stopping\n"},
        {touch_freed_large, ": read 12345 bytes into a freed block of 20000 bytes; stopping\n"},
        {run_off_large, ": write 4096 bytes past the end of a block of 20000 bytes; stopping\n"},
        {run_before_large, ": read 8192 bytes in front of a block of 20000 bytes; stopping\n"},
        {touch_records, ": freehold's own records are damaged, or were touched; stopping\n"},
        {program_has_a_handler,
         ": write 4096 bytes past the end of a block of 20000 bytes; stopping\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child_end end = run(cases[i].body, NULL);
        if (end.signal != SIGABRT || !strstr(end.said, cases[i].says))
            fail_msg("case %zu: signal %d, status %d, said %s", i, end.signal, end.status,
                     end.said);
        assert_non_null(strstr(end.said, "fault_test+0x"));
    }
}

/* ---- everybody else's --------------------------------------------------------------------------------------------- */

static void fault_plainly(void *unused)
{
    (void)unused;
    *nothing = 1;
}

static void fault_nowhere(void *unused)
{
    (void)unused;
    sink = *(volatile char *)0x8000000000000000ull; /* no address at all: the kernel tells none */
}

static void send_to_itself(void *unused)
{
    (void)unused;
    raise(SIGSEGV);
    _exit(9);
}

static void send_bus(void *unused)
{
    (void)unused;
    kill(getpid(), SIGBUS);
    _exit(9);
}

static void test_fault__others_end_as_ever(void **state)
{
    (void)state;
    const struct {
        void (*body)(void *);
        int signal;
    } cases[] = {{fault_plainly, SIGSEGV},
                 {fault_nowhere, SIGSEGV},
                 {send_to_itself, SIGSEGV},
                 {send_bus, SIGBUS}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct child_end end = run(cases[i].body, NULL);
        assert_int_equal(end.signal, cases[i].signal);
        assert_string_equal(end.said, "");
    }
}

static sigjmp_buf back;
static volatile int seen;
static siginfo_t seen_info;
static char *other_stack;
static volatile bool was_on_other_stack;
static sigset_t seen_mask;

static void catcher(int signal, siginfo_t *info, void *context)
{
    char here;
    (void)context;
    seen = signal;
    seen_info = *info;
    was_on_other_stack = &here >= other_stack && &here < other_stack + 65536;
    sigprocmask(SIG_BLOCK, NULL, &seen_mask);
    siglongjmp(back, 1);
}

static void plain_catcher(int signal)
{
    seen = signal;
    siglongjmp(back, 1);
}

static void with_handler(int flags)
{
    struct sigaction action = {.sa_sigaction = catcher, .sa_flags = SA_SIGINFO | flags}, told = {0};
    sigaddset(&action.sa_mask, SIGUSR2);
    stack_t stack = {.ss_sp = other_stack = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    must(sigaction(SIGSEGV, &action, &told) == 0, 1);
    must(told.sa_handler == SIG_DFL && !(told.sa_flags & SA_SIGINFO), 2);
    must(sigaction(SIGSEGV, NULL, &told) == 0, 3);
    must(told.sa_sigaction == catcher && (told.sa_flags & SA_SIGINFO) &&
             sigismember(&told.sa_mask, SIGUSR2),
         4);
    must((told.sa_flags & (int)(SA_ONSTACK | SA_NODEFER | SA_RESETHAND)) == flags, 5);
    if (sigsetjmp(back, 1) == 0) {
        *nothing = 1;
        _exit(6);
    }
    must(seen == SIGSEGV && seen_info.si_addr == nothing && seen_info.si_code > 0, 7);
    must(was_on_other_stack == !!(flags & SA_ONSTACK), 8);
    must(sigismember(&seen_mask, SIGUSR2) && !sigismember(&seen_mask, SIGUSR1), 9);
    must(sigismember(&seen_mask, SIGSEGV) == !(flags & SA_NODEFER), 10);
}

static void handlers(void *unused)
{
    (void)unused;
    with_handler(0);
    signal(SIGSEGV, SIG_DFL);
    with_handler(SA_ONSTACK);
    signal(SIGSEGV, SIG_DFL);
    with_handler(SA_NODEFER | SA_ONSTACK);
    if (sigsetjmp(back, 1) == 0) { /* it is still there */
        *nothing = 1;
        _exit(20);
    }
    signal(SIGSEGV, SIG_DFL);
    with_handler(SA_RESETHAND);
    struct sigaction told;
    sigaction(SIGSEGV, NULL, &told);
    must(told.sa_handler == SIG_DFL, 21);
    *nothing = 1; /* and ends it now */
}

static void handlers_of_signal(void *unused)
{
    (void)unused;
    must(signal(SIGSEGV, plain_catcher) == SIG_DFL, 1);
    for (volatile int i = 0; i < 3; i++) {
        if (sigsetjmp(back, 1) == 0) {
            *nothing = 1;
            _exit(2);
        }
        must(seen == SIGSEGV, 3);
        seen = 0;
    }
    if (sigsetjmp(back, 1) == 0) raise(SIGSEGV);
    must(seen == SIGSEGV, 4);
    must(signal(SIGSEGV, SIG_IGN) == plain_catcher, 5);
    raise(SIGSEGV); /* is ignored */
    must(signal(SIGSEGV, SIG_DFL) == SIG_IGN, 6);
    must(signal(SIGUSR1, plain_catcher) == SIG_DFL && signal(SIGUSR1, SIG_DFL) == plain_catcher, 7);
    must(signal(-1, plain_catcher) == SIG_ERR && errno == EINVAL, 8);
    struct sigaction action = {.sa_handler = plain_catcher}, *same = &action;
    must(sigaction(SIGSEGV, same, &action) == 0 && action.sa_handler == SIG_DFL,
         9); /* in and out the same */
    must(sigaction(SIGSEGV, NULL, &action) == 0 && action.sa_handler == plain_catcher, 10);
}

static void after_vfork(void *unused)
{
    int status;
    (void)unused;
    signal(SIGSEGV, plain_catcher);
    volatile pid_t pid = vfork();
    if (pid == 0) {
        struct sigaction told;
        sigaction(SIGSEGV, NULL, &told);
        bool right = told.sa_handler == plain_catcher;
        signal(SIGSEGV, SIG_DFL); /* as before an exec */
        _exit(right ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    must(status == 0, 1);
    if (sigsetjmp(back, 1) == 0) {
        *nothing = 1;
        _exit(2);
    }
    must(seen == SIGSEGV, 3);
    pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        *nothing = 1;
    }
    waitpid(pid, &status, 0);
    must(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, 4);
    must(signal(SIGSEGV, plain_catcher) == plain_catcher, 5);
}

static void *change_often(void *unused)
{
    for (int i = 0; i < 20000; i++) {
        signal(SIGBUS, i % 2 ? plain_catcher : SIG_DFL);
        sighandler_t told = signal(SIGBUS, SIG_DFL);
        if (told != plain_catcher && told != SIG_DFL) return (void *)1;
    }
    return unused;
}

static void from_threads(void *unused)
{
    pthread_t thread[3];
    (void)unused;
    for (int i = 0; i < 3; i++) pthread_create(&thread[i], NULL, change_often, NULL);
    signal(SIGSEGV, plain_catcher);
    for (volatile int i = 0; i < 2000; i++)
        if (sigsetjmp(back, 1) == 0) *nothing = 1;
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        must(failed == NULL, 1);
    }
}

static void test_fault__programs_handlers_are_as_they_asked_for(void **state)
{
    (void)state;
    assert_int_equal(run(handlers, NULL).signal, SIGSEGV);
    assert_int_equal(run(handlers_of_signal, NULL).status, 0);
    assert_int_equal(run(after_vfork, NULL).status, 0);
    assert_int_equal(run(from_threads, NULL).status, 0);
}

static void all_but_ours(void *unused)
{
    (void)unused;
    signal(SIGSEGV, plain_catcher);
    fault_stop();
    if (sigsetjmp(back, 1) == 0) *nothing = 1;
    must(seen == SIGSEGV, 1);
    signal(SIGSEGV, SIG_DFL);
    *nothing = 1;
}

static void test_fault__leaves_when_it_is_told(void **state)
{
    (void)state;
    assert_int_equal(run(all_but_ours, NULL).signal, SIGSEGV);
}

int main(void)
{
    fake_start(0, 0);
    report_start(NULL);
    fault_start();
    pthread_atfork(NULL, NULL, fault_fork_child); /* as the library does */
    nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest unit[] = {
        cmocka_unit_test(test_fault__ours_are_told),
        cmocka_unit_test(test_fault__others_end_as_ever),
        cmocka_unit_test(test_fault__programs_handlers_are_as_they_asked_for),
        cmocka_unit_test(test_fault__leaves_when_it_is_told),
    };
    return cmocka_run_group_tests(unit, NULL, NULL);
}
