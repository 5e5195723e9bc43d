/*
 * Where marking begins: registers, stacks from the stack pointer on, and all other writable memory that
 * is no heap: data of modules, thread-local storage, mappings of the program's own.
 *
 * What a thread's stack holds below the stack pointer is dead, and skipped where the stack is known to
 * be one: the kernel's, or a mapping that begins behind a guard. Not if the image is a thorough one.
 */
#ifndef CLI_ROOTS_H
#define CLI_ROOTS_H

#include "parts.h"

struct roots {
    struct run *list; /* ascending */
    size_t count, capacity;
    uint64_t bytes;
};

/* `parts` is sorted. False: no memory. roots_finish in any case. */
bool roots_find(struct roots *roots, const struct image *image, const struct parts *parts);
void roots_finish(struct roots *roots);

/* Words that count as references whatever they point to: registers, what the kernel keeps, and what libc
 * keeps by a pointer into the middle. */
void roots_words(const struct image *image, struct reach_worker *w);

#endif
