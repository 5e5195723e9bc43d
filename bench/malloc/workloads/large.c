// Blocks of 64 KiB to 8 MiB, as many small as large ones by order of magnitude, 16 alive per job.
//
// Stresses: how often an allocator goes to the kernel (a page that is given back and touched again
// costs more than a microsecond), and how much it keeps so as not to. Who has it: images and video
// frames, scientific arrays, database pages and sort buffers, file contents read whole.
#include "../kit/kit.h"

enum { ALIVE = 16, FULL = 9000 };

static size_t large_size(struct random *random)
{
    size_t low = (size_t)65536 << random_below(random, 7);
    return random_between(random, low, low * 2);
}

static void large_work(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    size_t alive = ALIVE / job->threads;
    struct slot *table = slots_new(alive);
    for (size_t i = job_share(job, FULL); i; i--) {
        struct slot *slot = &table[random_below(&random, alive)];
        slot_drop(slot);
        slot_fill(slot, large_size(&random), (uint32_t)i);
    }
    slots_drop(table, alive);
}

void large_run(struct job *job)
{
    crew_run(job->threads, large_work, job);
}
