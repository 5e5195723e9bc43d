/*
 * `freehold leaks`: the parts, in the order in which they act.
 *
 *     leaks.c         what is asked for, and the verdict
 *     freeze*.c       a process stands still        core_file.c    or its core file is read
 *     image*.c        its memory, here
 *     survey.c        its heap (glibc*.c, own_heap.c), the roots (roots.c), the marker (span/reach*.c)
 *     groups.c        lost blocks that are alike    leaks_name.c   names for their types
 *     suppress.c      what is known and not to be told again
 *     leaks_show.c, leaks_json.c
 */
#ifndef CLI_LEAKS_H
#define CLI_LEAKS_H

#include <stdio.h>

#include "core_file.h"
#include "groups.h"
#include "human.h"
#include "process.h"
#include "suppress.h"

/* Exit statuses; promised in freehold(1). */
enum { LEAKS_NONE = 0, LEAKS_FOUND = 1, LEAKS_ERROR = 2, LEAKS_UNKNOWN = 3 };

/* A file that addresses may lie in. */
struct named_file {
    uint64_t start, end, bias;
    const char *path;
    const struct elf_image *image; /* NULL: not to be had */
};

struct leaks_request {
    pid_t pid; /* 0: a core file */
    const char *core, *executable;
    const char *suppressions, *scratch;
    bool json, copy, reachable;
};

struct leaks {
    struct leaks_request request;
    char name[64];
    char allocator[64];
    struct image image;
    struct survey survey;
    struct groups groups;
    struct suppressions suppressions;
    struct core core;
    struct named_file *files;
    struct elf_image *opened; /* of a core's files; NULL: of the process */
    size_t opened_count;
    size_t file_count;
    size_t threads;
    uint64_t stopped_us;
    char fallback[400];   /* why it was copied while it stood; "" if it was not */
    uint64_t told_blocks; /* lost ones that are not suppressed: what the verdict is about */
    uint64_t told_bytes;
    uint64_t suppressed_blocks;
    int status;
};

/* Names the types of the groups that will be shown. */
void leaks_name_groups(struct leaks *l);

void leaks_verdict(const struct leaks *l, char *text, size_t capacity);
void leaks_show(const struct leaks *l, FILE *out, const struct palette *colours);
void leaks_json(const struct leaks *l, FILE *out);

#endif
