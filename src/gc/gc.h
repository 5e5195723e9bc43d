/*
 * gc: the collector. A heap owns blocks (spans of one slice, into whose holes objects are
 * bump-allocated) and large objects (spans of their own); threads allocate, a collection finds what
 * can be reached.
 *
 * Objects and blocks
 *      allocate.c   one object, and what is done when there is no room     type.c     types
 *      hole.c       the room that a thread bumps through                   object.c   by address
 *      mutator.c    a thread's part of a heap, as collections see it       large.c    above 64 KiB
 *      block.c      which block a thread gets                              sweep.c    what is dead
 *      blocks.c     all of them, as a collection turns them                side.c     mark bytes
 *      free.c       objects that the program frees itself
 * Threads
 *      thread.c     one: how it comes to stand, and goes on                attach.c   its two ends
 *      world.c      all: stopped, or asked by handshakes                   fork.c     in a fork
 * What is alive
 *      roots.c, modules.c    where marking begins                          mark.c     the tracer
 *      stack.c      what is to be looked at yet                            marking.c  who marks
 *      weak.c, link.c, ephemeron.c, finalize.c, finalizer.c   what marking does not follow
 *      barrier.c    stores that are remembered                             visit.c    any visitor
 * Collections
 *      collect.c    one that stops the program, as a page of verbs         size.c     when
 *      concurrent.c, handshake.c, assist.c, collector.c   one that does not
 *      compact.c, stay.c, forward.c   objects that move
 * Facts and questions
 *      event.c, stats.c, pause.c   numbers out        walk.c, why.c, transform.c   the whole heap
 *      verify.c, fence.c           what may be wrong  heap.c, control.c, table.c   for programs
 *
 * A block's life, with the function on each arrow:
 *
 *                 block_create                  hole by hole, used up
 *        (span) --------------> CURRENT ------------------------------> FULL
 *                                ^   ^                                    |
 *              block_take        |   |  block_take, block_sweep           |
 *        FREE -------------------+   +------------------------------------+
 *          ^                            sweep finds it empty              |
 *          +--------------------------------------------------------------+
 *
 * When marking has ended heap->cycle rises, and every block whose own number is lower is unswept.
 *
 * Who may touch what:
 *   world lock       collections, attaching and detaching; its holder alone stops threads
 *   heap->lock       lists of blocks and large objects, tables of roots and weak things;
 *                    for a few steps
 *   a mutator        its own context and holes, in slow paths (`busy`), where it is not stopped
 *   who stopped all  everything; but takes no lock and calls nothing that allocates
 */
#ifndef GC_GC_H
#define GC_GC_H

#include <pthread.h>

#include "base/registers.h"
#include "gc/index.h"
#include "event/histogram.h"
#include "event/utilisation.h"
#include "gc/meta.h"
#include "gc/vector.h"
#include "os/thread.h"

#define GC_PUBLIC __attribute__((visibility("default")))

/* Free granules below which a block is not worth a thread's time: 1 KiB. */
#define HOLES_WORTH 64

/* Live bytes below which a stop is over before a cycle would be. Debug modes are to see cycles. */
#define WATCH_LEAST (16 * MIB)

/* Blocks with holes are told apart by the longest one: below 16 granules, 32, 64, ... 4096. */
#define HOLE_CLASSES 9

#define OBJECT_MAX BLOCK_SIZE /* above: a large object */
#define MEDIUM_MIN 256        /* from here on an object that does not fit goes to other holes */
#define FENCE GC_GRANULE      /* bytes behind an object: fence.c */
#define ZERO_WINDOW (8 * KIB) /* zeroed ahead of the cursor */

#define TYPES_SMALL 32 /* of one granule */
#define TYPES 1024

enum {
    TYPE_BYTES = 1,
    TYPE_WORDS,
    TYPE_POINTERS,
    TYPE_WEAK,
    TYPE_EPHEMERON,
    TYPE_FREED,
    TYPE_FIRST
};
static_assert(TYPE_WORDS == FH_GC_TYPE_WORDS, "the header's constant");

/* LEAVING: objects are being moved out; only while threads stand. */
enum block_state { BLOCK_FREE, BLOCK_CURRENT, BLOCK_FULL, BLOCK_LEAVING };

/* A span's descriptor as a block or large object uses it. */
struct gc_block {
    struct gc_heap *_Atomic owner;
    const uint64_t *_Atomic snapshot; /* granules in use when the block joined the running cycle, by
                                         which a sweep tells new objects; NULL outside of a cycle */
    uint32_t live; /* granules in use: after the last sweep, and what threads have told of since */
    bool young;    /* of a large object: its slots are not armed */
    bool aligned;  /* there are objects at a multiple of more than 16: they do not move */
    uint16_t hole_most; /* granules: no hole is longer, of one in a list of partial blocks */
    uint16_t busy_from; /* granules that a thread allocates in: a sweep passes over them */
    uint16_t busy_to;
    _Atomic uint8_t kind;
    bool pinned;           /* an object stays, as of the last evacuation */
    _Atomic uint8_t state; /* enum block_state */
    uint8_t flags;
    uint32_t unused3;
    uint32_t position;      /* in heap->blocks or heap->large */
    _Atomic uint32_t cycle; /* the last whose marks were swept here */
    uint32_t next;
    uint32_t prev;
    _Atomic uint32_t slices;
    _Atomic uint64_t bytes; /* of a large object */
};
static_assert(sizeof(struct gc_block) == sizeof(struct span), "a descriptor");
static_assert(offsetof(struct gc_block, kind) == offsetof(struct span, kind), "kind");
static_assert(offsetof(struct gc_block, state) == offsetof(struct span, state), "state");
static_assert(offsetof(struct gc_block, slices) == offsetof(struct span, slices), "slices");
static_assert(offsetof(struct gc_block, bytes) == offsetof(struct span, bytes), "bytes");

FH_INLINE struct gc_block *gc_block_at(uint32_t index)
{
    return (struct gc_block *)span_at(index);
}

FH_INLINE uint32_t gc_block_index(const struct gc_block *block)
{
    return span_index((const struct span *)block);
}

FH_INLINE char *gc_block_start(const struct gc_block *block)
{
    return span_start((const struct span *)block);
}

/* The descriptor of the slice of p, which lies in the arena. */
FH_INLINE struct gc_block *gc_block_of(const void *p)
{
    return (struct gc_block *)span_at_offset((uintptr_t)p - arena.base);
}

/* A type as the marker wants it. */
struct type {
    uint64_t bitmap;         /* references in the first 64 words; 0 if it has none */
    uint32_t granules;       /* of each of its objects; 0: they differ, look for the end */
    uint8_t scan;            /* enum type_scan */
    bool pinned;             /* its objects do not move */
    uint32_t size;           /* fixed part */
    uint32_t element;        /* bytes of an element; 0 none */
    uint64_t element_bitmap; /* if element is at most 64 words */
    fh_gc_trace_fn *trace;
    struct fh_gc_type *public; /* what programs are told: an instance of theirs, or the copy */
    struct fh_gc_type *copy;   /* of it, its name and fields: these go when a library is unloaded */
} __attribute__((aligned(64)));
static_assert(sizeof(struct type) == 64, "the marker reads one line");

enum type_scan { SCAN_NOTHING, SCAN_BITMAP, SCAN_FIELDS, SCAN_WORDS, SCAN_TRACE, SCAN_EPHEMERON };

/* Types of objects of one granule, and of others. */
extern struct type type_tables[TYPES_SMALL + TYPES];
#define type_small type_tables
#define type_table (type_tables + TYPES_SMALL)

void types_init(void);

/* An object of this type is about to be made, of more bytes than the type has. */
void type_note_size(uint32_t id, size_t size);

/* Of its objects; 0: they differ. A plain load: it is in the loop of marking. */
FH_RACY uint32_t type_granules(const struct type *type)
{
    return type->granules;
}

/* Whether objects of this type never move. */
bool type_stays(const struct type *type);

/* Of an object whose first two bytes these are, the first one lowest. */
FH_INLINE const struct type *type_of_bytes(unsigned bytes)
{
    unsigned low = bytes >> 2 & 31, high = bytes >> 10 & 31;
    return &type_tables[bytes & META_END ? low : TYPES_SMALL + (low | high << 5)];
}

FH_INLINE const struct type *type_at(const uint8_t *meta)
{
    return type_of_bytes(meta_load2(meta));
}

/* ---- threads --------------------------------------------------------------------------------- */

/* A slot that a barrier remembered, and what it held. */
struct log_entry {
    void **slot;
    void *old;
};

#define LOG_ENTRIES 255

#define MAP_WORDS (BLOCK_GRANULES / 64)

#define BACKGROUND_MARKERS 3

/* A thread's part of a heap. */
struct mutator {
    uintptr_t hole_end;   /* of the hole that the context's limit is a window of; 0 none */
    uintptr_t hole_start; /* bytes from here to the cursor were allocated since the last count */
    uint32_t block;       /* index of the current block; 0 none */
    bool hole_zero;       /* the hole reads as zeros */
    uintptr_t medium, medium_end; /* for objects that did not fit a hole */
    uint32_t medium_block;
    bool medium_zero, medium_is_hole;
    uint32_t stress_count;
    uintptr_t stress_limit; /* the context's limit, which stress mode keeps at 0 */
    _Atomic bool black;     /* what it allocates now is alive until the cycle ends */
    uint32_t pause_resets;  /* heap->pause_resets when this was last cleared: */
    struct utilisation utilisation;
    uint32_t log_count;
    struct log_entry log[LOG_ENTRIES];
    uint64_t map[MAP_WORDS]; /* of the current block: a bit for each granule in use */
};

enum thread_state {
    THREAD_RUNS = 0,
    THREAD_SAFE = 1, /* its stack and registers are published; it may not touch objects */
    THREAD_HELD = 2, /* SAFE, and whoever stopped it has not let go */
};

struct gc_thread {
    struct gc_thread *next;
    _Atomic uint32_t state;  /* enum thread_state; changed by compare-and-swap from SAFE on */
    _Atomic uint32_t wanted; /* 1: become SAFE as soon as you can */
    uint32_t busy;           /* depth of slow paths; its own thread's alone */
    uint32_t id;             /* the kernel's */
    uintptr_t stack_low, stack_high;
    uintptr_t tls_low, tls_high;       /* thread-local variables outside of the stack */
    uintptr_t stack_pointer;           /* while SAFE */
    uintptr_t stack_left;              /* its own, while it is on another; 0 unknown */
    uintptr_t signal_low, signal_high; /* in use of the alternate stack, while a signal holds it */
    uintptr_t registers[OS_REGISTERS];
    unsigned register_count;
    bool interrupted; /* it was reached by a signal, perhaps in the middle of a store */
    struct fh_gc_frame *frames;
    struct fh_gc_context *contexts;
    uintptr_t will_store[2]; /* slot and value of its last fh_gc_will_store; 0 when that is over */
    unsigned pause_depth;    /* pause.c: of pauses in each other, and the outermost one */
    uint64_t pause_start;
    struct gc_heap *pause_heap;
    struct mutator mutator[FH_GC_HEAPS];
};

struct gc_local {
    struct fh_gc_context contexts[FH_GC_HEAPS];
    struct gc_thread *thread;
    bool tracing;      /* in a trace function, or while the heap is looked at */
    bool listening;    /* in a listener */
    unsigned blocking; /* depth of fh_gc_blocking */
    bool detached;     /* by call */
    bool refused;      /* its last allocation failed because the arena or the kernel had no more */
};

extern _Thread_local struct gc_local gc_local __attribute__((tls_model("initial-exec")));
extern struct gc_thread *gc_threads; /* guarded by the world lock */

/* Where the stack of a thread that stops others begins: in the caller's frame, which is not
 * inlined, not in those of libc below it with what they leave uninitialised. */
struct stack_top {
    uintptr_t pointer, registers[BASE_REGISTERS];
};

#define STACK_TOP(top)                                                                             \
    do {                                                                                           \
        (top)->pointer = base_registers_save((top)->registers);                                    \
    } while (0)

void stack_top_publish(const struct stack_top *top);

/* This thread's record, attached if need be; NULL when memory is out. */
struct gc_thread *thread_attach(void);

/* Slow paths: between enter and leave the thread is not stopped. */
FH_INLINE void thread_enter(struct gc_thread *thread)
{
    thread->busy++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void thread_safepoint(struct gc_thread *thread);

/* The thread is SAFE from here to there: for calls that wait. False: it is busy, and stays as it is. */
bool thread_wait_begin(void);
void thread_wait_over(void);

/* The inline path finds no room from here to there, so that allocations come to where they are refused. */
void contexts_close(uintptr_t limits[FH_GC_HEAPS]);
void contexts_open(const uintptr_t limits[FH_GC_HEAPS]);

FH_INLINE void thread_leave(struct gc_thread *thread)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (--thread->busy == 0 && UNLIKELY(LOAD(&thread->wanted))) thread_safepoint(thread);
}

/* A lock that the collector takes while threads stand, too: who is stopped must not have it. */
FH_INLINE void gc_lock_take(struct lock *lock)
{
    struct gc_thread *self = gc_local.thread;
    (void)self;
    ASSERT(self == NULL || self->busy || LOAD(&self->state) != THREAD_RUNS);
    lock_take(lock);
}

/* The calling thread is in a call, so what it announced by fh_gc_will_store is stored by now. */
FH_INLINE void thread_has_stored(struct gc_thread *thread)
{
    thread->will_store[0] = thread->will_store[1] = 0;
}

/* Notes where the calling thread's stack and registers are, for who searches them while it stays in
 * a frame that is not below its caller's. */
void thread_publish(struct gc_thread *thread);

/* The world lock: whoever waits for it may be stopped meanwhile. */
void world_take(void);
void world_give(void);

/* The same while no cycle goes on, of this heap or, without one, of any; the next one waits for the
 * lock. Not for the collector's thread. */
void world_take_idle(struct gc_heap *heap);

/* Whether one of this heap's goes on. Holds: the world lock. */
bool cycle_goes_on(struct gc_heap *heap);

/* Whose pauses those are that follow from here on. Holds: the world lock. */
void world_is_for(struct gc_heap *heap);

/* All attached threads but the caller's stand from here to there, for this heap's sake; NULL: for
 * none's. Holds: the world lock. */
void world_stop(struct gc_heap *heap);
void world_go(void);

/* The same for one thing that each thread is to do by itself, or is done for it where it is SAFE;
 * returns when all have. The caller is not attached. Holds: the world lock. */
typedef void handshake_fn(struct gc_heap *heap, struct gc_thread *thread);
void handshake(struct gc_heap *heap, handshake_fn *action);

/* Sleeps while *word == value, or for the end of another thread, SAFE meanwhile. Not busy. */
void thread_wait(_Atomic uint32_t *word, uint32_t value);
void thread_wait_end(pthread_t other);

/* os_thread_start, SAFE meanwhile: it waits for a lock of the linker's with all signals blocked, and
 * who has that may wait for us to stand. Not busy, and without the world lock. */
bool thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size);

/* ---- heaps ----------------------------------------------------------------------------------- */

struct root_range {
    uint64_t number;       /* its own */
    uintptr_t start, size; /* bytes */
    fh_gc_trace_fn *trace; /* instead of a range */
    bool exact;
};

struct gc_weakness {
    struct vector finalizers; /* struct finalizer */
    struct vector queue;      /* struct finalizer, objects that are kept until theirs has run */
    struct vector links;      /* struct weak_link */
    struct vector weak;       /* struct fh_gc_weak *, all there are */
    struct vector ephemerons; /* met by this collection whose key was not marked then */
    struct vector ephemeron_chains; /* by hash of key: uint32_t position + 1 */
    bool hashing;                   /* these are being made; marking->lock */
    struct index finalizer_index, link_index;
    size_t queue_next, queue_visible; /* finalizers between the two may run */
};

struct marking; /* mark.c */

struct gc_heap {
    struct fh_gc_heap public;
    bool exists;
    uint8_t number;
    _Atomic uint8_t mark;   /* state of what the last full collection found: 2 or 3 */
    _Atomic uint32_t phase; /* enum gc_phase */
    _Atomic uint32_t cycle; /* rises when marking has ended: what was swept before is unswept now */
    bool logs;              /* the policy has a barrier */
    bool slow;              /* the inline path never finds room */
    bool fenced;            /* FH_GC_FENCE */
    uint64_t fence_key;
    struct fh_gc_options options;
    struct lock lock;
    struct vector blocks; /* uint32_t indexes of slices; 0: given back */
    struct vector large;
    _Atomic size_t block_count; /* in use, free ones included */
    size_t sweep_next;          /* blocks from here to sweep_end are to be looked at by the sweep */
    _Atomic uint32_t sweeping;  /* blocks that are being swept just now */
    size_t sweep_end;
    bool sweep_goes_on;   /* until the last of them is swept */
    uint64_t swept_bytes; /* free in those that have been */
    uint32_t free_first;  /* blocks without objects, by `next` */
    _Atomic size_t free_count;
    uint32_t partial_first[HOLE_CLASSES]; /* swept, with holes, nobody's; by the longest of them */
    bool keeps_holes; /* somebody wants long ones: others get short ones first */
    struct vector
        young; /* uint32_t: blocks taken since the last collection, if there is a barrier */
    struct vector snapshots;  /* uint64_t[MAP_WORDS] */
    struct vector remembered; /* struct log_entry */
    /* A slot, or a block of `young`, is not known any more: until the next full collection. */
    _Atomic bool remembered_lost;
    _Atomic size_t live_full, target_full; /* after the last full collection */
    _Atomic size_t large_bytes;            /* whole slices */
    uint32_t dead_large;                   /* found dead, to be given back: by `next` */
    /* size.c */
    _Atomic size_t target; /* bytes of blocks and large objects at which to collect */
    _Atomic size_t live;   /* bytes marked by the last collection */
    size_t live_large;     /* of them in large objects */
    _Atomic size_t limit;
    _Atomic ptrdiff_t external;
    _Atomic ptrdiff_t external_seen;
    /* Bytes allocated after which a minor collection is due; 0: all the room. */
    _Atomic size_t nursery;
    unsigned nursery_cost;          /* of collections of a small one, in us for a MiB, smoothed */
    _Atomic uint64_t full_ns;       /* processor time that the last full collection took */
    size_t nursery_live;            /* heap->live at the last collection */
    _Atomic uint64_t nursery_start; /* heap->allocated at the last collection */
    uint64_t allocated_full;        /* heap->allocated at the last full collection */
    uint64_t allocation_rate;       /* bytes a second, smoothed */
    uint64_t collect_us;            /* how long a full collection takes, smoothed */
    uint64_t allocated_before, collected_ns; /* as of the last collection */
    _Atomic uint32_t parked, ramps;
    _Atomic uint32_t epoch; /* collections so far */
    pthread_t collector;
    bool has_collector;
    _Atomic uint32_t collector_state;         /* enum collector_state */
    bool watch_fails;                         /* the kernel cannot tell what is written to */
    _Atomic size_t watch_least;               /* live bytes from which on it is asked */
    pthread_t background[BACKGROUND_MARKERS]; /* threads that mark beside the collector */
    unsigned background_count;
    _Atomic uint32_t background_bell;
    _Atomic bool cycle_quit;
    _Atomic uint32_t cycle_bell, cycles_wanted, cycles_started, cycles_done, cycle_why;
    _Atomic size_t start;   /* bytes in use at which a cycle starts */
    size_t cycle_allocated; /* bytes while a cycle went on, smoothed */
    _Atomic size_t
        snapshot_live; /* live when the cycle before took its snapshot, and what came after */
    _Atomic uint64_t snapshot_allocated; /* heap->allocated at the last snapshot */
    _Atomic uint64_t moves;              /* collections that moved objects */
    _Atomic uint32_t compactions;        /* those that tried to */
    /* roots.c */
    struct vector roots; /* struct root_range */
    uint64_t roots_added;
    struct vector handles; /* struct fh_gc_handle chunks */
    struct fh_gc_handle *free_handle;
    struct vector pins; /* struct pin, found by `pin_index` */
    struct index pin_index;
    struct gc_weakness weakness;
    /* What another library's rules of weakness ask for; called by who collects when all that is reachable is
     * marked, and may mark more (gc/mark.h). Threads stand. NULL: none. */
    void (*weak_hook)(struct gc_heap *heap);
    struct marking *marking_state;
    _Atomic uint64_t allocated; /* bytes that threads have told */
    struct fh_gc_stats stats;   /* what is counted; fh_gc_stats_get adds what is looked up */
    struct histogram pauses;    /* pause.c */
    _Atomic uint32_t utilisation[UTILISATION_WINDOWS]; /* the least of any thread, permille */
    _Atomic uint32_t pause_resets;
    _Atomic uint64_t pauses_since; /* the last reset, in ns */
    fh_gc_listener_fn *_Atomic listener;
    void *listener_data;
    uint64_t events_from;        /* its first event's position in the ring, at least */
    _Atomic uint32_t collection; /* number of the one that goes on, or of the last */
    _Atomic uint32_t finalizer_bell;
    pthread_t finalizer;
    _Atomic uint32_t finalizer_state; /* enum finalizer_state */
    _Atomic bool finalizer_quit;
};

/* Of a cycle; concurrent.c draws it. */
enum gc_phase {
    PHASE_IDLE,
    PHASE_ARMED,
    PHASE_MARKING,
    PHASE_SETTLING,
    PHASE_WEAK,
    PHASE_WATCHED, /* watched.c draws these */
    PHASE_CLOSING,
};

extern struct gc_heap gc_heaps[FH_GC_HEAPS];
extern uint32_t gc_heap_count;

_Noreturn void heap_misused(void);

/* Of a heap that there is. */
FH_INLINE struct gc_heap *heap_of(struct fh_gc_heap *public)
{
    struct gc_heap *heap = (struct gc_heap *)public;
    if (UNLIKELY(heap == NULL || !heap->exists)) heap_misused();
    return heap;
}

FH_INLINE struct fh_gc_context *context_of(const struct gc_thread *thread,
                                           const struct gc_heap *heap)
{
    return &thread->contexts[heap->number];
}

FH_INLINE struct mutator *mutator_of(struct gc_thread *thread, const struct gc_heap *heap)
{
    return &thread->mutator[heap->number];
}

/* A thread's part of a heap begins and ends. Holds: the world lock. */
void thread_join_heap(struct gc_thread *thread, struct gc_heap *heap);
void thread_leave_heap(struct gc_thread *thread, struct gc_heap *heap);

/* The same for a thread that is not there any more: its context was in memory that is not
 * either. */
void thread_forget_heap(struct gc_thread *thread, struct gc_heap *heap);

size_t gc_thread_count(void);

void block_mend(struct gc_block *block);
void side_fork_prepare(void);
void side_fork_end(void);
void types_fork_prepare(void);
void types_fork_end(void);
void helpers_fork_child(void);
void threads_fork_child(void);
void collector_fork_child(struct gc_heap *heap);
void blocks_fork_child(struct gc_heap *heap);

/* Fork: waits for the end of cycles, then holds all locks across it. In the child other threads are
 * gone: their holes are given up, and helpers are made anew when they are needed. */
void gc_fork_prepare(void);
void gc_fork_parent(void);
void gc_fork_child(void);

/* Ends the program if the caller may not allocate, collect or walk where it is. */
void call_check(void);

/* Says what a program has done that it must not, and ends it. */
_Noreturn FH_COLD void program_misused(const char *what);

/* The calling thread's record, attached; ends the program with a line if memory is out. */
struct gc_thread *thread_self(void);

/* Makes and frees; the arena stands. */
struct gc_heap *gc_heap_create(const struct fh_gc_options *options, int *error);
void gc_heap_destroy(struct gc_heap *heap);

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The next block with holes, swept, CURRENT, and its map; NULL when there is none and the heap may
 * not grow. *zero: it is one hole that reads as zeros. `empty`: only one without objects will
 * do. */
struct gc_block *block_take(struct gc_heap *heap, const struct mutator *mutator, bool empty,
                            bool *zero, uint64_t map[MAP_WORDS]);

/* The same with a hole of so many granules at a multiple of `alignment` bytes, for when there is no
 * empty block: the hole, from that multiple on. */
struct gc_block *block_take_hole(struct gc_heap *heap, const struct mutator *mutator,
                                 size_t granules, size_t alignment, size_t *start, size_t *end);

/* Gives the memory of a block back, which is in no list. */
void block_destroy(struct gc_block *block);

/* A block that a thread is done with. */
void block_put(struct gc_heap *heap, struct gc_block *block, bool full);

/* Sets map to the granules in use of a block, and to those that a thread allocates in; returns how
 * many of the former. In use is what is marked with `mark`, and, with a snapshot, what is not in
 * it; the rest is cleared. mark 0: all that has a state is in use, and nothing is cleared. */
size_t block_map(struct gc_block *block, unsigned mark, const uint64_t *snapshot,
                 uint64_t map[MAP_WORDS]);

/* Clears the bytes of what is dead, and sets map to what is not. Returns free granules. A thread
 * that allocates in the block stands meanwhile. */
size_t block_sweep(struct gc_heap *heap, struct gc_block *block, uint64_t map[MAP_WORDS]);

/* The granules first..last-1 in the word of a map that begins with granule `base`. */
uint64_t map_range(size_t base, size_t first, size_t last);

/* The first hole in a map from granule `from` on; false if there is none. */
bool map_hole(const uint64_t map[MAP_WORDS], size_t from, size_t *start, size_t *end);

/* Sets map to what a swept block holds. */
void block_map_used(struct gc_block *block, uint64_t map[MAP_WORDS]);

/* Whether a swept block has a hole of so many granules at a multiple of `alignment` bytes: the
 * first. */
bool block_has_hole(struct gc_block *block, size_t granules, size_t alignment, size_t *start,
                    size_t *end);

/* No block with holes is in a list. */
void partial_forget(struct gc_heap *heap);

/* Granules of the longest hole in a map. */
size_t map_longest(const uint64_t map[MAP_WORDS]);

/* A swept block goes to the list that its free granules, and the longest hole of them, ask for. Holds:
 * heap->lock, or threads stand. */
void block_put_swept(struct gc_heap *heap, struct gc_block *block, size_t room, size_t longest);

/* Sweeps this block if it waits to be; false if somebody is at it just now. Busy. */
bool block_sweep_now(struct gc_heap *heap, struct gc_block *block);

/* A block of the list of free ones; NULL. The same. */
struct gc_block *block_pop_free(struct gc_heap *heap);

/* Makes free blocks, up to so many, as long as the limit allows. Holds: the world lock. */
void heap_reserve_free(struct gc_heap *heap, size_t blocks);

/* Sweeps what nobody has swept yet. */
void heap_sweep_all(struct gc_heap *heap);

/* The same for some blocks, SWEEP_BATCH at most; false when there are no more. */
#define SWEEP_BATCH 16
bool heap_sweep_some(struct gc_heap *heap, unsigned blocks);

/* Marking has ended: all blocks but free ones wait to be swept (of young ones only, if `young`).
 * Threads stand, or the phase is not IDLE. */
void heap_unsweep(struct gc_heap *heap, bool young);

/* Blocks taken since the last collection get all their log bits set, but for holes in use. Threads
 * stand. */
void heap_arm_young(struct gc_heap *heap);

/* The same for all: it is not known any more which slots were remembered. After a full
 * collection. */
void heap_arm_all(struct gc_heap *heap);

/* A map of what is in use in a block, for its snapshot. */
bool block_note_snapshot(struct gc_heap *heap, struct gc_block *block);

/* Free blocks beyond what the heap may grow to go back to the arena. */
void heap_trim(struct gc_heap *heap);

/* Bytes of blocks and large objects. */
FH_INLINE size_t heap_bytes(const struct gc_heap *heap)
{
    return (heap->block_count << SLICE_SHIFT) + heap->large_bytes;
}

/* Gives all free blocks back. */
void heap_release_free(struct gc_heap *heap);

/* Gives free blocks back until so many slices more are allowed; false when that is not enough. */
bool heap_yield(struct gc_heap *heap, size_t slices);

/* Calls visit for each object of a block: its first byte and granules. Outside of holes of
 * threads. */
typedef bool object_fn(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data);
bool block_each_object(struct gc_heap *heap, struct gc_block *block, object_fn *visit, void *data);
bool heap_each_object(struct gc_heap *heap, object_fn *visit, void *data);

void heap_blocks_finish(struct gc_heap *heap);
void heap_large_finish(struct gc_heap *heap);
void roots_init(struct gc_heap *heap);
void roots_finish(struct gc_heap *heap);
void weak_init(struct gc_heap *heap);
void weak_finish(struct gc_heap *heap);
void marking_destroy(struct gc_heap *heap);

/* ---- large objects --------------------------------------------------------------------------- */

/* Slices that an object takes. */
FH_INLINE size_t gc_large_slices(const struct gc_heap *heap, size_t size)
{
    size_t bytes = UNLIKELY(heap->fenced) ? base_round_up(size, GC_GRANULE) + FENCE : size;
    return (bytes + SLICE_SIZE - 1) >> SLICE_SHIFT;
}

/* NULL when memory is out, or the heap may not grow so far. Not busy. */
void *gc_large_allocate(struct gc_heap *heap, struct gc_thread *thread, size_t size, uint32_t id);
void gc_large_fork_child(struct gc_heap *heap);
void gc_large_find_dead(struct gc_heap *heap);
void gc_large_free_dead(struct gc_heap *heap);

/* Frees one that is alive. Busy. */
void gc_large_free(struct gc_heap *heap, struct gc_block *block);

/* ---- objects --------------------------------------------------------------------------------- */

/* The first byte of the object of this heap that holds p, or NULL. */
uint8_t *object_find(const struct gc_heap *heap, uintptr_t p);

/* Bytes of an object, without its fence. */
size_t object_size(const uint8_t *meta);

/* Fences. The granule behind an object of `size` bytes says so; false if it does not any more, or
 * if there is something between the two; *size is then the best that can be said. */
extern bool gc_fenced;
void fences_init(struct gc_heap *heap);
void fence_put(const struct gc_heap *heap, void *p, size_t size);
bool fence_check(const struct gc_heap *heap, const uint8_t *meta, size_t *size);

/* Of this object, whose block is of this heap or none. */
FH_INLINE size_t fence_size(const struct gc_heap *heap)
{
    return UNLIKELY(__atomic_load_n(&gc_fenced, __ATOMIC_RELAXED)) && heap && heap->fenced ? FENCE
                                                                                           : 0;
}

bool object_is_new(const uint8_t *meta);

/* Whether the last collection left it, or it is younger. */
bool object_is_live(const struct gc_heap *heap, const uint8_t *meta);

/* ---- allocation ------------------------------------------------------------------------------ */

/* An object of so many bytes, whose type has this `id`; NULL when memory is out. */
void *gc_allocate(struct gc_heap *heap, size_t size, uint32_t id);

/* The same at a multiple of `alignment`. */
void *gc_allocate_aligned(struct gc_heap *heap, size_t size, uint32_t id, size_t alignment);

/* ---- objects that the program frees: free.c ---------------------------------------------------------------- */

#define FREED_SIZES 64 /* granules: up to 1 KiB */

/* What a thread has freed of a heap, by granules, each linked by its first word; of this cycle. */
struct gc_freed {
    uint32_t cycle;
    void *first[FREED_SIZES + 1];
};

/* Frees an object; false if no live object starts at p. */
bool gc_free(struct gc_heap *heap, struct gc_freed *freed, void *p);

/* An object of so many granules of those that the thread has freed, zeroed, of the type with this id; NULL. */
void *gc_freed_take(struct gc_heap *heap, struct gc_freed *freed, size_t granules, uint32_t id);

/* Whether the object was freed, and is one only for the collector's books. */
FH_INLINE bool gc_is_freed(const uint8_t *meta)
{
    const struct type *type = type_at(meta);
    return type == &type_small[TYPE_FREED] || type == &type_table[TYPE_FREED];
}

/* An ephemeron forgets its key and value. */
void ephemeron_drop(struct fh_gc_ephemeron *ephemeron);

/* The key of an ephemeron, and the slot of its value; NULL if it is broken. */
void **ephemeron_slot(void *ephemeron, void **key);

/* Calls the function while everything stands, is swept, and threads' holes are known. */
typedef void still_fn(struct gc_heap *heap, void *data);
void still_run(struct gc_heap *heap, still_fn *function, void *data);

/* What is in the buffer of a thread that leaves. */
void mutator_flush_log(struct gc_heap *heap, struct mutator *mutator);

/* Old values go to the markers. */
void shade_flush(struct gc_heap *heap, struct mutator *mutator);

/* A reference that the program reads from where marking does not look, as word ^ mask; NULL for 0
 * and for one to an object that is being found dead. The thread is busy. */
void *weak_read(struct gc_heap *heap, struct gc_thread *thread, const uintptr_t *at,
                uintptr_t mask);

/* An object is kept though the slot it was in may not have been. The thread is busy. */
void shade(struct gc_heap *heap, struct mutator *mutator, void *object);

/* Before a slot of ours changes. The thread is busy. */
void slot_will_change(struct gc_heap *heap, struct gc_thread *thread, void **slot,
                      const void *value);

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

/* ---- objects that move: compact.c ------------------------------------------------------------ */

/* Moves what may move out of sparse blocks (FH_GC_MOVE_ALL: of all). A full collection has just
 * ended and threads stand. */
void heap_compact(struct gc_heap *heap);

struct compaction;

/* Where what a word refers to is now: the word itself, unless it refers to an object that has
 * moved. */
uintptr_t compact_forward(const struct compaction *c, uintptr_t word);

/* The references of weak things, and the indexes of their tables; of an ephemeron. */
void weak_forward(struct gc_heap *heap, const struct compaction *c);
void ephemeron_forward(const struct compaction *c, void *ephemeron);

/* ---- collection ------------------------------------------------------------------------------ */

/* `seen`: what collect_count said to the caller; if somebody has collected since, nothing is
 * done. */
void gc_collect(struct gc_heap *heap, enum fh_gc_kind kind, enum fh_gc_why why, uint32_t seen);

/* All free blocks go back to the arena, from where the purger returns them to the kernel. Not busy. */
void heap_give_back(struct gc_heap *heap);

/* How many collections of that kind, or a better one, there were. */
uint32_t collect_count(const struct gc_heap *heap, enum fh_gc_kind kind);

/* How many may run. The caller is busy, or not attached. */
size_t finalizers_pending(struct gc_heap *heap);

/* The thread that runs finalizers, of a heap that has one. */
enum finalizer_state { FINALIZER_NONE, FINALIZER_RUNS, FINALIZER_LOST, FINALIZER_STARTING };
bool finalizer_start(struct gc_heap *heap);
void finalizer_stop(struct gc_heap *heap);
void finalizer_fork_child(struct gc_heap *heap);

/* Makes it anew if a fork has lost it and finalizers wait. It calls libc: so no thread stands, and
 * the caller has no lock. */
void finalizer_find(struct gc_heap *heap);

/* The concurrent cycle: concurrent.c. */
enum collector_state {
    COLLECTOR_HERE,
    COLLECTOR_LOST, /* by a fork, or there was none so far */
    COLLECTOR_STARTING
};
bool collector_start(struct gc_heap *heap);
void collector_stop(struct gc_heap *heap);
bool collector_find(struct gc_heap *heap);

/* A heap with FH_GC_WATCHED that has become large gets a collector's thread, as soon as somebody
 * needs it. Holds: the world lock. */
void watch_when_due(struct gc_heap *heap);

uint32_t cycle_request(struct gc_heap *heap, enum fh_gc_why why, bool another);
void cycle_wait(struct gc_heap *heap, uint32_t number);
void cycle_drain(struct gc_heap *heap);

/* Whether objects are being marked while threads run. */
FH_INLINE bool heap_is_marking(const struct gc_heap *heap)
{
    uint32_t phase = atomic_load(&heap->phase);
    return phase == PHASE_MARKING || phase == PHASE_WATCHED;
}

/* The thread marks about so many objects; false if there was nothing for it to do. */
bool cycle_assist(struct gc_heap *heap, struct gc_thread *thread, size_t objects);

/* Bytes that the cycle has marked so far. */
uint64_t cycle_marked(const struct gc_heap *heap);

void rates_note(struct gc_heap *heap, uint64_t start, uint64_t end);

/* Facts at both ends of a collection, and those about weakness in between. */
void collection_begins(struct gc_heap *heap, enum fh_gc_why why);
void collection_ends(struct gc_heap *heap, enum fh_gc_why why, bool minor);
void collection_weak(struct gc_heap *heap);

/* Whether the next collection may be a minor one. */
bool collect_minor_is_due(struct gc_heap *heap);

/* Checks everything; a line and, from inside a collection, abort. Threads stand. */
bool heap_check(struct gc_heap *heap, bool marked, char *what, size_t capacity);
void heap_verify(struct gc_heap *heap, bool marked, const char *when);
void fences_verify(struct gc_heap *heap, const char *when);

/* For fh_describe: whether a live object holds p, in a span of a heap; else the span. */
bool gc_describe(const void *p, const void **start, size_t *size);

/* Whether the heap may take `slices` more without a collection; *why is what says no. */
bool size_allows(struct gc_heap *heap, size_t slices, enum fh_gc_why *why);
void size_after_collection(struct gc_heap *heap);

/* Before it, at the end of a cycle: what was allocated while it went on. */
void size_note_cycle(struct gc_heap *heap);

/* Whether enough is young for a minor collection; and how much that is, after a collection that
 * took so many ns of processor time. */
bool size_minor_is_due(const struct gc_heap *heap);

/* Whether a collection is due soon: so a program that has time may have it now. */
bool size_is_due_soon(const struct gc_heap *heap);

void size_nursery(struct gc_heap *heap, bool minor, uint64_t took);
size_t size_in_use(const struct gc_heap *heap);

/* While a cycle goes on: the heap may grow on, as far again as it was to grow; then threads wait. */
bool size_may_outgrow(const struct gc_heap *heap);

/* Memory outside of the heap has brought what is in use over so many bytes. */
bool size_is_external(const struct gc_heap *heap, size_t over);

/* The heap holds a quarter more than its target, or more than its limit: after a spike. */
bool size_is_too_large(const struct gc_heap *heap);

/* Called with each block that is taken: starts a cycle when it is time; has the thread help with
 * one that is behind. */
void size_pace(struct gc_heap *heap, struct gc_thread *thread);

/* A collection did not make room for so many slices: the target is raised, up to the limit. */
void size_grow(struct gc_heap *heap, size_t slices);

/* ---- pauses ---------------------------------------------------------------------------------- */

#define PAUSE_LEAST_NS 10000 /* shorter ones in the way of an allocation are its own work */

/* The calling thread does not run its own work from here to there; they nest. NULL: nobody's
 * pause. */
void pause_begin(struct gc_thread *thread, struct gc_heap *heap);
void pause_end(struct gc_thread *thread);

/* The same; shorter ones are passed over. */
void pause_end_above(struct gc_thread *thread, uint64_t least_ns);

/* Pauses and utilisation start anew. */
void pauses_reset(struct gc_heap *heap);

/* ---- marking: mark.h ------------------------------------------------------------------------- */

/* Counts while threads run, who may be copying the numbers. The lock is not held. */
FH_INLINE void stats_add(struct gc_heap *heap, uint64_t *count, uint64_t more)
{
    gc_lock_take(&heap->lock);
    *count += more;
    lock_give(&heap->lock);
}

void gc_say(const char *text);
void gc_event(struct gc_heap *heap, enum fh_gc_event_kind kind, uint64_t value);
void gc_event_of(struct gc_heap *heap, enum fh_gc_event_kind kind, unsigned detail, uint64_t value);
void events_init(struct gc_heap *heap);

#endif
