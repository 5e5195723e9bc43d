/* A heap of glibc's, made by hand: one arena in the data of a file, one stretch of chunks. */
#ifndef LEAKS_MADE_HEAP_H
#define LEAKS_MADE_HEAP_H

#include "../../cli/parts.h"
#include "../../cli/survey.h"

enum { MADE_DATA_BYTES = 8 << 10, MADE_HEAP_BYTES = 128 << 10, MADE_BINS = 0x400 };
#define MADE_DATA 0x7f1000000000ull
#define MADE_HEAP 0x555500001000ull

struct made {
    struct image image;
    struct mapping mappings[2];
    struct segment segments[2];
    struct run runs[2];
    unsigned char data[MADE_DATA_BYTES], heap[MADE_HEAP_BYTES];
    uint64_t next; /* where the next chunk comes */
    bool live;     /* the one before, */
    uint64_t size; /* and its size */
};

void made_begin(struct made *m);
/* A chunk; returns its block. size: of the chunk, a multiple of 16 from 32 on. */
uint64_t made_chunk(struct made *m, uint64_t size, bool live);
/* The rest is the top. */
void made_end(struct made *m);
void made_write(struct made *m, uint64_t address, uint64_t word);
uint64_t made_read(const struct made *m, uint64_t address);

/* The n-th word of the data that is a root, beside the arena. */
uint64_t made_root(unsigned n);

#endif
