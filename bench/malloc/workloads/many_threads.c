// Many more threads than cores, all alive for the whole run: each replaces blocks in a table of
// 200, and every eighth block is traded through a shared table.
//
// Stresses: caches per thread multiply by the number of threads; a holder of a lock or of a
// half-full cache is often not running. Peak memory is what separates allocators here. Who has it:
// Java-style servers, databases with one thread per client, anything under a thread-per-connection
// library.
#include "../kit/kit.h"

#include <stdatomic.h>

enum { TABLE = 200, TRADED = 1024, TRADE_ONE_OF = 8, FULL = 36000000 };

struct many_threads {
    const struct job *job;
    _Atomic(unsigned char *) traded[TRADED];
};

enum { TRADE_SIZE = 120, TRADE_TAG = 0x7AADEDu };

static void trade_drop(unsigned char *block)
{
    if (!block) return;
    block_check(block, TRADE_SIZE, TRADE_TAG);
    free(block);
}

static void trade(struct many_threads *all, struct random *random)
{
    unsigned char *mine = block_new(TRADE_SIZE);
    block_stamp(mine, TRADE_SIZE, TRADE_TAG);
    trade_drop(atomic_exchange(&all->traded[random_below(random, TRADED)], mine));
}

static void many_threads_work(void *shared, unsigned index)
{
    struct many_threads *all = shared;
    struct random random = random_seeded(index);
    struct slot *table = slots_new(TABLE);
    size_t count = job_share(all->job, FULL);
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &table[random_below(&random, TABLE)];
        slot_drop(slot);
        slot_fill(slot, random_between(&random, 16, 1024), (uint32_t)i);
        if (i % TRADE_ONE_OF == 0) trade(all, &random);
    }
    slots_drop(table, TABLE);
}

void many_threads_run(struct job *job)
{
    struct many_threads all = {.job = job};
    crew_run(job->threads, many_threads_work, &all);
    for (size_t i = 0; i < TRADED; i++) trade_drop(all.traded[i]);
}
