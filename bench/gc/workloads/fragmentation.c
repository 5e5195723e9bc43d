// Fragmentation: phases, each of objects of another size, from 32 bytes to 8 KiB, up to 100 MB, half of
// them with references. At the end of a phase nine groups of 32 in ten are dropped at random, and the
// tenth stays through the next two phases, strewn over all the memory that the next sizes need. What
// counts is the time, and whether it fits the heap at all. Compilers, batch jobs, games between levels.
#include "kit/job.h"

enum { PHASES = 9, PHASE_BYTES = 100 << 20, KEPT = 2, GROUP = 32 };

static const uint16_t phase_sizes[PHASES] = {32, 256, 48, 1024, 96, 8192, 64, 4096, 512};

// --- a phase's objects ---------------------------------------------------------------------------

// In chunks, because a table of a million slots would ask for the one thing that nobody has here, ten
// megabytes in one piece.
enum { CHUNK = 1024 };

static struct array *table_new(unsigned phase, size_t count)
{
    size_t chunks = (count + CHUNK - 1) / CHUNK;
    struct array *table = array_new(chunks);
    ROOT_STORE(phase, table);
    for (size_t i = 0; i < chunks; i++) STORE(table, &table->slots[i], array_new(CHUNK));
    return table;
}

static struct array *chunk_of(const struct array *table, size_t index)
{
    return table->slots[index / CHUNK];
}

static void *object_at(const struct array *table, size_t index)
{
    return chunk_of(table, index)->slots[index % CHUNK];
}

static void object_put(struct array *table, size_t index, void *object)
{
    struct array *chunk = chunk_of(table, index);
    STORE(chunk, &chunk->slots[index % CHUNK], object);
}

// Every second object has references: the first slot refers to a small node of its own.
static void *object_make(size_t size, size_t index)
{
    meter_step();
    if (index % 2) return bytes_new(size - sizeof(struct head));
    struct array *array = array_new(size / sizeof(void *) - 1);
    STORE(array, &array->slots[0], node_new());
    return array;
}

static void object_drop(void *object, size_t index)
{
    if (!BACKEND_BY_HAND || !object) return;
    if (index % 2 == 0) object_free(((struct array *)object)->slots[0]);
    object_free(object);
}

// --- phases --------------------------------------------------------------------------------------

// How many objects; each counts with its node and its place in the table included.
static size_t phase_count(unsigned phase)
{
    return PHASE_BYTES / (phase_sizes[phase] + sizeof(struct node) / 2 + sizeof(void *));
}

// Made, and half of them made again: garbage of the same size beside what stays.
static void phase_fill(struct array *table, unsigned phase, struct random *random)
{
    for (size_t i = 0; i < phase_count(phase); i++) {
        object_put(table, i, object_make(phase_sizes[phase], i));
        if (random_below(random, 2)) continue;
        object_drop(object_at(table, i), i);
        object_put(table, i, object_make(phase_sizes[phase], i));
    }
}

// One group of neighbours in ten stays: what was made together is often needed together. (One object in
// ten would leave no hole of 4 KB behind, and then nobody who does not move objects has the memory.)
static void phase_thin(struct array *table, unsigned phase, struct random *random)
{
    bool stays = false;
    for (size_t i = 0; i < phase_count(phase); i++) {
        meter_step();
        if (i % GROUP == 0) stays = random_below(random, 10) == 0;
        if (stays) continue;
        object_drop(object_at(table, i), i);
        object_put(table, i, NULL);
    }
}

static void phase_drop(unsigned phase)
{
    struct array *table = roots[phase];
    for (size_t i = 0; BACKEND_BY_HAND && i < phase_count(phase); i++)
        object_drop(object_at(table, i), i);
    for (size_t i = 0; BACKEND_BY_HAND && i < phase_count(phase); i += CHUNK)
        object_free(chunk_of(table, i));
    object_free(table);
    ROOT_STORE(phase, NULL);
}

static void round_run(struct random *random)
{
    for (unsigned phase = 0; phase < PHASES; phase++) {
        if (phase > KEPT) phase_drop(phase - KEPT - 1);
        struct array *table = table_new(phase, phase_count(phase));
        phase_fill(table, phase, random);
        phase_thin(table, phase, random);
    }
    for (unsigned phase = PHASES - KEPT - 1; phase < PHASES; phase++) phase_drop(phase);
}

void fragmentation_run(struct job *job)
{
    struct random random = random_seeded(17);
    for (size_t i = job_total(job, 3); i > 0; i--) round_run(&random);
}
