/* See walk.h. */
#include "hard/walk.h"
#include "hard/zone.h"

struct slot hard_walk_slot(const struct region *region, uint32_t slab, uint32_t index)
{
    return (struct slot){.start = slot_start(slab, region, index),
                         .word = slab_words(slab, region) + index,
                         .region = region,
                         .slab = slab,
                         .index = index};
}

static void walk_small(struct hard_walk *walk, const struct region *region, uint32_t chunk)
{
    for (uint32_t i = 0; walk->slab && i < region_slabs(region); i++) {
        uint32_t number = slab_number(chunk, i, region);
        if (__atomic_load_n(&slab_at(number, region)->carved, __ATOMIC_RELAXED))
            walk->slab(walk, region, number);
    }
}

static void walk_large(struct hard_walk *walk, const struct region *region, uint32_t chunk)
{
    if (walk->large == NULL || (chunk & (region_run(region) - 1))) return;
    for (uint32_t i = 0; i < region->slots; i++) {
        struct large *large = large_at(chunk, i);
        struct slot slot = {.start = large->start,
                            .word = &large->word,
                            .region = region,
                            .slab = chunk,
                            .index = i};
        if (hard_state(LOAD(&large->word)) != SLOT_NEVER) walk->large(walk, &slot);
    }
}

static void walk_chunk(struct hard_walk *walk, const struct region *region, uint32_t chunk)
{
    if (region->kind == REGION_LARGE)
        walk_large(walk, region, chunk);
    else if (region->kind == REGION_SMALL || region->kind == REGION_ZERO)
        walk_small(walk, region, chunk);
}

static bool is_walked(const struct hard_walk *walk, const struct region *region)
{
    if (region_is_zone(region) &&
        __atomic_load_n(&region_state_of(region)->ended, __ATOMIC_RELAXED))
        return false;
    return walk->zone == NULL || (region_is_zone(region) && zone_of(region) == walk->zone);
}

/* Those of one region, or of all. */
static void walk_chunks(struct hard_walk *walk, const struct region *only)
{
    for (uint32_t i = 0; (i = space_chunk_owned(i)) < space_chunks(); i++) {
        const struct region *region =
            &hard.region[__atomic_load_n(&hard.owner[i], __ATOMIC_ACQUIRE) - 1];
        if (only ? region == only : is_walked(walk, region)) walk_chunk(walk, region, i);
    }
}

/* Most regions have no chunk: it is noted once who has any. */
static void walk_in_order(struct hard_walk *walk)
{
    uint64_t have[HARD_TABLE / 64] = {0};
    for (uint32_t i = 0; (i = space_chunk_owned(i)) < space_chunks(); i++) {
        unsigned r = __atomic_load_n(&hard.owner[i], __ATOMIC_ACQUIRE) - 1u;
        have[r / 64] |= 1ull << r % 64;
    }
    for (unsigned r = 0; r < HARD_TABLE; r++)
        if ((have[r / 64] >> r % 64 & 1) && is_walked(walk, &hard.region[r]))
            walk_chunks(walk, &hard.region[r]);
}

void hard_walk_all(struct hard_walk *walk)
{
    if (walk->in_order)
        walk_in_order(walk);
    else
        walk_chunks(walk, NULL);
}
