#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// --- starting ------------------------------------------------------------------------------------

static void become_quiet(const struct command *command)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    int output = nowhere;
    if (command->output)
        output = open(command->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    dup2(nowhere, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    if (!getenv("BENCH_VERBOSE")) dup2(nowhere, STDERR_FILENO);
}

// Runs in the child between fork and exec.
_Noreturn static void become(const struct command *command, const int to[2], const int from[2])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    if (command->talks) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
    } else {
        become_quiet(command);
    }
    if (command->cpu_limit_s) {
        struct rlimit limit = {command->cpu_limit_s, command->cpu_limit_s};
        setrlimit(RLIMIT_CPU, &limit);
    }
    for (const char *const *setting = command->settings; setting && *setting; setting++)
        putenv((char *)*setting);
    unsetenv("LD_PRELOAD");
    if (command->preload) setenv("LD_PRELOAD", command->preload, 1);
    if (!command->folder || chdir(command->folder) == 0)
        execv(command->arguments[0], (char *const *)command->arguments);
    _exit(127);
}

bool child_start(struct child *child, const struct command *command)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    if (command->talks && (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))) return false;
    fflush(NULL);
    child->started_s = clock_s();
    child->limit_s = child->started_s + CHILD_LIMIT_S;
    child->pid = fork();
    if (child->pid == 0) become(command, to, from);
    close(to[0]);
    close(from[1]);
    child->to = to[1];
    child->from = from[0];
    return child->pid > 0;
}

// --- talking -------------------------------------------------------------------------------------

static bool wait_readable(int fd, double until_s)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    double left_s = until_s - clock_s();
    int ready;
    do ready = poll(&wanted, 1, left_s > 0 ? (int)(left_s * 1000) : 0);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

// Lines are short and rare, so a byte at a time does.
bool child_line(struct child *child, char *line, size_t room)
{
    for (size_t length = 0; length < room; length++) {
        if (!wait_readable(child->from, child->limit_s) || read(child->from, line + length, 1) != 1)
            return false;
        if (line[length] == '\n') {
            line[length] = '\0';
            return true;
        }
    }
    return false;
}

void child_go_on(struct child *child)
{
    // A child that died in the meantime is found out when it is waited for.
    if (write(child->to, "", 1) < 0) return;
}

// --- ending --------------------------------------------------------------------------------------

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void close_pipe(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void child_finish(struct child *child, struct usage *usage)
{
    struct rusage used = {0};
    close_pipe(&child->to);
    int ended = pidfd_open(child->pid, 0);
    usage->late = !wait_readable(ended, child->limit_s);
    if (usage->late) kill(-child->pid, SIGKILL);
    close_pipe(&ended);
    while (wait4(child->pid, &usage->status, 0, &used) < 0 && errno == EINTR)
        ;
    usage->ended_s = clock_s();
    usage->cpu_s = seconds(used.ru_utime) + seconds(used.ru_stime);
    usage->peak_rss_kib = used.ru_maxrss;
    close_pipe(&child->from);
}

void child_stop(struct child *child, int signal, struct usage *usage)
{
    kill(child->pid, signal);
    child_finish(child, usage);
}

bool command_run(const struct command *command, struct child *child, struct usage *usage)
{
    if (!child_start(child, command)) return false;
    child_finish(child, usage);
    return usage->status == 0;
}

void usage_explain(const struct usage *usage, char *why, size_t room)
{
    int status = usage->status;
    if (usage->late)
        snprintf(why, room, "no end within %d s", CHILD_LIMIT_S);
    else if (WIFSIGNALED(status))
        snprintf(why, room, "ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(why, room, "exit status %d", WEXITSTATUS(status));
}

// --- looking -------------------------------------------------------------------------------------

long process_kib(pid_t pid, const char *file, const char *field)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *stream = fopen(path, "re");
    if (!stream) return -1;
    while (kib < 0 && fgets(line, sizeof line, stream))
        if (!strncmp(line, field, strlen(field))) kib = strtol(line + strlen(field), NULL, 10);
    fclose(stream);
    return kib;
}
