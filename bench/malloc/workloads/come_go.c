// Threads that live for a millisecond: each makes 1,500 blocks, frees three quarters and leaves the
// rest in a shared box, from where later threads free them.
//
// Stresses: what it costs to give a thread its caches and to take them back, and whether the memory
// of ended threads is found again. Who has it: one thread per request, parallel builds inside one
// process, std::async, test runners, plug-in hosts.
#include "../kit/kit.h"

#include <pthread.h>
#include <stdatomic.h>

enum { BLOCKS = 1500, LEAVE_ONE_OF = 4, BOXES = 32, FULL_LIVES = 10000 };

struct left_behind {
    struct slot *slots;
    size_t count;
};

struct come_go {
    const struct job *job;
    _Atomic(struct left_behind *) boxes[BOXES];
    _Atomic uint64_t born;
};

static void left_behind_drop(struct left_behind *left)
{
    if (!left) return;
    slots_drop(left->slots, left->count);
    free(left);
}

static void *come_go_life(void *argument)
{
    struct come_go *all = argument;
    struct random random = random_seeded(all->born++);
    struct left_behind *left = block_new(sizeof *left);
    *left = (struct left_behind){slots_new(BLOCKS), BLOCKS};
    for (size_t i = 0; i < BLOCKS; i++)
        slot_fill(&left->slots[i], random_between(&random, 16, 400), (uint32_t)i);
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % LEAVE_ONE_OF) slot_drop(&left->slots[i]);
    left_behind_drop(atomic_exchange(&all->boxes[random_below(&random, BOXES)], left));
    return NULL;
}

static void come_go_chain(void *shared, unsigned index)
{
    struct come_go *all = shared;
    for (size_t lives = job_share(all->job, FULL_LIVES); lives; lives--) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, come_go_life, all)) fail("no thread in chain %u", index);
        pthread_join(thread, NULL);
    }
}

void come_go_run(struct job *job)
{
    struct come_go all = {.job = job};
    crew_run(job->threads, come_go_chain, &all);
    for (size_t i = 0; i < BOXES; i++) left_behind_drop(all.boxes[i]);
}
