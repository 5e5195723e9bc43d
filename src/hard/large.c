/* See large.h. */
#include <string.h>

#include "hard/central.h"
#include "hard/large.h"
#include "hard/reuse.h"
#include "os/guard.h"
#include "span/purger.h"

static uint64_t kept; /* bytes of pages that freed blocks keep */

enum {
    HOLD =
        256, /* freed slots of a size that wait at least; addresses cost nothing but page tables */
    HOLD_HUGE = 16,  /* of those whose page tables go as well */
    HUGE_SHIFT = 24, /* from this slot size on, pages are committed and decommitted, not guarded */
    CHANCE_PAGES = 256, /* how far from a slot's end, at most */
};

static bool is_huge(const struct region *region)
{
    return region->slab_shift >= HUGE_SHIFT || !space_has_guards;
}

/* ---- a slot's pages ----------------------------------------------------------------------------------- */

static uintptr_t page_down(uintptr_t p)
{
    return base_round_down(p, os_page_size());
}

static uintptr_t page_up(uintptr_t p)
{
    return base_round_up(p, os_page_size());
}

static bool pages_open(const struct region *region, uintptr_t start, uintptr_t end)
{
    void *p = (void *)start;
    return is_huge(region) ? space_commit(p, end - start) : os_vm_unguard(p, end - start);
}

static void pages_close(const struct region *region, uintptr_t start, uintptr_t end)
{
    void *p = (void *)start;
    if (start == end) return;
    bool closed = is_huge(region) ? space_decommit(p, end - start) : os_vm_guard(p, end - start);
    if (!closed && !os_vm_purge(p, end - start)) memset(p, 0, end - start); /* locked in memory */
    __atomic_fetch_add(&fh_registry.purged_bytes, end - start, __ATOMIC_RELAXED);
}

/* ---- pages that are kept for the next block: level light ------------------------------------------------------- */

static void pages_keep(struct large *large)
{
    large->open = large->front ? large->front : page_down(large->start);
    large->open_end = large->pages;
    large->front = 0;
    large->visits = 0;
    __atomic_fetch_add(&kept, large->open_end - large->open, __ATOMIC_RELAXED);
    purger_note();
}

static void pages_drop(struct large *large, const struct region *region)
{
    if (large->open == large->open_end) return;
    __atomic_fetch_sub(&kept, large->open_end - large->open, __ATOMIC_RELAXED);
    pages_close(region, large->open, large->open_end);
    large->open = large->open_end = 0;
}

/* Pages of a block from start to end, of which some may be there; more in front of it stay. */
static bool pages_reuse(struct large *large, const struct region *region, uintptr_t start,
                        uintptr_t end)
{
    if (large->open_end != end) {
        pages_drop(large, region);
        return pages_open(region, start, end);
    }
    __atomic_fetch_sub(&kept, large->open_end - large->open, __ATOMIC_RELAXED);
    bool opened = start >= large->open || pages_open(region, start, large->open);
    if (opened) large->front = base_min(start, large->open);
    large->open = large->open_end = 0;
    return opened;
}

/* ---- around a block: clear pages, but for the block itself ------------------------------------------------------ */

bool large_tail_holds(const struct large *large)
{
    return canary_is_clear(large->start + large->size, large->pages);
}

bool large_front_holds(const struct large *large)
{
    return canary_is_clear(page_down(large->start), large->start);
}

void large_mend(const struct large *large)
{
    uintptr_t first = page_down(large->start), end = large->start + large->size;
    memset((void *)first, 0, large->start - first);
    memset((void *)end, 0, large->pages - end);
}

/* ---- slots -------------------------------------------------------------------------------------------- */

/* In a queue, slot i of the chunk c has the number c << 10 | i, plus 1. */
enum { INDEX_BITS = 10 };

static uint32_t number_of(uint32_t chunk, uint32_t index)
{
    return (chunk << INDEX_BITS | index) + 1;
}

static struct large *large_of(uint32_t number)
{
    return large_at((number - 1) >> INDEX_BITS, (number - 1) & ((1u << INDEX_BITS) - 1));
}

/* Holds: the region's lock. */
static uint32_t freed_take(struct region_state *state)
{
    uint32_t number = state->first;
    state->first = large_of(number)->next;
    if (state->first == 0) state->last = 0;
    state->waiting--;
    large_of(number)->next = 0;
    return number;
}

/* The last that was freed, whose pages are warm. */
static void freed_push(struct region_state *state, uint32_t number)
{
    large_of(number)->next = state->first;
    state->first = number;
    if (state->last == 0) state->last = number;
    state->waiting++;
}

static void freed_add(struct region_state *state, uint32_t number)
{
    if (state->last)
        large_of(state->last)->next = number;
    else
        state->first = number;
    state->last = number;
    state->waiting++;
}

/* Holds: the region's lock. */
static uint32_t fresh_take(struct region_state *state, const struct region *region)
{
    if (state->chunk == UINT32_MAX || state->made == region->slots) {
        uint32_t run = region_run(region), chunk = space_chunk_take(region_number(region), run);
        if (chunk == UINT32_MAX) return 0;
        if (!is_huge(region) && !space_commit((void *)chunk_start(chunk), run * chunk_size()))
            return 0;
        state->chunk = chunk;
        state->made = 0;
    }
    return number_of(state->chunk, state->made++);
}

static uint32_t slot_number_take(const struct region *region)
{
    struct region_state *state = region_state_of(region);
    uint32_t hold = is_huge(region) ? HOLD_HUGE : HOLD, number = 0;
    lock_take(&state->lock);
    if (UNLIKELY(state->ended)) {
        lock_give(&state->lock);
        return 0;
    }
    if (!hard.measures.chance) hold = 0;
    if (state->waiting <= hold) number = fresh_take(state, region);
    if (number == 0 && state->waiting) number = freed_take(state);
    lock_give(&state->lock);
    return number;
}

/* All of a slot faults before its first block. */
static bool slot_prepare(struct large *large, const struct region *region, uintptr_t slot)
{
    if (large->guarded) return true;
    if (!is_huge(region) && !os_vm_guard((void *)slot, (size_t)1 << region->slab_shift))
        return false;
    large->guarded = true;
    return true;
}

/* ---- allocate ------------------------------------------------------------------------------------------- */

static unsigned chance_pages(struct hard_thread *thread, size_t room)
{
    size_t pages = base_min(room / os_page_size(), CHANCE_PAGES);
    return pages ? random_below(&thread->random, (uint32_t)pages + 1) : 0;
}

/* At the end of the pages that end `chance` pages before the slot's guard; without an alignment, at the beginning of
 * the slot. */
static void place(struct hard_thread *thread, struct large *large, uintptr_t slot, size_t bytes,
                  size_t size, size_t alignment)
{
    uintptr_t end = slot + bytes - os_page_size();
    large->size = size;
    if (alignment == 0) {
        large->start = slot + random_below(&thread->random, (uint32_t)os_page_size() / 16) * 16;
        large->pages = page_up(large->start + size);
        return;
    }
    size_t need = page_up(size) + (alignment > os_page_size() ? alignment : 0);
    if (hard.measures.chance) end -= chance_pages(thread, end - slot - need) * os_page_size();
    large->start = base_round_down(end - base_round_up(size, 16), alignment);
    large->pages = page_up(large->start + size);
}

static void large_count(size_t size, bool more)
{
    uint64_t sign = more ? 1 : (uint64_t)-1;
    __atomic_fetch_add(&fh_registry.large_count, sign, __ATOMIC_RELAXED);
    __atomic_fetch_add(&fh_registry.large_bytes, sign * page_up(size), __ATOMIC_RELAXED);
    if (!more) return;
    __atomic_fetch_add(&fh_registry.large_allocated, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&fh_registry.large_allocated_bytes, page_up(size), __ATOMIC_RELAXED);
}

/* Of slots that hold so many bytes: 2^(16 + i), or HARD_LARGE_COUNT if there are none so large. */
static unsigned large_index(size_t bytes)
{
    unsigned shift = bytes <= 64 * KIB ? 16 : base_log2(bytes - 1) + 1;
    return shift - 16 >= HARD_LARGE_COUNT || (size_t)1 << shift > hard.size / 4 ? HARD_LARGE_COUNT
                                                                                : shift - 16;
}

static const struct region *region_of_bytes(size_t bytes)
{
    unsigned i = large_index(bytes);
    return i < HARD_LARGE_COUNT ? &hard.region[HARD_LARGE_FIRST + i] : NULL;
}

static FH_COLD void *give_back(const struct region *region, uint32_t number)
{
    struct region_state *state = region_state_of(region);
    lock_take(&state->lock);
    freed_add(state, number);
    lock_give(&state->lock);
    return NULL;
}

/* After a sweep, if there is none without. */
static uint32_t slot_number_want(const struct region *region)
{
    uint32_t number = slot_number_take(region);
    if (UNLIKELY(number == 0) && reuse_for_room()) number = slot_number_take(region);
    return number;
}

/* In the slot of this number; 0: none was left. */
static void *allocate_in(struct hard_thread *thread, const struct region *region, uint32_t number,
                         size_t size, size_t alignment, const struct hard_call *call, bool *zeroed)
{
    if (number == 0) return NULL;
    struct large *large = large_of(number);
    uint32_t chunk = (number - 1) >> INDEX_BITS, index = (number - 1) & ((1u << INDEX_BITS) - 1);
    uintptr_t slot = large_slot(chunk, region, index);
    if (!slot_prepare(large, region, slot)) return give_back(region, number);
    place(thread, large, slot, (size_t)1 << region->slab_shift, size, alignment);
    *zeroed = large->open == large->open_end;
    if (!pages_reuse(large, region, page_down(large->start), large->pages))
        return give_back(region, number);
    if (!*zeroed && hard.measures.canary) large_mend(large); /* warm pages: another block's */
    large->thread = thread->id;
    large_count(size, true);
    STORE_RELEASE(&large->word, word_made(thread, call->kind, call->aligned));
    return (void *)large->start;
}

/* At the beginning of a slot with room to grow, which large_resize then takes. */
void *large_allocate_growing(struct hard_thread *thread, size_t size, const struct hard_call *call)
{
    bool zeroed;
    enum { ROOM_SHIFT = 2 };
    if (size > hard.size >> (ROOM_SHIFT + 3)) return NULL;
    const struct region *region = region_of_bytes(size << ROOM_SHIFT);
    if (region == NULL) return NULL;
    return allocate_in(thread, region, slot_number_take(region), size, 0, call, &zeroed);
}

void *large_allocate(struct hard_thread *thread, size_t size, size_t alignment,
                     const struct hard_call *call, bool *zeroed)
{
    if (size > hard.size / 2 || alignment > hard.size / 4) return NULL;
    size_t over = alignment > os_page_size() ? alignment : 0;
    const struct region *region = region_of_bytes(page_up(size) + over + os_page_size());
    if (region == NULL) return NULL;
    uint32_t number = slot_number_want(region);
    return allocate_in(thread, region, number, size, alignment, call, zeroed);
}

void *large_allocate_zone(struct hard_thread *thread, struct zone *zone, size_t size, size_t room,
                          const struct hard_call *call)
{
    bool zeroed;
    if (room > hard.size / 2) return NULL;
    unsigned i = large_index(page_up(room) + os_page_size());
    const struct region *region = i < HARD_LARGE_COUNT ? zone_region_large(zone, i) : NULL;
    if (region == NULL) return NULL;
    return allocate_in(thread, region, slot_number_want(region), size, 16, call, &zeroed);
}

/* ---- resize --------------------------------------------------------------------------------------------- */

/* Only towards its end, and a guard page stays behind it. */
void *large_resize(const struct slot *slot, size_t size)
{
    struct large *large = large_at(slot->slab, slot->index);
    const struct region *region = slot->region;
    uintptr_t limit =
        large_slot(slot->slab, region, slot->index) + ((uintptr_t)1 << region->slab_shift);
    if (size <= HARD_SMALL_MOST || size > hard.size / 2) return NULL;
    uintptr_t end = large->start + size, pages = page_up(end);
    if (end < large->start || pages > limit - os_page_size()) return NULL;
    if (pages > large->pages && !pages_open(region, large->pages, pages)) return NULL;
    if (size < large->size)
        memset((void *)end, 0, base_min(pages, large->start + large->size) - end);
    if (pages < large->pages) pages_close(region, pages, large->pages);
    large_count(large->size, false);
    large_count(size, true);
    large->pages = pages;
    large->size = size;
    return (void *)large->start;
}

/* ---- free ------------------------------------------------------------------------------------------------ */

void large_end(const struct slot *slot, bool for_good)
{
    struct large *large = large_at(slot->slab, slot->index);
    large_count(large->size, false);
    if (!for_good && !hard.measures.chance && !region_is_zone(slot->region)) {
        pages_keep(large);
        large_release(slot);
        return;
    }
    pages_close(slot->region, large->front ? large->front : page_down(large->start), large->pages);
    large->front = 0;
    if (for_good) return;
    if (hard.measures.reuse)
        reuse_add(large->start, slot->region);
    else
        large_release(slot);
}

void large_release(const struct slot *slot)
{
    struct region_state *state = region_state_of(slot->region);
    struct large *large = large_at(slot->slab, slot->index);
    lock_take(&state->lock);
    if (UNLIKELY(state->ended)) {
        lock_give(&state->lock);
        return;
    }
    STORE(&large->word, (LOAD(&large->word) & ~WORD_STATE) | SLOT_FREE);
    if (hard.measures.chance)
        freed_add(state, number_of(slot->slab, slot->index));
    else
        freed_push(state, number_of(slot->slab, slot->index));
    lock_give(&state->lock);
}

/* ---- the purger's visit ------------------------------------------------------------------------------------------ */

/* Holds: the region's lock. */
static bool sweep_freed(struct region_state *state, const struct region *region, bool force)
{
    enum { VISITS = 2 };
    bool left = false;
    for (uint32_t number = state->first; number; number = large_of(number)->next) {
        struct large *large = large_of(number);
        if (large->open == large->open_end) continue;
        if (force || ++large->visits >= VISITS)
            pages_drop(large, region);
        else
            left = true;
    }
    return left;
}

bool large_sweep(bool force)
{
    bool left = false;
    if (__atomic_load_n(&kept, __ATOMIC_RELAXED) == 0) return false;
    for (unsigned i = HARD_LARGE_FIRST; i < HARD_LARGE_FIRST + HARD_LARGE_COUNT; i++) {
        struct region_state *state = &region_states[i];
        lock_take(&state->lock);
        if (sweep_freed(state, &hard.region[i], force)) left = true;
        lock_give(&state->lock);
    }
    return left;
}
