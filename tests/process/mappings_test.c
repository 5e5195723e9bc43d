/*
 * vm.max_map_count exhausted: a process that holds all the mappings it may have (JVMs, databases with
 * many files) still gets memory, grows blocks, and frees.
 *
 * What could break: whatever splits a mapping (committing, naming, moving page tables, giving back)
 * is then refused by the kernel with ENOMEM although memory is plenty.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/pattern.h"

enum { SKIPPED = 77, LIMIT_MAX = 1 << 20, BLOCKS = 64 };
#define MIB ((size_t)1 << 20)

static long mappings_limit(void)
{
    char text[32] = {0};
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file == NULL) return 0;
    long limit = fgets(text, sizeof text, file) ? atol(text) : 0;
    fclose(file);
    return limit;
}

/* Every second page with other rights: a mapping each, until the kernel says no. Pages of one
 * reservation, so that nothing is asked of the allocator here. */
static void exhaust(long limit)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = ((size_t)limit + 10) * page;
    char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(p != MAP_FAILED, "mmap");
    long made = 0;
    for (size_t at = page; at < size; at += 2 * page, made += 2)
        if (mprotect(p + at, page, PROT_READ) != 0) break;
    EXPECT(errno == ENOMEM && made < limit, "%ld mappings of %ld, errno %d", made, limit, errno);
}

static void test_small(void)
{
    static char *block[100000];
    for (size_t i = 0; i < 100000; i++) {
        block[i] = fh_malloc(i % 1000);
        EXPECT(block[i] != NULL, "block %zu", i);
        pattern_write(block[i], i % 1000, i);
    }
    for (size_t i = 0; i < 100000; i++) {
        pattern_expect(block[i], i % 1000, i % 1000, i);
        fh_free(block[i]);
    }
}

/* Many large blocks that grow in turn, so that they move past each other. */
static void test_large(void)
{
    char *block[BLOCKS] = {0};
    size_t size[BLOCKS] = {0};
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t old = size[i];
            size[i] = old + MIB + i * 4096;
            block[i] = fh_realloc(block[i], size[i]);
            EXPECT(block[i] != NULL, "realloc from %zu to %zu", old, size[i]);
            pattern_expect(block[i], old, old, i);
            pattern_write(block[i], size[i], i);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) fh_free(block[i]);
}

int main(void)
{
    long limit = mappings_limit();
    if (limit == 0 || limit > LIMIT_MAX) {
        printf("skipped: max_map_count is %ld, too many to use up\n", limit);
        return SKIPPED;
    }
    fh_free(fh_malloc(1));
    exhaust(limit);
    test_small();
    test_large();
    fh_malloc_trim(0);
    test_small();
    test_large();
    puts("all served");
    return 0;
}
