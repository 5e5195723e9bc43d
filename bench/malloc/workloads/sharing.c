// Cache-line sharing: one thread makes a 16-byte block for each other thread; each writes its block
// a few thousand times, frees it, makes its own, and goes on writing.
//
// Stresses: whether blocks of different threads lie on one cache line, given away that way at the
// start (the program's own doing) or, worse, handed to other threads again after the free (the
// allocator's doing). Every write then moves the line between cores. Who has it: per-thread
// counters and states, futures and promises, small tasks from a shared pool.
#include "../kit/kit.h"

#include <pthread.h>

enum { SIZE = 16, GIVEN = 4, WRITES = 400, FULL = 4200000 };

struct sharing {
    const struct job *job;
    pthread_barrier_t dealt;
    volatile unsigned char *
        *given; // GIVEN per thread, dealt out in turns so that neighbours differ
};

static void counter_write(volatile unsigned char *block)
{
    volatile uint32_t *counter = (volatile uint32_t *)block;
    *counter = 0;
    for (uint32_t i = 0; i < WRITES; i++) *counter = *counter + 1;
    if (*counter != WRITES) fail("another thread wrote to this thread's counter");
}

static void sharing_work(void *shared, unsigned index)
{
    struct sharing *sharing = shared;
    volatile unsigned char *mine[GIVEN];
    for (unsigned i = 0; i < GIVEN; i++)
        mine[i] = sharing->given[i * sharing->job->threads + index];
    pthread_barrier_wait(&sharing->dealt);
    for (size_t left = job_share(sharing->job, FULL); left; left--) {
        volatile unsigned char **slot = &mine[left % GIVEN];
        counter_write(*slot);
        free((void *)*slot);
        *slot = block_new(SIZE);
    }
    for (unsigned i = 0; i < GIVEN; i++) free((void *)mine[i]);
}

void sharing_run(struct job *job)
{
    struct sharing sharing = {.job = job};
    pthread_barrier_init(&sharing.dealt, NULL, job->threads);
    sharing.given = block_new(job->threads * GIVEN * sizeof *sharing.given);
    for (unsigned i = 0; i < job->threads * GIVEN; i++) sharing.given[i] = block_new(SIZE);
    crew_run(job->threads, sharing_work, &sharing);
    free(sharing.given);
}
