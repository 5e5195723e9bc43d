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
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "fields.h"
#include "run.h"

enum { NS_PER_MS = 1000000 };

/* What the program must find as we found it. */
struct inherited {
    sigset_t mask;
    struct sigaction child_action;
};

static struct inherited inherited;

/* If SIGCHLD is ignored the kernel forgets children that end, and nothing is left to wait for. Signals
 * stay taken from the first start on: the next child shall find what the first one did. */
static void signals_take(void)
{
    static bool taken;
    sigset_t all;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    if (taken) return;
    taken = true;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &inherited.mask);
    sigaction(SIGCHLD, &standard, &inherited.child_action);
}

static void signals_give_back(void)
{
    sigaction(SIGCHLD, &inherited.child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited.mask, NULL);
}

/* Two pipes: the child waits at `go` until we have taken hold of it, and `failure` carries errno if
 * exec fails, and is closed by it if not. */
struct start_pipes {
    int go[2], failure[2];
};

static bool pipes_open(struct start_pipes *pipes)
{
    if (pipe2(pipes->go, O_CLOEXEC) != 0) return false;
    if (pipe2(pipes->failure, O_CLOEXEC) == 0) return true;
    int error = errno;
    close(pipes->go[0]), close(pipes->go[1]);
    errno = error;
    return false;
}

static void pipes_close(const struct start_pipes *pipes)
{
    close(pipes->go[0]), close(pipes->go[1]);
    close(pipes->failure[0]), close(pipes->failure[1]);
}

static void streams_take(const int *streams)
{
    for (int i = 0; streams && i <= STDERR_FILENO; i++) dup2(streams[i], i);
}

/* Runs in the child. */
static _Noreturn void become(const struct child_plan *plan, const struct start_pipes *pipes)
{
    char go;
    close(pipes->go[1]);
    while (read(pipes->go[0], &go, 1) < 0 && errno == EINTR) continue;
    if (plan->preload) setenv("LD_PRELOAD", plan->preload, 1);
    if (plan->options) setenv("FREEHOLD_OPTIONS", plan->options, 1);
    streams_take(plan->streams);
    execvp(plan->path,
           plan->argv); /* the path has a slash; execvp for files without #!, which sh runs */
    int error = errno;
    ssize_t written = write(pipes->failure[1], &error, sizeof error);
    _exit(written == sizeof error ? 0 : 1);
}

static int start_failed(const char *path, int error)
{
    int status = error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    return refuse(status, "cannot run %s: %s", path, strerror(error));
}

/* Lets the child go on to the program, and returns its errno, or 0 once the program runs. */
static int child_release(struct start_pipes *pipes)
{
    int error = 0;
    close(pipes->failure[1]);
    pipes->failure[1] = -1;
    ssize_t written = write(pipes->go[1], "", 1);
    ssize_t n = read(pipes->failure[0], &error, sizeof error);
    return written == 1 && n == sizeof error ? error : 0;
}

int child_start(struct child *child, const struct child_plan *plan)
{
    struct start_pipes pipes;
    child->plan = plan;
    if (!pipes_open(&pipes))
        return refuse(STATUS_OWN_FAILURE, "cannot make a pipe: %s", strerror(errno));
    signals_take();
    child->pid = fork();
    if (child->pid == 0) {
        signals_give_back();
        become(plan, &pipes);
    }
    int error = errno;
    if (child->pid < 0) {
        pipes_close(&pipes);
        return refuse(STATUS_OWN_FAILURE, "cannot start a process: %s", strerror(error));
    }
    child->held = plan->at_end && hold_begin(child->pid);
    if (plan->look) look_expect(plan->look, plan->first, child->pid);
    if (plan->plug) plug_begin(plan->plug, plan->first, child->pid, signals_give_back);
    child->elapsed_ns = clock_ns(); /* the start, until child_wait */
    error = child_release(&pipes);
    pipes_close(&pipes);
    if (error == 0) return 0;
    waitpid(child->pid, NULL, 0);
    return start_failed(plan->path, error);
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
        /* It survives the end, unlike everything else in /proc/PID. */
        if (ours && ended) task_name(child->pid, child->name, sizeof child->name);
        int status;
        struct rusage usage;
        wait4(info.si_pid, &status, WUNTRACED, &usage);
        if (ours && ended) {
            child->status = status;
            child->usage = usage;
            return true;
        }
        if (ours && (!child->held || hold_stopped(child, status))) stop_too();
    }
}

static void pass_on(const struct child *child, const siginfo_t *info)
{
    bool from_process = info->si_code <= 0;
    if (info->si_signo == SIGURG && child->plan->look) return; /* a child that waits for its look */
    if (info->si_signo == SIGCONT || (from_process && info->si_pid != child->pid))
        kill(child->pid, info->si_signo);
}

static bool is_wish_to_end(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
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
        if (is_wish_to_end(info.si_signo)) child->interrupted = info.si_signo;
        if (!ended && child->plan->look) hold_look(child);
    }
    child->elapsed_ns = clock_ns() - child->elapsed_ns;
    child->elapsed_ms = child->elapsed_ns / NS_PER_MS;
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
