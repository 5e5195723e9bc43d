/*
 * hold PROGRAM [ARGS] -- COMMAND [ARGS]
 *
 * Runs COMMAND while PROGRAM stands still, with each argument "@" replaced by PROGRAM's id; the exit
 * status is COMMAND's. PROGRAM says when it is ready by a line on its stdout, and ends when its stdin
 * ends. So nothing waits for a time, and nothing outlives the test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(99);
}

struct held {
    pid_t pid;
    int in, out;
};

static struct held start(char **argv)
{
    int in[2], out[2];
    if (pipe(in) || pipe(out)) fail("pipe");
    struct held held = {fork(), in[1], out[0]};
    if (held.pid < 0) fail("fork");
    if (held.pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]), close(in[1]), close(out[0]), close(out[1]);
        execvp(argv[0], argv);
        fail(argv[0]);
    }
    close(in[0]), close(out[1]);
    return held;
}

/* Reads its first line. */
static void await(const struct held *held)
{
    char c = 0;
    while (c != '\n') {
        if (read(held->out, &c, 1) != 1) {
            fputs("hold: the program ended before it was ready\n", stderr);
            exit(99);
        }
    }
}

static int run(char **argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        fail(argv[0]);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) fail("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    char **command = argv + 1, id[16];
    while (*command && strcmp(*command, "--") != 0) command++;
    if (argc < 4 || !*command) {
        fputs("usage: hold PROGRAM [ARGS] -- COMMAND [ARGS]\n", stderr);
        return 99;
    }
    *command++ = NULL;
    struct held held = start(argv + 1);
    snprintf(id, sizeof id, "%d", (int)held.pid);
    for (char **argument = command; *argument; argument++) {
        if (strcmp(*argument, "@") == 0) *argument = id;
    }
    await(&held);
    int status = run(command);
    close(held.in);
    waitpid(held.pid, NULL, 0);
    return status;
}
