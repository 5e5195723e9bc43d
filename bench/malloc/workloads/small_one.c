// One size, made and freed over and over, with 64 blocks alive.
//
// Stresses: the fast paths of malloc and free and nothing else; every block comes out of what was
// freed a moment ago. Who has it: event loops and packet handlers with one message type,
// reference-counted interpreters between two statements, coroutine frames.
#include "../kit/kit.h"

enum { RING = 64, SIZE = 64, FULL = 75000000 };

static void small_one_churn(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct slot *ring = slots_new(RING);
    size_t count = job_share(job, FULL);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &ring[i % RING];
        slot_drop(slot);
        slot_fill(slot, SIZE, (uint32_t)i ^ index);
    }
    slots_drop(ring, RING);
}

void small_one_run(struct job *job)
{
    crew_run(job->threads, small_one_churn, job);
}
