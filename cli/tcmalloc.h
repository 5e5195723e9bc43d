/* Shared by the two files that read gperftools' heap: tcmalloc.c, tcmalloc_cache.c. */
#ifndef CLI_TCMALLOC_H
#define CLI_TCMALLOC_H

#include "heap_walk.h"

enum { TCMALLOC_PAGE_BITS = 13, TCMALLOC_CLASSES = 128 };

enum span_kind { SPAN_FREE, SPAN_SMALL, SPAN_LARGE, SPAN_DAMAGED };

struct tc_span {
    uint64_t start, end;
    uint64_t descriptor;
    uint32_t size; /* of a block of a small span */
    uint8_t class, kind;
};

struct tcmalloc {
    uint64_t root;         /* of the map from pages to spans */
    struct tc_span *spans; /* ascending */
    size_t span_count, span_capacity;
    uint32_t size[TCMALLOC_CLASSES]; /* of a block; 0: no such class */
    unsigned classes;
    uint64_t *caches; /* of threads */
    size_t cache_count, cache_capacity;
    uint64_t central; /* the first of the lists that threads share; 0: not found */
    uint64_t *lists;  /* heads of lists of free blocks, outside of spans */
    size_t list_count, list_capacity;
    uint64_t damaged;
};

/* The caches of threads, which also say how large the blocks of each class are. WALK_ABSENT: there is
 * none. False in *memory: there was none. */
enum walk_found tcmalloc_caches(struct tcmalloc *t, struct heap_walk *w, const struct image *image);

/* The central lists, and the heads of all lists, each of which is followed to its end. */
enum walk_found tcmalloc_lists(struct tcmalloc *t, struct heap_walk *w, const struct image *image);

/* No roots: what the caches point to is free, or was in use long ago. */
bool tcmalloc_exclude_caches(const struct tcmalloc *t, const struct image *image,
                             struct parts *parts);

/* The span that has an address, or NULL. */
const struct tc_span *tcmalloc_span(const struct tcmalloc *t, uint64_t address);

/* Free blocks are linked by their first words. */
uint64_t tcmalloc_next(const struct image *image, uint64_t block);

#endif
