/*
 * Holding a program at its very end, to see what it has resident then.
 *
 * The kernel stops the main thread of a process that we trace when it is about to end, for whatever
 * reason, with all memory in place (PTRACE_O_TRACEEXIT). Nothing else is traced: no system call, no
 * other thread, no child. What the trace costs is a stop for each signal that the main thread gets.
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
