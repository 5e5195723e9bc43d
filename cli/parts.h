/*
 * The parts of a heap, as a reader of an allocator's own data finds them: regions that hold blocks, for
 * the marker, and stretches that are the allocator's and so no roots. A reader for each allocator:
 *
 *     glibc_find, glibc_parts, glibc_fill     glibc.c, glibc_chunks.c, glibc_cache.c
 *     own_parts, own_fill                     own_heap.c: Freehold's, by its registry
 *     other allocators                        heap_walk.h
 *
 * Everything they read was written by another process and may be wrong: an address is used only if the
 * image has it, a loop ends after as many steps as the image has room for.
 */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include <freehold/registry.h>

#include "hard_heap.h"
#include "image.h"
#include "span/reach.h"

struct parts {
    struct reach_region *regions;
    size_t count, capacity;
    uint8_t owner;        /* of the regions that are added from now on; 0 is glibc, or Freehold */
    struct run *excluded; /* no roots */
    size_t excluded_count, excluded_capacity;
    uint64_t damaged; /* places where the heap contradicts itself */
};

/* False: no memory. A region whose bytes the image does not have is left out. */
bool parts_region(struct parts *p, const struct image *image, uint64_t start, uint64_t end,
                  uint32_t slack, bool single);
bool parts_exclude(struct parts *p, uint64_t start, uint64_t end);

/* Sorts both lists, and joins or drops what overlaps. */
void parts_sort(struct parts *p);
void parts_finish(struct parts *p);

/* ---- glibc ---------------------------------------------------------------------------------- */

enum { GLIBC_ARENAS_MAX = 1 << 14, GLIBC_PIECES_MAX = 1 << 17 };

/* A stretch of chunks that follow each other. */
struct glibc_piece {
    uint64_t start, end; /* chunks: the first, and where the last one ends */
};

struct glibc {
    uint64_t bins;    /* of the main arena: the first of its 127 list heads */
    uint64_t *arenas; /* their bins */
    size_t arena_count;
    struct glibc_piece *pieces;
    size_t piece_count, piece_capacity;
    uint64_t *mapped; /* chunks with a mapping of their own */
    size_t mapped_count, mapped_capacity;
    uint64_t *caches; /* chunks that may be a thread's cache; after glibc_fill, those that are */
    size_t cache_count, cache_capacity;
    uint64_t *fast; /* blocks in fast bins */
    size_t fast_count, fast_capacity;
    struct glibc_heap *heaps;
    size_t heap_count, heap_capacity;
    bool running;     /* the process runs: a chain that is torn is taken up again behind the tear */
    uint64_t torn;    /* how often */
    uint64_t torn_at; /* the first time */
};

/* Memory that an arena has from the system: one of the main arena's, one for each heap of another. */
struct glibc_heap {
    uint64_t start, end;
    uint64_t top;   /* the chunk at its end that grows; 0: it lies in another heap of the arena */
    uint64_t arena; /* its bins */
};

/* False: this is not glibc's malloc, or it was never used. */
bool glibc_find(struct glibc *g, const struct image *image);
bool glibc_parts(struct glibc *g, const struct image *image, struct parts *parts);
/* The same without the chunks that have a mapping of their own. */
bool glibc_heaps(struct glibc *g, const struct image *image, struct parts *parts);
/* Adds the blocks; those in fast bins and threads' caches are free. */
bool glibc_fill(struct glibc *g, const struct image *image, struct parts *parts,
                struct reach *reach);
void glibc_finish(struct glibc *g);

/* Shared by the readers of glibc. */
bool glibc_chain(const struct image *image, uint64_t start, uint64_t limit, uint64_t top,
                 uint64_t *end);
uint64_t glibc_top(const struct image *image, uint64_t bins);
bool glibc_take_caches(struct glibc *g, const struct image *image, struct reach *reach);
bool glibc_append(uint64_t **list, size_t *count, size_t *capacity, uint64_t value);

/* Offsets from the first list head, the same since 2.26, and masks. */
enum {
    GLIBC_BINS = 127,
    GLIBC_TO_ARENA = -112,
    GLIBC_TO_FLAGS = -108,
    GLIBC_TO_FAST = -96,
    GLIBC_FAST = 10,
    GLIBC_TO_TOP = -16,
    GLIBC_TO_NEXT = 2048,
    GLIBC_TO_THREADS = 2064,
    GLIBC_TO_SYSTEM = 2072,
    GLIBC_TO_END = 2088,
    GLIBC_MIN = 32,
    GLIBC_FENCE = 16,
    GLIBC_HEAP_MAX = 64 << 20,
};
#define GLIBC_SIZE(word) ((word) & ~7ull)

/* ---- Freehold ------------------------------------------------------------------------------- */

struct own_heap {
    struct fh_registry *registry;
    struct fh_span *spans; /* of slices first to high */
    uint32_t first, high;
    struct hard_heap *hard; /* malloc's blocks are there; NULL: in the spans */
    struct memory memory;   /* the image's */
    uint64_t used,
        blank; /* of a core file: slabs with live blocks, and those of them that hold only zeros */
};

/* Whoever wrote the core could not read the heap: gdb gives up at guards that are no mappings. */
#define OWN_BLANK                                                                                  \
    "holds no bytes of the heap: gcore cannot read what has guards in it; a core file of the "     \
    "kernel's has them (ulimit -c unlimited; kill -ABRT)"

static inline bool own_is_blank(const struct own_heap *h)
{
    return h->blank > h->used / 2;
}

bool own_parts(struct own_heap *h, const struct image *image, uint64_t registry,
               struct parts *parts);
void own_fill(struct own_heap *h, const struct image *image, struct reach *reach);
void own_finish(struct own_heap *h);

#endif
