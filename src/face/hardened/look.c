/* freehold/zone.h: what is live, what is damaged, what is stale. */
#include <freehold/zone.h>

#include <errno.h>

#include "face/hardened/hardened.h"
#include "hard/large.h"
#include "hard/sample.h"
#include "hard/stale.h"
#include "hard/verify.h"
#include "hard/walk.h"
#include "os/os.h"

/* ---- what is live ------------------------------------------------------------------------------------- */

struct census {
    struct hard_walk walk;
    void (*visit)(const struct fh_live_block *block, void *context);
    void *context;
    struct fh_zone_usage sum;
};

static void census_add(struct census *census, const struct slot *slot, uint32_t word, size_t room)
{
    struct fh_live_block block = {.start = (const void *)slot->start, .slot_size = room};
    block.size = slot->region->kind == REGION_LARGE ? hard_slot_size(slot)
                                                    : room - base_min(room, hard_slack(word));
    bool is_told = hard_kind(word) == KIND_NEW_ALIGNED || hard_kind(word) == KIND_NEW_ARRAY_ALIGNED;
    block.thread = is_told ? 0 : word >> WORD_THREAD_SHIFT & (WORD_THREADS - 1);
    if (region_is_zone(slot->region)) block.zone = zone_of(slot->region);
    census->sum.blocks++;
    census->sum.bytes += block.size;
    census->sum.slot_bytes += room;
    if (census->visit) census->visit(&block, census->context);
}

static void census_slab(struct hard_walk *walk, const struct region *region, uint32_t number)
{
    uint32_t carved = slab_at(number, region)->carved;
    for (uint32_t i = 0; i < carved; i++) {
        struct slot slot = hard_walk_slot(region, number, i);
        uint32_t word = LOAD(slot.word);
        if (hard_state(word) == SLOT_LIVE)
            census_add((struct census *)walk, &slot, word, region->size);
    }
}

static void census_large(struct hard_walk *walk, const struct slot *slot)
{
    uint32_t word = LOAD(slot->word);
    const struct large *large = large_at(slot->slab, slot->index);
    size_t room = large->pages - base_round_down(large->start, os_page_size());
    if (hard_state(word) == SLOT_LIVE) census_add((struct census *)walk, slot, word, room);
}

static void census_sample(const struct sample_block *block, void *context)
{
    struct census *census = context;
    uint32_t word = LOAD((slot_word *)&block->word);
    struct fh_live_block told = {
        .start = (const void *)block->start, .size = block->size, .slot_size = block->size};
    if (hard_state(word) != SLOT_LIVE) return;
    census->sum.blocks++;
    census->sum.bytes += block->size;
    census->sum.slot_bytes += block->size;
    if (census->visit) census->visit(&told, census->context);
}

static void census_take(struct census *census, const fh_zone *zone)
{
    census->walk = (struct hard_walk){
        .zone = zone, .in_order = census->visit, .slab = census_slab, .large = census_large};
    if (!face_start()) return;
    hard_walk_all(&census->walk);
    if (zone == NULL) sample_each(census_sample, census);
}

PUBLIC size_t fh_hardened_leaks(const fh_zone *zone,
                                void (*visit)(const struct fh_live_block *block, void *context),
                                void *context)
{
    struct census census = {.visit = visit, .context = context};
    if (zone && !zone_is(zone)) {
        hard_zone_report("fh_hardened_leaks", zone, ZONE_NO_HANDLE);
        return 0;
    }
    census_take(&census, zone);
    return census.sum.blocks;
}

PUBLIC size_t fh_zone_count(const fh_zone *zone)
{
    struct fh_zone_usage usage = {.size = sizeof usage};
    return fh_zone_usage_get(zone, &usage) == 0 ? usage.blocks : 0;
}

static uint64_t zone_regions_of(const fh_zone *zone)
{
    uint64_t count = 0;
    for (unsigned c = 0; c < sizeof zone->region_of / sizeof *zone->region_of; c++)
        count += __atomic_load_n(&zone->region_of[c], __ATOMIC_RELAXED) != 0;
    return count;
}

PUBLIC int fh_zone_usage_get(const fh_zone *zone, struct fh_zone_usage *usage)
{
    struct census census = {0};
    if (usage->size == 0) return -EINVAL;
    if (!zone_is(zone)) {
        hard_zone_report("fh_zone_usage_get", zone, ZONE_NO_HANDLE);
        return -EINVAL;
    }
    census_take(&census, zone);
    census.sum.regions = zone_regions_of(zone);
    census.sum.size = usage->size;
    __builtin_memcpy(usage, &census.sum, base_min(usage->size, sizeof census.sum));
    return 0;
}

/* ---- what is damaged ------------------------------------------------------------------------------------ */

PUBLIC size_t fh_hardened_verify(void)
{
    struct hard_thread *thread = hardened_self();
    return thread ? verify_all(thread, NULL, "fh_hardened_verify") : 0;
}

PUBLIC size_t fh_zone_verify(const fh_zone *zone)
{
    struct hard_thread *thread = hardened_self();
    if (!zone_is(zone)) {
        hard_zone_report("fh_zone_verify", zone, ZONE_NO_HANDLE);
        return 0;
    }
    return thread ? verify_all(thread, zone, "fh_zone_verify") : 0;
}

/* ---- what is stale ---------------------------------------------------------------------------------------- */

PUBLIC long fh_hardened_search_stack(unsigned whose,
                                     void (*visit)(const struct fh_stale_word *word, void *context),
                                     void *context)
{
    if (!face_start()) return 0;
    return stale_search(whose == FH_STACK_ALL, visit, context);
}
