// Quads (after Whippet's benchmark of that name): a tree of quads of depth 10 stays, 1.4 million of
// them, and is walked after each round; a round makes 20,000 trees of depth 3, of 85 quads, and drops
// them. What generations are made for: what is old stays, what is young dies.
#include "kit/job.h"

enum { ROUNDS = 20, ROUND_TREES = 20000, DEPTH = 3 };

static struct quad *quads_make(unsigned depth)
{
    struct quad *kids[4] = {0};
    meter_step();
    for (unsigned i = 0; depth > 0 && i < 4; i++) kids[i] = quads_make(depth - 1);
    struct quad *quad = quad_new();
    for (unsigned i = 0; i < 4; i++) INIT(quad, &quad->kids[i], kids[i]);
    return quad;
}

static void quads_drop(struct quad *quad)
{
    if (!BACKEND_BY_HAND || !quad) return;
    meter_step();
    for (unsigned i = 0; i < 4; i++) quads_drop(quad->kids[i]);
    object_free(quad);
}

static size_t quads_count(const struct quad *quad)
{
    if (!quad) return 0;
    meter_step();
    size_t count = 1;
    for (unsigned i = 0; i < 4; i++) count += quads_count(quad->kids[i]);
    return count;
}

void quads_run(struct job *job)
{
    size_t trees = job_total(job, ROUND_TREES);
    ROOT_STORE(0, quads_make(job->parameter));
    size_t count = quads_count(roots[0]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < trees; i++) quads_drop(quads_make(DEPTH));
        if (quads_count(roots[0]) != count) fail("the long-lived tree is damaged");
    }
    job->product = count;
}
