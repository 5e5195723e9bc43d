/*
 * waits WHAT: a program with option plug that would notice a child, a signal, a descriptor or a call cut short.
 *     looked      until what it loses comes back: no wait() ever sees a child, and there is no SIGCHLD
 *     forks       the same, and children of its own come and go meanwhile; each of them loses something
 *     confined    the same, after a while without new privileges
 *     quiet, subreaper, early    for a second and a half only: somebody says why nothing is looked for
 */
#include <dlfcn.h>
#include <errno.h>
#include <freehold/plug.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_int children_ended;
static int own_children;

static void fail(const char *what)
{
    fprintf(stderr, "FAILED: %s\n", what);
    abort();
}

static void on_child(int number)
{
    (void)number;
    children_ended++;
}

static __attribute__((noinline)) void lose(void)
{
    for (int i = 0; i < 50; i++) {
        char *volatile p = malloc(3000);
        memset(p, 'l', 3000);
        p = NULL;
    }
}

static const struct fh_plug_box *box(void)
{
    /* Not by the symbol itself, which the linker would copy into this program. */
    const struct fh_registry *registry = dlsym(RTLD_DEFAULT, "fh_registry");
    return registry ? (const struct fh_plug_box *)(uintptr_t)registry->plug : NULL;
}

static void expect_no_child(void)
{
    int status;
    errno = 0;
    if (waitpid(-1, &status, WNOHANG) != -1 || errno != ECHILD) fail("wait() sees a child");
    if (children_ended != own_children) fail("a SIGCHLD");
}

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) count += dup2(fd, fd) == fd;
    return count;
}

static void have_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (box()->blocks != 0 || box()->list.head.sequence != 0) fail("the child has a list");
        for (int i = 0; i < 20; i++) lose();
        _exit(7);
    }
    if (waitpid(child, &status, 0) != child || status != 7 << 8) fail("another child");
    own_children++;
}

static void turn(const char *what)
{
    sigset_t now;
    lose();
    expect_no_child();
    if (strcmp(what, "forks") == 0) have_child();
    sigprocmask(SIG_SETMASK, NULL, &now);
    if (sigismember(&now, SIGUSR2) != 1 || sigismember(&now, SIGINT) != 0) fail("another mask");
    if (nanosleep(&(struct timespec){0, 5000000}, NULL) != 0 && strcmp(what, "forks") != 0)
        fail("a sleep was cut short");
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "looked";
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigset_t blocked;
    sigaction(SIGCHLD, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (!box()) fail("option plug is off");
    int files = open_files();
    bool brief = strcmp(what, "quiet") == 0;
    if (strcmp(what, "subreaper") == 0) brief = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    if (strcmp(what, "early") == 0) brief = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    for (int i = 0; brief ? i < 250 : box()->blocks < 2000; i++) {
        if (i == 20000) fail("nothing came back");
        if (i == 400 && strcmp(what, "confined") == 0) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        turn(what);
    }
    if (brief && box()->looker) fail("somebody looks");
    if (open_files() != files) fail("a descriptor");
    puts("ok");
    return 0;
}
