/*
 * heap: the policy of malloc.
 *
 * Each thread has a heap. A heap owns slabs (spans of one slice, cut into equal blocks) and hands
 * blocks out from head[class], a list only its thread touches. A freed block goes to its own slab's
 * list, not to head[]: blocks are then handed out slab by slab, neighbours together, and a slab
 * knows when it is empty (free-list sharding: Leijen, Zorn, de Moura, "Mimalloc", 2019).
 *
 *     head[c] --empty--> the current slab's list --empty--> a partial slab --none--> a slab of a
 *     thread that ended --none--> carve the next 4 KiB --slab full--> a new span
 *
 *                  refill takes its blocks           wake frees later
 *        CURRENT ---------------------------> FULL -------------------> PARTIAL
 *           ^                                                            |   |
 *           +--------------------- refill picks it ----------------------+   +--> empty: the span
 *                                                                                 is given back
 *
 * A slab counts no allocation: a refill takes its whole list and counts all of it as used. Each
 * free counts `countdown` down, and zero means that somebody must look: the slab has become worth
 * queueing, or is empty. So the fast paths hold one test for "something is to be done".
 *
 * Who may touch what:
 *   owner thread, no lock   head[], the push onto slab->free, slab->countdown, its remote cache
 *   heap->lock              bins, states, carving, everything behind the first block of slab->free
 *   anybody, atomically     slab->remote (a chain of blocks freed by others), heap->pending
 *
 * The last access of an owner's free to a descriptor is the store of slab->free; so whoever holds
 * the lock and finds all blocks of a slab in lists knows that nobody is in the middle of anything
 * there. That lets the purger give back memory of threads that sleep, without the fast paths paying.
 *
 * A free block, 16 bytes at least:   | next in list | the mark: arena.base |
 * The mark is cleared when the block is handed out; so any reader tells free from live, and a second free is
 * noticed (block_is_marked). A program may copy a mark into a live block, so it is not the last word (live.c).
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "heap/classes.h"
#include "heap/run.h"

/* Slabs below which no sweep is started: 8 MiB. */
#define HEAP_WORTH_SWEEPING 128

#define REMOTE_SETS 64
#define REMOTE_BUDGET (64 * 1024) /* bytes of other heaps' blocks that a thread may sit on */

struct bin {
    uint32_t current; /* slab indexes; 0 none */
    uint32_t first;   /* partial slabs: the front has free blocks, the back has room to carve */
    uint32_t last;
    uint32_t slabs; /* of the class that the heap owns, in whatever state */
};

/* Blocks of one slab of another heap, freed here and not yet sent. */
struct remote_set {
    uint32_t slab; /* its index; 0: the set is empty */
    uint16_t head; /* offset >> 4 in the slab */
    uint16_t tail;
    uint16_t count;
};

struct heap {
    /* As struct fh_heap shows it to tools. */
    void *_Atomic head[CLASSES];
    uint32_t thread;
    _Atomic uint32_t state;
    uint32_t id;
    _Atomic uint32_t pending;
    uint64_t allocated[CLASSES];
    /* Private. */
    uint8_t group[CLASSES]; /* the class whose list serves each, as of its last refill */
    struct lock lock;
    int32_t remote_budget;
    struct heap *next_idle;
    uint32_t pending_seen; /* the purger's: pending at its last visit */
    bool settled;          /* idle, and its lists are empty */
    bool seen_idle;        /* the purger's: it was idle at the last visit */
    uint16_t room_class;   /* where heap_make_room looks next */
    uint16_t room_wait;    /* calls it sits out, */
    uint16_t room_backoff; /* because the last ones brought little */
    struct bin bin[CLASSES];
    struct remote_set remote[REMOTE_SETS];
};

/* A thread without a heap of its own points here: all lists empty, owner of nothing. */
extern struct heap heap_none;

extern _Thread_local struct heap *heap_self __attribute__((tls_model("initial-exec")));

struct heap_config {
    /* A thread got a heap: arrange for heap_detach at its end. */
    void (*attached)(struct heap *heap);
    /* A pointer that is no live block of ours. Returns if it is to be ignored. Set before the first
     * allocation, since the first call may already bring one. */
    void (*bad_pointer)(const char *caller, const void *p);
    /* A live block that is freed as one of `size` bytes and has fewer. The same otherwise. */
    void (*bad_size)(const void *p, size_t size);
    /* Called now and then as memory is taken, outside of locks; NULL for nothing. */
    void (*tick)(void);
};

extern struct heap_config heap_config;

/* This thread's heap, made or taken over if it has none; NULL when memory is out. */
struct heap *heap_attach(void);

/* Gives up a heap whose thread ends, or (in the child of a fork) has vanished. */
void heap_detach(struct heap *heap);

/* The lists of an idle heap go back to its slabs, and empty slabs to the arena. */
void heap_settle(struct heap *heap);

/* Out-of-line paths; `heap` may be heap_none. NULL when memory is out. heap_allocate_slow is for an
 * empty list only. */
void *heap_allocate_slow(struct heap *heap, unsigned size_class);
void *heap_allocate(struct heap *heap, size_t size, bool *zeroed);
void *heap_allocate_aligned(struct heap *heap, size_t alignment, size_t size);
void heap_free_slow(struct heap *heap, struct span *slab, void *p);
/* `size`: what the caller says that it is; 0: nothing. */
void heap_free_other(struct heap *heap, struct span *span, void *p, size_t size);
void heap_free_doubtful(struct heap *heap, struct span *slab, void *p, size_t size);
void *heap_reallocate(struct heap *heap, void *p, size_t size);

/* Usable bytes of the live block p, or 0 after bad_pointer has been told (in the name of caller). */
size_t heap_usable_size(const void *p, const char *caller);

/* Large blocks: spans of their own. */
void *large_allocate(size_t size, size_t alignment, bool *zeroed);
void large_free(struct span *span);
void *large_reallocate(struct span *span, void *p, size_t size);

/* This thread's lists and its remote frees go back to their slabs. */
void heap_flush(struct heap *heap);

/* The purger's visit: see purger.h. */
bool heap_sweep(bool force);

/* What malloc_trim does, as far as it can be done within about `patience_ms` of waiting for locks; see
 * sweep.c. Returns how many locks were not to be had. For one thread at a time. */
unsigned heap_trim_hurried(unsigned patience_ms);

/* Walks everything; other threads go on meanwhile. */
void heap_usage(struct fh_usage *usage);

/* Blocks of each class that this heap handed out so far: what went into its lists less what lies there. */
void heap_allocated(struct heap *heap, uint64_t blocks[CLASSES]);

/* Blocks of each class that wait in its lists. */
void heap_listed(struct heap *heap, uint64_t blocks[CLASSES]);

/* Block starts at p, or p is in none: index of the block, blocks if it is in the slack. */
unsigned slab_block_of(const struct span *slab, const void *p);

/* Whether a live block of the slab starts at p: the exact answer, by a search of all lists. See live.c. */
bool block_is_live(struct span *slab, const void *p);

/* Whether the block at p, in a slab, is free. A hint, as of now. */
bool slab_block_is_free(const struct span *slab, const void *p);

void heap_fork_prepare(void);
void heap_fork_parent(void);
void heap_fork_child(void);

/* Number of heaps ever made, and the i-th. */
uint32_t heap_count(void);
struct heap *heap_at(uint32_t i);

#endif
