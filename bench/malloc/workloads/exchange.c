// Every thread fills small bags of blocks, swaps them through shared mailboxes, and frees what it
// gets.
//
// Stresses: remote frees in all directions at once, mixed with local work; each thread's memory is
// spread over all others. Who has it: actor systems, work stealing, thread pools that pass futures,
// shuffles of data between workers.
#include "../kit/kit.h"

#include <stdatomic.h>

enum { BAG = 100, MAILBOXES = 64, FULL = 24000000 };

struct bag {
    struct slot blocks[BAG];
};

struct exchange {
    const struct job *job;
    _Atomic(struct bag *) mailboxes[MAILBOXES];
};

static struct bag *bag_fill(struct random *random)
{
    struct bag *bag = block_new(sizeof *bag);
    for (size_t i = 0; i < BAG; i++) slot_fill(&bag->blocks[i], random_size(random), (uint32_t)i);
    return bag;
}

static void bag_drop(struct bag *bag)
{
    if (!bag) return;
    for (size_t i = 0; i < BAG; i++) slot_drop(&bag->blocks[i]);
    free(bag);
}

static void exchange_work(void *shared, unsigned index)
{
    struct exchange *exchange = shared;
    struct random random = random_seeded(index);
    for (size_t i = job_share(exchange->job, FULL / BAG); i; i--) {
        struct bag *mine = bag_fill(&random);
        bag_drop(atomic_exchange(&exchange->mailboxes[random_below(&random, MAILBOXES)], mine));
    }
}

void exchange_run(struct job *job)
{
    struct exchange exchange = {.job = job};
    crew_run(job->threads, exchange_work, &exchange);
    for (size_t i = 0; i < MAILBOXES; i++) bag_drop(exchange.mailboxes[i]);
}
