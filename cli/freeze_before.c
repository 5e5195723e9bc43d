/*
 * What can be seen of the threads before the first of them is stopped: whether one of them would not stop, so that
 * the others would stand in vain, or would not go on as it was.
 *
 * A thread that the kernel holds where no signal reaches it (state D) stops when the kernel is done: mostly at once,
 * after a page was read; but vfork holds it until its child calls exec or ends, which may be never.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "fields.h"
#include "freeze_inside.h"

/* Waiting here costs the process nothing. */
enum { PATIENCE_MS = 1000, NAP_NS = 2000000 };

bool freeze_interrupted(void)
{
    sigset_t pending;
    struct sigaction action;
    sigpending(&pending);
    for (const int *s = freeze_signals; *s; s++) {
        if (sigismember(&pending, *s) == 1 && sigaction(*s, NULL, &action) == 0 &&
            action.sa_handler != SIG_IGN)
            return true;
    }
    return false;
}

bool freeze_late(struct freeze *f, pid_t tid)
{
    char path[64], state = machine_state(tid);
    struct file_text place = {0};
    int pid = (int)f->pid;
    if (freeze_interrupted()) return freeze_refuse(f, "interrupted; process %d goes on", pid);
    if (state != 'D')
        return freeze_refuse(f,
                             "thread %d of process %d did not stop in time (state %c), and all go "
                             "on: the machine is busy, try again",
                             (int)tid, pid, state);
    snprintf(path, sizeof path, "/proc/%d/task/%d/wchan", pid, (int)tid);
    bool read = file_read(&place, path, 100) && place.size > 1;
    freeze_refuse(f,
                  "thread %d of process %d cannot be stopped where it waits (state D%s%s), as in "
                  "vfork until its child has called exec or ended: all go on; look again when it "
                  "does",
                  (int)tid, pid, read ? ", in the kernel's " : "", read ? place.data : "");
    free(place.data);
    return false;
}

/* Until it is seen out of there once. */
static bool may_stop(struct freeze *f, pid_t tid)
{
    uint64_t deadline = clock_ns() + PATIENCE_MS * 1000000ull;
    while (machine_state(tid) == 'D') {
        if (clock_ns() > deadline || freeze_interrupted()) return freeze_late(f, tid);
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
    }
    return true;
}

/* Under a filter, a call that is gone on with by another one may end the process. */
static bool may_go_on(struct freeze *f, pid_t tid)
{
    char path[64];
    struct file_text text;
    uint64_t argument[6] = {0};
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)f->pid, (int)tid);
    if (!file_read(&text, path, 4096)) return true;
    char *at = text.data;
    long number = strtol(text.data, &at, 10);
    bool waits = at != text.data;
    for (int i = 0; i < 6; i++) argument[i] = strtoull(at, &at, 16);
    free(text.data);
    return !waits || !machine_must_restart(number, argument) ||
           freeze_refuse(f,
                         "thread %d of process %d waits under seccomp in a call that cannot be "
                         "interrupted safely on this machine: take a core file and look into that",
                         (int)tid, (int)f->pid);
}

static bool is_filtered(pid_t pid)
{
    struct file_text status;
    uint64_t seccomp = 0;
    if (!status_read(&status, pid, pid)) return false;
    field_number(status.data, status.size, "Seccomp", &seccomp);
    free(status.data);
    return seccomp != 0;
}

bool freeze_may_begin(struct freeze *f)
{
    char path[64];
    bool filtered = is_filtered(f->pid), may = true;
    snprintf(path, sizeof path, "/proc/%d/task", (int)f->pid);
    DIR *tasks = opendir(path);
    if (!tasks) return freeze_refuse(f, "process %d has ended", (int)f->pid);
    for (struct dirent *entry; may && (entry = readdir(tasks));) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        may = tid <= 0 || (may_stop(f, tid) && (!filtered || may_go_on(f, tid)));
    }
    closedir(tasks);
    return may;
}
