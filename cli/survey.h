/*
 * What of a heap can be reached: an image on its way to the list of lost blocks.
 *
 *     image --> which allocator --> parts --> blocks --> roots --> mark (two threads) --> kinds
 */
#ifndef CLI_SURVEY_H
#define CLI_SURVEY_H

#include "heap_walk.h"
#include "roots.h"

/* SURVEY_OTHER: those of heap_walk.h, and glibc's beside them if it is in use too. */
enum survey_heap { SURVEY_NONE, SURVEY_GLIBC, SURVEY_OWN, SURVEY_OTHER };

enum { SURVEY_WALKS = 4 };

struct survey_total {
    uint64_t count, bytes;
};

struct survey {
    const struct image *image;
    enum survey_heap heap;
    struct parts parts;
    struct glibc glibc;
    bool with_glibc;
    struct own_heap own;
    struct heap_walk walks[SURVEY_WALKS]; /* found ones */
    size_t walk_count;
    struct heap_walk
        misfit; /* one that was recognised and not understood: walker is NULL if none was */
    struct roots roots;
    struct reach reach;
    struct survey_total total[REACH_KINDS];
    uint64_t scanned;          /* bytes: roots and blocks that were looked through */
    uint64_t walk_us, mark_us; /* how long the two took */
};

/* Looks for a heap that it can walk; SURVEY_NONE: there is none. */
enum survey_heap survey_find(struct survey *s, const struct image *image);

/* Whether it walks this one; a name of the table of allocators.c. */
bool survey_walks(const struct survey *s, const char *allocator);

/* "glibc", "musl (mallocng, ...) and glibc". */
void survey_name(const struct survey *s, char *text, size_t capacity);

/* Whose heap an address is in, if it is in one whose blocks were found; NULL: in none. */
const char *survey_heap_of(const struct survey *s, uint64_t address);

/* Which versions of an allocator could be walked; NULL: none. */
const char *survey_known(const char *allocator);

/* Finds the blocks and the roots. False: no memory. survey_finish in any case. */
bool survey_blocks(struct survey *s);

/* The same, and marks. */
bool survey_mark(struct survey *s);

/* After it: reach_know. */
bool survey_know(struct survey *s,
                 bool (*known)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                 void *context);
void survey_finish(struct survey *s);

#endif
