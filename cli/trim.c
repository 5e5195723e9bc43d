/* A thread that unmaps pages of a file. See trim.h. */
#include "trim.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 20 }; /* in which some 100 MB can be mapped */

uint64_t trim_resident(void)
{
    unsigned long long all, resident, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu %llu", &all, &resident, &shared) != 3) shared = 0;
    fclose(file);
    return (uint64_t)shared * (uint64_t)sysconf(_SC_PAGESIZE);
}

void trim_look(const struct trim *t)
{
    if (trim_resident() > t->limit) madvise(t->bytes, t->size, MADV_DONTNEED);
}

static void *keep_small(void *argument)
{
    struct trim *t = argument;
    const struct timespec pause = {0, PAUSE_MS * 1000000L};
    while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
        trim_look(t);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void trim_start(struct trim *t, void *bytes, size_t size, uint64_t limit)
{
    *t = (struct trim){.bytes = bytes, .size = size, .limit = limit};
    t->started = size > limit && pthread_create(&t->thread, NULL, keep_small, t) == 0;
}

void trim_stop(struct trim *t)
{
    if (!t->started) return;
    __atomic_store_n(&t->stop, 1, __ATOMIC_RELAXED);
    pthread_join(t->thread, NULL);
    t->started = false;
}
