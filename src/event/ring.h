/*
 * ring: what happened lately. Any thread puts small events at any time, in signal handlers and while the
 * program stands too; no put allocates, waits or fails. The oldest are overwritten. Tools read the ring
 * from outside; its layout is in freehold/registry.h.
 *
 *      next ----------------------------------v  a ticket to each event
 *      | 4096 | 4097 | 4098 | 2n+1: being written | 2n+2: whole | ...         records
 *
 * A writer makes its record's number odd, writes, and makes it even. So readers know what is torn; and a
 * writer that finds the number odd, or above its own, because it or the other fell a whole ring behind,
 * drops its event: two never write one record.
 *
 * Rejected: a ring for each thread (who reads would have to sort, and find them); waiting for the slower
 * writer (it may be the thread that this one's signal handler interrupted).
 */
#ifndef EVENT_RING_H
#define EVENT_RING_H

#include <freehold/registry.h>

#include "base/base.h"

struct event {
    uint8_t kind, source;
    uint16_t detail;
    uint32_t number;
    uint64_t time_ns, value;
};

/* The process's: no bytes of the file, no pages before the first event. */
extern struct fh_event_ring event_ring;

/* Before the first event of all: the head, by which readers know it. Twice is harmless. */
void ring_init(struct fh_event_ring *ring);

void ring_put(struct fh_event_ring *ring, const struct event *event);

/* How many events there were. */
uint64_t ring_position(const struct fh_event_ring *ring);

/* The first event from *position on that can be read; *position is then the one after it, and *lost has
 * risen by those before it that cannot. False if there is none: what comes may still be being written. */
bool ring_next(const struct fh_event_ring *ring, uint64_t *position, struct event *event,
               uint64_t *lost);

#endif
