// A heap of 300,000 blocks is built in order and freed in random order, again and again.
//
// Stresses: frees that touch another page each time (so the cost of finding a block's owner is a
// cache miss), free lists that end up shuffled, and the next build-up out of them. Who has it:
// graphs and indexes that are torn down by key, compilers between two functions, caches that are
// flushed.
#include "../kit/kit.h"

enum { BLOCKS = 300000, FULL = 6000000 };

static void random_free_round(struct slot *slots, const uint32_t *order, size_t count,
                              struct random *random)
{
    for (size_t i = 0; i < count; i++)
        slot_fill(&slots[i], random_between(random, 16, 256), (uint32_t)i);
    for (size_t i = 0; i < count; i++) slot_drop(&slots[order[i]]);
}

static void random_free_work(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    uint32_t count = BLOCKS / job->threads;
    struct slot *slots = slots_new(count);
    uint32_t *order = random_order(&random, count);
    for (size_t left = job_share(job, FULL); left; left -= left < count ? left : count)
        random_free_round(slots, order, count, &random);
    free(order);
    free(slots);
}

void random_free_run(struct job *job)
{
    crew_run(job->threads, random_free_work, job);
}
