/*
 * The end of a program whose memory is damaged: one line, then SIGABRT, whatever the program has done
 * to that signal.
 */
#include "base/base.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "kit/child.h"
#include "kit/unit.h"

static void fail_check(void *unused)
{
    (void)unused;
    int answer = 41;
    CHECK(answer == 42);
}

static void test_panic__says_what_was_not_so(void **state)
{
    (void)state;
    struct child_end end = child_run(fail_check, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "freehold: internal check failed: answer == 42 ("));
    assert_non_null(strstr(end.said, "panic_test.c:"));
    assert_ptr_equal(strchr(end.said, '\n'), end.said + strlen(end.said) - 1); /* one line */
}

static void ignore_and_abort(void *unused)
{
    (void)unused;
    sigset_t all;
    sigfillset(&all);
    signal(SIGABRT, SIG_IGN);
    sigprocmask(SIG_SETMASK, &all, NULL);
    base_abort();
}

static void test_panic__ends_though_the_signal_is_blocked_and_ignored(void **state)
{
    (void)state;
    assert_int_equal(child_run(ignore_and_abort, NULL).signal, SIGABRT);
}

static void handle(int signal)
{
    (void)signal;
    if (write(2, "handled\n", 8) != 8) _exit(3);
}

static void handle_and_abort(void *unused)
{
    (void)unused;
    signal(SIGABRT, handle);
    base_abort();
}

static void test_panic__runs_the_programs_handler_first(void **state)
{
    (void)state;
    struct child_end end = child_run(handle_and_abort, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_string_equal(end.said, "handled\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panic__says_what_was_not_so),
        cmocka_unit_test(test_panic__ends_though_the_signal_is_blocked_and_ignored),
        cmocka_unit_test(test_panic__runs_the_programs_handler_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
