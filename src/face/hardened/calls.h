/*
 * calls: what libfreehold-hardened-calls.so.1 needs to know of libfreehold-hardened.so.1. Two libraries of one build:
 * `size` says so.
 */
#ifndef FACE_HARDENED_CALLS_H
#define FACE_HARDENED_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fh_calls {
    size_t size; /* of this structure, by who asks */
    int level;   /* option calls; 0: check nothing */
    uintptr_t heap_base, heap_size, sample_base,
        sample_size;               /* only what lies in these may be a block */
    size_t (*room)(const void *p); /* fh_object_size */
    /* More than there is room for. Returns, if the program is to go on: whether the call is wrong. */
    bool (*refuse)(const char *name, const void *p, size_t n, bool writes, const void *caller);
};

void fh_calls_join(struct fh_calls *calls);

#endif
