/* Shared by the two files that read jemalloc's heap: jemalloc.c, jemalloc_cache.c. */
#ifndef CLI_JEMALLOC_H
#define CLI_JEMALLOC_H

#include "heap_walk.h"

enum extent_kind {
    EXTENT_FREE,
    EXTENT_SLAB,  /* equal blocks, and a bit for each that is free */
    EXTENT_LARGE, /* one block */
    EXTENT_CACHE, /* the stacks of the cache of a thread */
};

struct extent {
    uint64_t base, end;  /* its pages */
    uint64_t block;      /* where the (first) block begins */
    uint64_t descriptor; /* 128 bytes */
    uint64_t size;       /* of a block */
    enum extent_kind kind;
    bool held; /* a thread that takes it or gives it back knows its descriptor only */
};

/*
 * A stack of a cache whose owner was found:
 *
 *     full                head             empty
 *      | blocks of before  | free blocks .. |
 */
struct cache_stack {
    uint64_t full, head, empty;
    uint64_t entry; /* in its owner */
    uint64_t held;  /* from here on a thread may be at it; `empty`: nobody is */
};

struct jemalloc {
    uint64_t root; /* of the tree */
    struct run *metadata;
    size_t metadata_count, metadata_capacity;
    struct extent *extents; /* ascending */
    size_t extent_count, extent_capacity;
    struct cache_stack *stacks;
    size_t stack_count, stack_capacity;
    size_t caches, caches_found;
    uint64_t damaged;
    uint64_t wrong; /* the last descriptor that did not fit */
};

enum { JEMALLOC_CLASSES = 232, JEMALLOC_SMALL_CLASSES = 36, JEMALLOC_PAGE = 4096 };

/* Finds the owners of the caches. False: no memory. */
bool jemalloc_caches(struct jemalloc *j, const struct image *image);

#endif
