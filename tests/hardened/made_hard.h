/* A hardened heap made by hand, in bytes that a reader takes for the memory of a process: a chunk of small slots, one
 * of large ones, one of nobody, and two samples. */
#ifndef HARDENED_MADE_HARD_H
#define HARDENED_MADE_HARD_H

#include "../../cli/hard_heap.h"

enum {
    MADE_CHUNK_SHIFT = 20,
    MADE_META_SHIFT = 4,
    MADE_CHUNKS = 4,
    MADE_REGIONS = 3,
    MADE_SLOTS = 127,
    MADE_SLOT = 512,
    MADE_SAMPLES = 2,
    MADE_META = 1 << (MADE_CHUNK_SHIFT - MADE_META_SHIFT),
    MADE_SLABS = 1 << (MADE_CHUNK_SHIFT - 16),
    MADE_WORDS_AT = MADE_SLABS * (sizeof(struct fh_hard_slab) + 16),
    MADE_SMALL_CHUNK = 2, /* and the large one */
    MADE_LARGE_CHUNK = 0,
};
#define MADE_BASE 0x200000000000ull
#define MADE_RESERVED 0x300000000000ull
#define MADE_SAMPLED 0x400000000000ull
#define MADE_TABLES 0x7f0000000000ull

struct made_hard {
    struct { /* from MADE_TABLES on */
        struct fh_hard head;
        struct fh_hard_region region[MADE_REGIONS];
        struct fh_hard_sample sample[MADE_SAMPLES];
        uint16_t owner[MADE_CHUNKS];
    } tables;
    unsigned char meta[MADE_CHUNKS * MADE_META]; /* at MADE_RESERVED */
    struct memory memory;
};

void made_hard(struct made_hard *m);
struct fh_hard_slab *made_slab(struct made_hard *m, unsigned slab);
uint32_t *made_words(struct made_hard *m, unsigned slab);
struct fh_hard_large *made_large(struct made_hard *m, unsigned slot);
uint64_t made_slot(unsigned slab, unsigned slot);

#endif
