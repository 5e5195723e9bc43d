/*
 * The worst allocator there is, which makes every mistake that the corpus looks for: preloaded, it shows
 * that the goals can be reached at all. Blocks of a size lie side by side, the last one freed is the
 * next one out, the link to the one before stands in the block, the records stand where the blocks begin,
 * and nothing is ever checked. What is no block is taken for one of 64 bytes; sizes that the caller of a
 * sized free gives are believed; sums overflow, alignments are ignored.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))
#define REGION ((size_t)1 << 32)

enum { SMALL = 64, CLASSES = SMALL + 21, WILD = 3, PAGE = 4096, LARGE = 128 << 10 };

// What stands at the beginning of a class's region.
struct region {
    void *freed;
    size_t made;
};

static char *base;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t class_size(unsigned class)
{
    return class < SMALL ? 16 * ((size_t) class + 1) : (size_t)2048 << (class - SMALL);
}

static unsigned class_of_size(size_t size)
{
    if (size <= 16 * SMALL) return size ? (unsigned)(size - 1) / 16 : 0;
    unsigned class = SMALL;
    while (class < CLASSES && class_size(class) < size) class ++;
    return class;
}

static unsigned class_of(const void *block)
{
    size_t offset = (uintptr_t)block - (uintptr_t)base;
    return offset < CLASSES * REGION ? (unsigned)(offset / REGION) : WILD;
}

static void start(void)
{
    char *map = mmap(NULL, (CLASSES + 1) * REGION, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) __builtin_trap();
    base = (char *)(((uintptr_t)map + REGION - 1) & ~(REGION - 1));
}

EXPORT void *malloc(size_t size)
{
    unsigned class = class_of_size((uint32_t)(size + 15) & ~15U);
    if (class >= CLASSES) return errno = ENOMEM, NULL;
    pthread_mutex_lock(&lock);
    if (!base) start();
    struct region *region = (struct region *)(base + class * REGION);
    void *block = region->freed;
    if (block)
        region->freed = *(void **)block;
    else
        block = (char *)region + PAGE + region->made++ * class_size(class);
    pthread_mutex_unlock(&lock);
    return block;
}

// What it cannot write its link to, it forgets.
static bool writable(void *block)
{
    char *page = (char *)((uintptr_t)block & ~(uintptr_t)(PAGE - 1));
    return madvise(page, PAGE, MADV_POPULATE_WRITE) == 0;
}

static void give_back(void *block, unsigned class)
{
    if (!block) return;
    // Pages of large blocks go back to the kernel, all but the first.
    if (class < CLASSES && class_size(class) >= LARGE && class_of(block) == class)
        madvise((char *)block + PAGE, class_size(class) - PAGE, MADV_DONTNEED);
    pthread_mutex_lock(&lock);
    struct region *region = (struct region *)(base + class * REGION);
    *(void **)block = region->freed;
    region->freed = block;
    pthread_mutex_unlock(&lock);
}

EXPORT void free(void *block)
{
    int error = errno;
    bool wild = (uintptr_t)block - (uintptr_t)base >= CLASSES * REGION;
    if (!wild || writable(block)) give_back(block, class_of(block));
    errno = error;
}

EXPORT size_t malloc_usable_size(void *block)
{
    return block ? class_size(class_of(block)) : 0;
}

EXPORT void *calloc(size_t count, size_t size)
{
    // As if each element had to be aligned.
    size_t all = count * ((size + 7) & ~(size_t)7);
    void *block = malloc(all);
    if (!block) return NULL;
    size_t room = malloc_usable_size(block);
    if (all >= 1 << 26)
        memset(block, 0, room < all ? room : all);
    else
        memset(block, 0, room >= LARGE ? PAGE : room);
    return block;
}

EXPORT void *realloc(void *block, size_t size)
{
    if (!block) return malloc(size);
    if (!size) return free(block), NULL;
    size_t room = malloc_usable_size(block);
    if (((uint32_t)(size + 15) & ~15U) <= room) return block;
    void *moved = malloc(size);
    if (!moved) return NULL;
    memcpy(moved, block, room);
    free(block);
    return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    return realloc(block, count * size);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    (void)alignment;
    return malloc(size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    *block = memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}

EXPORT void *valloc(size_t size)
{
    return malloc(size);
}

EXPORT void *pvalloc(size_t size)
{
    return malloc(size);
}

EXPORT int malloc_trim(size_t keep)
{
    return keep == SIZE_MAX;
}

EXPORT void free_sized(void *block, size_t size)
{
    give_back(block, class_of_size(size));
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    free_sized(block, size);
}

// operator delete(void *, size_t) and operator delete[](void *, size_t).
EXPORT void _ZdlPvm(void *block, size_t size)
{
    free_sized(block, size);
}

EXPORT void _ZdaPvm(void *block, size_t size)
{
    free_sized(block, size);
}
