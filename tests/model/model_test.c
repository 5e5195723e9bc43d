/*
 * Random calls against the model, on one thread:
 *
 *     model_test STEPS SEED
 *
 * What could break: any size at any alignment, in any order; above all the joints between small and
 * large blocks, between a block that grows in place and one that moves, and memory that was given
 * back to the kernel and comes back. So phases that fill, phases that empty, and trims in between.
 */
#include <stdio.h>
#include <stdlib.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/random.h"
#include "model/model.h"

enum { PHASE = 5000 };

static struct model model;

/* Frees all but a few slots, so that spans and slabs become empty. */
static void empty_most(struct random *random)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++)
        if (!random_chance(random, 16)) model_free(&model, i);
}

static void check_all(void)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) model_check(&model, i);
}

static void run_phase(struct random *random)
{
    static const size_t size_max[] = {256, 2048, 40000, 300000, 4 << 20, 24 << 20};
    size_t max = size_max[random_below(random, sizeof size_max / sizeof *size_max)];
    for (int i = 0; i < PHASE; i++) model_step(&model, random, max);
    check_all();
    if (random_chance(random, 2)) empty_most(random);
    if (random_chance(random, 2)) fh_malloc_trim(0);
    check_all();
}

int main(int argc, char **argv)
{
    long steps = argc > 1 ? atol(argv[1]) : 100000;
    uint64_t seed = random_seed_argument(argc, argv, 2);
    struct random random = {seed};
    model_init(&model, (size_t)400 << 20, seed);
    for (long done = 0; done < steps; done += PHASE) run_phase(&random);
    model_finish(&model);
    EXPECT(model.refused == 0, "%zu calls were refused", model.refused);
    printf("%ld steps\n", steps);
    return 0;
}
