/*
 * Keeps what is mapped of a large file small while it is read all over.
 *
 * Pages of a mapped file are the kernel's cache, but they count as ours, are the last to be reclaimed while
 * they are mapped, and a cgroup's limit counts them: of a core of 20 GB all 20 were resident. So a thread
 * looks from time to time, and unmaps them all when they are more than a limit. They stay in the cache,
 * and whoever reads on maps them again, sixteen at a time.
 *
 * Rejected: to unmap what has been read where it is read. Blocks are scanned in no order, so nobody there
 * knows what will not be needed again, and each walker would have to be told.
 */
#ifndef CLI_TRIM_H
#define CLI_TRIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trim {
    void *bytes; /* of a file, mapped to be read only: nothing in it can be lost */
    size_t size;
    uint64_t limit;
    bool started;
    int stop; /* atomic */
    pthread_t thread;
};

/* Nothing for a file within the limit; where no thread can be made, it goes without. */
void trim_start(struct trim *t, void *bytes, size_t size, uint64_t limit);
void trim_stop(struct trim *t);

/* Bytes of files that are mapped here and resident. */
uint64_t trim_resident(void);

/* What the thread does each time it looks. */
void trim_look(const struct trim *t);

#endif
