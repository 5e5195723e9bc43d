/*
 * Memory goes back by itself while every thread sleeps: several threads hold much, free nearly all of
 * it, and wait. Nobody calls the allocator any more; the helper must do it all.
 *
 * How long it takes depends on the machine, so the test waits as long as it needs, a minute at most,
 * and only the result counts: at most 1.3 times what is live, and 12 MiB.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "kit/expect.h"
#include "kit/random.h"
#include "kit/resident.h"

enum { THREADS = 4, BLOCKS = 40000, KEEP_ONE_IN = 1000, TENTHS_MAX = 600 };
#define MIB ((size_t)1 << 20)

static sem_t emptied, finished;

static void *fill_and_sleep(void *seed)
{
    static _Thread_local char *block[BLOCKS];
    struct random random = {(uintptr_t)seed};
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = random_size(&random, random_chance(&random, 1000) ? 4 << 20 : 1000);
        block[i] = memset(fh_malloc(size), 1, size);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (i % KEEP_ONE_IN) fh_free(block[i]);
    sem_post(&emptied);
    sem_wait(&finished);
    for (int i = 0; i < BLOCKS; i += KEEP_ONE_IN) fh_free(block[i]);
    return NULL;
}

static void sleep_tenth(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

int main(void)
{
    pthread_t thread[THREADS];
    sem_init(&emptied, 0, 0);
    sem_init(&finished, 0, 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&thread[i], NULL, fill_and_sleep, (void *)(i + 1)) == 0, "no thread");
    for (int i = 0; i < THREADS; i++) sem_wait(&emptied);

    struct fh_usage usage;
    fh_usage_get(&usage); /* looks, and changes nothing */
    size_t before = resident_arena(), goal = usage.live / 10 * 13 + 12 * MIB;
    EXPECT(before > goal + 12 * MIB, "only %zu bytes were held", before);
    int tenths = 0;
    while (resident_arena() > goal && tenths++ < TENTHS_MAX) sleep_tenth();
    EXPECT(resident_arena() <= goal, "%zu of %zu bytes stay, %llu are live", resident_arena(),
           before, (unsigned long long)usage.live);
    tenths = 0; /* and then the helper has nothing to do, and ends */
    while (__atomic_load_n(&fh_registry.helper_running, __ATOMIC_ACQUIRE) && tenths++ < TENTHS_MAX)
        sleep_tenth();
    EXPECT(!fh_registry.helper_running, "the helper stays");
    printf("%zu KiB held, %zu KiB after a while, %llu KiB live\n", before / 1024,
           resident_arena() / 1024, (unsigned long long)usage.live / 1024);
    for (int i = 0; i < THREADS; i++) sem_post(&finished);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    return 0;
}
