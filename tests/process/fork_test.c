/*
 * A program that forks while its threads allocate, a thousand times:
 *
 *     fork_test FORKS
 *
 * What could break: a child that inherits a held lock and waits for ever, or a heap that a thread
 * which does not exist there left half changed. Each child frees blocks of threads that vanished,
 * allocates, trims, starts a thread of its own and ends. A child that hangs dies by SIGALRM: the
 * minute it is given is no measurement, only far more than it needs.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/options.h"
#include "kit/pattern.h"
#include "kit/random.h"

enum {
    THREADS = 3,
    SLOTS = 400,
    CHILD_BLOCKS = 100,
    HANG_S = 60,
};

/* Whoever exchanges a pointer for another owns what it got: so at every instant, also that of a
 * fork, each slot holds a live block or NULL. */
static void *_Atomic slot[SLOTS];
static _Atomic bool finished;

static void *work(void *argument)
{
    struct random random = {*(uint64_t *)argument};
    while (!atomic_load(&finished)) {
        size_t size = random_size(&random, random_chance(&random, 50) ? 200000 : 2000);
        void *p = fh_malloc(size);
        EXPECT(p != NULL, "no memory for %zu bytes", size);
        if (random_chance(&random, 4)) p = fh_realloc(p, size * 2 + 1);
        fh_free(atomic_exchange(&slot[random_below(&random, SLOTS)], p));
    }
    return NULL;
}

/* ---- the child ------------------------------------------------------------------------------------ */

static void allocate_and_check(uint64_t seed)
{
    struct random random = {seed};
    void *block[CHILD_BLOCKS];
    size_t size[CHILD_BLOCKS];
    for (int i = 0; i < CHILD_BLOCKS; i++) {
        size[i] = random_size(&random, 3000);
        block[i] = fh_malloc(size[i]);
        EXPECT(block[i] != NULL, "no memory for %zu bytes", size[i]);
        pattern_write(block[i], size[i], seed + (uint64_t)i);
    }
    for (int i = 0; i < CHILD_BLOCKS; i++) {
        pattern_expect(block[i], size[i], size[i], seed + (uint64_t)i);
        fh_free(block[i]);
    }
}

static void *childs_thread(void *seed)
{
    allocate_and_check(*(uint64_t *)seed);
    return NULL;
}

static _Noreturn void child(uint64_t seed)
{
    alarm(HANG_S);
    for (int i = 0; i < SLOTS; i += 2) fh_free(atomic_exchange(&slot[i], NULL));
    allocate_and_check(seed);
    pthread_t thread;
    if (!KIT_ADDRESS_SANITIZER) /* its own allocator's locks stay as other threads held them: new threads wait for ever */
        EXPECT(pthread_create(&thread, NULL, childs_thread, &seed) == 0, "no thread in the child");
    for (int i = 1; i < SLOTS; i += 2) fh_free(atomic_exchange(&slot[i], NULL));
    if (!KIT_ADDRESS_SANITIZER) pthread_join(thread, NULL);
    fh_malloc_trim(0);
    allocate_and_check(seed + 1);
    _exit(0);
}

/* ---- the parent ----------------------------------------------------------------------------------- */

static void fork_once(uint64_t seed)
{
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork");
    if (pid == 0) child(seed);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
    EXPECT(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "a child hung");
    EXPECT(status == 0, "a child ended with status %#x", (unsigned)status);
}

int main(int argc, char **argv)
{
    int forks = argc > 1 ? atoi(argv[1]) : 1000;
    struct random random = {random_seed_argument(argc, argv, 2)};
    pthread_t thread[THREADS];
    uint64_t seed[THREADS];
    fh_option_set("purge_delay", "10"); /* the purger's thread comes and goes meanwhile */
    for (int i = 0; i < THREADS; i++) {
        seed[i] = random_next(&random);
        EXPECT(pthread_create(&thread[i], NULL, work, &seed[i]) == 0, "no thread");
    }
    for (int i = 0; i < forks; i++) {
        void *mine = fh_malloc(random_size(&random, 100000));
        fork_once(random_next(&random));
        fh_free(mine);
    }
    atomic_store(&finished, true);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < SLOTS; i++) fh_free(slot[i]);
    printf("%d forks\n", forks);
    return 0;
}
