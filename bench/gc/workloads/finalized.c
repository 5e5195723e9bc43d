// Finalizers: 200,000 nodes with a finalizer each are alive, in a ring; an iteration replaces the oldest
// and makes eight nodes of garbage, and every 64th runs the finalizers that are due. At the end all are
// dropped, and all but a few that the stack may still hold must have been finalized once. Handles of
// files, sockets, textures, foreign objects.
#include "kit/job.h"

enum { RING = 200000, GARBAGE = 8, ITERATIONS = 1000000, ALIVE = 1, FINALIZED = 2, LEFT_MOST = 64 };

static uint64_t made, finalized;

static void node_finalize(struct node *node)
{
    if (node->value != ALIVE) fail("a finalizer ran twice or on something else");
    node->value = FINALIZED;
    finalized++;
}

static void iterate(uint64_t serial)
{
    struct array *ring = roots[0];
    struct node *node = node_new();
    node->value = ALIVE;
    finalizer_add(node, node_finalize);
    STORE(ring, &ring->slots[serial % RING], node);
    made++;
    for (unsigned i = 0; i < GARBAGE; i++) STORE(node, &node->left, node_new());
    if (serial % 64 == 0) finalizers_run();
    if (serial % 8 == 0) meter_tick();
}

// Named so in workloads.def; finalizers_run is the heap's.
void finalized_run(struct job *job)
{
    if (!BACKEND_FINALIZERS) cannot("no finalizers here");
    ROOT_STORE(0, array_new(RING));
    for (uint64_t serial = 0; serial < RING; serial++) iterate(serial);
    job_begin(job);
    uint64_t end = RING + job_total(job, ITERATIONS);
    for (uint64_t serial = RING; serial < end; serial++) iterate(serial);
    job_end(job);
    // Not the ring itself, which the stack may still hold, and with it all.
    struct array *ring = roots[0];
    for (size_t i = 0; i < RING; i++) STORE(ring, &ring->slots[i], NULL);
    for (unsigned i = 0; i < 3; i++) {
        heap_collect();
        finalizers_run();
    }
    if (finalized > made || finalized + LEFT_MOST < made)
        fail("%lu of %lu finalizers ran", (unsigned long)finalized, (unsigned long)made);
}
