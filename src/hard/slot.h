/*
 * slot: one small block from the call of malloc to the call of free.
 *
 * take:  a class by the size, a bucket by the caller, one of the thread's few slots by chance; is it still
 *        clear? its word says live, what was asked for, and of which kind.
 * give:  the address leads to the region by one table, to the slot by a multiplication: is it one's start, and
 *        live, and of that kind? Then the word says otherwise from now on, once and for all threads. Are the
 *        bytes behind it as they were, and those in front? Clear it, and into the quarantine.
 */
#ifndef HARD_SLOT_H
#define HARD_SLOT_H

#include "hard/canary.h"
#include "hard/thread.h"
#include "hard/zone.h"

/* For all calls: where a call came from decides the bucket; KIND_* is what the caller calls it. */
struct hard_call {
    const char *name; /* "free", for messages */
    uintptr_t site;
    uint8_t kind;
    uint8_t bucket;  /* HARD_BUCKET_DATA, or HARD_BY_SITE */
    uint8_t aligned; /* of a form that is told an alignment: its power of two; 0 none */
};

#define HARD_BY_SITE 0xff

/* The word of a new block. */
FH_INLINE uint32_t word_made(const struct hard_thread *thread, unsigned kind, unsigned aligned)
{
    bool is_told = kind - KIND_NEW_ALIGNED <= KIND_NEW_ARRAY_ALIGNED - KIND_NEW_ALIGNED;
    uint32_t told = is_told ? (uint32_t)aligned << WORD_THREAD_SHIFT : thread->stamp;
    return SLOT_LIVE | kind << WORD_KIND_SHIFT | told;
}

/* Bytes behind what was asked for, up to the canary. */
FH_INLINE bool tail_holds(uint32_t slack, uintptr_t end)
{
    return canary_holds(end) && canary_slack_is_clear(end, slack);
}

/* Its neighbour's canary lies in front of it; before a slab's first slot there is none. */
FH_INLINE bool front_holds(const struct region *region, uintptr_t start)
{
    return ((start - hard.base) & region->slab_mask) == 0 || canary_holds(start);
}

FH_INLINE bool slot_is_whole(const struct region *region, uintptr_t start, uint32_t word)
{
    return tail_holds(hard_slack(word), start + region->size) && front_holds(region, start);
}

/* One of several threads that free the same block at the same time is told. */
FH_INLINE bool word_change(slot_word *word, uint32_t from, uint32_t to)
{
    if (LIKELY(*hard.single)) {
        STORE(word, to);
        return true;
    }
    return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* A freed slot's word: who freed it, and that it is. */
FH_INLINE uint32_t word_freed(const struct hard_thread *thread, uint32_t word, unsigned state)
{
    uint32_t kept = word & ~(WORD_STATE | (WORD_THREADS - 1) << WORD_THREAD_SHIFT);
    return kept | state | thread->stamp;
}

/* Blocks of every size. NULL when memory is out. `zeroed`: of its first `size` bytes, all are zero. */
void *hard_allocate(struct hard_thread *thread, size_t size, const struct hard_call *call,
                    bool *zeroed);
void *hard_allocate_aligned(struct hard_thread *thread, size_t alignment, size_t size,
                            const struct hard_call *call);

/* A block of a zone. NULL: memory is out, or it is larger than the zone's blocks; or, with *rule not ZONE_KEPT, nothing may
 * be made there now. */
void *hard_allocate_zone(struct hard_thread *thread, struct zone *zone, size_t size,
                         const struct hard_call *call, enum zone_rule *rule);

/* A call on a zone, or on p in one, that may not be. */
FH_COLD void hard_zone_report(const char *name, const void *p, enum zone_rule rule);

/* p may be anything, NULL too. `size` is what the caller says that it asked for, SIZE_MAX if it does not. */
void hard_free(struct hard_thread *thread, void *p, size_t size, const struct hard_call *call);

/* Not for NULL, and not for size 0. NULL when memory is out, and the block is then as it was. */
void *hard_reallocate(struct hard_thread *thread, void *p, size_t size,
                      const struct hard_call *call);

/* What was asked for; 0 after a report. */
size_t hard_usable_size(const void *p, const char *call);

/* Freed for good: its address is never handed out again. */
void hard_free_permanently(struct hard_thread *thread, void *p, const struct hard_call *call);

/* Whether the bytes behind a live block, and in front of it, are as they should be; a report if not. */
bool hard_check_slot(const struct slot *slot, uint32_t word, const char *call);

#endif
