/*
 * large: blocks above what slabs hold. Each lies at the end of a slot of 2^k bytes, at a random distance from
 * its end, and all of the slot but the block's own pages faults. What it leaves of its first page and its last is clear, and is looked at
 * when it is freed or resized. When it is freed, its pages go, and its addresses wait behind those of all
 * others of that size.
 */
#ifndef HARD_LARGE_H
#define HARD_LARGE_H

#include "hard/slot.h"

void *large_allocate(struct hard_thread *thread, size_t size, size_t alignment,
                     const struct hard_call *call, bool *zeroed);

/* The same with room behind it; NULL: use the other. */
void *large_allocate_growing(struct hard_thread *thread, size_t size, const struct hard_call *call);

/* One of a zone's, in a slot for `room` bytes. */
void *large_allocate_zone(struct hard_thread *thread, struct zone *zone, size_t size, size_t room,
                          const struct hard_call *call);

/* Takes place in the slot if it can. NULL: it cannot, and nothing happened. */
void *large_resize(const struct slot *slot, size_t size);

/* A large block whose word says freed: pages and address go. */
void large_end(const struct slot *slot, bool for_good);

/* Its slot may be handed out again. */
void large_release(const struct slot *slot);

/* The purger's visit: pages that freed blocks keep (level light) go. True: some are left for a later one. */
bool large_sweep(bool force);

/* Whether the bytes from its end to the page's are clear still, and those from the beginning of its first page on; with
 * canaries only. */
bool large_tail_holds(const struct large *large);
bool large_front_holds(const struct large *large);

/* Clears both. */
void large_mend(const struct large *large);

#endif
