// Recursion that makes a few blocks on the way down and frees them on the way up.
//
// Stresses: last made, first freed, over free lists that breathe by hundreds of blocks: an
// allocator that hands pages back and takes them again on every swing shows it here. Who has it:
// recursive-descent parsers, compilers' scopes, expression evaluators, C++ with strings in local
// variables.
#include "../kit/kit.h"

enum { DEPTH_MAX = 600, FULL = 50000000 };

struct descent {
    struct random random;
    size_t left;
};

static void lifo_descend(struct descent *descent, size_t depth)
{
    struct slot local[2] = {0};
    size_t size = random_between(&descent->random, 16, 256);
    slot_fill(&local[0], size, (uint32_t)depth);
    slot_fill(&local[1], size / 2 + 8, (uint32_t)size);
    descent->left -= descent->left < 2 ? descent->left : 2;
    if (depth && descent->left) lifo_descend(descent, depth - 1);
    slot_drop(&local[1]);
    slot_drop(&local[0]);
}

static void lifo_climb(void *shared, unsigned index)
{
    struct descent descent = {random_seeded(index), job_share(shared, FULL)};
    while (descent.left) lifo_descend(&descent, random_below(&descent.random, DEPTH_MAX));
}

void lifo_run(struct job *job)
{
    crew_run(job->threads, lifo_climb, job);
}
