/*
 * utilisation: how little of a stretch of time a thread had for its own work.
 *
 * The minimum mutator utilisation of a window length (Cheng and Blelloch, "A parallel, real-time garbage
 * collector", PLDI 2001) is the smallest share of any stretch of that length in which the thread ran.
 * It is worth looking only at stretches that end where a pause ends: moved to the left until there, one
 * that ends elsewhere loses no pause; and one that ends inside a pause, moved to the right, wins as much
 * as it may lose.
 *
 * So each pause, when it is over, is added, and asked how much of the window before its end was pause.
 * For that a window is a ring of slots of a hundredth of its length, with the ns of pause in each:
 *
 *             |<------------- window: 100 slots ------------->|
 *      ... | part |      |  17  | 4000 |      | ...   | 10000 | end
 *             ^ of the oldest slot as much counts as can lie in the window
 *
 * Invariant: what comes out is never above the true value, and below it by less than one slot, 10/1000.
 *
 * Rejected: a list of the last pauses. Assists come by the thousand in 100 ms; a list that is too short
 * says too much, and one that merges pauses is as coarse as slots, but not by a known amount.
 */
#ifndef EVENT_UTILISATION_H
#define EVENT_UTILISATION_H

#include "base/base.h"

#define UTILISATION_WINDOWS 3 /* of 1, 10 and 100 ms */
#define UTILISATION_SLOTS 101

/* One thread's; only it adds. All zero: there was no pause so far. */
struct utilisation {
    struct utilisation_window {
        uint64_t at;  /* number of the newest slot, from the clock's zero on */
        uint64_t sum; /* of all slots */
        uint32_t slot[UTILISATION_SLOTS];
    } window[UTILISATION_WINDOWS];
    uint64_t end; /* of the last pause */
};

/* The thread paused from start to end, in ns of one clock, later than ever before. permille[w] is what was
 * left to it of the window that ends there. */
void utilisation_add(struct utilisation *utilisation, uint64_t start, uint64_t end,
                     uint32_t permille[UTILISATION_WINDOWS]);

#endif
