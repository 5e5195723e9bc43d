// What an object's first word says to the collectors that keep it there, MPS and Whippet: its kind and
// its size in bytes. An odd word; an even one is, to Whippet, the address that the object has moved to.
//
//      63                        8 7      1 0
//     +---------------------------+--------+-+
//     |           size            |  kind  |1|
//     +---------------------------+--------+-+
#ifndef BENCH_GC_TAGGED_H
#define BENCH_GC_TAGGED_H

#include <stddef.h>
#include <stdint.h>

enum kind { BYTES, NODE, TREE, QUAD, ARRAY, EPHEMERON, FINALIZER, PAD, MOVED };

static inline uintptr_t tag_make(enum kind kind, size_t size)
{
    return size << 8 | (uintptr_t)kind << 1 | 1;
}

static inline enum kind tag_kind(uintptr_t tag)
{
    return (enum kind)(tag >> 1 & 127);
}

static inline size_t tag_size(uintptr_t tag)
{
    return tag >> 8;
}

// References follow the first word at once.
static inline size_t tag_references(uintptr_t tag)
{
    switch (tag_kind(tag)) {
    case NODE: return 2;
    case TREE: return 3;
    case QUAD: return 4;
    case ARRAY: return tag_size(tag) / sizeof(void *) - 1;
    default: return 0;
    }
}

#endif
