/*
 * Memory refused at the n-th request, for n = 1, 2, 3 ... until a body of calls passes that made fewer
 * requests than that. Each n twice: only this request is refused, and all from this one on.
 *
 * What could break: every place that asks the kernel for memory, each with a half-made slab, heap or
 * span in hand. The answer must be NULL with ENOMEM; what was allocated before must still be whole;
 * and once memory is there again, the heap must go on as if nothing had been.
 *
 * Each n has a process of its own, because an allocator starts once. If the start itself was refused
 * the allocator may stay down for good, but then it says so by NULL and ENOMEM, too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"
#include "kit/pattern.h"
#include "kit/random.h"
#include "model/model.h"
#include "os/fake/fake.h"

enum {
    STEPS = 1500,
    BLOCKS = 400,
    REQUESTS_MIN = 8, /* a body that makes fewer tests nothing */
    REQUESTS_MAX = 5000,
    HANG_S = 120,
};

enum outcome { REFUSED = 10, NOT_REFUSED = 11, STAYS_DOWN = 12 };

/* ---- the body -------------------------------------------------------------------------------------- */

static struct model model;

static void *work(void *seed)
{
    struct random random = {(uintptr_t)seed};
    char *block[BLOCKS] = {0};
    size_t size[BLOCKS] = {0};
    for (int i = 0; i < 4 * BLOCKS; i++) {
        size_t slot = random_below(&random, BLOCKS);
        if (block[slot]) pattern_expect(block[slot], size[slot], size[slot], slot);
        fh_free(block[slot]);
        size[slot] = random_size(&random, 20000);
        block[slot] = fh_malloc(size[slot]);
        if (block[slot])
            pattern_write(block[slot], size[slot], slot);
        else
            EXPECT(errno == ENOMEM, "errno %d", errno);
    }
    for (int i = 0; i < BLOCKS; i++) fh_free(block[i]);
    return NULL;
}

/* Blocks that one thread allocates are freed by another. */
static void *free_all(void *blocks)
{
    void **block = blocks;
    for (int i = 0; i < BLOCKS; i++) fh_free(block[i]);
    return NULL;
}

static void run_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, argument) == 0, "no thread");
    pthread_join(thread, NULL);
}

static void body(uint64_t seed)
{
    struct random random = {seed};
    void *block[BLOCKS];
    for (int i = 0; i < STEPS; i++) model_step(&model, &random, i % 3 ? 3000 : 600000);
    run_thread(work, (void *)1);
    for (int i = 0; i < BLOCKS; i++) block[i] = fh_malloc((size_t)i * 5);
    run_thread(free_all, block);
    for (int i = 0; i < 3; i++) run_thread(work, (void *)(uintptr_t)i);
    fh_malloc_trim(0);
    for (int i = 0; i < STEPS; i++) model_step(&model, &random, 50000);
}

/* ---- one process for each n ------------------------------------------------------------------------ */

static _Noreturn void expect_down(void)
{
    errno = 0;
    EXPECT(fh_malloc(10) == NULL && errno == ENOMEM, "errno %d", errno);
    EXPECT(fh_calloc(10, 10) == NULL, "calloc");
    void *p;
    EXPECT(fh_posix_memalign(&p, 64, 10) == ENOMEM, "posix_memalign");
    fh_free(NULL);
    fh_malloc_trim(0);
    _exit(STAYS_DOWN);
}

static _Noreturn void child(uint64_t nth, uint64_t more)
{
    alarm(HANG_S);
    os_fake.quiet = true;
    os_fake_refuse(nth, more);
    model_init(&model, 60 << 20, nth);
    model.may_refuse = true;
    body(7);
    bool refused = os_fake.refused > 0;
    os_fake_refuse(0, 0);
    os_fake.refuse_from = 0;
    if (fh_registry.base == 0) expect_down();
    model.may_refuse = false;
    body(8);
    model_finish(&model);
    _exit(refused ? REFUSED : NOT_REFUSED);
}

static enum outcome try(uint64_t nth, uint64_t more)
{
    fflush(stdout);
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork");
    if (pid == 0) child(nth, more);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid, "waitpid");
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) >= REFUSED,
           "request %llu refused%s: status %#x", (unsigned long long)nth,
           more ? " and all that follow" : "", (unsigned)status);
    return (enum outcome)WEXITSTATUS(status);
}

static void run(const char *what, uint64_t more)
{
    uint64_t nth = 1;
    unsigned down = 0;
    for (enum outcome outcome; (outcome = try(nth, more)) != NOT_REFUSED; nth++) {
        EXPECT(nth < REQUESTS_MAX, "the body never passes");
        down += outcome == STAYS_DOWN;
    }
    printf("%s: %llu requests, of which %u keep it from starting\n", what,
           (unsigned long long)nth - 1, down);
    EXPECT(nth > REQUESTS_MIN, "too few");
}

int main(void)
{
    run("one refused", 0);
    run("all refused from there on", OS_FAKE_ALL);
    return 0;
}
