/*
 * Under a limit of address space (RLIMIT_AS, `ulimit -v`):
 *
 *     limit_test MIB
 *
 * What could break: the arena's reservation of terabytes, which such a process cannot have; and the
 * end of memory, which must be NULL with ENOMEM, after which the heap goes on with what is freed.
 * Sets the limit on itself before its first allocation, as a shell would before exec.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/pattern.h"

#define MIB ((size_t)1 << 20)

/* Blocks hold the list of themselves: a table beside them would take of the limit. */
struct node {
    struct node *next;
    size_t number;
};

/* Allocates until NULL. Returns how many, and the list, newest first. */
static size_t fill(size_t size, struct node **list)
{
    size_t n = 0;
    struct node *node;
    errno = 0;
    for (*list = NULL; (node = fh_malloc(size)) != NULL; *list = node, n++) {
        *node = (struct node){*list, n};
        pattern_write(node + 1, size - sizeof *node, n);
    }
    EXPECT(errno == ENOMEM, "errno %d", errno);
    return n;
}

static void expect_and_free(struct node *list, size_t size)
{
    for (struct node *next; list; list = next) {
        next = list->next;
        pattern_expect(list + 1, size - sizeof *list, size - sizeof *list, list->number);
        fh_free(list);
    }
}

/* What a block takes of the address space: a large one, whole slices of 64 KiB. */
static size_t footprint(size_t size)
{
    return size <= 32768 ? size : (size + 65535) / 65536 * 65536;
}

/* At least half of the limit can be had; twice, and with calls at the brink that must fail cleanly. */
static void test_size(size_t size, size_t limit)
{
    for (int round = 0; round < 2; round++) {
        struct node *list;
        size_t n = fill(size, &list);
        EXPECT(n * footprint(size) > limit / 2, "%zu blocks of %zu bytes under %zu", n, size,
               limit);
        errno = 0;
        EXPECT(fh_realloc(list, limit * 2) == NULL && errno == ENOMEM, "realloc");
        EXPECT(fh_calloc(1, limit * 2) == NULL && errno == ENOMEM, "calloc");
        EXPECT(fh_aligned_alloc(1 << 20, limit) == NULL && errno == ENOMEM, "aligned_alloc");
        expect_and_free(list, size);
    }
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "one argument: MiB");
    size_t limit = (size_t)atol(argv[1]) * MIB;
    struct rlimit rlimit = {limit, limit};
    EXPECT(setrlimit(RLIMIT_AS, &rlimit) == 0, "setrlimit");
    const size_t size[] = {100, 5000, 40000, 1 << 20};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) test_size(size[i], limit);
    printf("%zu MiB\n", limit / MIB);
    return 0;
}
