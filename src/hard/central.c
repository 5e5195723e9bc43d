/* See central.h. */
#include <string.h>

#include "hard/canary.h"
#include "hard/central.h"
#include "hard/zone.h"
#include "os/guard.h"
#include "span/purger.h"

struct region_state *region_states, *zone_states;
_Atomic uint32_t zone_regions;
static _Atomic uint32_t sweep_count = 1;

bool central_start(void)
{
    region_states = space_record(HARD_REGIONS * sizeof *region_states);
    if (region_states == NULL) return false;
    for (unsigned i = 0; i < HARD_REGIONS; i++) region_states[i].chunk = UINT32_MAX;
    return true;
}

/* ---- regions of zones ------------------------------------------------------------------------------------ */

/* Each takes a chunk at least, and malloc shall have some. */
static uint32_t zone_regions_most(void)
{
    return (uint32_t)base_min(HARD_TABLE - HARD_ZONE_FIRST, space_chunks() / 2);
}

struct region *central_zone_next(void)
{
    uint32_t n = LOAD(&zone_regions);
    if (zone_states == NULL) zone_states = space_record(zone_regions_most() * sizeof *zone_states);
    if (zone_states == NULL || n == zone_regions_most()) return NULL;
    zone_states[n].chunk = UINT32_MAX;
    return &hard.region[HARD_ZONE_FIRST + n];
}

void central_zone_made(void)
{
    STORE_RELEASE(&zone_regions, LOAD(&zone_regions) + 1); /* with region_after */
}

void central_zone_end(const struct region *region)
{
    struct region_state *state = region_state_of(region);
    lock_take(&state->lock);
    state->ended = true;
    state->first = state->last = state->empties = state->waiting = 0;
    state->chunk = UINT32_MAX;
    lock_give(&state->lock);
}

/* ---- the queue ----------------------------------------------------------------------------------------- */

/* Numbers of slabs count from 1 in the queue. */
static struct slab *queued(uint32_t number, const struct region *region)
{
    return slab_at(number - 1, region);
}

static void queue_remove(struct region_state *state, const struct region *region, uint32_t number)
{
    struct slab *slab = slab_at(number, region);
    *(slab->prev ? &queued(slab->prev, region)->next : &state->first) = slab->next;
    *(slab->next ? &queued(slab->next, region)->prev : &state->last) = slab->prev;
    slab->next = slab->prev = 0;
    slab->queued = false;
}

static void queue_front(struct region_state *state, const struct region *region, uint32_t number)
{
    struct slab *slab = slab_at(number, region);
    slab->next = state->first;
    *(slab->next ? &queued(slab->next, region)->prev : &state->last) = number + 1;
    state->first = number + 1;
    slab->queued = true;
}

static void queue_back(struct region_state *state, const struct region *region, uint32_t number)
{
    struct slab *slab = slab_at(number, region);
    slab->prev = state->last;
    *(slab->prev ? &queued(slab->prev, region)->next : &state->first) = number + 1;
    state->last = number + 1;
    slab->queued = true;
}

/* ---- new slabs ------------------------------------------------------------------------------------------- */

/* Slots of malloc(0) have no memory: whoever touches one faults. */
static bool slabs_commit(struct region_state *state, const struct region *region)
{
    if (region->kind == REGION_ZERO || state->made < state->committed) return true;
    uint32_t left = region_slabs(region) - state->committed;
    uint32_t step = (uint32_t)base_min(base_max(state->committed, 1), base_min(left, 16));
    uintptr_t start = slab_start(slab_number(state->chunk, state->committed, region));
    if (!space_commit((void *)start, (size_t)step << region->slab_shift)) return false;
    if (!zone_committed(region, (void *)start, (size_t)step << region->slab_shift)) return false;
    state->committed += step;
    return true;
}

static bool slab_new(struct region_state *state, const struct region *region)
{
    if (UNLIKELY(state->ended)) return false;
    if (state->chunk == UINT32_MAX || state->made == region_slabs(region)) {
        uint32_t chunk = space_chunk_take(region_number(region), 1);
        if (chunk == UINT32_MAX) return false;
        state->chunk = chunk;
        state->made = state->committed = 0;
    }
    if (!slabs_commit(state, region)) return false;
    uint32_t number = slab_number(state->chunk, state->made, region);
    uintptr_t end = slab_start(number) + ((size_t)1 << region->slab_shift);
    if (region->kind != REGION_ZERO) space_guard((void *)(end - os_page_size()), os_page_size());
    state->made++;
    state->slabs++;
    queue_front(state, region, number);
    return true;
}

/* Slots get their canaries before any of them is handed out, since a neighbour's is looked at as well. */
static void slab_carve(struct region_state *state, uint32_t number, const struct region *region)
{
    struct slab *slab = slab_at(number, region);
    uint64_t *bits = slab_bits(number, region);
    uint32_t end = (uint32_t)base_min(slab->carved + region->carve, region->slots);
    for (uint32_t i = slab->carved; i < end; i++) {
        if (region->kind == REGION_SMALL && hard.measures.canary)
            canary_write(slot_start(number, region, i) + region->size);
        bits[i / 64] |= 1ull << i % 64;
    }
    state->carved += end - slab->carved;
    slab->free = (uint16_t)(slab->free + (end - slab->carved));
    slab->carved = (uint16_t)end;
}

/* ---- take and give ----------------------------------------------------------------------------------------- */

/* A set bit of x, by chance. */
static unsigned bit_pick(uint64_t x, struct random *random)
{
    unsigned by = random_byte(random) & 63;
    uint64_t turned = x >> by | x << (-by & 63);
    return (base_ctz(turned) + by) & 63;
}

static void word_set_state(slot_word *word, unsigned state)
{
    STORE(word, (LOAD(word) & ~WORD_STATE) | state);
}

/* From a word of bits chosen by chance on; so slots that are given together lie near each other, and in no
 * order. */
static unsigned slab_gather(uint32_t number, const struct region *region, struct random *random,
                            uintptr_t *slots, unsigned want)
{
    struct slab *slab = slab_at(number, region);
    uint64_t *bits = slab_bits(number, region);
    slot_word *words = slab_words(number, region);
    unsigned have = 0, used = (slab->carved + 63u) / 64, w = random_below(random, used);
    for (unsigned i = 0; i < used && have < want; i++, w = w + 1 < used ? w + 1 : 0) {
        while (bits[w] && have < want) {
            unsigned index = w * 64 + bit_pick(bits[w], random);
            bits[w] &= ~(1ull << index % 64);
            word_set_state(&words[index], SLOT_CACHED);
            slots[have++] = slot_start(number, region, index);
        }
    }
    slab->free = (uint16_t)(slab->free - have);
    return have;
}

static void slab_is_used(struct region_state *state, struct slab *slab)
{
    if (slab->carved && slab->free == slab->carved) state->empties--;
    slab->emptied = 0;
}

/* Holds: the region's lock. */
static unsigned take_locked(struct region_state *state, const struct region *region,
                            struct random *random, uintptr_t *slots, unsigned want)
{
    unsigned have = 0;
    while (have < want) {
        if (state->first == 0 && !slab_new(state, region)) break;
        uint32_t number = state->first - 1;
        struct slab *slab = slab_at(number, region);
        slab_is_used(state, slab);
        while (slab->free < want - have && slab->carved < region->slots)
            slab_carve(state, number, region);
        have += slab_gather(number, region, random, slots + have, want - have);
        if (slab->free == 0 && slab->carved == region->slots) queue_remove(state, region, number);
    }
    return have;
}

unsigned central_take(const struct region *region, struct random *random, uintptr_t *slots,
                      unsigned want)
{
    struct region_state *state = region_state_of(region);
    lock_take(&state->lock);
    unsigned have = take_locked(state, region, random, slots, want);
    lock_give(&state->lock);
    return have;
}

/* Holds: the region's lock. */
static void give_locked(struct region_state *state, const struct region *region, uintptr_t start)
{
    slot_word *word;
    if (UNLIKELY(state->ended)) return;
    CHECK(slot_locate(start, region, &word));
    uint32_t number =
        (uint32_t)((start - hard.base) >> 16) & ~((1u << (region->slab_shift - 16)) - 1);
    uint32_t index = (uint32_t)(word - slab_words(number, region));
    struct slab *slab = slab_at(number, region);
    word_set_state(word, SLOT_FREE);
    slab_bits(number, region)[index / 64] |= 1ull << index % 64;
    if (++slab->free == slab->carved) {
        if (slab->queued) queue_remove(state, region, number);
        queue_back(state, region, number);
        state->empties++;
    } else if (!slab->queued) {
        queue_front(state, region, number);
    }
}

void central_give(const struct region *region, const uintptr_t *slots, unsigned count)
{
    struct region_state *state = region_state_of(region);
    lock_take(&state->lock);
    for (unsigned i = 0; i < count; i++) give_locked(state, region, slots[i]);
    bool worth = state->empties > 0;
    lock_give(&state->lock);
    if (worth) purger_note();
}

/* ---- back to the kernel --------------------------------------------------------------------------------------- */

/* Words stay, so that what is freed there again is still known to be free. */
static bool slab_purge(struct region_state *state, uint32_t number, const struct region *region)
{
    struct slab *slab = slab_at(number, region);
    size_t bytes = base_round_up((size_t)slab->carved * region->size, os_page_size());
    if (region->kind == REGION_SMALL && !os_vm_purge((void *)slab_start(number), bytes))
        return false;
    memset(slab_bits(number, region), 0, region->words * sizeof(uint64_t));
    state->carved -= slab->carved;
    slab->carved = slab->free = 0;
    slab->emptied = 0;
    __atomic_fetch_add(&fh_registry.purged_bytes, bytes, __ATOMIC_RELAXED);
    return true;
}

/* Empty slabs are behind all others. True: some are left for a later round. */
static bool sweep_region(struct region_state *state, const struct region *region, uint16_t now,
                         bool force)
{
    bool left = false;
    for (uint32_t number = state->last; number;) {
        struct slab *slab = queued(number, region);
        uint32_t before = slab->prev;
        if (slab->free != slab->carved) break;
        if (slab->carved) {
            if (!force && slab->emptied == 0) {
                slab->emptied = now;
                left = true;
            } else if (slab_purge(state, number - 1, region)) {
                state->empties--;
            }
        }
        number = before;
    }
    return left;
}

bool central_sweep(bool force)
{
    bool left = false;
    uint16_t now = (uint16_t)(atomic_fetch_add(&sweep_count, 1) | 1);
    for (const struct region *region = hard.region; region; region = region_after(region)) {
        struct region_state *state = region_state_of(region);
        if (region->kind == REGION_LARGE || __atomic_load_n(&state->empties, __ATOMIC_RELAXED) == 0)
            continue;
        lock_take(&state->lock);
        if (sweep_region(state, region, now, force)) left = true;
        lock_give(&state->lock);
    }
    return left;
}

/* ---- fork ------------------------------------------------------------------------------------------------------- */

static void each_state(void (*visit)(struct lock *lock))
{
    for (unsigned i = 0; i < HARD_REGIONS; i++) visit(&region_states[i].lock);
    for (unsigned i = 0; i < LOAD(&zone_regions); i++) visit(&zone_states[i].lock);
}

static void take(struct lock *lock)
{
    lock_take(lock);
}

static void give(struct lock *lock)
{
    lock_give(lock);
}

void central_fork_prepare(void)
{
    each_state(take);
}

void central_fork_parent(void)
{
    each_state(give);
}

void central_fork_child(void)
{
    each_state(lock_reset);
}
