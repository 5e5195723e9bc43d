/*
 * Holding a program at its very end, to see what it has resident then.
 *
 * The kernel stops the main thread of a process that we trace when it is about to end, for whatever
 * reason, with all memory in place (PTRACE_O_TRACEEXIT). Nothing else is traced: no system call, no
 * other thread, no child. What the trace costs is a stop for each signal that the main thread gets.
 *
 * A look for leaks (look.h) needs more: all threads alive, so it comes before, when the program asks.
 *
 * Rejected: to look every millisecond, which is late by one and costs the program its cache; the
 * library's own destructor, which a program that ends by _exit or a signal never reaches, and which
 * other allocators do not have.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "clock.h"
#include "run.h"

bool hold_begin(pid_t pid)
{
    return ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT) == 0;
}

static void hold_end(struct child *child)
{
    uint64_t began = clock_ns();
    child->plan->at_end(child->plan->context, child->pid);
    child->elapsed_ns += clock_ns() - began; /* the start is moved by as much */
    ptrace(PTRACE_DETACH, child->pid, NULL, NULL);
}

/* For a look, which traces it too. An end is not taken from whoever waits for it. */
static bool hold_pause(const struct child *child)
{
    siginfo_t info = {0};
    int status;
    if (ptrace(PTRACE_INTERRUPT, child->pid, NULL, NULL) != 0) return false;
    waitid(P_PID, (id_t)child->pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL);
    if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) return false;
    waitpid(child->pid, &status, __WALL);
    int number = status >> 16 ? 0 : WSTOPSIG(status);
    return ptrace(PTRACE_DETACH, child->pid, NULL, (void *)(intptr_t)number) == 0;
}

/* It waits while it is copied; then we go on searching, and it to its end. That it does both at a time is
 * not worth a clock of its own: all of it is left out of its time. */
void hold_look(struct child *child)
{
    struct look *look = child->plan->look;
    if (look_is_asked(look)) {
        uint64_t began = clock_ns();
        bool held = child->held && hold_pause(child);
        look_picture(look);
        if (held) child->held = hold_begin(child->pid);
        look_let_go(look);
        look_find(look);
        child->elapsed_ns += clock_ns() - began;
    }
    look_children(look);
}

/* A group that was stopped stays so until SIGCONT; the end of that stop is told as a stop of its own. */
static bool hold_group(struct child *child, int number)
{
    bool stopped = number != SIGTRAP;
    ptrace(stopped ? PTRACE_LISTEN : PTRACE_CONT, child->pid, NULL, NULL);
    return stopped;
}

bool hold_stopped(struct child *child, int status)
{
    int number = WSTOPSIG(status);
    switch (status >> 16) {
    case PTRACE_EVENT_EXIT: hold_end(child); return false;
    case PTRACE_EVENT_STOP: return hold_group(child, number);
    default: ptrace(PTRACE_CONT, child->pid, NULL, (void *)(intptr_t)number); return false;
    }
}
