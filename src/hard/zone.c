/* See zone.h. */
#include <sched.h>
#include <string.h>

#include "base/format.h"
#include "hard/registry.h"
#include "hard/zone.h"
#include "os/guard.h"

enum { ZONES_MOST = HARD_TABLE - HARD_ZONE_FIRST };

static struct {
    struct lock lock;
    uintptr_t pages; /* one for each zone; 0: no zone was made yet */
    _Atomic uint32_t made;
    bool names;
} zones;

/* ---- what is sealed ----------------------------------------------------------------------------------- */

static void pages_around(const void *p, size_t size, uintptr_t *start, size_t *bytes)
{
    *start = base_round_down((uintptr_t)p, os_page_size());
    *bytes = base_round_up((uintptr_t)p + size, os_page_size()) - *start;
}

/* Holds: the lock. */
static bool unseal(void *p, size_t size)
{
    uintptr_t start;
    size_t bytes;
    pages_around(p, size, &start, &bytes);
    return os_vm_commit((void *)start, bytes);
}

static void seal(void *p, size_t size)
{
    uintptr_t start;
    size_t bytes;
    pages_around(p, size, &start, &bytes);
    os_vm_readable((void *)start, bytes);
}

static struct zone *zone_at(uint32_t number)
{
    return (struct zone *)(zones.pages + (uintptr_t)number * os_page_size());
}

bool zone_is(const void *p)
{
    uintptr_t offset = (uintptr_t)p - zones.pages, page = os_page_size();
    if (zones.pages == 0 || offset % page || offset / page >= LOAD_ACQUIRE(&zones.made))
        return false;
    return __atomic_load_n(&((const struct zone *)p)->state, __ATOMIC_RELAXED) != ZONE_DESTROYED;
}

struct zone *zone_of(const struct region *region)
{
    return zone_at(hard.zone_of[region - &hard.region[HARD_ZONE_FIRST]]);
}

enum zone_rule zone_allows(const struct zone *zone)
{
    unsigned state = __atomic_load_n(&zone->state, __ATOMIC_RELAXED);
    if (state == ZONE_DESTROYED) return ZONE_NO_HANDLE;
    if (state == ZONE_SEALED) return ZONE_IS_SEALED;
    bool away = (zone->flags & ZONE_PINNED) && zone->core != (uint32_t)sched_getcpu();
    return away ? ZONE_OTHER_CORE : ZONE_KEPT;
}

/* ---- names in /proc/PID/maps ------------------------------------------------------------------------------ */

/* The kernel refuses these. */
static bool may_stand(char c)
{
    return c >= 32 && c < 127 && !strchr("[]\\$`", c);
}

static void zone_name_into(const struct zone *zone, struct text *t)
{
    text_str(t, "zone ");
    for (const char *c = zone->name; *c; c++) text_char(t, may_stand(*c) ? *c : '_');
}

/* A chunk is taken for a region. */
static void name_chunk(unsigned number, void *start, size_t size)
{
    char name[80];
    struct text t = TEXT(name);
    const struct region *region = &hard.region[number];
    if (!region_is_zone(region) && !zones.names) return;
    text_str(&t, "freehold:");
    if (region_is_zone(region)) {
        zone_name_into(zone_of(region), &t);
        text_char(&t, ' ');
    }
    if (region->kind == REGION_LARGE) text_str(&t, "large ");
    text_dec(&t, region->kind == REGION_LARGE ? (size_t)1 << region->slab_shift : region->size);
    text_end(&t);
    os_vm_name(start, size, name);
}

void zone_start(bool names)
{
    zones.names = names;
    space_taken = name_chunk;
}

/* ---- regions ------------------------------------------------------------------------------------------------ */

/* Tags lie behind the words of slots, a byte each. */
static size_t tags_at(const struct region *region)
{
    return region->words_at + (size_t)region_slabs(region) * region->slots * sizeof(slot_word);
}

static void region_write(struct region *region, struct zone *zone, unsigned c)
{
    if (c < HARD_CLASSES) {
        region_make_zone(region, c);
        size_t tags = (size_t)region_slabs(region) * region->slots;
        CHECK(tags_at(region) + tags <= chunk_size() >> HARD_META_SHIFT);
    } else {
        region_make_zone_large(region, c - HARD_CLASSES);
    }
    hard.zone_of[region - &hard.region[HARD_ZONE_FIRST]] = (uint16_t)zone->number;
}

/* Holds: the lock. The entry and whose it is; both are sealed again. */
static bool region_enter(struct region *region, struct zone *zone, unsigned c)
{
    uint16_t *whose = &hard.zone_of[region - &hard.region[HARD_ZONE_FIRST]];
    if (!unseal(region, sizeof *region)) return false;
    bool open = unseal(whose, sizeof *whose);
    if (open) region_write(region, zone, c);
    seal(region, sizeof *region);
    seal(whose, sizeof *whose);
    return open;
}

/* Holds: the lock. */
static const struct region *region_add(struct zone *zone, unsigned c)
{
    struct region *region = central_zone_next();
    if (region == NULL || !region_enter(region, zone, c) || !unseal(zone, sizeof *zone))
        return NULL;
    central_zone_made();
    hard_registry_regions(HARD_ZONE_FIRST + LOAD(&zone_regions));
    /* whoever finds its number finds the entry */
    __atomic_store_n(&zone->region_of[c], (uint16_t)region_number(region), __ATOMIC_RELEASE);
    seal(zone, sizeof *zone);
    return region;
}

static const struct region *region_get(struct zone *zone, unsigned c)
{
    unsigned number = __atomic_load_n(&zone->region_of[c], __ATOMIC_ACQUIRE);
    if (LIKELY(number)) return &hard.region[number];
    const struct region *region = NULL;
    lock_take(&zones.lock);
    number = __atomic_load_n(&zone->region_of[c], __ATOMIC_ACQUIRE);
    if (number)
        region = &hard.region[number];
    else if (zone->state == ZONE_OPEN)
        region = region_add(zone, c);
    lock_give(&zones.lock);
    return region;
}

const struct region *zone_region(struct zone *zone, unsigned size_class)
{
    return region_get(zone, size_class);
}

const struct region *zone_region_large(struct zone *zone, unsigned i)
{
    return region_get(zone, HARD_CLASSES + i);
}

/* ---- create --------------------------------------------------------------------------------------------------- */

/* Holds: the lock. */
static bool pages_reserve(void)
{
    if (zones.pages) return true;
    size_t page = os_page_size();
    zones.pages = (uintptr_t)os_vm_reserve(ZONES_MOST * page, page);
    return zones.pages != 0;
}

/* Holds: the lock. */
static struct zone *zone_make(const char *name, size_t block, unsigned flags)
{
    uint32_t number = LOAD(&zones.made);
    if (number == ZONES_MOST || !pages_reserve()) return NULL;
    struct zone *zone = zone_at(number);
    if (!unseal(zone, sizeof *zone)) return NULL;
    *zone = (struct zone){.number = number, .state = ZONE_OPEN, .flags = flags, .block = block};
    zone->core = (uint32_t)sched_getcpu();
    zone->secret = space_random();
    for (size_t i = 0; i + 1 < ZONE_NAME && name[i]; i++) zone->name[i] = name[i];
    seal(zone, sizeof *zone);
    STORE_RELEASE(&zones.made, number + 1); /* with zone_is */
    return zone;
}

struct zone *zone_create(const char *name, size_t block, unsigned flags)
{
    static_assert(sizeof(struct zone) <= 4096, "on a page of its own");
    lock_take(&zones.lock);
    struct zone *zone = zone_make(name, block, flags);
    lock_give(&zones.lock);
    return zone;
}

/* Holds: the lock. */
static bool state_set(struct zone *zone, unsigned state)
{
    if (!unseal(zone, sizeof *zone)) return false;
    __atomic_store_n(&zone->state, state, __ATOMIC_RELAXED);
    seal(zone, sizeof *zone);
    return true;
}

/* ---- its chunks ------------------------------------------------------------------------------------------------- */

static bool each_chunk(const struct region *region,
                       bool (*visit)(const struct region *, uint32_t chunk))
{
    bool all = true;
    for (uint32_t i = 0; i < space_chunks(); i++)
        if (__atomic_load_n(&hard.owner[i], __ATOMIC_ACQUIRE) == region_number(region) + 1)
            all = visit(region, i) && all;
    return all;
}

static bool each_region(struct zone *zone, bool (*visit)(const struct region *, uint32_t chunk))
{
    bool all = true;
    for (unsigned c = 0; c < HARD_CLASSES + HARD_LARGE_COUNT; c++)
        if (zone->region_of[c]) all = each_chunk(&hard.region[zone->region_of[c]], visit) && all;
    return all;
}

static bool is_first_of_run(const struct region *region, uint32_t chunk)
{
    return (chunk & (region_run(region) - 1)) == 0;
}

/* ---- destroy ------------------------------------------------------------------------------------------------------ */

static uint64_t live; /* under the lock: bytes of live slots that a visit found */

static bool word_end(slot_word *word)
{
    uint32_t now = LOAD(word), gone;
    do {
        if (hard_state(now) == SLOT_NEVER) return false;
        gone = (now & ~WORD_STATE) | SLOT_GONE;
    } while (!atomic_compare_exchange_weak_explicit(word, &now, gone, memory_order_relaxed,
                                                    memory_order_relaxed));
    return hard_state(now) == SLOT_LIVE;
}

static void words_end(const struct region *region, uint32_t chunk)
{
    for (uint32_t i = 0; i < region_slabs(region); i++) {
        uint32_t number = slab_number(chunk, i, region);
        slot_word *words = slab_words(number, region);
        for (uint32_t k = 0; k < slab_at(number, region)->carved; k++)
            if (word_end(&words[k])) live += region->size;
    }
}

static void large_words_end(const struct region *region, uint32_t chunk)
{
    for (uint32_t i = 0; i < region->slots; i++) {
        struct large *large = large_at(chunk, i);
        if (!word_end(&large->word)) continue;
        size_t bytes = base_round_up(large->size, os_page_size());
        __atomic_fetch_sub(&fh_registry.large_count, 1, __ATOMIC_RELAXED);
        __atomic_fetch_sub(&fh_registry.large_bytes, bytes, __ATOMIC_RELAXED);
    }
}

/* Its addresses stay its own. */
static bool chunk_end(const struct region *region, uint32_t chunk)
{
    if (region->kind != REGION_LARGE)
        words_end(region, chunk);
    else if (is_first_of_run(region, chunk))
        large_words_end(region, chunk);
    if (os_vm_decommit((void *)chunk_start(chunk), chunk_size())) return true;
    /* Locked in memory, or no mappings left: at least it is gone. */
    return os_vm_purge((void *)chunk_start(chunk), chunk_size());
}

uint64_t zone_destroy(struct zone *zone)
{
    uint64_t found = 0;
    lock_take(&zones.lock);
    if (zone->state != ZONE_DESTROYED && state_set(zone, ZONE_DESTROYED)) {
        for (unsigned c = 0; c < HARD_CLASSES + HARD_LARGE_COUNT; c++)
            if (zone->region_of[c]) central_zone_end(&hard.region[zone->region_of[c]]);
        live = 0;
        each_region(zone, chunk_end);
        found = live;
    }
    lock_give(&zones.lock);
    return found;
}

/* ---- seal --------------------------------------------------------------------------------------------------------- */

static bool range_protect(uintptr_t start, uintptr_t end, bool writable)
{
    if (start >= end) return true;
    return (writable ? os_vm_commit : os_vm_readable)((void *)start, end - start);
}

/* Guards that are mappings must not be opened: then each slab by itself. */
static bool slabs_protect(const struct region *region, uint32_t chunk, bool writable)
{
    bool all = true;
    for (uint32_t i = 0; i < region_slabs(region); i++) {
        uint32_t number = slab_number(chunk, i, region);
        uintptr_t start = slab_start(number),
                  bytes = (uintptr_t)slab_at(number, region)->carved * region->size;
        if (bytes)
            all =
                range_protect(start, base_round_up(start + bytes, os_page_size()), writable) && all;
    }
    return all;
}

static bool larges_protect(const struct region *region, uint32_t chunk, bool writable)
{
    bool all = true;
    for (uint32_t i = 0; i < region->slots; i++) {
        struct large *large = large_at(chunk, i);
        if (hard_state(LOAD(&large->word)) != SLOT_LIVE) continue;
        uintptr_t start = base_round_down(large->start, os_page_size());
        all = range_protect(start, large->pages, writable) && all;
    }
    return all;
}

static bool chunk_protect(const struct region *region, uint32_t chunk, bool writable)
{
    if (region->kind == REGION_SMALL) return slabs_protect(region, chunk, writable);
    return !is_first_of_run(region, chunk) || larges_protect(region, chunk, writable);
}

static bool chunk_seal(const struct region *region, uint32_t chunk)
{
    return chunk_protect(region, chunk, false);
}

static bool chunk_unseal(const struct region *region, uint32_t chunk)
{
    return chunk_protect(region, chunk, true);
}

bool zone_seal(struct zone *zone)
{
    lock_take(&zones.lock);
    bool done =
        zone->state == ZONE_SEALED || (zone->state == ZONE_OPEN && state_set(zone, ZONE_SEALED));
    if (done && !each_region(zone, chunk_seal)) {
        done = false;
        each_region(zone, chunk_unseal);
        state_set(zone, ZONE_OPEN);
    }
    lock_give(&zones.lock);
    return done;
}

bool zone_unseal(struct zone *zone)
{
    lock_take(&zones.lock);
    bool done = zone->state == ZONE_OPEN;
    if (zone->state == ZONE_SEALED)
        done = each_region(zone, chunk_unseal) && state_set(zone, ZONE_OPEN);
    lock_give(&zones.lock);
    return done;
}

/* ---- tags --------------------------------------------------------------------------------------------------------- */

static uint8_t *tag_byte(const struct slot *slot)
{
    uint32_t index = slab_index(slot->slab, slot->region) * slot->region->slots + slot->index;
    return (uint8_t *)chunk_meta(slab_chunk(slot->slab)) + tags_at(slot->region) + index;
}

void zone_tag_renew(const struct slot *slot, uint8_t random)
{
    if (slot->region->kind == REGION_LARGE)
        large_at(slot->slab, slot->index)->visits += random | 1u;
    else
        *tag_byte(slot) = (uint8_t)(*tag_byte(slot) + (random | 1)); /* another one than before */
}

/* A bijection of the byte, so that a life's tag is never that of the life before; but 1 stands for two. */
uint8_t zone_tag(const struct slot *slot)
{
    bool large = slot->region->kind == REGION_LARGE;
    uint8_t life = (uint8_t)(large ? large_at(slot->slab, slot->index)->visits : *tag_byte(slot));
    uint64_t x = (slot->start ^ zone_of(slot->region)->secret) * hard.secret;
    x = (x ^ x >> 29) * hard.secret;
    uint8_t tag = (uint8_t)(life + (x >> 56));
    return tag ? tag : 1;
}

bool zone_tags_rotate(struct zone *zone)
{
    lock_take(&zones.lock);
    bool open = zone->state != ZONE_DESTROYED && unseal(zone, sizeof *zone);
    if (open) {
        zone->secret = space_random();
        seal(zone, sizeof *zone);
    }
    lock_give(&zones.lock);
    return open;
}

/* ---- fork --------------------------------------------------------------------------------------------------------- */

void zone_fork_prepare(void)
{
    lock_take(&zones.lock);
}

void zone_fork_parent(void)
{
    lock_give(&zones.lock);
}

void zone_fork_child(void)
{
    lock_reset(&zones.lock);
}
