/*
 * Heaps of other allocators, made by hand: the smallest that their walkers take for sound, with blocks of
 * which each second one is free. Sparse memory, so that trees of radix and segments of 32 MiB cost nothing.
 */
#ifndef LEAKS_MADE_OTHER_H
#define LEAKS_MADE_OTHER_H

#include "../../cli/survey.h"

enum { OTHER_STRETCHES = 6, OTHER_WRITES = 4096 };

/* The data of the program, of which the first words are roots. */
#define OTHER_DATA 0x7f1000000000ull
enum { OTHER_DATA_BYTES = 64 << 10 };

/* The only thread's pointer; its storage lies below. */
#define OTHER_THREAD (OTHER_DATA + 0x8000)

struct made_other {
    struct image image;
    struct mapping mappings[OTHER_STRETCHES];
    struct segment segments[OTHER_STRETCHES];
    struct run runs[OTHER_WRITES]; /* pages with words in them; the rest is not there */
    size_t stretches;
    struct image_thread thread;
    uint64_t written[OTHER_WRITES]; /* addresses of words that were made, in order */
    size_t writes;
    size_t blocks; /* in use */
};

/* One of them each; made_other_end gives the memory back. */
void made_musl(struct made_other *m);
void made_jemalloc(struct made_other *m);
void made_mimalloc(struct made_other *m);
void made_tcmalloc(struct made_other *m);
void made_other_end(struct made_other *m);

/* A word becomes another one; and what it is now. */
void made_other_write(struct made_other *m, uint64_t address, uint64_t word);
uint64_t made_other_read(const struct made_other *m, uint64_t address);

/* The n-th word that is a root. */
uint64_t made_other_root(unsigned n);

#endif
