/*
 * Where the bytes of a heap are. What could break: a number that is not true of a heap that is known object
 * by object; bytes that are in no space, or in two.
 */
#include "gc/kit.h"

#include <stdio.h>

#define BLOCK 65536u
#define NODE 32u

static struct fh_gc_heap *heap;
static void *roots[4];

static struct fh_gc_stats stats_now(void)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    const struct fh_gc_space *spaces[] = {&stats.blocks, &stats.large};
    for (int i = 0; i < 2; i++) {
        const struct fh_gc_space *s = spaces[i];
        assert_int_equal(s->bytes,
                         s->live_bytes + s->garbage_bytes + s->hole_bytes + s->free_bytes);
    }
    assert_int_equal(stats.heap_bytes, stats.blocks.bytes + stats.large.bytes);
    assert_int_equal(stats.blocks.bytes, stats.blocks.count * BLOCK);
    assert_int_equal(stats.live_bytes, stats.blocks.live_bytes + stats.large.live_bytes);
    assert_in_range(stats.metadata_bytes, stats.heap_bytes / 16,
                    stats.heap_bytes / 16 + stats.heap_bytes / 64);
    return stats;
}

/* Nothing is kept but by `roots`. */
static void heap_new(enum fh_gc_policy policy)
{
    struct fh_gc_options options = {.policy = policy,
                                    .exact_stacks = policy < FH_GC_CONCURRENT,
                                    .no_static_data = true,
                                    .initial = 32 << 20};
    memset(roots, 0, sizeof roots);
    heap = fh_gc_create(&options);
    assert_non_null(heap);
    assert_int_equal(fh_gc_root_add(heap, roots, COUNT_OF(roots)), 0);
}

static void sweep_all(void)
{
    while (fh_gc_step(heap, 1000)) {
    }
}

/* Every other node stays. */
static __attribute__((noinline)) void nodes_new(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct node *node = node_new(heap, i);
        if (i % 2) continue;
        fh_gc_store(heap, &node->right, roots[0]);
        fh_gc_store(heap, &roots[0], (void *)node);
    }
}

static void test_space__blocks_of_a_known_heap(void **state)
{
    enum { NODES = 20000, FULL = NODES * NODE / BLOCK, REST = NODES * NODE % BLOCK };
    (void)state;
    heap_new(FH_GC_MARK);
    assert_int_equal(stats_now().heap_bytes, 0);
    nodes_new(NODES);
    struct fh_gc_stats stats = stats_now();
    assert_int_equal(stats.blocks.count, FULL + 1);
    assert_int_equal(stats.blocks.live_bytes, 0);
    assert_int_equal(stats.blocks.garbage_bytes, NODES * NODE);
    assert_int_equal(stats.blocks.hole_bytes, BLOCK - REST);
    assert_int_equal(stats.allocated_bytes, NODES * NODE);
    /* The block that the thread allocates in is swept at once, the others are not. */
    collect(heap);
    stats = stats_now();
    assert_int_equal(stats.objects_marked, NODES / 2);
    assert_int_equal(stats.blocks.live_bytes, NODES / 2 * NODE);
    assert_int_equal(stats.blocks.hole_bytes, BLOCK - REST / 2);
    assert_int_equal(stats.blocks.garbage_bytes, FULL * BLOCK / 2);
    sweep_all();
    stats = stats_now();
    assert_int_equal(stats.blocks.live_bytes, NODES / 2 * NODE);
    assert_int_equal(stats.blocks.hole_bytes, (FULL + 1) * BLOCK - NODES / 2 * NODE);
    assert_int_equal(stats.blocks.garbage_bytes, 0);
    /* What is allocated now is not known to be alive. */
    nodes_new(4000);
    stats = stats_now();
    assert_int_equal(stats.blocks.garbage_bytes, 4000 * NODE);
    assert_int_equal(stats.blocks.live_bytes, NODES / 2 * NODE);
    assert_int_equal(stats.blocks.count, FULL + 1);
    fh_gc_store(heap, &roots[0], NULL);
    collect(heap);
    sweep_all();
    stats = stats_now();
    assert_int_equal(stats.blocks.live_bytes + stats.blocks.garbage_bytes, 0);
    assert_in_range(stats.blocks.free_bytes, FULL * BLOCK, (FULL + 1) * BLOCK);
    fh_gc_destroy(heap);
}

static void test_space__medium_objects(void **state)
{
    enum { SIZE = 3000, ROUNDED = 3008, COUNT = 100 };
    (void)state;
    heap_new(FH_GC_MARK);
    roots[1] = fh_gc_new_pointers(heap, COUNT);
    for (int i = 0; i < COUNT; i++)
        fh_gc_store(heap, (void **)roots[1] + i, fh_gc_new_bytes(heap, SIZE));
    size_t total = COUNT * ROUNDED + COUNT * sizeof(void *);
    assert_int_equal(stats_now().blocks.garbage_bytes, total);
    collect(heap);
    sweep_all();
    assert_int_equal(stats_now().blocks.live_bytes, total);
    assert_int_equal(stats_now().blocks.garbage_bytes, 0);
    fh_gc_destroy(heap);
}

static void test_space__large_objects(void **state)
{
    enum { SIZE = 100000, SLICES = 2 * BLOCK, COUNT = 3 };
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap_new(policies[p]);
        for (int i = 0; i < COUNT; i++) fh_gc_store(heap, &roots[i], fh_gc_new_bytes(heap, SIZE));
        struct fh_gc_space large = stats_now().large;
        assert_int_equal(large.count, COUNT);
        assert_int_equal(large.bytes, COUNT * SLICES);
        assert_int_equal(large.garbage_bytes, COUNT * SIZE);
        assert_int_equal(large.hole_bytes, COUNT * (SLICES - SIZE));
        collect(heap);
        large = stats_now().large;
        assert_int_equal(large.live_bytes, COUNT * SIZE);
        assert_int_equal(large.garbage_bytes, 0);
        assert_int_equal(stats_now().blocks.live_bytes, 0);
        fh_gc_destroy(heap);
    }
}

/* A type of fixed size above that of a block is a large object like others. */
struct wide {
    struct wide *next;
    char bytes[200000];
};
FH_GC_TYPE(wide, next)

static void test_space__large_types(void **state)
{
    (void)state;
    heap_new(FH_GC_MARK);
    struct wide *wide = fh_gc_new(heap, wide);
    fh_gc_store(heap, &roots[0], (void *)wide);
    fh_gc_store(heap, &wide->next, fh_gc_new(heap, wide));
    assert_int_equal(fh_gc_size(heap, wide), sizeof *wide);
    collect(heap);
    struct fh_gc_stats stats = stats_now();
    assert_int_equal(stats.large.count, 2);
    assert_int_equal(stats.large.live_bytes, 2 * (sizeof *wide + 15) / 16 * 16);
    assert_int_equal(stats.blocks.live_bytes, 0);
    assert_int_equal(fh_gc_verify(heap), 0);
    fh_gc_destroy(heap);
}

static void test_space__every_policy_adds_up(void **state)
{
    (void)state;
    for (size_t p = 0; p < COUNT_OF(policies); p++) {
        heap_new(policies[p]);
        for (int round = 0; round < 20; round++) {
            nodes_new(10000);
            fh_gc_store(heap, &roots[1], fh_gc_new_bytes(heap, 70000));
            stats_now();
            if (round % 4 == 3) fh_gc_collect(heap, FH_GC_MINOR);
            stats_now();
        }
        collect(heap);
        collect(heap);
        sweep_all();
        struct fh_gc_stats stats = stats_now();
        assert_in_range(stats.blocks.live_bytes, 20 * 5000 * NODE, 20 * 5000 * NODE + 2000);
        assert_true(stats.table_bytes > 0);
        fh_gc_destroy(heap);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------------- */

static void json_expect(const char *json, const char *name, uint64_t value)
{
    char text[100];
    snprintf(text, sizeof text, "\"%s\":%llu", name, (unsigned long long)value);
    const char *found = strstr(json, text);
    if (found == NULL) fail_msg("no %s in %s", text, json);
    assert_true(found[strlen(text)] == ',' || found[strlen(text)] == '}');
}

static void test_space__json_says_the_same(void **state)
{
    (void)state;
    char json[8192];
    heap_new(FH_GC_GENERATIONAL);
    nodes_new(30000);
    fh_gc_store(heap, &roots[1], fh_gc_new_bytes(heap, 70000));
    collect(heap);
    nodes_new(100);
    struct fh_gc_stats s = stats_now();
    size_t length = fh_gc_stats_json(heap, json, sizeof json);
    assert_int_equal(strlen(json), length);
    json_expect(json, "collections", 1);
    json_expect(json, "collections_call", 1);
    json_expect(json, "collections_limit", 0);
    json_expect(json, "blocks_count", s.blocks.count);
    json_expect(json, "blocks_bytes", s.blocks.bytes);
    json_expect(json, "blocks_live_bytes", s.blocks.live_bytes);
    json_expect(json, "blocks_garbage_bytes", s.blocks.garbage_bytes);
    json_expect(json, "blocks_hole_bytes", s.blocks.hole_bytes);
    json_expect(json, "blocks_free_bytes", s.blocks.free_bytes);
    json_expect(json, "large_count", 1);
    json_expect(json, "large_live_bytes", 70000);
    json_expect(json, "large_hole_bytes", s.large.hole_bytes);
    json_expect(json, "metadata_bytes", s.metadata_bytes);
    json_expect(json, "table_bytes", s.table_bytes);
    json_expect(json, "last_why", FH_GC_WHY_CALL);
    json_expect(json, "pauses", s.pauses.count);
    json_expect(json, "pause_max_ns", s.pauses.max_ns);
    json_expect(json, "utilisation_1ms_permille", s.utilisation_permille[0]);
    json_expect(json, "utilisation_100ms_permille", s.utilisation_permille[2]);
    fh_gc_destroy(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space__blocks_of_a_known_heap),
        cmocka_unit_test(test_space__medium_objects),
        cmocka_unit_test(test_space__large_objects),
        cmocka_unit_test(test_space__large_types),
        cmocka_unit_test(test_space__every_policy_adds_up),
        cmocka_unit_test(test_space__json_says_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
