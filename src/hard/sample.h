/*
 * sample: one of many allocations gets pages of its own, between pages that fault, and its history kept: who
 * overflows it by a byte, or touches it after it was freed, is caught in the act, and told who made and who
 * freed it. (The idea is GWP-ASan's, and Electric Fence's before it.)
 *
 *     region   | guard | data, 32 KiB | guard | data, 32 KiB | guard | ...       a slot is data and a guard
 *     a slot   | ......... | edge | block | | guard |   to the right: its end is the end of the data, as far as
 *              | block | edge | ......... | guard |     its alignment allows; to the left: at its start
 *
 * Only the pages that hold the block are there; the rest of the slot faults too. What the block does not fill
 * of its first and last page holds a byte that is looked for when it is freed. A freed slot faults, and
 * is used again last: at random among the half that was freed first.
 *
 * Records lie apart, one a slot. They are written under `sample_lock`, read by the handler of faults and by
 * reports without it: a block's record is complete before its address leaves.
 *
 * The number of slots open for use begins with 16 and follows the heap, one for each MiB that is live, up to
 * option sample_slots; live sampled blocks cost a page or two each.
 *
 *     NEVER --allocate--> LIVE --free--> FREE --allocate, much later--> LIVE
 */
#ifndef HARD_SAMPLE_H
#define HARD_SAMPLE_H

#include "hard/hard.h"
#include "hard/stack.h"

#define SAMPLE_MOST                                                                                \
    HARD_SMALL_MOST /* bytes of a sampled block; larger ones end at a guard anyway */
#define SAMPLE_SLOTS_MOST 65536

struct sample_history {
    uint32_t thread; /* kernel's id */
    uint32_t count;
    uintptr_t stack[STACK_MOST];
};

/* What is known of the block in a slot; it stays after it is freed, until the slot is used again. */
struct sample_block {
    slot_word word;  /* as that of every slot: state and kind */
    uint32_t serial; /* of the allocation, among the sampled ones */
    uintptr_t start;
    size_t size;
    uint32_t alignment;
    uint8_t watched;             /* for reads of what was never written: sample_watch.h */
    _Atomic uint8_t may_be_read; /* watched, but reads are not told any more */
    _Atomic uint8_t was_read;    /* before it was written: a page of it, which faults since */
    struct sample_history made, freed;
};

struct sample_region {
    uintptr_t base;
    size_t size;    /* 0: no samples are taken */
    bool no_guards; /* set before the start: do without the kernel's guards (tests) */
};
extern struct sample_region sample_region;

FH_INLINE bool sample_holds(const void *p)
{
    return (uintptr_t)p - sample_region.base < sample_region.size;
}

/* At start-up, before the program runs: as hard.measures says (sample, sample_slots). `uninit`: enum
 * sample_uninit of sample_watch.h. False: no memory; nothing will be sampled. Without samples nothing is
 * reserved and sample_holds is false for every address. */
bool sample_start(unsigned uninit);

/* A block of its own, uninitialised; NULL if no slot is free, or the block too large or aligned beyond a page.
 * A caller that promises zeros clears it as it would any other memory. */
void *sample_allocate(size_t size, size_t alignment, unsigned kind);

/* free and its kin, for an address that sample_holds. `size` SIZE_MAX and `alignment` 0: not said. Reports
 * what is wrong; returns all the same under bad_free=ignore. */
void sample_free(void *p, unsigned kind, size_t size, size_t alignment, const char *call);

/* The same, and the block's addresses are not used again. */
void sample_free_permanently(void *p, unsigned kind, const char *call);

/* The size of the live block at p; what is none is reported for `call`, and is 0 under bad_free=ignore. */
size_t sample_usable(const void *p, const char *call);

/* Before the allocator itself reads the block (realloc): reads of it are no longer watched. Of a block that is not live:
 * nothing. */
void sample_unwatch(const void *p);

/* The record of the slot that holds p, or that p overflows or underflows out of; NULL: never used. */
const struct sample_block *sample_find(const void *p);

/* Of each slot ever used, without a lock. */
void sample_each(void (*visit)(const struct sample_block *block, void *context), void *context);

/* Slots in use, and open for use. */
void sample_count(size_t *live, size_t *open);

void sample_fork_prepare(void);
void sample_fork_parent(void);
void sample_fork_child(void);

/* ---- between its files --------------------------------------------------------------------------- */

struct hard_fault;

/* A fault at p, in the region: what it was. */
void sample_explain(const void *p, struct hard_fault *fault);

/* The program goes on after a fault at p (bad_free=ignore): the page there no longer faults. */
void sample_open(const void *p);

/* What a page of a block's holds beside the block, into another page of memory. */
void sample_edges(const struct sample_block *block, uintptr_t page, uint8_t *to);

/* Bytes beside the block, on its pages, that are not the pattern any more. */
struct sample_damage {
    size_t count;
    uintptr_t first;
};
struct sample_damage sample_damage(const struct sample_block *block, bool front);

#endif
