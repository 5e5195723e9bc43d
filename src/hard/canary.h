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

typedef uint64_t canary_lane __attribute__((vector_size(16)));

/* The same for what begins at a multiple of 16 bytes. */
FH_INLINE bool canary_is_clear_aligned(uintptr_t start, uintptr_t end)
{
    canary_lane all = {0, 0};
    for (; start + 64 <= end; start += 64) {
        const canary_lane *at = (const canary_lane *)start;
        all |= (at[0] | at[1]) | (at[2] | at[3]);
    }
    for (; start + 16 <= end; start += 16) all |= *(const canary_lane *)start;
    uint64_t rest =
        start < end ? *(const uint64_t *)start : 0; /* ends before a canary: 8 bytes or none */
    return (all[0] | all[1] | rest) == 0;
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

/* From a multiple of 16 bytes to 8 behind another, if it is short. */
FH_INLINE bool canary_is_clear_short(uintptr_t start, uintptr_t end)
{
    canary_lane all = {0, 0};
    for (; start + 16 <= end; start += 16) all |= *(const canary_lane *)start;
    return (all[0] | all[1] | *(const uint64_t *)start) == 0;
}

/* The same extent becomes zero. */
FH_INLINE void canary_clear_short(uintptr_t start, uintptr_t end)
{
    for (; start + 16 <= end; start += 16) {
        *(canary_lane *)start = (canary_lane){0, 0};
        __asm__("" : "+r"(start)); /* or gcc calls memset */
    }
    *(uint64_t *)start = 0;
}

/* Whether the slack of a slot that ends at `end` is all zero, up to the canary. */
FH_INLINE bool canary_slack_is_clear(uintptr_t end, uint32_t slack)
{
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's first bytes are its lowest");
    uintptr_t from = end - slack, at = from & ~(uintptr_t)7;
    uint64_t all = 0;
    if (at < end - HARD_CANARY) all = *(const uint64_t *)at >> from % 8 * 8;
    for (at += 8; at < end - HARD_CANARY; at += 8) all |= *(const uint64_t *)at;
    return all == 0;
}

#endif
