/*
 * central: the slabs of each region, under its lock. Threads take and give slots by the handful.
 */
#ifndef HARD_CENTRAL_H
#define HARD_CENTRAL_H

#include "hard/space.h"

/* What changes of a region. */
struct region_state {
    struct lock lock;
    uint32_t first, last; /* slabs that have slots to give: partly used ones in front */
    uint32_t chunk;       /* where new slabs come from, UINT32_MAX: nowhere yet */
    uint32_t made;        /* slabs of that chunk */
    uint32_t committed;   /* of them, and some that will come next */
    uint32_t empties;     /* slabs that were carved, and of which nothing is in use */
    uint32_t slabs;       /* ever made */
    uint64_t carved;      /* slots that exist */
    uint32_t waiting;     /* large: freed slots in the queue, whose first and last are above */
};

extern struct region_state *region_states;

FH_INLINE struct region_state *region_state_of(const struct region *region)
{
    return &region_states[region_number(region)];
}

bool central_start(void);

/* Up to `want` free slots of a region, at random, into slots[]; they are SLOT_CACHED then. 0: no memory. */
unsigned central_take(const struct region *region, struct random *random, uintptr_t *slots,
                      unsigned want);

/* Slots of a region are free. */
void central_give(const struct region *region, const uintptr_t *slots, unsigned count);

/* Slabs in which nothing is in use give their pages back: the purger's visit; see purger.h. */
bool central_sweep(bool force);

void central_fork_prepare(void);
void central_fork_parent(void);
void central_fork_child(void);

#endif
