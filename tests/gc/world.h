/*
 * A random program on a graph of objects, beside a model that never frees. Objects of every shape are made,
 * stored into each other and into roots, dropped, met by weak references and ephemerons, finalized; every
 * object carries the number that it has in the model. What is reachable there must be in the heap, whole and
 * in its place; and where nothing else can keep an object, what is not must be gone.
 *
 * A world is one thread's; the heap and the rules are for all.
 */
#ifndef GC_WORLD_H
#define GC_WORLD_H

#include <freehold/gc.h>

struct world;

struct world_rules {
    bool exact;    /* stacks are: what the model does not reach is not kept. One world at a time */
    bool alone;    /* no other world or thread allocates in the heap */
    bool compacts; /* FH_GC_COMPACT instead of FH_GC_FULL */
    bool may_refuse; /* allocation may fail, and what needs memory may be late */
};

/* From now on, for all worlds. */
void world_begin(struct fh_gc_heap *heap, struct world_rules rules);

/* NULL if memory is refused, and may be. */
struct world *world_create(uint64_t seed);

void world_step(struct world *world);

/* One step, chosen by whoever calls: `what` is its kind, and the same seed takes the same things. */
void world_steer(struct world *world, unsigned what, uint64_t seed);

/* Collects, and compares. */
void world_check(struct world *world);

/* Drops it all; with exact stacks nothing may be left. */
void world_destroy(struct world *world);

#endif
