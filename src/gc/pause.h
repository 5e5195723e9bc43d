/*
 * pause: how long, and how often, a thread is kept from its own work. See gc/pause.c.
 */
#ifndef GC_PAUSE_H
#define GC_PAUSE_H

#include "base/base.h"

struct gc_heap;
struct gc_thread;

#define PAUSE_LEAST_NS 10000 /* shorter ones in the way of an allocation are its own work */

/* The calling thread does not run its own work from here to there; they nest. NULL: nobody's
 * pause. */
void pause_begin(struct gc_thread *thread, struct gc_heap *heap);
void pause_end(struct gc_thread *thread);

/* The same; shorter ones are passed over. */
void pause_end_above(struct gc_thread *thread, uint64_t least_ns);

/* Pauses and utilisation start anew. */
void pauses_reset(struct gc_heap *heap);

#endif
