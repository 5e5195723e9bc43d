/* Stopping all threads and letting them go. The clone: freeze_clone.c; what forbids it: freeze_check.c. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "freeze_inside.h"

enum { THREADS_MAX = 1 << 20, ROUNDS_MAX = 100 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Ctrl-C must not leave a child behind: it takes effect when there is none any more. */
static void hold_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (const int *s = (int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, 0}; *s; s++)
        sigaddset(&set, *s);
    sigprocmask(how, &set, NULL);
}

/* While it stands, nobody should be served before us; where that is not permitted, so be it. */
static void hurry(bool on)
{
    static int before;
    if (on) before = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, on ? -20 : before);
}

/* ---- one thread ----------------------------------------------------------------------------- */

/* A signal that is not blocked waits for the thread: then EINTR is what it would have seen anyway. */
static bool has_signal(pid_t pid, pid_t tid)
{
    struct file_text status;
    uint64_t own = 0, shared = 0, blocked = 0, ignored = 0;
    if (!status_read(&status, pid, tid)) return true;
    bool read = status_field(status.data, "\nSigPnd:", 16, &own) &&
                status_field(status.data, "\nShdPnd:", 16, &shared) &&
                status_field(status.data, "\nSigBlk:", 16, &blocked) &&
                status_field(status.data, "\nSigIgn:", 16, &ignored);
    free(status.data);
    return !read || ((own | shared) & ~blocked & ~ignored) != 0;
}

/* It stands: because of us, because a signal is about to be delivered, or with its whole group. */
static bool take_stop(struct freeze *f, struct frozen_thread *t, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    t->trapped = event == PTRACE_EVENT_STOP && signal == SIGTRAP;
    if (event == 0) t->signal = signal;
    if (!machine_get(&t->registers, t->tid)) return false;
    if (t->trapped && machine_was_cut(&t->registers) && !has_signal(f->pid, t->tid))
        machine_put_back(&t->registers, t->tid);
    return true;
}

void thread_let_go(const struct frozen_thread *t)
{
    ptrace(PTRACE_DETACH, t->tid, 0, (long)t->signal);
}

static struct frozen_thread *thread_add(struct freeze *f, pid_t tid)
{
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 64;
        struct frozen_thread *grown = realloc(f->threads, capacity * sizeof *grown);
        if (!grown) return NULL;
        f->threads = grown;
        f->capacity = capacity;
    }
    struct frozen_thread *t = &f->threads[f->count++];
    *t = (struct frozen_thread){.tid = tid};
    return t;
}

/* Asks it to stand. */
static bool thread_ask(struct freeze *f, pid_t tid)
{
    if (ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD) != 0) return false;
    struct frozen_thread *t = thread_add(f, tid);
    if (t) machine_before_stop(&t->registers, f->pid, tid);
    if (t && ptrace(PTRACE_INTERRUPT, tid, 0, 0) == 0) return true;
    ptrace(PTRACE_DETACH, tid, 0, 0);
    if (t) f->count--;
    errno = t ? ESRCH : ENOMEM;
    return false;
}

/* False: it has ended. */
static bool thread_await(struct freeze *f, struct frozen_thread *t)
{
    int status;
    return waitpid(t->tid, &status, __WALL) == t->tid && WIFSTOPPED(status) &&
           take_stop(f, t, status);
}

bool thread_seize(struct freeze *f, pid_t tid)
{
    if (!thread_ask(f, tid)) return false;
    if (thread_await(f, &f->threads[f->count - 1])) return true;
    f->count--;
    errno = ESRCH;
    return false;
}

/* ---- all threads ---------------------------------------------------------------------------- */

static int compare_tids(const void *a, const void *b)
{
    pid_t x = ((const struct frozen_thread *)a)->tid, y = ((const struct frozen_thread *)b)->tid;
    return (x > y) - (x < y);
}

static bool is_seized(const struct freeze *f, size_t sorted, pid_t tid)
{
    struct frozen_thread key = {.tid = tid};
    return bsearch(&key, f->threads, sorted, sizeof key, compare_tids) != NULL;
}

/* All are asked before the first is waited for: on a busy machine each answers in its own time. */
static void await_from(struct freeze *f, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < f->count; i++) {
        struct frozen_thread t = f->threads[i];
        if (thread_await(f, &t)) f->threads[kept++] = t;
    }
    f->count = kept;
}

/* Stops the threads that are not stopped yet; *found counts them. False: not permitted. */
static bool seize_round(struct freeze *f, size_t *found)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)f->pid);
    DIR *tasks = opendir(path);
    if (!tasks) return freeze_refuse(f, "process %d ended while it was being stopped", (int)f->pid);
    if (f->count) qsort(f->threads, f->count, sizeof *f->threads, compare_tids);
    size_t sorted = f->count;
    bool permitted = true;
    for (struct dirent *entry; permitted && f->count < THREADS_MAX && (entry = readdir(tasks));) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid <= 0 || is_seized(f, sorted, tid)) continue;
        permitted = thread_ask(f, tid) || errno == ESRCH || errno == EAGAIN;
    }
    closedir(tasks);
    *found = f->count - sorted;
    await_from(f, sorted);
    return permitted || freeze_forbidden(f);
}

/* Until nobody is left who could make another thread. */
static bool seize_all(struct freeze *f)
{
    size_t found = 1;
    for (int round = 0; found > 0; round++) {
        if (round == ROUNDS_MAX)
            return freeze_refuse(f,
                                 "process %d makes threads faster than they can be stopped: try "
                                 "again, or look into a core file",
                                 (int)f->pid);
        if (!seize_round(f, &found)) return false;
    }
    return f->count > 0 ||
           freeze_refuse(f, "process %d ended while it was being stopped", (int)f->pid);
}

static void let_all_go(struct freeze *f)
{
    if (!f->holding) return;
    for (size_t i = 0; i < f->count; i++) thread_let_go(&f->threads[i]);
    f->holding = false;
    f->stopped_us += (now_ns() - f->began_ns) / 1000;
    hurry(false);
}

bool freeze_begin(struct freeze *f, pid_t pid, const struct maps *maps, bool copy)
{
    if (!freeze_possible(f, pid)) return false;
    hold_signals(SIG_BLOCK);
    hurry(true);
    f->began_ns = now_ns();
    f->holding = true;
    if (!seize_all(f)) {
        let_all_go(f);
        hold_signals(SIG_UNBLOCK);
        return false;
    }
    if (copy)
        snprintf(f->fallback, sizeof f->fallback, "--copy was asked for");
    else
        freeze_clone(f, maps);
    return true;
}

void freeze_go_on(struct freeze *f)
{
    if (f->child) let_all_go(f);
}

pid_t freeze_source(const struct freeze *f)
{
    return f->child ? f->child : f->pid;
}

void freeze_release(struct freeze *f)
{
    let_all_go(f);
    if (f->child) {
        kill(f->child, SIGKILL);
        waitpid(f->child, NULL, __WALL);
        hurry(true);
        f->began_ns = now_ns();
        freeze_reap(f);
        f->stopped_us += (now_ns() - f->began_ns) / 1000;
        hurry(false);
        f->child = 0;
    }
    hold_signals(SIG_UNBLOCK);
}

void freeze_finish(struct freeze *f)
{
    free(f->threads);
    f->threads = NULL;
    f->count = f->capacity = 0;
}
