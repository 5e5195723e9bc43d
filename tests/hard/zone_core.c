/* See zone_core.h. */
#include "hard/zone_core.h"

#include "hard/zone.h"
#include "os/os.h"

static struct slot slot_of(const void *p)
{
    struct slot slot;
    CHECK(hard_slot_find(p, &slot));
    return slot;
}

unsigned core_region(const void *p)
{
    return region_number(slot_of(p).region);
}

unsigned core_bucket(const void *p)
{
    return slot_of(p).region->bucket;
}

void *core_zone(const void *p)
{
    struct slot slot = slot_of(p);
    return region_is_zone(slot.region) ? zone_of(slot.region) : NULL;
}

char *core_guard(const void *p)
{
    struct slot slot = slot_of(p);
    return (char *)slab_start(slot.slab) + ((size_t)1 << slot.region->slab_shift) - os_page_size();
}

void core_chunk(const void *p, uintptr_t *from, uintptr_t *to)
{
    *from = base_round_down((uintptr_t)p - hard.base, chunk_size()) + hard.base;
    *to = *from + chunk_size();
}

uint64_t core_live_bytes(void)
{
    return hard_live_bytes();
}
