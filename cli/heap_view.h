/*
 * The heaps of a process on Freehold, read from its registry while it runs on.
 *
 * Everything found there may be half a change old or, in a damaged process, garbage: the walk over
 * the span descriptors is bounded by the range that they can describe, and its numbers are what
 * was there during the milliseconds of the walk.
 */
#ifndef CLI_HEAP_VIEW_H
#define CLI_HEAP_VIEW_H

#include <freehold/registry.h>

#include "memory.h"

struct heap_view {
    struct fh_registry registry;
    char library[17]; /* version of the library in the process */
    uint32_t live_heaps, idle_heaps;
    uint64_t slab_bytes;  /* blocks in use in slabs, those in the threads' lists included */
    uint64_t large_bytes; /* live large blocks */
    uint64_t large_count;
    uint64_t dirty_bytes; /* free spans with resident pages */
    uint64_t held_bytes;  /* address space of slabs and large blocks */
    /* Hardened: */
    bool hardened;
    const char *level;               /* "standard" */
    uint64_t kept_bytes, kept_count; /* freed blocks that are kept back from reuse */
    uint64_t threads;                /* that there ever were at once */
    /* Of the collector's heaps: */
    uint64_t gc_block_bytes; /* blocks of small objects, free room in them included */
    uint64_t gc_large_bytes; /* objects with a span of their own */
    uint64_t gc_large_count;
};

enum heap_view_error {
    HEAP_VIEW_READ,
    HEAP_VIEW_UNREADABLE, /* not permitted, or gone */
    HEAP_VIEW_DAMAGED,    /* no registry there, or one that contradicts itself */
    HEAP_VIEW_VERSION,    /* of another version; `registry` holds its head */
    HEAP_VIEW_UNUSED,     /* not started: nothing was allocated yet */
};

/* The registry alone. What HEAP_VIEW_READ lets pass, no index or size in it leads out of the arena. */
enum heap_view_error registry_read(struct fh_registry *r, const struct memory *memory,
                                   uint64_t address);

enum heap_view_error heap_view_read(struct heap_view *view, const struct memory *memory,
                                    uint64_t address);

#endif
