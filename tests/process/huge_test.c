/*
 * Blocks of 4 GiB and 20 GiB, of which a few pages are touched: no size is held in 32 bits, nothing
 * walks or clears what was not touched, and growing one moves page tables instead of bytes.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/pattern.h"

#define GIB ((size_t)1 << 30)
#define RSS_MAX_KIB (600l << 10)

/* A few bytes at both ends, and around 4 GiB, where an offset of 32 bits would wrap. */
static void touch(char *p, size_t size, uint64_t seed)
{
    pattern_write(p, 5000, seed);
    if (size > 4 * GIB + 5000) pattern_write(p + 4 * GIB, 5000, seed + 1);
    pattern_write(p + size - 5000, 5000, seed + 2);
}

static void expect_touched(const char *p, size_t size, uint64_t seed)
{
    pattern_expect(p, 5000, 5000, seed);
    if (size > 4 * GIB + 5000) pattern_expect(p + 4 * GIB, 5000, 5000, seed + 1);
    pattern_expect(p + size - 5000, 5000, 5000, seed + 2);
}

static void expect_described(char *p, size_t size)
{
    struct fh_description d;
    for (size_t at = 0; at < size; at += size / 97) {
        EXPECT(fh_describe(p + at, &d) == FH_LARGE, "kind %d at %zu", d.kind, at);
        EXPECT(d.start == p && d.offset == at && d.size >= size, "%p is %zu of %p", p + at,
               d.offset, d.start);
    }
}

static void test_block(size_t size)
{
    char *p = fh_malloc(size);
    EXPECT(p != NULL && fh_malloc_usable_size(p) >= size, "%zu bytes", size);
    touch(p, size, size);
    expect_described(p, size);
    expect_touched(p, size, size);
    fh_free(p);
    p = fh_calloc(size / 1024, 1024);
    EXPECT(p != NULL, "%zu bytes of zeros", size);
    for (size_t at = 0; at < size; at += size / 1000) EXPECT(p[at] == 0, "offset %zu", at);
    fh_free(p);
}

/* Grows with something right behind it, so that it has to move. */
static void test_move(size_t from, size_t to)
{
    char *p = fh_malloc(from), *behind = fh_malloc(GIB);
    touch(p, from, 7);
    p = fh_realloc(p, to);
    EXPECT(p != NULL, "realloc to %zu", to);
    expect_touched(p, from, 7);
    touch(p, to, 8);
    p = fh_realloc(p, from);
    pattern_expect(p, 5000, 5000, 8);
    fh_free(p);
    fh_free(behind);
}

int main(void)
{
    const size_t size[] = {4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 20 * GIB};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) test_block(size[i]);
    test_move(GIB, 4 * GIB);
    test_move(5 * GIB, 20 * GIB);
    EXPECT(fh_malloc((size_t)1 << 47) == NULL, "more than there are addresses");
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    EXPECT(usage.ru_maxrss < RSS_MAX_KIB, "%ld KiB resident", usage.ru_maxrss);
    printf("%ld KiB\n", usage.ru_maxrss);
    return 0;
}
