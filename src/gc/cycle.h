/*
 * cycle: a concurrent cycle, as its parts share it, and as others ask for one.
 *
 *      concurrent.c   the order of it
 *      handshake.c    what each thread does, or has done for it, when it is asked
 *      assist.c       who marks beside the collector's thread
 *      collector.c    that thread: when it works, and who waits for it
 *      watched.c      the cycle of a heap without a barrier
 *      meeting.c      how it comes to stop a program where that allocates
 */
#ifndef GC_CYCLE_H
#define GC_CYCLE_H

#include "gc/thread.h"

struct gc_heap;

/* ---- for others ------------------------------------------------------------------------------ */

/* The thread that runs cycles, of a heap that has one; LOST by a fork; DUE: there was none so far. */
enum collector_state { COLLECTOR_HERE, COLLECTOR_LOST, COLLECTOR_DUE, COLLECTOR_STARTING };
bool collector_start(struct gc_heap *heap);
void collector_stop(struct gc_heap *heap);
void collector_fork_child(struct gc_heap *heap);

/* Whether the heap has one, which is made anew if a fork has lost it. Not busy, and without the
 * world lock. */
bool collector_find(struct gc_heap *heap);

/* A heap with FH_GC_WATCHED that has become large is due to get one. */
void watch_when_due(struct gc_heap *heap);

/* From here on the heap is as with FH_GC_MARK. Not busy, and one thread at a time. */
void watch_end(struct gc_heap *heap);

/* Asks for a cycle, and for `another` if one goes on; returns its number. */
uint32_t cycle_request(struct gc_heap *heap, enum fh_gc_why why, bool another);

/* The calling thread stands until that cycle has ended. */
void cycle_wait(struct gc_heap *heap, uint32_t number);

/* Whether one of this heap's goes on. Holds: the world lock. */
bool cycle_goes_on(struct gc_heap *heap);

/* The thread marks about so many objects; false if there was nothing for it to do. */
bool cycle_assist(struct gc_heap *heap, struct gc_thread *thread, size_t objects);

/* A stop of the program waits for a thread that comes to allocate. */
enum meeting { MEETING_NONE, MEETING_WANTED, MEETING_HELD };

/* The calling thread has come: it stands until the stop is over. Not busy. */
void meeting_attend(struct gc_heap *heap);

/* Brackets a wait for the end of a cycle of the heap, which cannot end without its meetings. */
void meeting_wait_begin(struct gc_heap *heap);
void meeting_wait_end(struct gc_heap *heap);

/* Bytes that the cycle has marked so far. */
uint64_t cycle_marked(const struct gc_heap *heap);

/* ---- its parts ------------------------------------------------------------------------------- */

/* One cycle, from the sweep of what the last one left to the sweep of what this one found. */
void cycle_run(struct gc_heap *heap, enum fh_gc_why why);

/* The same of a heap with FH_GC_WATCHED: watched.c. */
void cycle_run_watched(struct gc_heap *heap, enum fh_gc_why why);

/* Watches writes to the heap, in this process; false when the kernel cannot. */
bool watch_open(void);

/* Waits for a thread to come, if the heap meets; at most `ms`, 0 for ever: false if none came. Then the program is
 * stopped, and the meeting ended. */
bool meeting_await(struct gc_heap *heap, uint64_t ms);
void meeting_end(struct gc_heap *heap);

/* The collector's thread is to end: it does not wait. */
void meeting_quit(struct gc_heap *heap);

/* A handshake that is told of. */
void handshake_noted(struct gc_heap *heap, handshake_fn *action, enum fh_gc_handshake kind);

/* Marks until nobody has anything left to mark. */
void cycle_drain(struct gc_heap *heap);

/* The four things that a thread is asked for: enum fh_gc_handshake. */
void action_arm(struct gc_heap *heap, struct gc_thread *thread);
void action_settle(struct gc_heap *heap, struct gc_thread *thread);
void action_scan(struct gc_heap *heap, struct gc_thread *thread);
void action_flush(struct gc_heap *heap, struct gc_thread *thread);

/* Threads that mark beside the collector's; fewer if they are refused. */
void background_start(struct gc_heap *heap);

#endif
