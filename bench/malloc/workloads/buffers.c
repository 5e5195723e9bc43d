// Buffers of 1 to 64 KiB, half of them powers of two, 256 alive per job; each is filled halfway.
//
// Stresses: the sizes between small blocks and whole runs of pages, where some allocators round up
// by a quarter and some go to a lock or to the kernel. Who has it: sockets and files (4, 8, 16, 64
// KiB), compression, TLS records, HTTP bodies, image rows.
#include "../kit/kit.h"

enum { BUFFERS = 256, FULL = 2500000 };

static size_t buffer_size(struct random *random)
{
    size_t size = (size_t)1024 << random_below(random, 7);
    if (random_below(random, 2)) size = random_between(random, size / 2, size);
    return size;
}

static void buffer_fill(struct slot *slot, struct random *random, uint32_t tag)
{
    slot_fill(slot, buffer_size(random), tag);
    memset(slot->block + 4, 0x5A, slot->size / 2 < 2048 ? slot->size / 2 : 2048);
}

static void buffers_work(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    size_t alive = BUFFERS / job->threads;
    struct slot *table = slots_new(alive);
    for (size_t i = job_share(job, FULL); i; i--) {
        struct slot *slot = &table[random_below(&random, alive)];
        slot_drop(slot);
        buffer_fill(slot, &random, (uint32_t)i);
    }
    slots_drop(table, alive);
}

void buffers_run(struct job *job)
{
    crew_run(job->threads, buffers_work, job);
}
