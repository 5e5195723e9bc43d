/*
 * Holes. What could break: a heap that is mostly holes refuses an object that one of them would hold; what
 * is left of a hole is lost, or handed out twice.
 */
#include "gc/kit.h"

#include <stdlib.h>

#define MOST 16384

/* It stays where it is, so that what is between two of them stays a hole. */
static struct fh_gc_type stone = {
    .name = "stone", .element = 1, .flags = FH_GC_LEAF | FH_GC_PINNED};

static struct fh_gc_heap *heap;
static void *kept[MOST];
static unsigned char *filled[MOST];

/* Stones of 1 KiB up to the limit; every 16th stays. */
static size_t stones_lay(void)
{
    size_t count = 0;
    for (void *p; count < MOST && (p = fh_gc_allocate(heap, &stone, 1024)); count++)
        fh_gc_store(heap, &kept[count], p);
    for (size_t i = 0; i < count; i++)
        if (i % 16) fh_gc_store(heap, &kept[i], NULL);
    return count;
}

/* Objects of these sizes in turn until memory is refused. */
static size_t fill(const size_t *sizes, size_t kinds, size_t alignment)
{
    size_t count = 0;
    for (; count < MOST; count++) {
        size_t size = sizes[count % kinds];
        unsigned char *p = fh_gc_allocate_aligned(heap, FH_GC_BYTES, size, alignment);
        if (p == NULL) break;
        assert_int_equal((uintptr_t)p % alignment, 0);
        for (size_t k = 0; k < size; k += 256) assert_int_equal(p[k], 0);
        memset(p, (int)(count % 251), size);
        fh_gc_store(heap, &filled[count], p);
    }
    return count;
}

static size_t bytes_of(const size_t *sizes, size_t kinds, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sizes[i % kinds]; k++) assert_int_equal(filled[i][k], i % 251);
        bytes += sizes[i % kinds];
    }
    return bytes;
}

static void holes_are_used(enum fh_gc_policy policy, const size_t *sizes, size_t kinds,
                           size_t alignment, unsigned percent)
{
    struct fh_gc_options options = {.policy = policy, .limit = 8 << 20, .debug = FH_GC_VERIFY};
    memset(kept, 0, sizeof kept);
    memset(filled, 0, sizeof filled);
    heap = fh_gc_create(&options);
    assert_non_null(heap);
    size_t stones = stones_lay();
    assert_true(stones > 7000);
    size_t count = fill(sizes, kinds, alignment);
    assert_true(bytes_of(sizes, kinds, count) > (stones << 10) / 100 * percent);
    assert_int_equal(fh_gc_verify(heap), 0);
    /* What is left of the holes holds small objects. */
    struct fh_gc_stats stats;
    collect(heap);
    fh_gc_stats_get(heap, &stats);
    size_t room = stats.blocks.hole_bytes + stats.blocks.garbage_bytes, small = 0;
    while (fh_gc_new(heap, node) && small < room) small += sizeof(struct node) + 8;
    assert_true(small > room / 2);
    fh_gc_destroy(heap);
}

static void test_hole__medium_objects_find_one(void **state)
{
    static const size_t even[] = {7 << 10}, mixed[] = {2048, 12000, 2300, 7000};
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        holes_are_used(policies[p], even, COUNT_OF(even), 16, 75);
        holes_are_used(policies[p], mixed, COUNT_OF(mixed), 16, 50);
    }
}

static void test_hole__aligned_objects_find_one(void **state)
{
    static const size_t page[] = {4096}, line[] = {64};
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        holes_are_used(policies[p], page, COUNT_OF(page), 4096, 60);
        holes_are_used(policies[p], line, COUNT_OF(line), 64, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hole__medium_objects_find_one),
        cmocka_unit_test(test_hole__aligned_objects_find_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
