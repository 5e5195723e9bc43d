/* The end of a program whose memory is no longer what it should be: one line, then SIGABRT. */
#include <signal.h>

#include "base/base.h"
#include "base/format.h"
#include "base/syscall.h"

_Noreturn void base_panic(const char *what, const char *file, int line)
{
    char buffer[256];
    struct text t = TEXT(buffer);
    text_str(&t, "freehold: internal check failed: ");
    text_str(&t, what);
    text_str(&t, " (");
    text_str(&t, file);
    text_char(&t, ':');
    text_dec(&t, (uint64_t)line);
    text_str(&t, "); the heap is damaged or freehold has a bug; stopping\n");
    SYS3(SYS_write, 2, buffer, t.length);
    base_abort();
}

_Noreturn void base_abort(void)
{
    /* Not abort(): it flushes nothing here, but takes a lock that a fork may have left held. */
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } standard = {SIG_DFL, 0, NULL, 0};
    unsigned long abort_only = 1ul << (SIGABRT - 1);
    long pid = SYS0(SYS_getpid), tid = SYS0(SYS_gettid);
    SYS3(SYS_tgkill, pid, tid,
         SIGABRT); /* a handler of the program's runs first, as with abort() */
    SYS4(SYS_rt_sigaction, SIGABRT, &standard, NULL, sizeof(unsigned long));
    SYS4(SYS_rt_sigprocmask, SIG_UNBLOCK, &abort_only, NULL, sizeof(unsigned long));
    SYS3(SYS_tgkill, pid, tid, SIGABRT);
    for (;;) SYS1(SYS_exit_group, 134);
}
