/*
 * span: one range of addresses, cut into spans; and the registry that tells what each of them is.
 *
 * The arena is reserved once, at the first allocation. A slice is 64 KiB of it; a span is a run of
 * slices with one purpose. Every slice has a descriptor of 64 bytes, and the descriptors are an
 * array at the start of the arena, so that from any word
 *
 *      one subtraction and one compare   tell whether it is ours,
 *      one shift and one addition        give the descriptor,
 *
 * without loading anything first, and a program that runs over the end of its memory cannot reach
 * a descriptor: reserved addresses lie between. Descriptors of slices never used read as zeros.
 *
 *   base                base + meta_bytes            high                     base + size
 *    | descriptors | records | spans handed out ...     | reserved, faults       |
 *
 * Rejected: descriptors at the head of each segment (one load less, but beside the program's
 * data); a page map of two levels (a dependent load on every free); several arenas (a search).
 * A page map for all 2^47 addresses (snmalloc) saves the compare, but costs 128 GiB of address
 * space in every process and cannot live under RLIMIT_AS.
 *
 * Free spans are coalesced with their neighbours and kept in two sets of bins, best fit first:
 * dirty ones (pages may be resident; they are taken first, it saves page faults) and clean ones
 * (read as zeros). Dirty ones age, and purger.c gives them back.
 *
 * Lock order: a heap's lock, then the arena's. Everything that changes a span's extent or kind
 * holds the arena's lock; readers elsewhere take what they read for a hint and check it.
 */
#ifndef SPAN_SPAN_H
#define SPAN_SPAN_H

#include <freehold/registry.h>

#include "base/base.h"
#include "base/lock.h"

#define SLICE_SHIFT FH_SLICE_SHIFT
#define SLICE_SIZE ((size_t)1 << SLICE_SHIFT)
#define CARVE_SHIFT FH_CARVE_SHIFT
#define CARVE_SIZE ((size_t)1 << CARVE_SHIFT)
#define CARVES (SLICE_SIZE / CARVE_SIZE)

/* The library's own view of struct fh_span: the same bytes, with the atomics named. */
struct span {
    void *_Atomic owner; /* the heap; only it may change it to another, under its lock */
    void *_Atomic free;  /* pushed by the owner; the chain behind the first is its lock's */
    union {
        struct {                /* a slab */
            uint32_t countdown; /* the owner's alone; read by others as a hint */
            int16_t rest;
            uint16_t carved;
        };
        struct { /* a free span in the queue of dirty spans, oldest first */
            uint32_t age_next;
            uint32_t age_prev;
        };
    };
    uint16_t uncarved;
    uint16_t clean;
    _Atomic uint8_t kind;
    uint8_t size_class;
    _Atomic uint8_t state;
    uint8_t flags;
    _Atomic uint32_t remote;
    uint16_t remote_tail; /* written by whoever made `remote` non-zero, before it is queued */
    union {
        uint16_t shard; /* a slice of runs */
        uint16_t lone;  /* a slab: see heap/slab.h */
    };
    uint32_t pending_next;
    uint32_t next;
    uint32_t prev;
    _Atomic uint32_t slices;
    union {
        _Atomic uint64_t bytes;
        struct {                   /* a slab */
            _Atomic uint32_t note; /* the purger's */
            uint32_t reciprocal;   /* of its class: see heap/classes.h */
        };
    };
};

/* Records of one kind lie one after the other, whatever the other floors take. */
enum record_kind { RECORD_HEAP, RECORD_GC, RECORD_KINDS };

struct arena {
    /* Set once at the start; on the hot path. */
    uintptr_t base;
    size_t size;
    /* The rest is guarded by `lock`, but for the hints. */
    struct lock lock;
    uint32_t first;               /* index of the first slice that can be handed out */
    uint32_t end;                 /* one past the last */
    uint32_t committed;           /* slices below are readable and writable */
    uint32_t debt;                /* slices taken fresh for which no dirty one was given back yet */
    size_t descriptors_committed; /* bytes */
    uintptr_t heaps, heaps_end;   /* records of heaps */
    struct records {
        uintptr_t next, committed, end;
    } records[RECORD_KINDS];
};

extern struct arena arena;

/* Index of the slice that holds p, for p in the arena. */
FH_INLINE uint32_t span_index_of(const void *p)
{
    return (uint32_t)(((uintptr_t)p - arena.base) >> SLICE_SHIFT);
}

FH_INLINE bool arena_holds(const void *p)
{
    return (uintptr_t)p - arena.base < arena.size;
}

FH_INLINE struct span *span_at(uint32_t index)
{
    return (struct span *)arena.base + index;
}

FH_INLINE uint32_t span_index(const struct span *span)
{
    return (uint32_t)(span - (struct span *)arena.base);
}

/* The descriptor of an address at `offset` in the arena, in two instructions: the shift leaves the
 * index times 64, which is the size of a descriptor, and the mask clears what is below. */
FH_INLINE struct span *span_at_offset(size_t offset)
{
    size_t descriptor = offset >> (SLICE_SHIFT - 6) & ~(size_t)63;
    return (struct span *)(arena.base + descriptor);
}

FH_INLINE char *span_start(const struct span *span)
{
    return (char *)arena.base + ((size_t)span_index(span) << SLICE_SHIFT);
}

/* Reserves the arena. `reserve` is the wish in bytes; less is taken when the kernel or a limit
 * says so. False, with a line on stderr, when there is no address space at all. */
bool arena_init(size_t reserve);

/* Memory for the library's own records, in a region of its own, zeroed, never given back; NULL
 * when the kernel refuses. `size` is rounded up to 64 bytes. */
void *arena_record(enum record_kind kind, size_t size);

/* DENSE: all of the span will be used, so resident pages are welcome. SPARSE: perhaps only a little
 * of it; then clean pages are better, of which only those touched will count. */
enum span_use { DENSE, SPARSE };

/* A span of `slices` slices at a multiple of `align` slices (a power of two), of kind NONE: the
 * caller sets its kind. flags has FH_SPAN_ZERO if it reads as zeros. NULL when memory is out. */
struct span *span_allocate(size_t slices, size_t align, enum span_use use);

/* Gives a span back; its pages stay, for reuse, until the purger comes or until fresh memory is
 * taken instead. Spans of 64 MiB and more go back to the kernel at once. */
void span_free(struct span *span);

/* The same for who holds the arena's lock. */
void span_free_held(struct span *span);

/* Gives back a span that reads as zeros. */
void span_free_clean(struct span *span);

/* Makes a span longer in place; false when what follows is in use. The new slices are zero only if
 * *zero says so. */
bool span_grow(struct span *span, size_t slices, bool *zero);

/* Makes a span shorter; what is cut off is freed. `untouched`: nobody has written there since it
 * was allocated. */
void span_shrink(struct span *span, size_t slices, bool untouched);

/* Marks an allocated large span so that span_find finds it from any address inside. */
void span_mark_body(struct span *span);

/* The descriptor that stands for address p: of a slab, or the head of the span, or NULL. p is in
 * the arena. Lock-free; a few dozen steps at most. */
struct span *span_find(const void *p);

/* How far the spans in use may grow. */
struct span_bound {
    uint32_t
        limit; /* slices: beyond it nothing is handed out; free spans that are resident count too,
                       and go back first */
    _Atomic uint32_t mark; /* slices in use from which on `reached` is called */
    /* Called without the arena's lock, but with those of whoever allocates. `refused`: slices that the
     * limit refuses, or 0; true if it is worth another try. */
    bool (*reached)(size_t refused);
};

/* limit and mark are UINT32_MAX for none. */
extern struct span_bound span_bound;

/* Slices that are not free. */
uint32_t span_slices_in_use(void);

/* Gives dirty spans that were freed at least `age_ms` ago back to the kernel. Returns bytes. Stops at
 * one that the kernel keeps, since the process has locked it: *refused (if not NULL). */
size_t span_purge(uint64_t age_ms, bool *refused);

/* The same for all of them, by a thread that must get on while others stand (face/oom.h): gives up on the
 * arena's lock after wait_ms, and holds it during each system call, so that it needs it only once a span. */
size_t span_purge_hurried(unsigned wait_ms);

/* Gives back the 4 KiB pieces of a slice whose bits are set, which are whole pages. Returns those that
 * went: the kernel keeps locked pages. */
uint16_t span_purge_pieces(struct span *span, uint16_t pieces);

/* Those of the pieces that are whole pages of this kernel. */
uint16_t span_whole_pages(uint16_t pieces);

/* Calls `visit` for the first descriptor of every slab, slice of runs and large span; no lock is
 * held. */
void span_each(void (*visit)(struct span *span, void *context), void *context);

/* Fork: all held across it; the child's copies are made free again. */
void span_fork_prepare(void);
void span_fork_parent(void);
void span_fork_child(void);

#endif
