/*
 * mutator: a thread's part of a heap: the holes that it allocates in, the slots that its stores
 * have had remembered. It is the thread's own in slow paths; others look at it while the thread
 * stands.
 */
#ifndef GC_MUTATOR_H
#define GC_MUTATOR_H

#include "event/utilisation.h"
#include "gc/block.h"

struct gc_thread;

/* A slot that a barrier remembered, and what it held. */
struct log_entry {
    void **slot;
    void *old;
};

#define LOG_ENTRIES 255

/* A thread's part of a heap. */
struct mutator {
    uintptr_t hole_end;   /* of the hole that the context's limit is a window of; 0 none */
    uintptr_t hole_start; /* bytes from here to the cursor were allocated since the last count */
    uint32_t block;       /* index of the current block; 0 none */
    bool hole_zero;       /* the hole reads as zeros */
    uintptr_t medium, medium_end; /* for objects that did not fit a hole */
    uint32_t medium_block;
    bool medium_zero, medium_is_hole;
    uint64_t rested_ns; /* processor time when it last rested: size_pace */
    uint32_t stress_count;
    uintptr_t stress_limit; /* the context's limit, which stress mode keeps at 0 */
    _Atomic bool black;     /* what it allocates now is alive until the cycle ends */
    uint32_t pause_resets;  /* heap->pause_resets when this was last cleared: */
    struct utilisation utilisation;
    uint32_t log_count;
    struct log_entry log[LOG_ENTRIES];
    uint64_t map[MAP_WORDS]; /* of the current block: a bit for each granule in use */
};

/* A thread's part of a heap begins and ends. Holds: the world lock. */
void thread_join_heap(struct gc_thread *thread, struct gc_heap *heap);
void thread_leave_heap(struct gc_thread *thread, struct gc_heap *heap);

/* The same for a thread that is not there any more: its context was in memory that is not
 * either. */
void thread_forget_heap(struct gc_thread *thread, struct gc_heap *heap);

/* The thread gives up its holes; what is left of them is found again by the next sweep. */
void mutator_retire(struct gc_thread *thread, struct gc_heap *heap);

/* The end of what a thread that stands has allocated in its hole. */
uintptr_t mutator_made(const struct mutator *mutator, const struct fh_gc_context *context);

/* The calling thread tells what it has allocated of its hole so far. Busy. */
void mutator_tell(struct gc_heap *heap, struct gc_thread *thread);

/* Tells blocks which granules threads allocate in. Threads stand. */
void mutators_note_holes(struct gc_heap *heap);

/* Sweeps the blocks that threads allocate in. Threads stand. */
void mutators_sweep_blocks(struct gc_heap *heap);

/* The same for one thread, of what a cycle has left unswept. */
void mutator_sweep_blocks(struct gc_heap *heap, struct gc_thread *thread);

/* Tells, and forgets again, which granules this thread allocates in. */
void mutator_note_hole(struct gc_heap *heap, struct gc_thread *thread);
void mutator_unnote_hole(struct gc_heap *heap, struct gc_thread *thread);

#endif
