// The allocators of a run: ours, the C library's, Debian's packages, and whatever PEERS names.
#ifndef BENCH_DRIVER_ALLOCATOR_H
#define BENCH_DRIVER_ALLOCATOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct allocator {
    char name[32];
    char path[PATH_MAX]; // what malloc must come from; for glibc the C library itself
    bool ours;           // freehold: the one that the peers are compared with
    bool builtin;        // glibc: there without LD_PRELOAD
};

enum { ALLOCATORS_MAX = 16 };

struct allocators {
    struct allocator list[ALLOCATORS_MAX];
    unsigned count;
};

// Collects what exists. `library` is the path of ours, `peers` holds name=path.so words separated
// by spaces or commas, `only` (or NULL) holds the names to keep. What is missing is said on
// standard error and left out. False when nothing is left or PEERS cannot be understood.
bool allocators_find(struct allocators *all, const char *library, const char *peers,
                     const char *only);

// What LD_PRELOAD must say for this allocator; NULL for none. A program that links an allocator of
// its own (Debian's redis-server links jemalloc) needs the C library in front of it to run on
// glibc.
const char *allocator_preload(const struct allocator *allocator, bool links_another);

// Asks the dynamic loader where `program --version` takes its malloc from, under the same preload
// that the measurement will use. False unless every reference goes to this allocator: then `why`
// says what happened instead. This is what keeps a preload that silently failed from being measured
// as glibc.
bool allocator_takes_effect(const struct allocator *allocator, const char *program,
                            bool links_another, const char *scratch_folder, char *why, size_t room);

#endif
