/*
 * A program that only links the library: its malloc must be ours, under every name by which libc and
 * the program reach it, and the public functions must be there. Prints nothing when that is so.
 */
#include <freehold/freehold.h>
#include <freehold/registry.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void expect(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "consumer: not so: %s\n", what);
    failures++;
}

/* The block is live, ours, begins where it was handed out, and is gone once it is freed. */
static void expect_ours(void *p, const char *what)
{
    struct fh_description d;
    enum fh_kind kind = fh_describe(p, &d);
    expect(kind == FH_BLOCK || kind == FH_LARGE, what);
    expect(d.start == p, what);
    free(p);
    expect(fh_describe(p, &d) != FH_BLOCK && d.kind != FH_LARGE, what);
}

int main(void)
{
    int on_stack;
    struct fh_description d;

    expect_ours(malloc(100), "malloc(100) is a block of Freehold");
    expect_ours(calloc(1000, 1000), "calloc of a megabyte is a block of Freehold");
    expect_ours(realloc(NULL, 5), "realloc(NULL, 5) is a block of Freehold");
    expect_ours(aligned_alloc(4096, 4096), "aligned_alloc is a block of Freehold");
    expect_ours(strdup("called by libc"), "strdup's block is one of Freehold");
    expect_ours(fh_malloc(64), "fh_malloc is the same allocator");
    expect(fh_describe(&on_stack, &d) == FH_FOREIGN, "a stack is not of Freehold");
    expect(strcmp(fh_version(), FH_VERSION_TEXT) == 0, "header and library are of one version");
    expect(memcmp(fh_registry.magic, FH_REGISTRY_MAGIC, 8) == 0,
           "the registry is found by its name");
    return failures != 0;
}
