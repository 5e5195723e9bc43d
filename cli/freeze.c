/* Stopping all threads and letting them go. What is looked at before: freeze_before.c; the clone: freeze_clone.c; what forbids it: freeze_check.c. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "clock.h"
#include "fields.h"
#include "filter.h"
#include "freeze_inside.h"

enum { THREADS_MAX = 1 << 20, ROUNDS_MAX = 100 };

/* How long the others stand for one that does not stop: because the kernel holds it, or because no processor has run
 * it yet. */
enum { HELD_MS_MAX = 100, WAITING_MS_MAX = 2000 };

/* While it stands, nobody should be served before us; where that is not permitted, so be it. */
static void hurry(bool on)
{
    static int before;
    if (on) before = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, on ? -20 : before);
}

/* ---- one thread ----------------------------------------------------------------------------- */

/* What will happen to it as soon as it goes on. */
struct coming {
    bool
        signal; /* some signal that is not blocked waits for it: then EINTR is what it would have seen anyway */
    bool caught; /* one for which it has a handler */
    bool filter; /* it is under seccomp */
};

static bool read_coming(struct coming *c, const struct freeze *f, const struct frozen_thread *t)
{
    struct file_text status;
    uint64_t own = 0, shared = 0, blocked = 0, ignored = 0, caught = 0, seccomp = 0;
    if (!status_read(&status, f->pid, t->tid)) return false;
    bool read = field_hex(status.data, status.size, "SigPnd", &own) &&
                field_hex(status.data, status.size, "ShdPnd", &shared) &&
                field_hex(status.data, status.size, "SigBlk", &blocked) &&
                field_hex(status.data, status.size, "SigIgn", &ignored) &&
                field_hex(status.data, status.size, "SigCgt", &caught);
    field_number(status.data, status.size, "Seccomp", &seccomp);
    free(status.data);
    uint64_t pending = (own | shared) & ~blocked;
    uint64_t delivered = t->signal ? 1ull << (t->signal - 1) : 0;
    *c = (struct coming){.signal = (pending & ~ignored) != 0,
                         .caught = ((pending | delivered) & caught) != 0,
                         .filter = seccomp != 0};
    return read;
}

/* A filter that does not let restart_syscall pass would end the process: a call that the kernel goes on with by
 * that one is made again instead, as soon as the thread stands. What is left of a relative time is not known: it
 * begins anew (but for a sleep whose remainder the kernel wrote to where its time is read from). */
static bool must_be_made_again(const struct frozen_thread *t, const struct coming *c)
{
    struct seccomp_data restart;
    return c->filter && !c->caught && machine_goes_on_by_restart(&t->registers, &restart) &&
           !filter_allows(t->tid, &restart);
}

static void put_back(const struct freeze *f, struct frozen_thread *t)
{
    struct coming coming;
    struct seccomp_data restart;
    bool cut = t->trapped && machine_was_cut(&t->registers);
    if (!cut && !machine_goes_on_by_restart(&t->registers, &restart)) return;
    if (!read_coming(&coming, f, t)) return;
    if ((cut && !coming.signal) || must_be_made_again(t, &coming))
        machine_put_back(&t->registers, t->tid);
}

/* It stands: because of us, because a signal is about to be delivered, or with its whole group. */
static bool take_stop(struct freeze *f, struct frozen_thread *t, int status)
{
    int event = status >> 16, signal = WSTOPSIG(status);
    t->trapped = event == PTRACE_EVENT_STOP && signal == SIGTRAP;
    if (event == 0) t->signal = signal;
    if (!machine_get(&t->registers, t->tid)) return false;
    put_back(f, t);
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

/* Some other of those that were asked has not come to stop yet, and may have what a held one waits for. */
static bool any_runs(const struct freeze *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->threads[i].tid && machine_state(f->threads[i].tid) == 'R') return true;
    }
    return false;
}

static bool is_over(void *context, pid_t tid)
{
    const struct freeze *f = context;
    bool held = machine_state(tid) == 'D';
    uint64_t passed_ms = (clock_ns() - f->asked_ns) / 1000000;
    if (held && freeze_interrupted()) return true;
    return passed_ms > WAITING_MS_MAX || (held && passed_ms > HELD_MS_MAX && !any_runs(f));
}

/* False: it has ended, or is late. */
static bool thread_await(struct freeze *f, struct frozen_thread *t)
{
    struct machine_wait wait = {
        .tid = t->tid, .own = f->own && t->tid == f->pid, .over = is_over, .context = f};
    bool stands = machine_await(&wait);
    if (wait.is_over) f->late = t->tid;
    return stands && take_stop(f, t, wait.status);
}

bool thread_seize(struct freeze *f, pid_t tid)
{
    errno = EAGAIN;
    if (machine_state(tid) == 'D' || !thread_ask(f, tid)) return false;
    f->asked_ns = clock_ns();
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

/* All are asked before the first is waited for: on a busy machine each answers in its own time. The first
 * thread comes last: should the process be killed, its end is told when all others are reaped, which is for us
 * to do. */
static void await_from(struct freeze *f, size_t first)
{
    size_t kept = first;
    for (int leader = 0; leader <= 1; leader++) {
        for (size_t i = first; i < f->count; i++) {
            struct frozen_thread *t = &f->threads[i];
            if ((t->tid == f->pid) == leader && !thread_await(f, t)) t->tid = 0;
        }
    }
    for (size_t i = first; i < f->count; i++) {
        if (f->threads[i].tid) f->threads[kept++] = f->threads[i];
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
    if (f->late) return freeze_late(f, f->late);
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

static bool hold_all(struct freeze *f)
{
    hurry(true);
    f->began_ns = f->asked_ns = clock_ns();
    f->holding = true;
    return seize_all(f);
}

static void let_all_go(struct freeze *f)
{
    if (!f->holding) return;
    for (size_t i = 0; i < f->count; i++) thread_let_go(&f->threads[i]);
    f->holding = false;
    f->stopped_us += (clock_ns() - f->began_ns) / 1000;
    hurry(false);
}

bool freeze_begin(struct freeze *f, pid_t pid, const char *command, const struct maps *maps,
                  bool copy)
{
    siginfo_t ended;
    if (!freeze_possible(f, pid, command)) return false;
    f->own = waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
    if (!freeze_may_begin(f)) return false;
    if (!hold_all(f)) {
        let_all_go(f);
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

/* Where one of them would not stop, the others do not stand for it: the first one does alone. */
static void hold_again(struct freeze *f)
{
    f->count = 0;
    f->late = 0;
    if (freeze_may_begin(f)) {
        hold_all(f);
        return;
    }
    hurry(true);
    f->began_ns = clock_ns();
    f->holding = true;
    thread_seize(f, f->pid);
}

/* A zombie is seen by its tracer only, until that one has waited for it. So all stand then, and go on when it has left
 * the list: a wait for any child (wait4 with __WALL) never finds it. */
static void end_child(struct freeze *f)
{
    siginfo_t ended;
    struct freeze_reaping reaping;
    kill(f->child, SIGKILL);
    waitid(P_PID, (id_t)f->child, &ended, WEXITED | WNOWAIT | __WALL);
    freeze_reap_prepare(&reaping, f);
    hold_again(f);
    waitpid(f->child, NULL, __WALL);
    freeze_reap(&reaping, f);
    let_all_go(f);
    freeze_reap_finish(&reaping);
    f->child = 0;
}

void freeze_release(struct freeze *f)
{
    let_all_go(f);
    if (f->child) end_child(f);
}

void freeze_finish(struct freeze *f)
{
    free(f->threads);
    f->threads = NULL;
    f->count = f->capacity = 0;
}
