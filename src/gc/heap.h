/*
 * heap: one of the collector's heaps: its record, in which each part has its fields, and where to
 * find what a thread has of it. Tables of roots, weak things and blocks are under heap->lock.
 */
#ifndef GC_HEAP_H
#define GC_HEAP_H

#include "event/histogram.h"
#include "gc/index.h"
#include "gc/thread.h"

struct marking; /* mark.h */

#define BACKGROUND_MARKERS 3

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
    size_t live_leaf;      /* of them in objects without references */
    /* How many of 1024 bytes that came between the last two full collections stayed. */
    _Atomic uint32_t survival;
    _Atomic size_t limit;
    _Atomic ptrdiff_t external;
    _Atomic ptrdiff_t external_seen;
    /* Bytes allocated after which a minor collection is due; 0: all the room. */
    _Atomic size_t nursery;
    unsigned nursery_cost;           /* of collections of a small one, in us for a MiB, smoothed */
    _Atomic uint64_t full_ns;        /* processor time that the last full collection took */
    size_t nursery_live;             /* heap->live at the last collection */
    _Atomic uint64_t nursery_start;  /* heap->allocated at the last collection */
    _Atomic uint64_t allocated_full; /* heap->allocated at the last full collection */
    uint64_t allocation_rate;        /* bytes a second, smoothed */
    uint64_t collect_us;             /* what a full collection costs, smoothed */
    uint64_t allocated_before, collected_ns; /* as of the last collection */
    _Atomic uint32_t parked, ramps;
    _Atomic uint32_t epoch; /* collections so far */
    pthread_t collector;
    bool has_collector;
    _Atomic uint32_t collector_state; /* enum collector_state */
    bool watch_fails;                 /* no thread, or the kernel cannot tell what is written to */
    _Atomic size_t watch_least;       /* bytes to mark from which on it is asked */
    _Atomic uint32_t watch_rest;      /* of who allocates: times as long as it has run */
    bool meets;                       /* is stopped where a thread allocates: meeting.c */
    _Atomic uint32_t meeting;         /* enum meeting */
    _Atomic uint32_t cycle_waiters;   /* threads that wait for a cycle's end */
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
    /* What another library's rules of weakness ask for; called by who collects when all that is
     * reachable is marked, and may mark more (gc/mark.h). Threads stand. NULL: none. */
    void (*weak_hook)(struct gc_heap *heap);
    struct marking *marking_state;
    _Atomic uint64_t allocated; /* bytes that threads have told */
    _Atomic uint64_t handshakes, assists;
    struct fh_gc_stats stats; /* what is counted; fh_gc_stats_get adds what is looked up */
    struct histogram pauses;  /* pause.c */
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

/* Live bytes below which a stop is over before a cycle would be. Debug modes are to see cycles. */
#define WATCH_LEAST (16 * MIB)

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

/* Whether objects are being marked while threads run. */
FH_INLINE bool heap_is_marking(const struct gc_heap *heap)
{
    uint32_t phase = atomic_load(&heap->phase);
    return phase == PHASE_MARKING || phase == PHASE_WATCHED;
}

/* Bytes of blocks and large objects. */
FH_INLINE size_t heap_bytes(const struct gc_heap *heap)
{
    return (heap->block_count << SLICE_SHIFT) + heap->large_bytes;
}

/* Counts once a collection, while threads run, who may be copying the numbers. The lock is not
 * held. What is counted more often is an atomic beside heap->stats. */
FH_INLINE void stats_add(struct gc_heap *heap, uint64_t *count, uint64_t more)
{
    gc_lock_take(&heap->lock);
    *count += more;
    lock_give(&heap->lock);
}

/* Makes and frees; the arena stands. */
struct gc_heap *gc_heap_create(const struct fh_gc_options *options, int *error);
void gc_heap_destroy(struct gc_heap *heap);

/* For fh_describe: whether a live object holds p, in a span of a heap; else the span. */
bool gc_describe(const void *p, const void **start, size_t *size);

#endif
