/*
 * event: facts out. Counters so far; samples and the stream of events will come through here too.
 *
 * A counter is a word of the registry that tools read from outside while the program writes it. The floor
 * receives numbers and knows nothing of what they count.
 */
#ifndef EVENT_COUNTER_H
#define EVENT_COUNTER_H

#include "base/base.h"

/* Any thread, at any time. */
FH_INLINE void counter_add(uint64_t *counter, int64_t change)
{
    __atomic_fetch_add(counter, (uint64_t)change, __ATOMIC_RELAXED);
}

/* One writer at a time, by a lock: a load and a store instead of a locked addition. */
FH_INLINE void counter_add_locked(uint64_t *counter, int64_t change)
{
    uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);
    __atomic_store_n(counter, now + (uint64_t)change, __ATOMIC_RELAXED);
}

#endif
