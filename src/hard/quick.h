/*
 * quick: malloc and free of a usual small block, inlined into their callers. No call is made on the way, save as the last
 * thing, so that nothing has to be kept over one. What is not usual (the thread's first, a sample that is due, an empty
 * cache, another size or kind, a damaged canary, a word that does not say live) changes nothing here, and slot.c does it
 * all again with everything that may be the case.
 *
 * "Usual" is one constant, hard.quick_most: 0 when measures are chosen by hand that no level combines.
 */
#ifndef HARD_QUICK_H
#define HARD_QUICK_H

#include "hard/canary.h"
#include "hard/slot.h"

FH_INLINE unsigned quick_bucket(uintptr_t site)
{
    uint32_t mixed = (uint32_t)((site * hard.site_secret) >> 40);
    return (uint32_t)((uint64_t)mixed * hard.measures.buckets >> 24);
}

/* The compiler shall keep this pointer, and not make it anew from an index for each member. */
FH_INLINE const struct region *quick_region(unsigned number)
{
    const struct region *region = &hard.region[number];
    __asm__("" : "+r"(region));
    return region;
}

/* ---- take ------------------------------------------------------------------------------------------------ */

/* Does what quick_take does not, for a call from `site`. */
typedef void *quick_slow(size_t size, uintptr_t site, unsigned kind);

/* The slot is the thread's already; what remains is done in slot.c, and a report if it is not clear. */
void *quick_take_rest(struct hard_thread *thread, const struct region *region, uintptr_t start,
                      size_t size, unsigned kind);

FH_INLINE void *quick_made(struct hard_thread *thread, const struct region *region, uintptr_t start,
                           size_t size, unsigned kind)
{
    slot_word *word;
    slot_locate(start, region, &word);
    STORE(word, SLOT_LIVE | kind << WORD_KIND_SHIFT | thread->stamp |
                    (uint32_t)(region->size - size) << WORD_SLACK_SHIFT);
    thread->allocated[region->size_class]++;
    thread->allocated_bytes += region->size;
    thread->sample_left--;
    return (void *)start;
}

/* The last of the thread's few. One of the others, by chance, becomes the last, and is fetched: when its turn comes, it is
 * in the processor's cache. */
FH_INLINE uintptr_t quick_pick(struct cache *cache, uint64_t count, uint64_t chance)
{
    uintptr_t start = cache->slot[--count];
    cache->count = count;
    if (UNLIKELY(count == 0)) return start;
    uintptr_t *at = &cache->slot[chance * count >> 8], next = *at;
    *at = cache->slot[count - 1];
    cache->slot[count - 1] = next;
    __builtin_prefetch((void *)next, 1);
    return start;
}

/* A block for malloc, new or new[], as they are told apart by `kind`; called from `site`. */
FH_INLINE void *quick_take(struct hard_thread *thread, size_t size, unsigned kind, uintptr_t site,
                           quick_slow *slow)
{
    if (UNLIKELY(size - 1 >= hard.quick_most) || UNLIKELY(thread->sample_left <= 1))
        return slow(size, site, kind);
    unsigned size_class = hard.class_of[(size + hard.tail + 15) / 16];
    const struct region *region = quick_region(size_class * HARD_BUCKETS + quick_bucket(site));
    struct cache *cache = cache_of(thread, region);
    uint64_t count = cache->count;
    if (UNLIKELY(count == 0)) return slow(size, site, kind);
    if (!hard.measures.chance) {
        uintptr_t start = cache->slot[--cache->count];
        return quick_made(thread, region, start, size, kind);
    }
    if (UNLIKELY(!random_is_ready(&thread->random))) return slow(size, site, kind);
    uint64_t chance = random_byte_ready(&thread->random);
    uintptr_t start = quick_pick(cache, count, chance);
    if (region->size > hard.quick_check) {
        if (region->size <= hard.measures.check_most || chance % 16 == 7)
            return quick_take_rest(thread, region, start, size, kind);
    } else {
        uintptr_t end = start + region->size;
        if (UNLIKELY(!canary_is_clear_short(start, end - HARD_CANARY)) ||
            UNLIKELY(!canary_holds(end)))
            return quick_take_rest(thread, region, start, size, kind);
    }
    return quick_made(thread, region, start, size, kind);
}

/* Whether all that quick_take gave for this size is zero. */
FH_INLINE bool quick_is_clear(size_t size)
{
    return size + hard.tail <= hard.quick_check;
}

/* ---- give ------------------------------------------------------------------------------------------------ */

/* Takes a live slot from the program, by free, delete or delete[], which may be told its size (SIZE_MAX: is not): freed
 * from now on. NULL: not here, and nothing was done. */
FH_INLINE const struct region *quick_claim(struct hard_thread *thread, void *p, size_t size,
                                           unsigned kind)
{
    enum { BOTH = WORD_STATE | WORD_KIND << WORD_KIND_SHIFT };
    uintptr_t start = (uintptr_t)p, offset = start - hard.base;
    __builtin_prefetch((char *)p - HARD_CANARY);
    if (UNLIKELY(offset >= hard.size) || UNLIKELY(!random_is_ready(&thread->random))) return NULL;
    unsigned owner = __atomic_load_n(&hard.owner[offset >> hard.chunk_shift], __ATOMIC_RELAXED);
    if (UNLIKELY(owner - 1 - HARD_BUCKETS >= hard.quick_regions)) return NULL;
    const struct region *region = quick_region(owner - 1);
    slot_word *at;
    if (UNLIKELY(!slot_locate(start, region, &at))) return NULL;
    uint32_t word = LOAD(at);
    if (UNLIKELY((word & BOTH) != (SLOT_LIVE | kind << WORD_KIND_SHIFT))) return NULL;
    if (size != SIZE_MAX && UNLIKELY(size != region->size - hard_slack(word))) return NULL;
    if (hard.measures.canary && UNLIKELY(!slot_is_whole(region, start, word))) return NULL;
    if (UNLIKELY(!word_change(at, word, word_freed(thread, word, SLOT_QUARANTINED)))) return NULL;
    return region;
}

/* Clears what was claimed, if it is to be, and lets it wait: what quick_end does not do. */
void quick_end_rest(struct hard_thread *thread, const struct region *region, uintptr_t start);

/* Into the thread's few, whose turn it is. False: there is no room. */
FH_INLINE bool quick_keep(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    struct cache *cache = cache_of(thread, region);
    uint64_t count = cache->count;
    if (UNLIKELY(count == 2u * region->window)) return false;
    cache_add(cache, count, start);
    return true;
}

/* As quarantine_put. Its place in the queue is another's from now on, who leaves it. */
FH_INLINE void quick_wait(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    struct quarantine *q = &thread->quarantine;
    uint64_t most = hard.measures.quarantine, bytes = q->bytes + region->size;
    uintptr_t *place = &q->shuffle[random_byte_ready(&thread->random) % QUARANTINE_SHUFFLE],
              out = *place;
    *place = quarantine_entry(region, start);
    uint32_t held = q->tail - q->head;
    if (held == QUARANTINE_QUEUE || (bytes > most && held)) {
        uintptr_t first = q->queue[q->head % QUARANTINE_QUEUE];
        const struct region *its = quarantine_region(first);
        if (UNLIKELY(!quick_keep(thread, its, quarantine_start(first)))) {
            q->bytes = bytes;
            quarantine_put_rest(thread, out);
            return;
        }
        q->head++;
        bytes -= its->size;
    }
    if (LIKELY(out)) q->queue[q->tail++ % QUARANTINE_QUEUE] = out;
    q->bytes = bytes;
    if (UNLIKELY(bytes > most)) quarantine_put_rest(thread, 0);
}

FH_INLINE void quick_end(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    thread->freed_bytes += region->size;
    if (hard.measures.canary) {
        if (region->size > QUICK_BYTES || UNLIKELY(hard.measures.reuse)) {
            quick_end_rest(thread, region, start);
            return;
        }
        canary_clear_short(start, start + region->size - HARD_CANARY);
    }
    if (hard.measures.quarantine)
        quick_wait(thread, region, start);
    else if (UNLIKELY(!quick_keep(thread, region, start)))
        quick_end_rest(thread, region, start);
}

#endif
