/*
 * Waiting for a thread that we trace to stand.
 *
 * waitpid alone may wait for ever: the end of a process's first thread is told when all its other threads are
 * reaped, which is for their tracer to do, and the tracer waits here. So it is asked again and again, and a first
 * thread that has ended without being told so is known by its state.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "file.h"
#include "machine.h"

enum { YIELDS = 30, NAP_NS = 20000, NAP_NS_MAX = 1000000 };

char machine_state(pid_t tid)
{
    char path[64], state = 'X';
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
    if (!file_read(&text, path, 4096)) return state;
    const char *name_end = strrchr(text.data, ')');
    if (name_end && name_end[1]) state = name_end[2];
    free(text.data);
    return state;
}

static bool is_zombie(pid_t tid)
{
    char state = machine_state(tid);
    return state == 'Z' || state == 'X';
}

/* Yields first: mostly it stands at once. */
static void nap(int tries, long *ns)
{
    struct timespec t = {.tv_nsec = *ns};
    if (tries < YIELDS) {
        sched_yield();
        return;
    }
    nanosleep(&t, NULL);
    if (*ns < NAP_NS_MAX) *ns *= 2;
}

bool machine_await(struct machine_wait *w)
{
    long ns = NAP_NS;
    for (int tries = 0;; tries++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)w->tid, &info, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL))
            return false;
        if (info.si_pid == 0) {
            if (ns >= NAP_NS_MAX && is_zombie(w->tid)) return false;
            w->is_over = w->over && tries > YIELDS && w->over(w->context, w->tid);
            if (w->is_over) return false;
            nap(tries, &ns);
            continue;
        }
        bool ended =
            info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
        if (ended && w->own) return false;
        return waitpid(w->tid, &w->status, __WALL) == w->tid && WIFSTOPPED(w->status);
    }
}
