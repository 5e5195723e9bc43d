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
    bool ended;           /* of a destroyed zone: takes and gives nothing any more */
};

extern struct region_state *region_states, *zone_states;
extern _Atomic uint32_t zone_regions; /* how many zones have */

FH_INLINE struct region_state *region_state_of(const struct region *region)
{
    return region_is_zone(region) ? &zone_states[region - &hard.region[HARD_ZONE_FIRST]]
                                  : &region_states[region_number(region)];
}

/* The next region of the table that a zone may have, NULL: none is left; and it is made now. One thread at a
 * time, under the lock of zones. */
struct region *central_zone_next(void);
void central_zone_made(void);

/* Nothing is taken from it or given to it any more. */
void central_zone_end(const struct region *region);

/* The one that follows of those with slots, small or large, zones' last; NULL: none. Begin with hard.region. */
FH_INLINE const struct region *region_after(const struct region *region)
{
    const struct region *next = region + 1;
    if (next == &hard.region[HARD_SAMPLE]) next = &hard.region[HARD_ZONE_FIRST];
    return region_is_zone(next) &&
                   next >= &hard.region[HARD_ZONE_FIRST + LOAD_ACQUIRE(&zone_regions)]
               ? NULL
               : next;
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
