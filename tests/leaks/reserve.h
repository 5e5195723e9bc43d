/* Memory for the tests of span/reach.h, as the command reserves it. */
#ifndef LEAKS_RESERVE_H
#define LEAKS_RESERVE_H

#include <stddef.h>
#include <sys/mman.h>

static inline void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static inline void release(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}

#endif
