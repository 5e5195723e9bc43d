// A queue of 20,000 messages of 32 to 1,024 bytes: each step appends one and takes the oldest.
//
// Stresses: blocks come back in the order they were made, far apart in time, so that no cache of
// the most recently freed helps and every class walks through all its memory. Who has it: message
// brokers, work queues, write-ahead buffers, sliding windows.
#include "../kit/kit.h"

enum { QUEUE = 20000, FULL = 26000000 };

static void fifo_pass(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    struct slot *queue = slots_new(QUEUE);
    size_t count = job_share(job, FULL);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &queue[i % QUEUE];
        slot_drop(slot);
        slot_fill(slot, random_between(&random, 32, 1024), (uint32_t)i);
    }
    slots_drop(queue, QUEUE);
}

void fifo_run(struct job *job)
{
    crew_run(job->threads, fifo_pass, job);
}
