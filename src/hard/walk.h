/*
 * walk: all slots of small and large regions, while other threads go on: a slot may be another's by the time its
 * visitor looks again. Takes no lock and allocates nothing. Sampled blocks are walked by sample_each.
 */
#ifndef HARD_WALK_H
#define HARD_WALK_H

#include "hard/central.h"

struct hard_walk {
    const struct zone *zone; /* only its slots; NULL: all there are */
    bool in_order;           /* of regions: slots of one size and bucket together; takes longer */
    /* Each may be NULL. Of a slab: those of its slots that exist are slab->carved. */
    void (*slab)(struct hard_walk *walk, const struct region *region, uint32_t slab);
    void (*large)(struct hard_walk *walk, const struct slot *slot);
};

/* Of destroyed zones nothing. */
void hard_walk_all(struct hard_walk *walk);

/* The slot with this index in a slab. */
struct slot hard_walk_slot(const struct region *region, uint32_t slab, uint32_t index);

#endif
