/* See verify.h. */
#include <string.h>

#include "hard/large.h"
#include "hard/report.h"
#include "hard/sample.h"
#include "hard/verify.h"
#include "hard/walk.h"
#include "os/guard.h"
#include "os/os.h"
#include "os/self.h"

enum { LOOKS = 4, LOOKS_UNASKED = 32 };

bool verify_stays;

struct verify {
    struct hard_walk walk;
    struct os_self self;
    struct hard_thread *thread; /* NULL: the helper */
    const char *call;
    size_t damaged;
};

/* ---- one slot --------------------------------------------------------------------------------------- */

/* Only who freed it clears it: and that was this thread, as long as the threads have numbers of their own. */
static bool is_settled(const struct verify *verify, uint32_t word)
{
    unsigned state = hard_state(word), thread = word >> WORD_THREAD_SHIFT & (WORD_THREADS - 1);
    if (state == SLOT_FREE) return true;
    if (verify->thread == NULL) return false;
    if (state == SLOT_CACHED) return true;
    return state == SLOT_QUARANTINED && hard_thread_count() < WORD_THREADS &&
           thread == verify->thread->number && !hard_threads_vanished;
}

static bool is_whole(const struct verify *verify, const struct slot *slot, uint32_t word)
{
    const struct region *region = slot->region;
    uintptr_t end = slot->start + region->size;
    if (!canary_holds(end)) return false;
    if (hard_state(word) == SLOT_LIVE) {
        uint32_t slack = (uint32_t)base_min(hard_slack(word), region->size);
        return slack <= HARD_CANARY || canary_is_clear(end - slack, end - HARD_CANARY);
    }
    bool clear = region->size <= hard.measures.zero_most && is_settled(verify, word);
    return !clear || canary_is_clear(slot->start, end - HARD_CANARY);
}

/* A thread that hands a slot out and takes it back in between shows the same word: not so often, and in step with pauses
 * that grow. */
static bool is_damaged_still(const struct verify *verify, const struct slot *slot, uint32_t word)
{
    for (int i = 0; i < LOOKS_UNASKED; i++) {
        for (int pause = 0; pause < i * i; pause++) base_pause();
        if (LOAD_ACQUIRE(slot->word) != word || is_whole(verify, slot, word)) return false;
        atomic_thread_fence(memory_order_acquire);
        if (LOAD(slot->word) != word) return false;
    }
    return true;
}

/* Wrong in every look, and the same slot all the time. */
static bool is_damaged(const struct verify *verify, const struct slot *slot, uint32_t *word)
{
    for (int i = 0; i < LOOKS; i++) {
        *word = LOAD_ACQUIRE(slot->word);
        if (is_whole(verify, slot, *word)) return false;
        os_barrier_all();
        if (LOAD(slot->word) != *word) return false;
    }
    return verify->thread || is_damaged_still(verify, slot, *word);
}

/* Holds: the zone, if it is one's. */
static bool is_writable(const struct region *region)
{
    return !region_is_zone(region) || zone_of(region)->state == ZONE_OPEN;
}

/* Leaves what a slot of this state should hold, if it is in it still: the report took its time. */
static void mend(const struct slot *slot, uint32_t word)
{
    if (LOAD(slot->word) != word || !is_writable(slot->region)) return;
    uintptr_t end = slot->start + slot->region->size;
    size_t behind = hard_state(word) == SLOT_LIVE ? hard_slack(word) : slot->region->size;
    bool freed = hard_state(word) != SLOT_LIVE;
    if (!freed || slot->region->size <= hard.measures.zero_most)
        memset((void *)(end - behind), 0, behind);
    canary_write(end);
}

static FH_COLD void slot_damaged(struct verify *verify, const struct slot *slot, uint32_t word)
{
    struct hard_fault fault = {.call = verify->call,
                               .address = (void *)slot->start,
                               .slot = slot,
                               .unasked = true,
                               .by_helper = verify->thread == NULL};
    fault.what = hard_state(word) == SLOT_LIVE ? HARD_OVERFLOWED : HARD_WRITTEN_FREED;
    verify->damaged++;
    hard_report(&fault);
    mend(slot, word);
}

/* ---- all --------------------------------------------------------------------------------------------- */

static void verify_slab(struct hard_walk *walk, const struct region *region, uint32_t number)
{
    struct verify *verify = (struct verify *)walk;
    struct region_state *state = region_state_of(region);
    uint32_t word;
    if (region->kind != REGION_SMALL) return;
    zone_enter_of(region);
    lock_take(&state->lock);
    uint32_t carved = state->ended ? 0 : slab_at(number, region)->carved;
    for (uint32_t i = 0; i < carved; i++) {
        struct slot slot = hard_walk_slot(region, number, i);
        if (UNLIKELY(!is_whole(verify, &slot, LOAD_ACQUIRE(slot.word))) &&
            is_damaged(verify, &slot, &word))
            slot_damaged(verify, &slot, word);
    }
    lock_give(&state->lock);
    zone_leave_of(region);
}

/* Whether memory from `start` to `end`, less than a page, was read, and is not clear. */
static bool is_written(struct verify *verify, uintptr_t start, uintptr_t end)
{
    uint64_t copy[64];
    end = base_min(end, start + os_page_size()); /* of records that change it may be more */
    for (size_t bytes; start < end; start += bytes) {
        bytes = base_min(end - start, sizeof copy);
        if (os_self_read(&verify->self, copy, start, bytes) != bytes) return false;
        if (!canary_is_clear((uintptr_t)copy, (uintptr_t)copy + bytes)) return true;
    }
    return false;
}

/* In every look, and the same block all the time. */
static bool is_written_still(struct verify *verify, const struct slot *slot,
                             const struct large *was, uintptr_t start, uintptr_t end)
{
    const struct large *large = large_at(slot->slab, slot->index);
    for (int i = 0; i < LOOKS; i++) {
        if (!is_written(verify, start, end)) return false;
        os_barrier_all();
        bool same =
            large->start == was->start && large->size == was->size && large->pages == was->pages;
        if (!same || hard_state(LOAD(slot->word)) != SLOT_LIVE) return false;
    }
    return true;
}

static FH_COLD void large_damaged(struct verify *verify, const struct slot *slot,
                                  const struct large *was, enum hard_what what)
{
    struct hard_fault fault = {.what = what,
                               .call = verify->call,
                               .address = (void *)was->start,
                               .slot = slot,
                               .unasked = true};
    verify->damaged++;
    hard_report(&fault);
}

/* A live block's pages go when it is freed: its region's lock does not keep them. What is wrong stays, and is told again
 * when it is freed: between a look and a write it may go. */
static void verify_large(struct hard_walk *walk, const struct slot *slot)
{
    struct verify *verify = (struct verify *)walk;
    const struct large *large = large_at(slot->slab, slot->index);
    if (hard_state(LOAD_ACQUIRE(slot->word)) != SLOT_LIVE) return;
    struct large was = {.start = large->start, .size = large->size, .pages = large->pages};
    uintptr_t first = base_round_down(was.start, os_page_size());
    if (is_written_still(verify, slot, &was, was.start + was.size, was.pages))
        large_damaged(verify, slot, &was, HARD_OVERFLOWED);
    if (is_written_still(verify, slot, &was, first, was.start))
        large_damaged(verify, slot, &was, HARD_UNDERFLOWED);
}

size_t verify_all(struct hard_thread *thread, const struct zone *zone, const char *call)
{
    struct verify verify = {.walk = {.zone = zone, .slab = verify_slab, .large = verify_large},
                            .thread = thread,
                            .call = call};
    if (!hard.measures.canary) return 0;
    bool open = os_self_open(&verify.self);
    if (!open) verify.walk.large = NULL;
    hard_walk_all(&verify.walk);
    if (open) os_self_close(&verify.self);
    return verify.damaged;
}

/* ---- in the background ---------------------------------------------------------------------------------- */

/* Only the helper's. Where it goes on; slabs are numbered as in their region. */
static uint32_t round_chunk, round_slab;

/* The next slab that has slots, of a small region that is no zone's; false: the last was the last. */
static bool round_next(const struct region **region, uint32_t *number)
{
    for (; (round_chunk = space_chunk_owned(round_chunk)) < space_chunks(); round_chunk++) {
        const struct region *r =
            &hard.region[__atomic_load_n(&hard.owner[round_chunk], __ATOMIC_ACQUIRE) - 1];
        bool looked_at = r->kind == REGION_SMALL && !region_is_zone(r);
        while (looked_at && round_slab < region_slabs(r)) {
            *region = r;
            *number = slab_number(round_chunk, round_slab++, r);
            if (__atomic_load_n(&slab_at(*number, r)->carved, __ATOMIC_RELAXED)) return true;
        }
        round_slab = 0;
    }
    round_chunk = 0;
    return false;
}

bool verify_round(void)
{
    enum { BYTES = 1 << 20, MS = 2 };
    struct verify verify = {.call = "verify_ms"};
    const struct region *region;
    uint32_t number;
    uint64_t end = os_clock_ms() + MS;
    for (size_t seen = 0; seen < BYTES && round_next(&region, &number);) {
        seen += (size_t)slab_at(number, region)->carved * region->size;
        verify_slab(&verify.walk, region, number);
        if (os_clock_ms() >= end) break;
    }
    return verify_stays;
}
