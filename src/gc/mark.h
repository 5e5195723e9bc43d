/*
 * mark: the tracer. Markers take candidates, words that may be references, from a stack; a queue of
 * 16 between the stack and the look at the object gives the memory time to come (Cher, Hosking,
 * Vitek 2004). A candidate is looked at when it leaves the queue: then its byte tells whether it is
 * an object and not marked yet, so each object is scanned once per marker at most, without an
 * atomic operation.
 *
 *      fields --> | stack: chunks of 4 KiB | --> | queue, prefetching | --> mark byte, then fields
 *                     |            ^
 *                     v full       | empty
 *                 | the pool of chunks, shared by all markers |
 *
 * There is no recursion. When memory for chunks is refused a candidate is dropped, and found again
 * by a pass over all marked objects: the stack can be of any size.
 */
#ifndef GC_MARK_H
#define GC_MARK_H

#include "base/lock.h"
#include "gc/vector.h"
#include "gc/visit.h"

struct type;

#define QUEUE 16
#define CHUNK_SIZE 4096
#define CHUNK_ENTRIES ((CHUNK_SIZE - 16) / sizeof(void *))
#define MARKERS 16
#define SLICE_WORDS 512 /* of a long object that are scanned at a time */

struct chunk {
    struct chunk *next;
    size_t count;
    uintptr_t entry[CHUNK_ENTRIES];
};
static_assert(sizeof(struct chunk) == CHUNK_SIZE, "a page");

/* The rest of a long object. */
struct slice {
    uintptr_t at, end;
    const struct type *type; /* NULL: every word */
};

struct marker {
    struct fh_gc_visitor visitor; /* first */
    struct chunk *chunk;
    uintptr_t queue[QUEUE];
    unsigned queue_at;
    bool keyed;   /* look for ephemerons of each object that is marked */
    bool repairs; /* it works off what does not fit its stack, */
    bool nested;  /* and does so now */
    bool others;  /* there are other heaps: look whose an object is */
    uint8_t mark;
    struct vector slices;                             /* struct slice */
    uint64_t objects, bytes, large_bytes, leaf_bytes; /* large, leaf: of the bytes */
};

struct marking {
    struct gc_heap *heap;
    struct lock lock; /* of the pool */
    struct chunk *pool, *spare;
    struct vector slices; /* of long objects, left by threads that assisted */
    char *chunks;         /* reserved memory for chunks */
    size_t chunks_reserved, chunks_committed, chunks_used;
    _Atomic uint32_t idle, active, bell, done;
    _Atomic uint32_t overflow;
    _Atomic uint32_t borrowed; /* bit for each marker that a thread of the program uses */
    unsigned count, begun;     /* markers that work, and that have begun */
    struct vector deferred;    /* objects that are traced when threads stand: lock */
    struct marker marker[MARKERS];
};

/* stack.c. Holds: marking->lock, for these three. NULL when memory is refused. */
struct chunk *chunk_make(struct marking *marking);
void pool_put(struct marking *marking, struct chunk *chunk);
void pool_drop(struct marking *marking);

/* The current chunk is full: it goes to the pool. False when there is no memory for another. */
bool marker_chunk_full(struct marker *marker);

/* It is nearly full: all but the newest goes there. The same. */
bool marker_chunk_split(struct marker *marker);

/* An empty chunk in exchange for one with candidates; false if the pool has none. */
bool marker_refill(struct marker *marker);

/* Others are idle: half of what this marker has goes to the pool. */
void marker_share(struct marker *marker);

/* mark.c. Works on what this marker has, and what the pool has, up to about `most` candidates;
 * false when there is nothing left. */
bool marker_work(struct marker *marker, size_t most);

/* The references of an object become candidates. */
void marker_scan(struct marker *marker, const struct type *type, uintptr_t p, size_t size);

/* The same for what lies in start..end, pages that follow each other, and at most as much beside it as a fixed part, an
 * element, or an object that is traced. */
void marker_scan_part(struct marker *marker, const struct type *type, uintptr_t p, size_t size,
                      uintptr_t start, uintptr_t end);

/* Nothing waits in the queue any more. */
unsigned queue_flush(struct marker *marker);

/* What it visits becomes a candidate. */
void marker_visit_with(struct marker *marker, struct gc_heap *heap);

/* marking.c. Starts the helpers. It calls libc, which takes locks of the linker: so no thread
 * stands, and the caller holds none of them. */
void marking_prepare(struct gc_heap *heap);

/* Before and after a marking. The marker of the calling thread is number 0. */
bool marking_init(struct gc_heap *heap);
void marking_begin(struct gc_heap *heap, bool concurrent, bool parallel);
void marking_finish(struct gc_heap *heap, bool minor);
void marking_destroy(struct gc_heap *heap);
void helpers_fork_child(void);

/* A marker for a moment, for roots; false when there is no memory for its stack. */
bool marker_make(struct gc_heap *heap, struct marker *marker);

/* What a marker has goes to the pool. */
void marker_give_all(struct marker *marker);

/* Marks about so many objects of the pool's; false if the pool was empty. */
bool marker_assist(struct marker *marker, size_t objects);

/* Nothing is in the pool, and nobody assists. */
bool marking_is_drained(struct gc_heap *heap);

/* Objects marked so far. */
uint64_t marking_objects(const struct gc_heap *heap);

/* Candidates were dropped: roots and all marked objects are looked at again. Threads stand. */
void marking_repair(struct gc_heap *heap);

/* Gives a marker a candidate: any word. */
void marker_add(struct marker *marker, uintptr_t word);

/* Marks an object that is no root and that nothing marked refers to, so that repair would not find
 * it again. */
void marker_keep(struct marker *marker, void *object);
void marker_add_range(struct marker *marker, uintptr_t start, uintptr_t end);

/* Threads stand, and have not been all the time since marking_begin: what they put off is scanned,
 * and from here on helpers take part. */
void marking_resume(struct gc_heap *heap);

/* From the roots on, what is not marked yet; and weakness. Threads stand. */
void mark_rest(struct gc_heap *heap, bool minor);

/* True if threads run that may be changing the object which is being traced, and who traces it cannot
 * bear that: it will be traced when they stand. */
bool visitor_defers(const struct fh_gc_visitor *visitor, void *object);

/* Marks all that can be reached from what was added; all helpers take part. */
void marking_drain(struct gc_heap *heap);

/* The same, by the calling thread alone, for about so many objects; false when nothing is left. */
bool marking_drain_some(struct gc_heap *heap, size_t objects);

/* Whether the object that holds this word is marked; true for what is no object of the heap. */
bool mark_is_set(const struct gc_heap *heap, uintptr_t word);

#endif
