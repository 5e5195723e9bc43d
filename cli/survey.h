/*
 * What of a heap can be reached: an image on its way to the list of lost blocks.
 *
 *     image --> which allocator --> parts --> blocks --> roots --> mark (two threads) --> kinds
 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H

#include "roots.h"

enum survey_heap { SURVEY_NONE, SURVEY_GLIBC, SURVEY_OWN };

struct survey_total {
    uint64_t count, bytes;
};

struct survey {
    const struct image *image;
    enum survey_heap heap;
    struct parts parts;
    struct glibc glibc;
    struct own_heap own;
    struct roots roots;
    struct reach reach;
    struct survey_total total[REACH_KINDS];
    uint64_t scanned;          /* bytes: roots and blocks that were looked through */
    uint64_t walk_us, mark_us; /* how long the two took */
};

/* Looks for a heap that it can walk; SURVEY_NONE: there is none. */
enum survey_heap survey_find(struct survey *s, const struct image *image);

/* Marks. False: no memory. survey_finish in any case. */
bool survey_mark(struct survey *s);
void survey_finish(struct survey *s);

#endif
