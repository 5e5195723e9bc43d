// 200 threads that hold 8 small blocks each and sleep.
//
// Stresses: what a thread costs merely by having called malloc. Only resident memory is ranked, one
// second after all have settled. Who has it: idle thread pools, desktop programs (a browser has
// hundreds of such threads), drivers with one watcher per device.
#include "../kit/kit.h"

#include <pthread.h>

enum { BLOCKS = 8, SETTLE_S = 1 };

struct threads200 {
    struct job *job;
    pthread_barrier_t settled, released;
};

static void threads200_work(void *shared, unsigned index)
{
    struct threads200 *all = shared;
    struct random random = random_seeded(index);
    struct slot blocks[BLOCKS] = {0};
    for (unsigned i = 0; i < BLOCKS; i++)
        slot_fill(&blocks[i], random_between(&random, 16, 128), i);
    pthread_barrier_wait(&all->settled);
    if (index == 0) job_settle(all->job, SETTLE_S, (size_t)all->job->threads * BLOCKS * 72);
    pthread_barrier_wait(&all->released);
    for (unsigned i = 0; i < BLOCKS; i++) slot_drop(&blocks[i]);
}

void threads200_run(struct job *job)
{
    struct threads200 all = {.job = job};
    pthread_barrier_init(&all.settled, NULL, job->threads);
    pthread_barrier_init(&all.released, NULL, job->threads);
    crew_run(job->threads, threads200_work, &all);
}
