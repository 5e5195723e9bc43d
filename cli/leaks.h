/*
 * `freehold leaks`: the parts, in the order in which they act.
 *
 *     leaks.c         what is asked for, and the verdict
 *     freeze*.c       a process stands still        core_*.c       or its core file is read
 *     image*.c        its memory, here
 *     survey.c        its heap (glibc*.c, own_heap.c, heap_walk.h), the roots (roots.c), the marker (span/reach*.c)
 *     groups.c        lost blocks that are alike    leaks_name.c   names for their types (demangle.c)
 *     suppress.c      what is known and not to be told again
 *     leaks_show.c, leaks_json.c
 */
#ifndef CLI_LEAKS_H
#define CLI_LEAKS_H

#include <stdio.h>

#include "core_file.h"
#include "groups.h"
#include "human.h"
#include "json.h"
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
    const char *command; /* for the advice: as in "leaks" */
    pid_t pid;           /* 0: a core file */
    const char *core, *executable;
    const char *suppressions, *scratch;
    bool json, copy, reachable;
    bool thorough; /* for who frees what is found, and does it often: image.h; and not announced */
    bool
        at_end; /* the process waits for us at its end: it is copied as it stands, and not announced */
};

struct leaks {
    struct leaks_request request;
    char name[64];
    const char *owner;   /* of malloc, by name; NULL: not known */
    char allocator[128]; /* of the heap that was walked */
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
    uint64_t copy_us;  /* to copy it; most of that while it runs */
    uint64_t began_ns; /* by clock_ns, and how long all of it took: */
    uint64_t took_us;
    char fallback[400];   /* why it was copied while it stood; "" if it was not */
    uint64_t told_blocks; /* lost ones that are not suppressed: what the verdict is about */
    uint64_t told_bytes;
    struct survey_total total[REACH_KINDS]; /* those that are not suppressed */
    struct survey_total suppressed;
    int status;
};

/* Names the types of the groups that will be shown. */
void leaks_name_groups(struct leaks *l);

/* "libfoo.so: table+0x10" of an address in static data, where a symbol covers it, else "libfoo.so+0x1230". */
bool leaks_name_data(const struct leaks *l, uint64_t address, char *text, size_t capacity);

void leaks_verdict(const struct leaks *l, char *text, size_t capacity);
void leaks_show(const struct leaks *l, FILE *out, const struct palette *colours);
void leaks_json(const struct leaks *l, FILE *out);

/* The same as a value of another command's JSON. */
void leaks_json_into(const struct leaks *l, struct json *j, const char *key);

#endif
