/*
 * calls: what libfreehold-hardened.so.1 tells libfreehold-hardened-calls.so.1, which stands in front of libc's memcpy and
 * its kin. Two libraries of one build: `size` says so.
 *
 * The first one calls, as soon as there is a heap: before that no block could be meant, and a call the other way would
 * need a start of the heap from inside of memcpy.
 */
#ifndef FACE_HARDENED_CALLS_H
#define FACE_HARDENED_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FH_CALLS_ON SIZE_MAX /* bytes: as far as the call finds what it looks for */

struct hard_space;

struct fh_calls {
    size_t size; /* of this structure */
    int level;   /* option calls; 0: check nothing */
    const struct hard_space *space;
    uintptr_t heap_base, heap_size, sample_base,
        sample_size;              /* only what lies in these may be a block */
    uintptr_t own_base, own_size; /* code that clears what is freed, and is not checked */
    /* fh_object_size. */
    size_t (*room)(uintptr_t p);
    /* The call goes beyond what room(p) says, in its last n bytes. Returns, if the program is to go on. */
    void (*refuse)(const char *name, const void *p, size_t n, bool writes, const void *caller);
};

/* Of libfreehold-hardened-calls.so.1; weak: mostly it is not there. */
void fh_calls_begin(const struct fh_calls *with) __attribute__((weak));

#endif
