/*
 * prctl, because a process that locks itself in with it must not be killed for our helper.
 *
 * After a seccomp filter that forbids clone, the first free that starts the purger's helper would end
 * the process; and a helper that is there would be ended for reading its status. Nothing tells a
 * filter's rules, and after it there may be no way to ask. But before an unprivileged process may
 * install one it must give up new privileges, by prctl, and that is early enough: from then on the
 * helper is off for good (as by purge=0), and memory goes back by malloc_trim only.
 *
 * Rejected: to ask PR_GET_SECCOMP before each start: the question may be forbidden, too.
 */
#ifndef FH_NO_INTERPOSE

#include <errno.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "base/syscall.h"
#include "face/face.h"
#include "face/oom.h"
#include "os/os.h"
#include "span/purger.h"

/* What start-up and a thread's first block ask of the kernel may be forbidden soon, too. In the child of
 * a vfork or of a raw clone there is no helper to wait for: only libc's fork tells us of a child. */
static void helper_off(void)
{
    fh_free(fh_malloc(1));
    locked_in = true;
    policy_confined();
    __atomic_store_n(&options.purge, 0, __ATOMIC_RELAXED);
    if (fh_registry.pid == os_process_id()) {
        purger_stop();
        oom_stop();
    } else {
        purger.enabled = false;
    }
}

PUBLIC __attribute__((weak)) int prctl(int option, ...)
{
    unsigned long argument[4];
    va_list list;
    va_start(list, option);
    for (int i = 0; i < 4; i++) argument[i] = va_arg(list, unsigned long);
    va_end(list);
    if (option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP) helper_off();
    long result = SYS5(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
    if (!base_syscall_failed(result)) return (int)result;
    errno = (int)-result;
    return -1;
}

#endif
