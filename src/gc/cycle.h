/*
 * cycle: a concurrent cycle, as its parts share it.
 *
 *      concurrent.c   the order of it
 *      handshake.c    what each thread does, or has done for it, when it is asked
 *      assist.c       who marks beside the collector's thread
 *      collector.c    that thread: when it works, and who waits for it
 */
#ifndef GC_CYCLE_H
#define GC_CYCLE_H

#include "gc/mark.h"

/* One cycle, from the sweep of what the last one left to the sweep of what this one found. */
void cycle_run(struct gc_heap *heap, enum fh_gc_why why);

/* The same of a heap with FH_GC_WATCHED: watched.c. */
void cycle_run_watched(struct gc_heap *heap, enum fh_gc_why why);

/* Watches writes to the heap, in this process; false when the kernel cannot. */
bool watch_open(struct gc_heap *heap);

/* A handshake that is told of. */
void handshake_noted(struct gc_heap *heap, handshake_fn *action, enum fh_gc_handshake kind);

/* The four things that a thread is asked for: enum fh_gc_handshake. */
void action_arm(struct gc_heap *heap, struct gc_thread *thread);
void action_settle(struct gc_heap *heap, struct gc_thread *thread);
void action_scan(struct gc_heap *heap, struct gc_thread *thread);
void action_flush(struct gc_heap *heap, struct gc_thread *thread);

/* Threads that mark beside the collector's; fewer if they are refused. */
void background_start(struct gc_heap *heap);

#endif
