/*
 * thread: what each thread has: its random numbers, a few slots of each region to take from at random, and
 * the quarantine of what it freed.
 *
 *     free -> a place by chance among 64 -> who was there -> first in, first out -> who was longest there
 *          -> the few slots of its region, or level strict: reuse.c
 */
#ifndef HARD_THREAD_H
#define HARD_THREAD_H

#include "hard/space.h"

#define QUARANTINE_SHUFFLE 64
#define QUARANTINE_QUEUE 512

struct quarantine {
    uint32_t head, tail; /* of the queue: taken at head, added at tail */
    uint64_t bytes;      /* in both */
    /* a slot's address, and above bit 48 its region */
    uintptr_t shuffle[QUARANTINE_SHUFFLE];
    uintptr_t queue[QUARANTINE_QUEUE];
};

struct cache {
    uint64_t count;
    uintptr_t slot[];
};

struct hard_thread {
    struct random random;
    uint32_t number; /* 1, 2, ... */
    uint32_t id;     /* the kernel's */
    bool live;
    int32_t sample_left; /* allocations until one gets pages of its own, or all is verified */
    int32_t sample_wait, verify_wait; /* from then on, until either */
    struct hard_thread *next, *next_idle;
    uint64_t allocated[HARD_CLASSES]; /* slots handed out */
    uint64_t allocated_bytes, freed_bytes;
    struct quarantine quarantine;
    char caches[HARD_CACHE_BYTES];
};

/* A thread without a record of its own points here: all caches empty, nothing is freed into it. */
extern struct hard_thread hard_none;
extern _Thread_local struct hard_thread *hard_self __attribute__((tls_model("initial-exec")));
extern struct hard_thread *hard_threads; /* all there ever were; grows in front */
extern bool
    hard_threads_vanished; /* in a fork, in the middle of anything; others have their records now */

/* A thread got a record: arrange for hard_thread_end at its end. */
extern void (*hard_attached)(struct hard_thread *thread);

/* This thread's record; NULL when memory is out. */
struct hard_thread *hard_attach(void);

/* Draws when the thread is to have the next allocation on pages of its own. */
void hard_sample_next(struct hard_thread *thread);

/* It is time for that, or for what option verify_every asks: whether for the first, and in *verify for the second. The
 * next turn has begun. */
bool hard_sample_due(struct hard_thread *thread, bool *verify);

/* Its thread ends, or (in the child of a fork) has vanished. */
void hard_thread_end(struct hard_thread *thread);

/* What it keeps goes back to the regions; `all`: what is in quarantine as well. */
void hard_flush(struct hard_thread *thread, bool all);

uint32_t hard_thread_count(void);

void hard_thread_fork_prepare(void);
void hard_thread_fork_parent(void);
void hard_thread_fork_child(void);

FH_INLINE struct cache *cache_of(struct hard_thread *thread, const struct region *region)
{
    return (struct cache *)(thread->caches + region->cache_at);
}

/* A freed slot waits; others, for which it is time, become free. */
void quarantine_put(struct hard_thread *thread, const struct region *region, uintptr_t start);

/* For a full one, and for regions of which threads keep none. */
FH_COLD void cache_overflow(const struct region *region, struct cache *cache, uintptr_t start);

/* A slot is free: one of the thread's few, or its region's again. Its word says freed already, and goes on to. */
FH_INLINE void cache_put(struct hard_thread *thread, const struct region *region, uintptr_t start)
{
    struct cache *cache = cache_of(thread, region);
    if (UNLIKELY(cache->count == 2u * region->window))
        cache_overflow(region, cache, start);
    else
        cache->slot[cache->count++] = start;
}

#endif
