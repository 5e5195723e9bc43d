/*
 * Where the resident bytes of glibc's heaps are: each chunk's bytes on resident pages, by what it is, so that
 * the parts add up to the pages.
 *
 *     | live | free, in a bin | live | in a thread's cache | live | fast bin | top, down to the break |
 *       live     between               cached                       cached      top
 *
 * Read while the process runs (image_open_running), each page once. What is read at different moments may
 * contradict itself: there the chain of chunks is torn, and taken up again behind; what is between stays with
 * the mapping's own row. A frozen copy would be of one moment and stop the process for a fork (25 to 34 ms a
 * GiB); a ledger is about sums, which a tear of some hundred bytes does not change.
 *
 * `trim` is what malloc_trim(0) would give back now: it joins fast bins with their free neighbours, then
 * gives back the whole pages in each free chunk behind its first 48 bytes, of every arena; and of the main
 * arena the end of the top. The tops of the other arenas and threads' caches stay.
 */
#ifndef CLI_GLIBC_PAGES_H
#define CLI_GLIBC_PAGES_H

#include "memory.h"
#include "pages.h"
#include "smaps.h"

enum glibc_use { GLIBC_LIVE, GLIBC_BETWEEN, GLIBC_CACHED, GLIBC_TOPS, GLIBC_OWN, GLIBC_USES };

struct glibc_part {
    uint64_t resident, absent; /* bytes, on pages that are there and on those that are not */
    uint64_t count;            /* chunks */
};

struct glibc_pages {
    struct glibc_part part[GLIBC_USES];
    uint64_t trim;
    uint64_t arenas, heaps, caches, torn;
    uint64_t missing;      /* heaps that could not be found, because their arena changed */
    uint64_t torn_at;      /* the first tear; 0: none */
    uint64_t bins;         /* of the main arena */
    uint64_t ended_arenas; /* arenas that no thread allocates from any more */
    uint64_t ended_free;   /* free and resident in them */
    uint64_t read;         /* bytes of the process that were read for it */
    uint64_t *carved;      /* of each area, the resident bytes that the parts account for */
};

/* False: there is no heap of glibc's that was used, or no memory. glibc_pages_finish in any case. */
bool glibc_pages_read(struct glibc_pages *g, const struct memory *memory, const struct pages *pages,
                      const struct smaps *smaps, pid_t pid);
void glibc_pages_finish(struct glibc_pages *g);

/* One attempt, of an image of any kind; `running` says that its pages are of different moments. */
struct image;
bool glibc_pages_divide(struct glibc_pages *g, const struct image *image, bool running,
                        const struct pages *pages, const struct smaps *smaps);

#endif
