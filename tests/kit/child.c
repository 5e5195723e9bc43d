/* See kit/child.h. */
#include "kit/child.h"

#include <stdbool.h>

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/expect.h"

enum { HANG_S = 120 };

static _Noreturn void child_main(void (*body)(void *), void *argument, int pipe_end)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(HANG_S);
    dup2(pipe_end, 2);
    body(argument);
    _exit(0);
}

static void read_all(int fd, char *text, size_t capacity)
{
    size_t have = 0;
    char rest[256];
    for (ssize_t n = 1; n > 0;) {
        bool full = have == capacity - 1;
        n = read(fd, full ? rest : text + have, full ? sizeof rest : capacity - 1 - have);
        if (n > 0 && !full) have += (size_t)n;
    }
    text[have] = 0;
}

struct child_end child_run(void (*body)(void *), void *argument)
{
    struct child_end end = {0, -1, ""};
    int fd[2], status;
    EXPECT(pipe(fd) == 0, "pipe");
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork");
    if (pid == 0) child_main(body, argument, fd[1]);
    close(fd[1]);
    read_all(fd[0], end.said, sizeof end.said);
    close(fd[0]);
    EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
    if (WIFSIGNALED(status))
        end.signal = WTERMSIG(status);
    else
        end.status = WEXITSTATUS(status);
    return end;
}
