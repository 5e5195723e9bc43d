// A table of 4,000 blocks per thread, of mixed small sizes; each step replaces one at random.
//
// Stresses: the choice of the size class, the free lists of many classes at once, and how well
// blocks of one class stay together while their neighbours come and go. Who has it: nearly every
// C++ program, object caches of servers, scripting languages.
#include "../kit/kit.h"

enum { TABLE = 4000, FULL = 32000000 };

static void small_mixed_churn(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    struct slot *table = slots_new(TABLE);
    size_t count = job_share(job, FULL);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &table[random_below(&random, TABLE)];
        slot_drop(slot);
        slot_fill(slot, random_between(&random, 8, 512), (uint32_t)i);
    }
    slots_drop(table, TABLE);
}

void small_mixed_run(struct job *job)
{
    crew_run(job->threads, small_mixed_churn, job);
}
