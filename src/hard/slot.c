/* See slot.h. */
#include <string.h>

#include "hard/central.h"
#include "hard/large.h"
#include "hard/quick.h"
#include "hard/report.h"
#include "hard/reuse.h"
#include "hard/sample.h"
#include "hard/verify.h"
#include "os/tag.h"
#include "span/purger.h"

/* ---- take -------------------------------------------------------------------------------------------- */

static unsigned site_bucket(const struct hard_call *call)
{
    return call->bucket != HARD_BY_SITE ? call->bucket : quick_bucket(call->site);
}

static FH_COLD bool cache_fill(struct hard_thread *thread, const struct region *region,
                               struct cache *cache)
{
    reuse_pass();
    if (verify_stays) purger_note();
    cache->count = central_take(region, &thread->random, cache->slot, region->window);
    return cache->count != 0;
}

static FH_COLD void report_slot(enum hard_what what, const char *name, const void *p,
                                const struct slot *slot)
{
    struct hard_fault fault = {.what = what, .call = name, .address = p, .slot = slot};
    hard_report(&fault);
}

/* A free slot is clear, and so is what its neighbour may have run on into. */
static FH_NOINLINE bool slot_is_clear(uintptr_t start, uint32_t size)
{
    return canary_is_clear_aligned(start, start + size - HARD_CANARY) && canary_holds(start + size);
}

static FH_COLD void report_written(uintptr_t start, uint32_t size)
{
    struct slot slot;
    if (!hard_slot_find((void *)start, &slot)) return;
    report_slot(HARD_WRITTEN_FREED, "malloc", (void *)start, &slot);
    memset((void *)start, 0, size - HARD_CANARY);
    canary_write(start + size);
}

/* Up to check_most all of them, and of larger ones one in sixteen. */
FH_INLINE bool slot_is_to_check(const struct region *region, uint64_t chance)
{
    if (region->size > hard.measures.check_most && chance % 16 != 7) return false;
    return region->kind == REGION_SMALL && hard.measures.check_most &&
           region->size <= hard.measures.zero_most;
}

/* Only what is cleared when it is freed has nothing behind it; with canaries that must be so, before its word
 * says live: verify.c may look at any time. */
static void tail_clear(void *p, size_t size, const struct region *region)
{
    if (!hard.measures.canary || region->size <= hard.measures.zero_most) return;
    memset((char *)p + size, 0, region->size - HARD_CANARY - size);
}

/* What it held before is gone if zero_most says so. */
FH_INLINE void *slot_hand_out(struct hard_thread *thread, const struct region *region,
                              uintptr_t start, size_t size, const struct hard_call *call,
                              uint64_t chance)
{
    slot_word *word;
    slot_locate(start, region, &word);
    if (slot_is_to_check(region, chance) && UNLIKELY(!slot_is_clear(start, region->size)))
        report_written(start, region->size);
    tail_clear((void *)start, size, region);
    STORE(word, word_made(thread, call->kind, call->aligned) | (uint32_t)(region->size - size)
                                                                   << WORD_SLACK_SHIFT);
    thread->allocated[region->size_class]++;
    thread->allocated_bytes += region->size;
    return (void *)start;
}

void *quick_take_rest(struct hard_thread *thread, const struct region *region, uintptr_t start,
                      size_t size, unsigned kind)
{
    enum { TO_BE_CHECKED = 7 };
    struct hard_call call = {.kind = (uint8_t)kind};
    thread->sample_left--;
    return slot_hand_out(thread, region, start, size, &call, TO_BE_CHECKED);
}

/* From a region, at random. */
static void *slot_take(struct hard_thread *thread, const struct region *region, size_t size,
                       const struct hard_call *call)
{
    struct cache *cache = cache_of(thread, region);
    if (UNLIKELY(cache->count == 0) && !cache_fill(thread, region, cache)) return NULL;
    uint64_t chance = hard.measures.chance ? random_byte(&thread->random) : 0;
    uintptr_t start = hard.measures.chance ? quick_pick(cache, cache->count, chance)
                                           : cache->slot[--cache->count];
    return slot_hand_out(thread, region, start, size, call, chance);
}

/* The class for this many bytes. */
FH_INLINE unsigned class_for(size_t size)
{
    return hard.class_of[(size + 15) / 16];
}

static const struct region *region_for(unsigned size_class, const struct hard_call *call)
{
    return &hard.region[size_class * HARD_BUCKETS + site_bucket(call)];
}

/* What slots of this region hold when they are handed out. */
static bool region_is_clear(const struct region *region)
{
    return region->size <= hard.measures.zero_most && region->size <= hard.measures.check_most;
}

/* A bucket whose addresses are used up leaves to another what it cannot hold. */
static void *slot_take_anywhere(struct hard_thread *thread, unsigned size_class, size_t size,
                                const struct hard_call *call)
{
    void *p = NULL;
    for (unsigned b = 0; b < HARD_BUCKETS && p == NULL; b++)
        p = slot_take(thread, &hard.region[size_class * HARD_BUCKETS + b], size, call);
    return p;
}

static FH_COLD void *slot_take_elsewhere(struct hard_thread *thread, unsigned size_class,
                                         size_t size, const struct hard_call *call)
{
    void *p = slot_take_anywhere(thread, size_class, size, call);
    if (p == NULL && reuse_for_room()) p = slot_take_anywhere(thread, size_class, size, call);
    return p;
}

static void *slot_allocate(struct hard_thread *thread, unsigned size_class, size_t size,
                           const struct hard_call *call, bool *zeroed)
{
    const struct region *region = region_for(size_class, call);
    void *p = slot_take(thread, region, size, call);
    if (UNLIKELY(p == NULL)) p = slot_take_elsewhere(thread, size_class, size, call);
    if (UNLIKELY(p == NULL)) return NULL;
    *zeroed = region_is_clear(region);
    return p;
}

static FH_COLD void *sample_instead(struct hard_thread *thread, size_t size, size_t alignment,
                                    unsigned kind)
{
    bool verify, sample = hard_sample_due(thread, &verify);
    if (verify) verify_all(thread, NULL, "malloc");
    return sample ? sample_allocate(size, alignment, kind) : NULL;
}

void *hard_allocate(struct hard_thread *thread, size_t size, const struct hard_call *call,
                    bool *zeroed)
{
    if (UNLIKELY(thread == &hard_none) && (thread = hard_attach()) == NULL) return NULL;
    random_ready(&thread->random);
    if (UNLIKELY(--thread->sample_left <= 0)) {
        void *p = sample_instead(thread, size, 16, call->kind);
        *zeroed = false;
        if (p) return p;
    }
    if (UNLIKELY(size == 0)) return slot_allocate(thread, 0, 0, call, zeroed);
    if (LIKELY(size <= HARD_SMALL_MOST - HARD_CANARY))
        return slot_allocate(thread, class_for(size + hard.tail), size, call, zeroed);
    return large_allocate(thread, size, 16, call, zeroed);
}

/* Slots lie at multiples of their size from the beginning of a slab. */
static unsigned class_aligned(size_t need, size_t alignment)
{
    for (unsigned c = class_for(need); c < HARD_CLASSES; c++)
        if (hard.region[c * HARD_BUCKETS].size % alignment == 0) return c;
    return 0;
}

void *hard_allocate_aligned(struct hard_thread *thread, size_t alignment, size_t size,
                            const struct hard_call *call)
{
    enum { MOST_IN_SLABS = 4096 };
    bool zeroed;
    if (alignment <= 16) return hard_allocate(thread, size, call, &zeroed);
    if (UNLIKELY(thread == &hard_none) && (thread = hard_attach()) == NULL) return NULL;
    if (UNLIKELY(--thread->sample_left <= 0)) {
        void *p = sample_instead(thread, size, alignment, call->kind);
        if (p) return p;
    }
    if (size == 0) size = 1;
    size_t need = size + hard.tail;
    unsigned c = need > size && need <= HARD_SMALL_MOST && alignment <= MOST_IN_SLABS
                     ? class_aligned(need, alignment)
                     : 0;
    return c ? slot_allocate(thread, c, size, call, &zeroed)
             : large_allocate(thread, size, alignment, call, &zeroed);
}

/* ---- in a zone --------------------------------------------------------------------------------------- */

static void *zone_take_small(struct hard_thread *thread, struct zone *zone, size_t size,
                             size_t room, const struct hard_call *call)
{
    uintptr_t start;
    unsigned c = (unsigned)base_max(class_for(room + hard.tail), ZONE_CLASS_LEAST);
    const struct region *region = zone_region(zone, c);
    if (region == NULL) return NULL;
    bool taken = central_take(region, &thread->random, &start, 1);
    if (!taken && reuse_for_room()) taken = central_take(region, &thread->random, &start, 1);
    if (!taken) return NULL;
    return slot_hand_out(thread, region, start, size, call, 7);
}

/* All blocks of a zone with a block size have room for that: they are of one region. Holds: the zone. */
static void *zone_take(struct hard_thread *thread, struct zone *zone, size_t size,
                       const struct hard_call *call)
{
    struct slot slot;
    size_t room = zone->block ? zone->block : size;
    if (size > room) return NULL;
    struct hard_call of_zone = *call;
    of_zone.kind = KIND_ZONE;
    void *p = room <= HARD_SMALL_MOST - HARD_CANARY
                  ? zone_take_small(thread, zone, size, room, &of_zone)
                  : large_allocate_zone(thread, zone, base_max(size, 1), room, &of_zone);
    if (p == NULL || !hard_slot_find(p, &slot)) return NULL;
    uint8_t random = random_byte(&thread->random);
    if (zone->flags & ZONE_TAGGED) return zone_block_tag(&slot, size, random);
    zone_tag_renew(&slot, random);
    return p;
}

void *hard_allocate_zone(struct hard_thread *thread, struct zone *zone, size_t size,
                         const struct hard_call *call, enum zone_rule *rule)
{
    void *p = NULL;
    zone_enter(zone);
    *rule = zone_allows(zone);
    if (LIKELY(*rule == ZONE_KEPT)) p = zone_take(thread, zone, size, call);
    zone_leave(zone);
    return p;
}

void hard_zone_report(const char *name, const void *p, enum zone_rule rule)
{
    struct slot slot;
    struct hard_fault fault = {.what = HARD_ZONE, .call = name, .address = p, .right = rule};
    if (hard_slot_find(p, &slot)) fault.slot = &slot;
    bool tagged =
        fault.slot && region_is_zone(slot.region) && (zone_of(slot.region)->flags & ZONE_TAGGED);
    if (tagged)
        os_tag_check(false); /* the report shows the block; in the zone or not, nothing follows */
    hard_report(&fault);
    if (tagged) os_tag_check(true);
}

/* Whether a pointer has the processor's tag of the block that it points to; a report if not. Of what is not live, others
 * say more. Holds: the zone. */
static bool tag_fits(const struct slot *slot, const void *given, const char *name)
{
    if (LIKELY(!region_is_zone(slot->region))) return true;
    if (hard_state(LOAD(slot->word)) != SLOT_LIVE || zone_plain_fits(slot, given)) return true;
    hard_zone_report(name, zone_plain(given), ZONE_BAD_TAG);
    return false;
}

/* Whether a block of a zone may be freed now; a report if not. Holds: the zone. */
static FH_COLD bool zone_lets_go(const struct slot *slot, const char *name)
{
    enum zone_rule rule = zone_allows(zone_of(slot->region));
    if (rule != ZONE_KEPT) hard_zone_report(name, (void *)slot->start, rule);
    return rule == ZONE_KEPT;
}

/* ---- give -------------------------------------------------------------------------------------------- */

/* "free", "operator delete", "fh_free_sized" ..., and not "realloc". */
static bool is_free(const char *name)
{
    return strstr(name, "free") != NULL || strstr(name, "delete") != NULL;
}

/* p is no start of a live slot of ours. Returns after a report, if the options say so. */
static FH_COLD void report_bad(const char *name, const void *p)
{
    struct slot slot;
    struct hard_fault fault = {.call = name, .address = p, .what = HARD_NOT_A_BLOCK};
    if (hard_slot_find(p, &slot)) {
        unsigned state = hard_state(LOAD(slot.word));
        bool freed = (uintptr_t)p == slot.start && state != SLOT_NEVER && state != SLOT_LIVE;
        fault.slot = &slot;
        if (freed) fault.what = is_free(name) ? HARD_DOUBLE_FREE : HARD_USE_FREED;
    }
    hard_report(&fault);
}

/* Reports, of the block as it was, and then, if the program is to go on, leaves them as they should be. */
static FH_COLD void slot_is_damaged(uintptr_t start, uint32_t word, const char *name)
{
    struct slot slot;
    if (NEVER(!hard_slot_find((void *)start, &slot))) return;
    uintptr_t end = start + slot.region->size;
    uint32_t now = LOAD(slot.word);
    STORE(slot.word, word);
    if (!tail_holds(hard_slack(word), end)) {
        report_slot(HARD_OVERFLOWED, name, (void *)start, &slot);
        memset((void *)(end - hard_slack(word)), 0, hard_slack(word));
        canary_write(end);
    }
    if (!front_holds(slot.region, start)) {
        report_slot(HARD_UNDERFLOWED, name, (void *)start, &slot);
        canary_write(start);
    }
    STORE(slot.word, now);
}

/* The same of a large block. */
static FH_COLD void large_is_damaged(const struct slot *slot, uint32_t word, const char *name)
{
    struct large *large = large_at(slot->slab, slot->index);
    uint32_t now = LOAD(slot->word);
    STORE(slot->word, word);
    if (!large_tail_holds(large)) report_slot(HARD_OVERFLOWED, name, (void *)large->start, slot);
    if (!large_front_holds(large)) report_slot(HARD_UNDERFLOWED, name, (void *)large->start, slot);
    large_mend(large);
    STORE(slot->word, now);
}

static bool large_check(const struct slot *slot, uint32_t word, const char *name)
{
    struct large *large = large_at(slot->slab, slot->index);
    if (LIKELY(large_tail_holds(large) && large_front_holds(large))) return true;
    large_is_damaged(slot, word, name);
    return false;
}

bool hard_check_slot(const struct slot *slot, uint32_t word, const char *name)
{
    if (!hard.measures.canary) return true;
    if (slot->region->kind == REGION_LARGE) return large_check(slot, word, name);
    if (slot->region->kind != REGION_SMALL) return true;
    if (LIKELY(slot_is_whole(slot->region, slot->start, word))) return true;
    slot_is_damaged(slot->start, word, name);
    return false;
}

static FH_COLD bool kind_report(const struct slot *slot, const void *p,
                                const struct hard_call *call)
{
    struct hard_fault fault = {
        .what = HARD_KIND, .call = call->name, .address = p, .slot = slot, .kind = call->kind};
    hard_report(&fault);
    return true;
}

/* What is said to have been made for another alignment. */
static FH_COLD void check_aligned(const struct slot *slot, uint32_t word, const void *p,
                                  const struct hard_call *call)
{
    unsigned made = word >> WORD_THREAD_SHIFT & (WORD_THREADS - 1);
    if (call->aligned == made || hard_kind(word) != call->kind) return;
    struct hard_fault fault = {.what = HARD_ALIGNMENT,
                               .call = call->name,
                               .address = p,
                               .slot = slot,
                               .size = (size_t)1 << call->aligned,
                               .right = (size_t)1 << made % 64};
    hard_report(&fault);
}

static FH_COLD void size_report(const struct slot *slot, const void *p, size_t size,
                                const char *name)
{
    struct hard_fault fault = {.what = HARD_SIZE,
                               .call = name,
                               .address = p,
                               .slot = slot,
                               .size = size,
                               .right = hard_slot_size(slot)};
    hard_report(&fault);
}

/* Blocks of zones are of no call's kind, and may go by every one. */
FH_INLINE bool kinds_differ(uint32_t word, const struct hard_call *call)
{
    return UNLIKELY(hard_kind(word) != call->kind) && call->kind != KIND_ANY &&
           hard_kind(word) != KIND_ANY && hard_kind(word) != KIND_ZONE;
}

/* From live to `state`; false after a report if it is no live block, or not of that kind and size. */
static bool slot_end(struct hard_thread *thread, struct slot *slot, void *p, size_t size,
                     unsigned state, const struct hard_call *call)
{
    uint32_t word = LOAD(slot->word);
    if (UNLIKELY(hard_state(word) != SLOT_LIVE) || UNLIKELY((uintptr_t)p != slot->start)) {
        report_bad(call->name, p);
        return false;
    }
    if (UNLIKELY(region_is_zone(slot->region)) && !zone_lets_go(slot, call->name)) return false;
    if (hard.measures.kinds && kinds_differ(word, call)) kind_report(slot, p, call);
    if (UNLIKELY(call->aligned)) check_aligned(slot, word, p, call);
    if (UNLIKELY(size != SIZE_MAX) && UNLIKELY(size != hard_slot_size(slot)) &&
        hard_slot_size(slot))
        size_report(slot, p, size, call->name);
    if (LIKELY(word_change(slot->word, word, word_freed(thread, word, state)))) return true;
    report_bad(call->name, p);
    return false;
}

/* Foreign: of another allocator, or nobody's. */
static FH_COLD void free_other(void *p, size_t size, const struct hard_call *call)
{
    if (p == NULL) return;
    if (sample_holds(p))
        sample_free(p, call->kind, size, 0, call->name);
    else
        report_bad(call->name, p);
}

void quick_end_rest(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    if (region->size <= hard.measures.zero_most) memset((void *)start, 0, region->size - hard.tail);
    if (hard.measures.quarantine)
        quarantine_put(thread, region, start);
    else
        cache_put(thread, region, start);
}

/* A small slot is cleared and waits; `word` is as it was when it was live. */
static void small_end(struct hard_thread *thread, const struct region *region, uintptr_t start,
                      uint32_t word, const char *name)
{
    thread->freed_bytes += region->size;
    if (hard.measures.canary && UNLIKELY(!slot_is_whole(region, start, word)))
        slot_is_damaged(start, word, name);
    quick_end_rest(thread, region, start);
}

/* A slot that was found, whatever p is in it. */
static void found_free(struct hard_thread *thread, struct slot *slot, void *p, size_t size,
                       const struct hard_call *call)
{
    uint32_t word = LOAD(slot->word);
    if (!slot_end(thread, slot, p, size, SLOT_QUARANTINED, call)) return;
    zone_block_untag(slot);
    if (slot->region->kind == REGION_LARGE) {
        hard_check_slot(slot, word, call->name);
        large_end(slot, false);
    } else if (slot->region->kind == REGION_SMALL) {
        small_end(thread, slot->region, slot->start, word, call->name);
    } else {
        thread->freed_bytes += slot->region->size;
        quarantine_put(thread, slot->region, slot->start);
    }
}

void hard_free(struct hard_thread *thread, void *p, size_t size, const struct hard_call *call)
{
    struct slot slot;
    const void *given = p;
    p = zone_plain(p);
    if (!hard_holds(p)) {
        free_other(p, size, call);
        return;
    }
    if (!hard_slot_find(p, &slot)) {
        report_bad(call->name, p);
        return;
    }
    if (thread == &hard_none && (thread = hard_attach()) == NULL) return;
    random_ready(&thread->random);
    zone_enter_of(slot.region);
    if (tag_fits(&slot, given, call->name)) found_free(thread, &slot, p, size, call);
    zone_leave_of(slot.region);
}

static void found_free_permanently(struct hard_thread *thread, struct slot *slot, void *p,
                                   const struct hard_call *call)
{
    uint32_t word = LOAD(slot->word);
    if (!slot_end(thread, slot, p, SIZE_MAX, SLOT_GONE, call)) return;
    zone_block_untag(slot);
    hard_check_slot(slot, word, call->name);
    if (slot->region->kind == REGION_LARGE) {
        large_end(slot, true);
        return;
    }
    thread->freed_bytes += slot->region->size;
    if (slot->region->kind != REGION_SMALL) return;
    memset((void *)slot->start, 0, slot->region->size - hard.tail);
}

void hard_free_permanently(struct hard_thread *thread, void *p, const struct hard_call *call)
{
    struct slot slot;
    const void *given = p;
    p = zone_plain(p);
    if (sample_holds(p)) {
        sample_free_permanently(p, call->kind, call->name);
        return;
    }
    if (!hard_slot_find(p, &slot)) {
        report_bad(call->name, p);
        return;
    }
    if (thread == &hard_none && (thread = hard_attach()) == NULL) return;
    zone_enter_of(slot.region);
    if (tag_fits(&slot, given, call->name)) found_free_permanently(thread, &slot, p, call);
    zone_leave_of(slot.region);
}

void hard_release(const struct region *region, const uintptr_t *starts, unsigned count)
{
    struct slot slot;
    if (region->kind != REGION_LARGE) {
        central_give(region, starts, count);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        if (hard_slot_find((void *)starts[i], &slot)) large_release(&slot);
}

/* ---- realloc ------------------------------------------------------------------------------------------ */

/* Another size in the same slot: what lies behind it is clear again. */
static void slot_resize(struct slot *slot, uint32_t word, size_t size)
{
    const struct region *region = slot->region;
    size_t old = region->size - hard_slack(word);
    if (size < old && hard.measures.canary) memset((char *)slot->start + size, 0, old - size);
    uint32_t slack = (uint32_t)(region->size - size);
    STORE(slot->word, (word & ((1u << WORD_SLACK_SHIFT) - 1)) | slack << WORD_SLACK_SHIFT);
}

static bool small_resize(struct slot *slot, uint32_t word, size_t size)
{
    const struct region *region = slot->region;
    if (region->kind != REGION_SMALL || size > HARD_SMALL_MOST - HARD_CANARY) return false;
    if (class_for(size + hard.tail) != region->size_class) return false;
    slot_resize(slot, word, size);
    return true;
}

static void *move(struct hard_thread *thread, void *p, size_t old, size_t size,
                  const struct hard_call *call)
{
    bool zeroed;
    void *new = NULL;
    if (old > HARD_SMALL_MOST && size > old) new = large_allocate_growing(thread, size, call);
    if (new == NULL) new = hard_allocate(thread, size, call, &zeroed);
    if (new == NULL) return NULL;
    memcpy(new, p, base_min(old, size));
    hard_free(hard_self, p, SIZE_MAX, call);
    return new;
}

/* Another size in the same slot of a zone: in one with a block size, always. Holds: the zone. */
static bool zone_resize(struct slot *slot, const struct zone *zone, uint32_t word, size_t size)
{
    if ((zone->block && size > zone->block) || (zone->flags & ZONE_TAGGED)) return false;
    if (slot->region->kind == REGION_LARGE) return large_resize(slot, size) != NULL;
    if (zone->block == 0) return small_resize(slot, word, size);
    slot_resize(slot, word, size);
    return true;
}

/* A block of a zone stays in its zone. Holds: the zone. */
static void *zone_move(struct hard_thread *thread, struct slot *slot, struct zone *zone,
                       size_t size, const struct hard_call *call)
{
    void *p = (void *)slot->start, *new = zone_take(thread, zone, size, call);
    if (new == NULL) return NULL;
    memcpy(zone_plain(new), p, base_min(hard_slot_size(slot), size));
    found_free(thread, slot, p, SIZE_MAX, call);
    return new;
}

static FH_COLD void *zone_reallocate(struct hard_thread *thread, struct slot *slot,
                                     const void *given, size_t size, const struct hard_call *call)
{
    struct zone *zone = zone_of(slot->region);
    void *new = NULL;
    zone_enter(zone);
    uint32_t word = LOAD(slot->word);
    if (hard_state(word) != SLOT_LIVE)
        report_bad(call->name, (void *)slot->start); /* since it was looked at */
    else if (tag_fits(slot, given, call->name) && zone_lets_go(slot, call->name) &&
             hard_check_slot(slot, word, call->name))
        new = zone_resize(slot, zone, word, size) ? (void *)slot->start
                                                  : zone_move(thread, slot, zone, size, call);
    zone_leave(zone);
    return new;
}

static FH_COLD void *reallocate_other(struct hard_thread *thread, void *p, size_t size,
                                      const struct hard_call *call)
{
    if (sample_holds(p)) {
        sample_unwatch(p);
        return move(thread, p, sample_usable(p, call->name), size, call);
    }
    report_bad(call->name, p);
    return NULL;
}

void *hard_reallocate(struct hard_thread *thread, void *p, size_t size,
                      const struct hard_call *call)
{
    struct slot slot;
    const void *given = p;
    p = zone_plain(p);
    if (!hard_holds(p)) return reallocate_other(thread, p, size, call);
    if (!hard_slot_find(p, &slot) || hard_state(LOAD(slot.word)) != SLOT_LIVE ||
        (uintptr_t)p != slot.start) {
        report_bad(call->name, p);
        return NULL;
    }
    uint32_t word = LOAD(slot.word);
    if (UNLIKELY(region_is_zone(slot.region)))
        return zone_reallocate(thread, &slot, given, size, call);
    if (hard.measures.kinds && kinds_differ(word, call)) kind_report(&slot, p, call);
    if (!hard_check_slot(&slot, word, call->name)) return NULL;
    size_t old = hard_slot_size(&slot);
    if (slot.region->kind == REGION_LARGE) {
        void *resized = large_resize(&slot, size);
        if (resized) return resized;
    } else if (small_resize(&slot, word, size)) {
        return p;
    }
    struct hard_call same = *call;
    same.kind = (uint8_t)hard_kind(word);
    if (slot.region->kind == REGION_SMALL) same.bucket = slot.region->bucket;
    return move(thread, p, old, size, &same);
}

size_t hard_usable_size(const void *p, const char *name)
{
    struct slot slot;
    p = zone_plain(p);
    if (sample_holds(p)) return sample_usable(p, name);
    if (hard_slot_find(p, &slot) && hard_state(LOAD(slot.word)) == SLOT_LIVE &&
        (uintptr_t)p == slot.start)
        return hard_slot_size(&slot);
    report_bad(name, p);
    return 0;
}
