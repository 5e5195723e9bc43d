// Large arrays: 64 of references and 64 of numbers, 16 KiB to 4 MiB, small ones as likely as large ones
// by order of magnitude. An iteration replaces one of each by a new one of another size, takes over
// what fits, and then stores 256 new nodes at random places of old arrays. What the collector must not
// do is look at the whole of an array because of one store, or keep memory in pieces nobody can use.
// Vectors, hash tables, images, matrices.
#include "kit/job.h"

#include <string.h>

enum { ARRAYS = 64, STORES = 256, ITERATIONS = 1500, STRIDE = 64 };

static uint32_t counts[ARRAYS], sizes[ARRAYS]; // of references, of bytes

// 16 KiB to 4 MiB.
static size_t size_pick(struct random *random)
{
    size_t power = (size_t)16384 << random_below(random, 8);
    return power + random_below(random, power);
}

// Every STRIDE-th slot is taken over, so that the copying does not drown the rest.
static void references_replace(unsigned at, struct random *random)
{
    struct array *all = roots[0];
    size_t count = size_pick(random) / sizeof(void *);
    struct array *fresh = array_new(count);
    meter_tick();
    struct array *old = all->slots[at];
    size_t common = counts[at] < count ? counts[at] : count;
    for (size_t i = 0; old && i < common; i += STRIDE) {
        STORE(fresh, &fresh->slots[i], old->slots[i]);
        if (BACKEND_BY_HAND) old->slots[i] = NULL;
    }
    for (size_t i = 0; BACKEND_BY_HAND && i < counts[at]; i++) object_free(old->slots[i]);
    object_free(old);
    STORE(all, &all->slots[at], fresh);
    counts[at] = (uint32_t)count;
    meter_tick();
}

static void numbers_replace(unsigned at, struct random *random)
{
    struct array *all = roots[0];
    size_t size = size_pick(random);
    struct bytes *fresh = bytes_new(size);
    struct bytes *old = all->slots[ARRAYS + at];
    memset(fresh->data, (int)at, size);
    if (old && old->data[sizes[at] - 1] != at) fail("an array of numbers is damaged");
    object_free(old);
    STORE(all, &all->slots[ARRAYS + at], fresh);
    sizes[at] = (uint32_t)size;
    meter_tick();
}

static void nodes_store(struct random *random)
{
    struct array *all = roots[0];
    for (unsigned i = 0; i < STORES; i++) {
        unsigned at = (unsigned)random_below(random, ARRAYS);
        struct node *node = node_new();
        struct array *array = all->slots[at];
        size_t slot = random_below(random, counts[at] / STRIDE) * STRIDE;
        object_free(array->slots[slot]);
        STORE(array, &array->slots[slot], node);
    }
    meter_tick();
}

void arrays_run(struct job *job)
{
    struct random random = random_seeded(7);
    ROOT_STORE(0, array_new((size_t)2 * ARRAYS));
    for (unsigned at = 0; at < ARRAYS; at++) {
        references_replace(at, &random);
        numbers_replace(at, &random);
    }
    job_begin(job);
    for (size_t i = job_total(job, ITERATIONS); i > 0; i--) {
        references_replace((unsigned)random_below(&random, ARRAYS), &random);
        numbers_replace((unsigned)random_below(&random, ARRAYS), &random);
        nodes_store(&random);
        job->product += counts[i % ARRAYS] + sizes[i % ARRAYS];
    }
}
