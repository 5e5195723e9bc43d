/*
 * Starting the program and standing between it and whoever sends signals.
 *
 * The program stays in our process group, so that the terminal treats it as it would without us:
 * what the terminal sends (^C, ^Z, hang-up) goes to the whole group, and reaches the program without
 * us. Such signals (si_code > 0: from the kernel) are only kept from ending us before the program
 * ends. What another process sends to our id is passed on; except if the program sent it, to its
 * whole group, and has it already. A sender that signals the group and us reaches the program twice.
 *
 * All signals are blocked and taken one by one with sigwaitinfo, so that there is no handler and no
 * race. If the terminal stops the program we stop too, for the shell looks at us; the shell's
 * SIGCONT to the group then wakes both.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "file.h"
#include "run.h"

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What the program must find as we found it. */
struct inherited {
    sigset_t mask;
    struct sigaction child_action;
};

/* If SIGCHLD is ignored the kernel forgets children that end, and nothing is left to wait for. */
static void signals_take(struct inherited *inherited)
{
    sigset_t all;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &inherited->mask);
    sigaction(SIGCHLD, &standard, &inherited->child_action);
}

static void signals_give_back(const struct inherited *inherited)
{
    sigaction(SIGCHLD, &inherited->child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

/* Runs in the child. The pipe carries errno if exec fails, and is closed by it if not. */
static _Noreturn void become(const char *path, char **argv, const char *preload,
                             const char *options, int report)
{
    if (preload) setenv("LD_PRELOAD", preload, 1);
    if (options) setenv("FREEHOLD_OPTIONS", options, 1);
    execvp(path, argv); /* the path has a slash; execvp for files without #!, which sh runs */
    int error = errno;
    ssize_t written = write(report, &error, sizeof error);
    _exit(written == sizeof error ? 0 : 1);
}

static int start_failed(const char *path, int error)
{
    int status = error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    return refuse(status, "cannot run %s: %s", path, strerror(error));
}

int child_start(struct child *child, const char *path, char **argv, const char *preload,
                const char *options)
{
    struct inherited inherited;
    int report[2], error;
    if (pipe2(report, O_CLOEXEC) != 0)
        return refuse(STATUS_OWN_FAILURE, "cannot make a pipe: %s", strerror(errno));
    signals_take(&inherited);
    child->elapsed_ms = now_ms(); /* the start, until child_wait */
    child->pid = fork();
    if (child->pid == 0) {
        signals_give_back(&inherited);
        become(path, argv, preload, options, report[1]);
    }
    error = errno;
    close(report[1]);
    if (child->pid < 0) {
        close(report[0]);
        return refuse(STATUS_OWN_FAILURE, "cannot start a process: %s", strerror(error));
    }
    ssize_t n = read(report[0], &error, sizeof error);
    close(report[0]);
    if (n != sizeof error) return 0;
    waitpid(child->pid, NULL, 0);
    return start_failed(path, error);
}

/* The name survives the end, unlike everything else in /proc/PID. */
static void read_name(struct child *child)
{
    char path[64];
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/comm", (int)child->pid);
    if (!file_read(&text, path, sizeof child->name)) return;
    text.data[strcspn(text.data, "\n")] = 0;
    human_clean(child->name, sizeof child->name, text.data);
    free(text.data);
}

/* Only with a terminal is there a shell that waits for us to stop and will wake us again. */
static void stop_too(void)
{
    int terminal = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) return;
    close(terminal);
    raise(SIGSTOP);
}

/* Takes notice of every child that changed; others than ours are orphans that we have as PID 1 of a
 * container, or that were started before us. True when ours has ended. */
static bool children_changed(struct child *child)
{
    siginfo_t info;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0) return false;
        if (info.si_pid == 0) return false;
        bool ours = info.si_pid == child->pid;
        bool ended = info.si_code != CLD_STOPPED && info.si_code != CLD_TRAPPED;
        if (ours && ended) read_name(child);
        int status;
        struct rusage usage;
        wait4(info.si_pid, &status, WUNTRACED, &usage);
        if (ours && ended) {
            child->status = status;
            child->usage = usage;
            return true;
        }
        if (ours) stop_too();
    }
}

static void pass_on(const struct child *child, const siginfo_t *info)
{
    bool from_process = info->si_code <= 0;
    if (info->si_signo == SIGCONT || (from_process && info->si_pid != child->pid))
        kill(child->pid, info->si_signo);
}

void child_wait(struct child *child)
{
    sigset_t all;
    siginfo_t info;
    sigfillset(&all);
    for (bool ended = false; !ended;) {
        if (sigwaitinfo(&all, &info) < 0) continue;
        if (info.si_signo == SIGCHLD)
            ended = children_changed(child);
        else
            pass_on(child, &info);
    }
    child->elapsed_ms = now_ms() - child->elapsed_ms;
}

int child_repeat_end(const struct child *child)
{
    if (WIFEXITED(child->status)) return WEXITSTATUS(child->status);
    int number = WTERMSIG(child->status);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t only;
    prctl(PR_SET_DUMPABLE, 0); /* the program has left its core; ours would only overwrite it */
    sigaction(number, &standard, NULL);
    sigemptyset(&only);
    sigaddset(&only, number);
    raise(number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    return 128 + number;
}
