/* See kit/resident.h. */
#include "kit/resident.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <freehold/registry.h>

#include "kit/expect.h"

enum { WINDOW = 4096 }; /* pages asked for at once */

size_t resident_bytes(const void *p, size_t size)
{
    unsigned char page[WINDOW];
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    uintptr_t at = (uintptr_t)p & ~(page_size - 1), end = (uintptr_t)p + size;
    while (at < end) {
        size_t pages = (end - at + page_size - 1) / page_size;
        if (pages > WINDOW) pages = WINDOW;
        EXPECT(mincore((void *)at, pages * page_size, page) == 0, "mincore at %p", (void *)at);
        for (size_t i = 0; i < pages; i++) count += page[i] & 1;
        at += pages * page_size;
    }
    return count * page_size;
}

size_t resident_arena(void)
{
    const char *base = (const char *)(uintptr_t)fh_registry.base;
    size_t slice = (size_t)1 << FH_SLICE_SHIFT;
    size_t descriptors = fh_registry.high * sizeof(struct fh_span);
    size_t heaps = (size_t)fh_registry.heap_count * fh_registry.heap_stride;
    return resident_bytes(base, descriptors) +
           resident_bytes((const char *)(uintptr_t)fh_registry.heaps, heaps) +
           resident_bytes(base + fh_registry.first_slice * slice,
                          (fh_registry.high - fh_registry.first_slice) * slice);
}
