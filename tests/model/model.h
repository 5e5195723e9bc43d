/*
 * The model: an array of slots, each empty or holding a block, and for each block what was asked for
 * and what was written into it. Every call of the allocator goes through one of the functions below,
 * which do the same to the model and EXPECT that the two agree:
 *
 *   - the block is aligned, usable for what was asked, and meets no other live block;
 *   - what was written is still there when the block is looked at, grown, shrunk or freed;
 *   - calloc's memory is zero; fh_describe knows the block, also from an address inside.
 *
 * Driven by random numbers (model_test), by a fuzzer's bytes (tests/fuzz) and by hand (tests/refuse).
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SLOTS 1024

struct model_slot {
    char *p; /* NULL: empty */
    size_t size;
    uint64_t seed; /* of its pattern */
};

struct model {
    struct model_slot slot[MODEL_SLOTS];
    struct model_slot *sorted[MODEL_SLOTS]; /* the full ones, by address */
    size_t count;
    size_t bytes;     /* asked for and live */
    size_t bytes_max; /* what would pass this is not asked for */
    uint64_t seed;    /* of the next pattern */
    bool may_refuse;  /* NULL with ENOMEM is no failure */
    size_t refused;   /* how often that happened */
};

void model_init(struct model *m, size_t bytes_max, uint64_t seed);

/* Each frees what the slot held before. False if memory was refused (and may be). */
bool model_malloc(struct model *m, unsigned slot, size_t size);
bool model_calloc(struct model *m, unsigned slot, size_t count, size_t size);
bool model_aligned(struct model *m, unsigned slot, size_t alignment, size_t size);
bool model_posix(struct model *m, unsigned slot, size_t alignment, size_t size);

/* On an empty slot it allocates; a refusal leaves the old block. */
bool model_realloc(struct model *m, unsigned slot, size_t size);
void model_free(struct model *m, unsigned slot);

/* The program uses all that malloc_usable_size grants. */
void model_use_all(struct model *m, unsigned slot);
void model_check(struct model *m, unsigned slot);

/* Checks and frees everything. */
void model_finish(struct model *m);

/* One random call. */
struct random;
void model_step(struct model *m, struct random *random, size_t size_max);

#endif
