/*
 * Checked calls from everywhere at once: threads that copy between blocks that they make and free, a signal handler in
 * the middle of them that copies too, children of fork. Preloaded at level 2. What could break: a lock or an allocation
 * in a check (a handler would hang), a check that takes another thread's free or realloc for a misuse, a child that has
 * other checks than its parent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/expect.h"
#include "kit/random.h"

enum { THREADS = 4, BLOCKS = 64, ROUNDS = 60000, SMALL = 100 };

static char *given, *taken; /* blocks of SMALL, the handler's */
static atomic_ulong handled;

static void on_signal(int number)
{
    int kept = errno;
    (void)number;
    memcpy(taken, given, SMALL);
    strcpy(taken, given);
    memset(taken + 50, 'h', 50);
    if (strlen(given) != SMALL - 1 || memcmp(taken, given, 50) != 0) _exit(99);
    atomic_fetch_add(&handled, 1);
    errno = kept;
}

struct block {
    char *at;
    size_t size;
};

static void renew(struct random *random, struct block *block)
{
    free(block->at);
    block->size = 1 + random_size(random, 20000);
    block->at = malloc(block->size);
    EXPECT(block->at, "no memory");
    memset(block->at, 'a', block->size);
}

static void copy(struct random *random, const struct block *to, const struct block *from)
{
    size_t n = to->size < from->size ? to->size : from->size;
    switch (random_below(random, 4)) {
    case 0: memcpy(to->at, from->at, to == from ? 0 : n); break;
    case 1: memmove(to->at + to->size - n, from->at, n); break;
    case 2: strncpy(to->at, "short", to->size); break;
    default:
        EXPECT(memchr(from->at, 'a' + 50, from->size) == NULL, "a byte that is nowhere");
        break;
    }
    to->at[0] = 'a';
}

static void *storm(void *seed)
{
    struct random random = {(uintptr_t)seed};
    struct block block[BLOCKS] = {{NULL, 0}};
    for (int i = 0; i < BLOCKS; i++) renew(&random, &block[i]);
    for (int i = 0; i < ROUNDS; i++) {
        struct block *to = &block[random_below(&random, BLOCKS)];
        if (random_chance(&random, 3)) renew(&random, to);
        copy(&random, to, &block[random_below(&random, BLOCKS)]);
    }
    for (int i = 0; i < BLOCKS; i++) free(block[i].at);
    return NULL;
}

/* What is right passes in a child, and what is wrong does not. */
static void try_child(bool misuse)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        storm((void *)4711);
        close(2);
        if (misuse) memset(*(char *volatile *)&taken, 'x', SMALL + 1);
        _exit(0);
    }
    EXPECT(child > 0 && waitpid(child, &status, 0) == child, "no child");
    if (misuse)
        EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x", (unsigned)status);
    else
        EXPECT(status == 0, "status %#x", (unsigned)status);
}

int main(void)
{
    pthread_t thread[THREADS];
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    given = malloc(SMALL);
    taken = malloc(SMALL);
    memset(given, 'g', SMALL);
    given[SMALL - 1] = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&thread[i], NULL, storm, (void *)(i + 1)) == 0, "no thread");
    try_child(false);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    try_child(true);
    EXPECT(atomic_load(&handled) > 50, "%lu signals", atomic_load(&handled));
    return 0;
}
