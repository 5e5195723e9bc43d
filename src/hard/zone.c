/* See zone.h. */
#include <sched.h>
#include <string.h>

#include "base/format.h"
#include "hard/registry.h"
#include "hard/zone.h"
#include "os/guard.h"
#include "os/tag.h"

enum { ZONES_MOST = HARD_TABLE - HARD_ZONE_FIRST };

/* What of a zone changes, and is not sealed. */
struct zone_gate {
    struct lock lock;
    bool ended; /* destroyed, even where its page cannot be unsealed */
};

static struct {
    struct lock lock;
    uintptr_t pages; /* one for each zone; 0: no zone was made yet */
    struct zone_gate *gates;
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
    return !__atomic_load_n(&zones.gates[offset / page].ended, __ATOMIC_RELAXED);
}

void zone_enter(const struct zone *zone)
{
    lock_take(&zones.gates[zone->number].lock);
    if (zone->flags & ZONE_TAGGED) os_tag_check(false);
}

void zone_leave(const struct zone *zone)
{
    if (zone->flags & ZONE_TAGGED) os_tag_check(true);
    lock_give(&zones.gates[zone->number].lock);
}

struct zone *zone_of(const struct region *region)
{
    return zone_at(hard.zone_of[region - &hard.region[HARD_ZONE_FIRST]]);
}

enum zone_rule zone_allows(const struct zone *zone)
{
    if (zones.gates[zone->number].ended) return ZONE_NO_HANDLE;
    if (zone->state == ZONE_SEALED) return ZONE_IS_SEALED;
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
    size_t page = os_page_size();
    if (zones.gates == NULL) zones.gates = space_record(ZONES_MOST * sizeof *zones.gates);
    if (zones.pages == 0 && zones.gates)
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

/* Holds: the zone. */
static bool each_chunk(struct zone *zone, bool (*visit)(const struct region *, uint32_t chunk))
{
    bool all = true;
    for (uint32_t i = 0; (i = space_chunk_owned(i)) < space_chunks(); i++) {
        const struct region *region = &hard.region[hard.owner[i] - 1];
        if (region_is_zone(region) && zone_of(region) == zone) all = visit(region, i) && all;
    }
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

/* No mappings are left: without splitting one. */
static bool chunk_hide(void *start)
{
    return space_has_guards && os_vm_guard(start, chunk_size());
}

/* Its addresses stay its own. */
static bool chunk_end(const struct region *region, uint32_t chunk)
{
    if (region->kind != REGION_LARGE)
        words_end(region, chunk);
    else if (is_first_of_run(region, chunk))
        large_words_end(region, chunk);
    void *start = (void *)chunk_start(chunk);
    if (space_decommit(start, chunk_size())) {
        os_vm_name(start, chunk_size(), SPACE_NAME); /* one mapping with what lies around it */
        return true;
    }
    return chunk_hide(start) || os_vm_purge(start, chunk_size());
}

uint64_t zone_destroy(struct zone *zone)
{
    struct zone_gate *gate = &zones.gates[zone->number];
    uint64_t found = 0;
    zone_enter(zone);
    lock_take(&zones.lock);
    if (!gate->ended) {
        __atomic_store_n(&gate->ended, true, __ATOMIC_RELAXED);
        state_set(zone, ZONE_DESTROYED);
        for (unsigned c = 0; c < HARD_CLASSES + HARD_LARGE_COUNT; c++)
            if (zone->region_of[c]) central_zone_end(&hard.region[zone->region_of[c]]);
        live = 0;
        each_chunk(zone, chunk_end);
        found = live;
    }
    lock_give(&zones.lock);
    zone_leave(zone);
    return found;
}

/* ---- seal --------------------------------------------------------------------------------------------------------- */

static bool range_protect(uintptr_t start, uintptr_t end, bool writable)
{
    if (start >= end) return true;
    return (writable ? os_vm_commit : os_vm_readable)((void *)start, end - start);
}

/* Slabs of the chunk that have memory, carved or not: carving and purging go on when it is unsealed. */
static uint32_t slabs_committed(const struct region *region, uint32_t chunk)
{
    const struct region_state *state = region_state_of(region);
    return state->chunk == chunk ? state->committed : region_slabs(region);
}

/* Guards of the kernel's stay where they are. Those that are mappings must not be opened: then each slab by itself. */
static bool slabs_protect(const struct region *region, uint32_t chunk, bool writable)
{
    uint32_t count = slabs_committed(region, chunk);
    uintptr_t start = chunk_start(chunk), size = (uintptr_t)1 << region->slab_shift;
    bool all = true;
    if (space_has_guards) return range_protect(start, start + count * size, writable);
    for (uint32_t i = 0; i < count; i++, start += size)
        all = range_protect(start, start + size - os_page_size(), writable) && all;
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

/* Holds: the zone, and the lock. All or nothing, as far as the kernel takes back what it has done. */
static bool seal_held(struct zone *zone)
{
    if (zone->state == ZONE_SEALED) return true;
    if (!state_set(zone, ZONE_SEALED)) return false;
    if (each_chunk(zone, chunk_seal)) return true;
    each_chunk(zone, chunk_unseal);
    state_set(zone, ZONE_OPEN);
    return false;
}

static bool unseal_held(struct zone *zone)
{
    if (zone->state == ZONE_OPEN) return true;
    return each_chunk(zone, chunk_unseal) && state_set(zone, ZONE_OPEN);
}

static bool zone_change(struct zone *zone, bool (*change)(struct zone *zone))
{
    zone_enter(zone);
    lock_take(&zones.lock);
    bool done = !zones.gates[zone->number].ended && change(zone);
    lock_give(&zones.lock);
    zone_leave(zone);
    return done;
}

bool zone_seal(struct zone *zone)
{
    return zone_change(zone, seal_held);
}

bool zone_unseal(struct zone *zone)
{
    return zone_change(zone, unseal_held);
}

/* ---- tags --------------------------------------------------------------------------------------------------------- */

static uint8_t *tag_byte(const struct slot *slot)
{
    uint32_t index = slab_index(slot->slab, slot->region) * slot->region->slots + slot->index;
    return (uint8_t *)chunk_meta(slab_chunk(slot->slab)) + tags_at(slot->region) + index;
}

enum { TAGS = 255 }; /* 1 to 255: of untagged pointers the byte is 0 */

/* Another one than before: from 1 to 254 further. */
static uint32_t life_next(uint32_t life, uint8_t random)
{
    return (life + 1 + random % (TAGS - 1)) % TAGS;
}

void zone_tag_renew(const struct slot *slot, uint8_t random)
{
    if (slot->region->kind == REGION_LARGE) {
        struct large *large = large_at(slot->slab, slot->index);
        large->visits = life_next(large->visits, random);
    } else {
        *tag_byte(slot) = (uint8_t)life_next(*tag_byte(slot), random);
    }
}

/* A bijection of the life, so that a life's tag is never that of the life before. */
uint8_t zone_tag(const struct slot *slot)
{
    bool large = slot->region->kind == REGION_LARGE;
    uint32_t life = large ? large_at(slot->slab, slot->index)->visits : *tag_byte(slot);
    uint64_t x = (slot->start ^ zone_of(slot->region)->secret) * hard.secret;
    x = (x ^ x >> 29) * hard.secret;
    return (uint8_t)(1 + (life + (x >> 56)) % TAGS);
}

static bool rotate_held(struct zone *zone)
{
    if (!unseal(zone, sizeof *zone)) return false;
    zone->secret = space_random();
    seal(zone, sizeof *zone);
    return true;
}

bool zone_tags_rotate(struct zone *zone)
{
    return zone_change(zone, rotate_held);
}

/* ---- tags of the processor's ------------------------------------------------------------------------------------ */

static bool region_is_tagged(const struct region *region)
{
    return region_is_zone(region) && (zone_of(region)->flags & ZONE_TAGGED);
}

bool zone_committed(const struct region *region, void *p, size_t size)
{
    return !region_is_tagged(region) || os_tag_memory(p, size);
}

/* What lies around it, what its place had last, and what plain pointers have. */
static unsigned tags_taken(const struct slot *slot)
{
    const struct slab *slab = slab_at(slot->slab, slot->region);
    unsigned taken = 1u | 1u << *tag_byte(slot);
    uintptr_t end = slot->start + slot->region->size;
    if (slot->index > 0) taken |= 1u << os_tag_get((void *)(slot->start - OS_TAG_GRANULE));
    if (slot->index + 1u < slab->carved) taken |= 1u << os_tag_get((void *)end);
    return taken;
}

void *zone_block_tag(const struct slot *slot, size_t size, uint8_t random)
{
    unsigned taken = tags_taken(slot), tag = random & OS_TAG_MASK;
    while (taken >> tag & 1) tag = (tag + 1) & OS_TAG_MASK;
    void *p = (void *)slot->start;
    *tag_byte(slot) = (uint8_t)tag;
    os_tag_set(p, base_round_up(size, OS_TAG_GRANULE), tag);
    return os_tag_with(p, tag);
}

void zone_block_untag(const struct slot *slot)
{
    if (region_is_tagged(slot->region)) os_tag_set((void *)slot->start, slot->region->size, 0);
}

void *zone_plain(const void *p)
{
    struct slot slot;
    void *plain = (void *)((uintptr_t)p & (((uintptr_t)1 << OS_TAG_SHIFT) - 1));
    if (LIKELY(plain == p) || !hard_slot_find(plain, &slot)) return (void *)p;
    return region_is_tagged(slot.region) ? plain : (void *)p;
}

/* Of a block of no bytes nothing was tagged. */
bool zone_plain_fits(const struct slot *slot, const void *p)
{
    return !region_is_tagged(slot->region) || (uintptr_t)p >> OS_TAG_SHIFT == *tag_byte(slot);
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
    for (uint32_t i = 0; i < LOAD(&zones.made); i++) lock_reset(&zones.gates[i].lock);
}
