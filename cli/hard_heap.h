/*
 * The heap of libfreehold-hardened, by its registry: include/freehold/registry.h draws what is read here.
 *
 * One reader for all: of a process that runs on, of its copy, of a core file (memory.h). The picture may be torn
 * and the process hostile: every number is checked against the reservations before it is used, what contradicts
 * itself is left out and counted, and a walk ends after as many slabs as a terabyte has.
 */
#ifndef CLI_HARD_HEAP_H
#define CLI_HARD_HEAP_H

#include <freehold/registry.h>

#include "memory.h"

struct hard_heap {
    struct fh_hard hard;
    const struct memory *memory;
    struct fh_hard_region *regions; /* those that contradict themselves are of kind FH_HARD_NONE */
    uint16_t *owner;                /* of each chunk */
    uint32_t chunks;
    uint32_t *words; /* of one slab */
    uint64_t damaged;
    bool cut; /* there was more than can be walked */
};

struct hard_slab {
    const struct fh_hard_region *region;
    uint64_t start;
    uint32_t carved, free;
    const uint32_t *words; /* of the first `carved` slots; NULL if they were not wished for */
};

/* Of each what is sound; false from one of them ends the walk. NULL: not wished for. */
struct hard_visitor {
    bool (*slab)(void *context, const struct hard_slab *slab);
    bool (*large)(void *context, uint64_t slot, uint64_t bytes, const struct fh_hard_large *large);
    bool (*sample)(void *context, const struct fh_hard_sample *sample);
    bool words;
    void *context;
};

/* False: not there, of another version, or it contradicts itself; or no memory. hard_heap_finish in any case.
 * `memory` is kept. */
bool hard_heap_read(struct hard_heap *h, const struct memory *memory, uint64_t address);
void hard_heap_finish(struct hard_heap *h);

/* False: a visitor said so. */
bool hard_heap_walk(struct hard_heap *h, const struct hard_visitor *visitor);

/* Calls `each` with the stretches that hold the allocator's records, and no pointers of the program's. */
bool hard_heap_records(const struct hard_heap *h,
                       bool (*each)(void *context, uint64_t start, uint64_t end), void *context);

/* What lies at an address: a sentence. False: nothing of this heap's. */
bool hard_heap_describe(struct hard_heap *h, uint64_t address, char *text, size_t capacity);

const char *hard_heap_level(const struct hard_heap *h);

/* What was asked for, of a live slot; all of the slot if the word contradicts itself. */
static inline uint64_t hard_slot_asked(const struct fh_hard_region *region, uint32_t word)
{
    return FH_HARD_SLACK(word) <= region->size ? region->size - FH_HARD_SLACK(word) : region->size;
}

#endif
