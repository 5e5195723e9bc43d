// Growth by realloc: 64 strings that grow side by side in small steps, and vectors that double up
// to 2 MiB.
//
// Stresses: realloc within a size class, from class to class, and by moving pages at large sizes;
// since the strings grow in turns, growing in place is the exception. Who has it: string builders,
// readers that do not know the length, dynamic arrays of every language.
#include "../kit/kit.h"

enum { STRINGS = 64, STRING_MAX = 8192, VECTOR_MAX = 2 << 20, FULL_ROUNDS = 2800 };

static void *block_grow(void *block, size_t size)
{
    void *grown = realloc(block, size);
    if (!grown) fail("realloc to %zu returned NULL", size);
    return grown;
}

// Appends a few bytes; what was there before must have come along.
static void string_append(struct slot *string, size_t more)
{
    size_t old = string->size;
    string->block = block_grow(string->block, old + more);
    block_check(string->block, old, string->tag);
    string->size = (uint32_t)(old + more);
    block_stamp(string->block, string->size, string->tag);
}

static void strings_grow(struct random *random)
{
    struct slot strings[STRINGS] = {0};
    for (unsigned i = 0; i < STRINGS; i++) slot_fill(&strings[i], 16, i);
    for (size_t longest = 0; longest < STRING_MAX;) {
        struct slot *string = &strings[random_below(random, STRINGS)];
        string_append(string, random_between(random, 8, 200));
        longest = string->size > longest ? string->size : longest;
    }
    for (unsigned i = 0; i < STRINGS; i++) slot_drop(&strings[i]);
}

static void vector_grow(uint32_t tag)
{
    struct slot vector = {0};
    slot_fill(&vector, 64, tag);
    while (vector.size < VECTOR_MAX) string_append(&vector, vector.size);
    slot_drop(&vector);
}

static void realloc_grow_work(void *shared, unsigned index)
{
    struct random random = random_seeded(index);
    for (size_t rounds = job_share(shared, FULL_ROUNDS); rounds; rounds--) {
        strings_grow(&random);
        vector_grow((uint32_t)rounds);
    }
}

void realloc_grow_run(struct job *job)
{
    crew_run(job->threads, realloc_grow_work, job);
}
