// Eight threads make 400,000 blocks each of 16 to 255 bytes (480 MB with the tables), free 999 in
// 1,000, and all sleep.
//
// Stresses: giving memory back from the caches and heaps of threads that will not call again for a
// while. What counts is end_rss_kib, five seconds later; the tables of pointers stay, so 25 MB are
// live. Who has it: thread pools between two bursts, batch servers, anything whose memory graph
// only goes up.
#include "../kit/kit.h"

#include <pthread.h>

enum { BLOCKS = 400000, KEEP_ONE_OF = 1000, IDLE_S = 5 };

struct idle999 {
    struct job *job;
    pthread_barrier_t settled, released;
    _Atomic size_t live;
};

// A table of pointers only, as the programs have that this stands for; the size is the index's.
static size_t idle999_size(size_t i)
{
    return 16 + (i * 2654435761u >> 7) % 240;
}

static void idle999_drop(unsigned char *block, size_t i)
{
    block_check(block, idle999_size(i), (uint32_t)i);
    free(block);
}

static unsigned char **idle999_build(void)
{
    unsigned char **blocks = block_new(BLOCKS * sizeof *blocks);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = block_new(idle999_size(i));
        block_stamp(blocks[i], idle999_size(i), (uint32_t)i);
    }
    return blocks;
}

static void idle999_work(void *shared, unsigned index)
{
    struct idle999 *all = shared;
    unsigned char **blocks = idle999_build();
    size_t live = BLOCKS * sizeof *blocks;
    for (size_t i = 0; i < BLOCKS; i++)
        if ((i + index) % KEEP_ONE_OF)
            idle999_drop(blocks[i], i);
        else
            live += idle999_size(i);
    all->live += live;
    pthread_barrier_wait(&all->settled);
    if (index == 0) job_settle(all->job, IDLE_S, all->live);
    pthread_barrier_wait(&all->released);
    for (size_t i = 0; i < BLOCKS; i++)
        if ((i + index) % KEEP_ONE_OF == 0) idle999_drop(blocks[i], i);
    free(blocks);
}

void idle999_run(struct job *job)
{
    struct idle999 all = {.job = job};
    pthread_barrier_init(&all.settled, NULL, job->threads);
    pthread_barrier_init(&all.released, NULL, job->threads);
    crew_run(job->threads, idle999_work, &all);
}
