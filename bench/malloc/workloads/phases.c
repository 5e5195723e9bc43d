// Phases: each grows to 16 MB of blocks around its own size, then shrinks to a tenth of them; the
// tenth stays to the end, strewn over everything.
//
// Stresses: whether memory that one size gave up serves the next, or stays stuck in its class; the
// peak tells. Who has it: compilers (parse, optimise, emit), batch jobs, databases between queries,
// games between levels.
#include "../kit/kit.h"

enum { PHASES = 8, PHASE_BYTES = 16 << 20, KEEP_ONE_OF = 10, FULL_CYCLES = 6 };

static const size_t phase_size[PHASES] = {48, 160, 24, 700, 96, 2000, 320, 40};

struct phase {
    struct slot *slots;
    size_t count;
};

static struct phase phase_grow(size_t size, size_t bytes, struct random *random)
{
    struct phase phase = {.count = bytes / size};
    phase.slots = slots_new(phase.count);
    for (size_t i = 0; i < phase.count; i++)
        slot_fill(&phase.slots[i], random_between(random, size - size / 4, size + size / 4),
                  (uint32_t)i);
    return phase;
}

static void phase_shrink(struct phase *phase, struct random *random)
{
    for (size_t i = 0; i < phase->count; i++)
        if (random_below(random, KEEP_ONE_OF)) slot_drop(&phase->slots[i]);
}

static void phases_cycle(size_t bytes, struct random *random)
{
    struct phase phases[PHASES];
    for (unsigned i = 0; i < PHASES; i++) {
        phases[i] = phase_grow(phase_size[i], bytes, random);
        phase_shrink(&phases[i], random);
    }
    for (unsigned i = 0; i < PHASES; i++) slots_drop(phases[i].slots, phases[i].count);
}

static void phases_work(void *shared, unsigned index)
{
    const struct job *job = shared;
    struct random random = random_seeded(index);
    for (size_t cycles = job_total(job, FULL_CYCLES); cycles; cycles--)
        phases_cycle(PHASE_BYTES / job->threads, &random);
}

void phases_run(struct job *job)
{
    crew_run(job->threads, phases_work, job);
}
