/*
 * Where the resident bytes of a Freehold heap are: each resident page of the arena is divided among what
 * lies in it, so that the parts add up to the pages.
 *
 * Read from the registry and the kernel's page table while the process runs. What a slab has in use, its
 * descriptor tells; which of that lies in a thread's list, the lists themselves, block by block. The few
 * blocks that a thread freed for another and has not sent yet (64 KiB at most) still count as live.
 *
 * `trim` is what malloc_trim(0) would give back now: free spans, and pages in slabs and slices of runs
 * whose blocks are all free.
 */
#ifndef CLI_HEAP_PAGES_H
#define CLI_HEAP_PAGES_H

#include <freehold/registry.h>

#include "heap_view.h"
#include "pages.h"

struct heap_range {
    uint64_t base, limit;
};

struct heap_pages {
    struct fh_registry registry;
    char library[17];
    uint64_t live;  /* blocks in use */
    uint64_t lists; /* free, in lists from which a thread allocates next */
    uint64_t
        remote; /* waiting for the owner: freed by another thread, or set aside by the purger */
    uint64_t quarantine; /* hardened: freed, kept back or in a thread's cache by now */
    uint64_t partly;     /* free, in slabs and slices that also hold live blocks */
    uint64_t spans;      /* whole free spans, kept until the purge */
    uint64_t metadata;   /* Freehold's own */
    uint64_t gc;         /* blocks and large objects of the collector */
    uint64_t unknown;    /* resident without an owner: the picture moved */
    uint64_t trim;
    uint64_t slabs, runs, large_count, gc_slices; /* how many of each */
    bool has_plug;                                /* option plug is on, and so far gave back: */
    uint64_t plug_blocks, plug_bytes;
    struct heap_range also[3]; /* hardened: where the heap lies, beside the arena */
    size_t also_count;
    bool lists_cut; /* the lists were too long, or changed while they were read */
};

/* All that is resident in the arena. */
uint64_t heap_pages_sum(const struct heap_pages *h);

/* Adds the parts of another arena; the registry stays that of the first one added. */
void heap_pages_add(struct heap_pages *sum, const struct heap_pages *h);

/* HEAP_VIEW_READ, or what was wrong; then all numbers are 0. */
enum heap_view_error heap_pages_read(struct heap_pages *h, const struct memory *memory,
                                     const struct pages *pages, uint64_t registry);

/* Adds what a hardened heap has; h->registry leads to it. False: it could not all be read. See hard_pages.c. */
bool hard_pages_add(struct heap_pages *h, const struct memory *memory, const struct pages *pages);

#endif
