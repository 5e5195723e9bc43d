/*
 * Heaps of allocators that are neither glibc's nor ours, read through one interface.
 *
 * A walker finds its allocator by what its structures must say of each other (pointers that lead back,
 * counts that agree, magic words), never by symbols: so it serves stripped and static programs, and core
 * files without the files. It then does what glibc's reader does: gives regions, says what is no root, and
 * where blocks begin.
 *
 *     WALK_ABSENT   nothing looks like this allocator, or it was never used
 *     WALK_FOUND    it is this one, in a version whose structures are known
 *     WALK_MISFIT   it is this one, but something contradicts what is known; `misfit` says what
 *
 * What is lost must be lost: a part of a heap that contradicts itself is no heap to us but a root (it is
 * not excluded), and counted as damage; more damage than threads that were caught in the middle of a change
 * can do is a misfit. Rejected: symbols, which Debian's libraries do not have, and debug information.
 */
#ifndef CLI_HEAP_WALK_H
#define CLI_HEAP_WALK_H

#include "parts.h"

enum walk_found { WALK_ABSENT, WALK_FOUND, WALK_MISFIT };

enum { WALK_MISFIT_TEXT = 200, WALK_NOTE_TEXT = 200 };

struct heap_walk {
    const struct heap_walker *walker;
    void *state; /* the walker's */
    const char *version;
    char misfit[WALK_MISFIT_TEXT];
    char note[WALK_NOTE_TEXT]; /* what could not be told; "": everything was */
};

struct heap_walker {
    const char *name;  /* as in the table of allocators.c */
    const char *known; /* versions that are known */
    enum walk_found (*find)(struct heap_walk *w, const struct image *image);
    /* False: no memory. */
    bool (*parts)(struct heap_walk *w, const struct image *image, struct parts *parts);
    bool (*fill)(struct heap_walk *w, const struct image *image, struct parts *parts,
                 struct reach *reach);
    void (*finish)(struct heap_walk *w);
};

extern const struct heap_walker musl_walker, jemalloc_walker, mimalloc_walker, tcmalloc_walker;

/* ---- shared by walkers ---------------------------------------------------------------------- */

/* Calls `each` with every stretch of writable data of modules that is there, zero-initialised data
 * included, until it returns true; that is then the answer. */
bool walk_data(const struct image *image, bool (*each)(void *context, uint64_t from, uint64_t to),
               void *context);

/* Damage that threads caught in the middle of a change explain. */
static inline uint64_t walk_damage_max(const struct image *image)
{
    return 4 + 2 * (uint64_t)image->thread_count;
}

/* Writes w->misfit. */
__attribute__((format(printf, 2, 3))) enum walk_found walk_misfit(struct heap_walk *w,
                                                                  const char *format, ...);

/* Room for one more element of a list that doubles; NULL: no memory. */
void *walk_append(void **list, size_t *count, size_t *capacity, size_t size);

#endif
