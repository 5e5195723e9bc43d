/*
 * canary: eight bytes at the end of every small slot, live or not, that nobody can know: a keyed hash of
 * where they are. The first byte is zero, so that a string that runs on ends there. What lies between
 * what was asked for and the canary is zero, and stays zero.
 */
#ifndef HARD_CANARY_H
#define HARD_CANARY_H

#include "hard/hard.h"

/* `end` is where the slot ends. */
FH_INLINE uint64_t canary_of(uintptr_t end)
{
    uint64_t x = (end ^ hard.site_secret) * hard.secret;
    x ^= x >> 29;
    return (x * hard.secret) << 8;
}

FH_INLINE void canary_write(uintptr_t end)
{
    *(uint64_t *)(end - HARD_CANARY) = canary_of(end);
}

FH_INLINE bool canary_holds(uintptr_t end)
{
    return *(const uint64_t *)(end - HARD_CANARY) == canary_of(end);
}

/* Whether start..end is all zero. */
FH_INLINE bool canary_is_clear(uintptr_t start, uintptr_t end)
{
    uint64_t all = 0;
    for (; start < end && start % 8; start++) all |= *(const uint8_t *)start;
    for (; start + 8 <= end; start += 8) all |= *(const uint64_t *)start;
    for (; start < end; start++) all |= *(const uint8_t *)start;
    return all == 0;
}

#endif
