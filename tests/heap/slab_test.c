/*
 * Slabs of one thread, over os/fake: states, carving, borrowing, alignment, and blocks that nobody
 * allocated.
 *
 * What could break: a slab that is never looked at again although it has free blocks, one that goes
 * back while a block of it lives, a page touched before its blocks are wanted.
 */
#include "heap/slab.h"

#include <string.h>

#include <freehold/freehold.h>

#include "kit/options.h"
#include "kit/pattern.h"
#include "kit/resident.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/purger.h"

static const void *bad;
static unsigned bad_count;

static void record_bad(const char *caller, const void *p)
{
    (void)caller;
    bad = p;
    bad_count++;
}

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    heap_config.bad_pointer = record_bad;
    /* As in a heap that holds much, where every class has slabs of its own: see groups_test.c. */
    for (unsigned c = 1; c < CLASSES; c++) heap_self->bin[c].slabs++;
    return heap_self == &heap_none;
}

/* Every test begins and ends with a heap that holds nothing. */
static int empty(void **state)
{
    (void)state;
    fh_malloc_trim(0);
    bad_count = 0;
    return fh_registry.slabs != 0 || fh_registry.large_count != 0;
}

static struct span *slab_of(const void *p)
{
    return span_at(span_index_of(p));
}

/* ---- states ------------------------------------------------------------------------------------------ */

enum { SLABS = 3 };
static char *block[SLABS * SLICE_SIZE / 16 + 1];

/* Blocks for so many slabs, slab by slab. Returns how many. */
static unsigned fill_slabs(size_t size, unsigned slabs)
{
    unsigned blocks = class_facts[class_of(size)].blocks, n = 0;
    for (; n < slabs * blocks; n++) {
        block[n] = fh_malloc(size);
        assert_non_null(block[n]);
        assert_ptr_equal(slab_of(block[n]), slab_of(block[n / blocks * blocks]));
    }
    return blocks;
}

static void expect_states_of(size_t size)
{
    unsigned blocks = fill_slabs(size, SLABS), wake = class_facts[class_of(size)].wake;
    struct span *first = slab_of(block[0]);
    block[SLABS * blocks] = fh_malloc(size); /* takes the fourth as current */
    assert_int_equal(fh_registry.slabs, SLABS + 1);
    assert_int_equal(LOAD(&slab_of(block[SLABS * blocks])->state), FH_SLAB_CURRENT);
    assert_int_equal(LOAD(&first->state), FH_SLAB_FULL);
    assert_int_equal(slab_used(first), blocks);
    for (unsigned i = 0; i < wake; i++) {
        if (blocks > 1) assert_int_equal(LOAD(&first->state), FH_SLAB_FULL);
        fh_free(block[i]);
    }
    if (wake < blocks) {
        assert_int_equal(LOAD(&first->state), FH_SLAB_PARTIAL);
        assert_int_equal(slab_used(first), blocks - wake);
    }
    for (unsigned i = wake; i < blocks; i++) fh_free(block[i]);
    assert_int_not_equal(LOAD(&first->kind), FH_SPAN_SLAB);
    assert_int_equal(fh_registry.slabs, SLABS);
    for (unsigned i = blocks; i <= SLABS * blocks; i++) fh_free(block[i]);
}

static void test_slab__goes_from_current_to_full_to_partial_to_the_arena(void **state)
{
    for (unsigned c = 1; c < CLASSES; c++) {
        expect_states_of(class_facts[c].size);
        assert_int_equal(empty(state), 0);
    }
}

static void test_slab__freed_blocks_are_handed_out_before_new_memory(void **state)
{
    (void)state;
    for (size_t size = 16; size <= SLAB_MAX; size = size * 2 - size / 32 * 16) {
        unsigned blocks = fill_slabs(size, SLABS);
        uint64_t slabs = fh_registry.slabs;
        for (int round = 0; round < 5; round++) {
            for (unsigned i = 0; i < SLABS * blocks; i += 2) fh_free(block[i]);
            for (unsigned i = 0; i < SLABS * blocks; i += 2) block[i] = fh_malloc(size);
            assert_in_range(fh_registry.slabs, slabs, slabs + 1);
        }
        for (unsigned i = 0; i < SLABS * blocks; i++) fh_free(block[i]);
        assert_int_equal(empty(NULL), 0);
    }
}

static void test_slab__free_blocks_are_taken_before_a_page_is_carved(void **state)
{
    (void)state;
    unsigned some = 64, n = fill_slabs(256, 1);
    struct span *first = slab_of(block[0]);
    do block[n++] = fh_malloc(256);
    while (LOAD(&heap_self->head[class_of(256)]));
    assert_int_not_equal(slab_of(block[n - 1])->uncarved, 0);
    for (unsigned i = 0; i < some; i++) fh_free(block[i]);
    char *p = fh_malloc(256);
    assert_ptr_equal(slab_of(p), first);
    fh_free(p);
    for (unsigned i = some; i < n; i++) fh_free(block[i]);
}

/* ---- carving --------------------------------------------------------------------------------------------- */

static void test_slab__is_touched_a_page_at_a_time(void **state)
{
    (void)state;
    span_purge(0, NULL);
    char *first = fh_malloc(64);
    struct span *slab = slab_of(first);
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), CARVE_SIZE);
    for (unsigned i = 1; i < CARVE_SIZE / 64; i++) {
        block[i] = fh_malloc(64);
        assert_ptr_equal(block[i], first + 64 * i); /* neighbours together, in order */
    }
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), CARVE_SIZE);
    block[0] = fh_malloc(64);
    assert_ptr_equal(block[0], first + CARVE_SIZE);
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), 2 * CARVE_SIZE);
    fh_free(first);
    for (unsigned i = 0; i < CARVE_SIZE / 64; i++) fh_free(block[i]);
}

static void test_slab__all_blocks_of_all_classes_can_be_had(void **state)
{
    (void)state;
    for (unsigned c = 1; c < CLASSES; c++) {
        size_t size = class_facts[c].size;
        unsigned blocks = fill_slabs(size, 1);
        for (unsigned i = 0; i < blocks; i++) {
            size_t offset = (size_t)(block[i] - span_start(slab_of(block[i])));
            assert_int_equal(offset % size, 0);
            memset(block[i], (int)i, size);
        }
        for (unsigned i = 0; i < blocks; i++)
            assert_true(block[i][0] == (char)i && block[i][size - 1] == (char)i);
        for (unsigned i = 0; i < blocks; i++) fh_free(block[i]);
        assert_int_equal(empty(NULL), 0);
    }
}

/* What a descriptor said of runs means other things of a slab. */
static void test_slab__all_blocks_can_be_had_where_runs_were(void **state)
{
    (void)state;
    char *run = fh_malloc(60000);
    struct span *span = slab_of(run);
    assert_int_not_equal(span->shard, 0);
    fh_free(run);
    fh_malloc_trim(0);
    unsigned blocks = fill_slabs(256, 1);
    assert_ptr_equal(slab_of(block[0]), span);
    for (unsigned i = 0; i < blocks; i++) fh_free(block[i]);
}

/* Of 3072 bytes the second block lies in two pages. Its second page goes back when it is free, and
 * again when it was used once more meanwhile. */
static void test_slab__a_page_that_a_block_reaches_into_goes_back(void **state)
{
    (void)state;
    span_purge(0, NULL);
    char *first = memset(fh_malloc(3072), 1, 3072);
    char *start = span_start(slab_of(first));
    assert_ptr_equal(first, start);
    for (int round = 0; round < 3; round++) {
        char *second = memset(fh_malloc(3072), 1, 3072);
        assert_ptr_equal(second, first + 3072);
        assert_int_equal(resident_bytes(start, SLICE_SIZE), 2 * CARVE_SIZE);
        fh_free(second);
        heap_sweep(true);
        assert_int_equal(resident_bytes(start, SLICE_SIZE), CARVE_SIZE);
    }
    fh_free(first);
}

/* A slice that comes with another's pages keeps those it needs, though no block is free in its list. */
static void test_slab__pages_that_came_with_it_go_back(void **state)
{
    (void)state;
    unsigned blocks = fill_slabs(64, 1);
    struct span *slab = slab_of(block[0]);
    for (unsigned i = 0; i < blocks; i++) memset(block[i], 1, 64);
    for (unsigned i = 0; i < blocks; i++) fh_free(block[i]);
    heap_flush(heap_self);
    char *p = fh_malloc(64);
    assert_ptr_equal(slab_of(p), slab);
    assert_null(LOAD(&slab->free));
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), SLICE_SIZE);
    heap_sweep(true);
    assert_int_equal(resident_bytes(span_start(slab), SLICE_SIZE), 4 * CARVE_SIZE);
    fh_free(p);
}

/* Slabs of which a little is free, and nothing for the arena: still the purger has work to do. */
static void test_slab__a_free_in_many_starts_the_helper(void **state)
{
    (void)state;
    if (KIT_THREAD_SANITIZER) skip(); /* it cannot follow fake's coroutine */
    os_fake.helper = OS_FAKE_HELPER_WAITS;
    purger.enabled = true;
    unsigned blocks = fill_slabs(4096, HEAP_WORTH_SWEEPING);
    assert_int_equal(fh_registry.helper_running, 0);
    fh_free(block[0]);
    assert_int_equal(fh_registry.helper_running, 1);
    for (unsigned i = 1; i < HEAP_WORTH_SWEEPING * blocks; i++) fh_free(block[i]);
    while (os_fake_run_helper()) {
    }
    os_fake_reset();
}

static void test_slab__one_that_shrinks_to_less_than_half_moves(void **state)
{
    (void)state;
    static const size_t size[] = {8000, 30000, MIB};
    for (size_t i = 0; i < COUNT_OF(size); i++) {
        char *p = fh_malloc(size[i]);
        p = fh_realloc(p, size[i] / 2 + 1);
        assert_in_range(fh_malloc_usable_size(p), size[i] / 2 + 1, size[i] + 1024);
        p = fh_realloc(p, size[i] / 4);
        assert_in_range(fh_malloc_usable_size(p), size[i] / 4, size[i] / 2);
        fh_free(p);
    }
}

/* ---- alignment -------------------------------------------------------------------------------------------- */

static void test_slab__alignment_of_every_size(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 128 * KIB; alignment *= 2) {
        for (size_t size = 0; size <= 80000; size = size * 9 / 8 + 1) {
            void *p[3];
            for (int i = 0; i < 3; i++) {
                p[i] = fh_aligned_alloc(alignment, size);
                assert_non_null(p[i]);
                assert_int_equal((uintptr_t)p[i] % alignment, 0);
                assert_true(fh_malloc_usable_size(p[i]) >= size);
            }
            for (int i = 0; i < 3; i++) fh_free(p[i]);
        }
    }
}

/* Holes of every other class lie about, which a smaller class may borrow. */
static void test_slab__alignment_where_slabs_are_borrowed(void **state)
{
    (void)state;
    static char *hole[CLASSES][64];
    for (unsigned c = 1; c < CLASSES; c++)
        for (int i = 0; i < 64; i++) hole[c][i] = fh_malloc(class_facts[c].size);
    for (unsigned c = 1; c < CLASSES; c++)
        for (int i = 1; i < 64; i++) fh_free(hole[c][i]);
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2)
        for (size_t size = alignment; size <= 4096; size += alignment)
            for (int i = 0; i < 4; i++) {
                void *p = fh_aligned_alloc(alignment, size);
                assert_int_equal((uintptr_t)p % alignment, 0);
                fh_free(p);
            }
    for (unsigned c = 1; c < CLASSES; c++) fh_free(hole[c][0]);
}

static uint64_t handed_out(unsigned size_class)
{
    uint64_t blocks[CLASSES];
    heap_allocated(heap_self, blocks);
    return blocks[size_class];
}

/* Counted is what a block is, not what it was asked for as. */
static void test_slab__borrowed_blocks_count_as_of_their_own_class(void **state)
{
    (void)state;
    unsigned small = class_of(160), large = class_of(256), blocks = fill_slabs(256, 2);
    for (unsigned i = 0; i < blocks - 1; i++) fh_free(block[i]);
    uint64_t small_before = handed_out(small);
    uint64_t large_before = handed_out(large);
    void *p = fh_malloc(160);
    assert_int_equal(fh_malloc_usable_size(p), 256);
    assert_int_equal(handed_out(small), small_before); /* while the list lends them, */
    assert_int_equal(handed_out(large), large_before + 1);
    fh_malloc_trim(0); /* and when no list hides a block */
    assert_int_equal(handed_out(small), small_before);
    assert_int_equal(handed_out(large), large_before + 1);
    fh_free(p);
    for (unsigned i = blocks - 1; i < 2 * blocks; i++) fh_free(block[i]);
}

/* A current slab, borrowed, of which all blocks are free again goes back; and who borrowed it must not
 * allocate from it any more. */
static void test_slab__a_borrowed_one_that_is_free_goes_back(void **state)
{
    (void)state;
    unsigned small = class_of(160), blocks = fill_slabs(256, 2);
    struct span *borrowed = slab_of(block[0]);
    for (unsigned i = 0; i < blocks - 1; i++) fh_free(block[i]);
    for (unsigned i = 0; i < blocks - 1; i++) {
        block[i] = fh_malloc(160);
        assert_ptr_equal(slab_of(block[i]), borrowed);
    }
    assert_null(LOAD(&heap_self->head[small]));
    assert_int_equal(heap_self->bin[small].current, span_index(borrowed));
    for (unsigned i = 0; i < blocks; i++) fh_free(block[i]);
    assert_int_equal(LOAD(&borrowed->state), FH_SLAB_CURRENT);
    heap_sweep(true);
    assert_int_not_equal(LOAD(&borrowed->kind), FH_SPAN_SLAB);
    assert_int_equal(heap_self->bin[small].current, 0);
    for (unsigned i = blocks; i < 2 * blocks; i++) fh_free(block[i]);
}

static void test_slab__allocated_is_what_was_handed_out(void **state)
{
    (void)state;
    uint64_t before = handed_out(class_of(512));
    for (unsigned i = 0; i < 20; i++) {
        block[i] = fh_malloc(512);
        assert_int_equal(handed_out(class_of(512)), before + i + 1);
    }
    for (unsigned i = 0; i < 20; i++) fh_free(block[i]);
    fh_malloc_trim(0);
    assert_int_equal(handed_out(class_of(512)), before + 20);
}

/* ---- what is no block ----------------------------------------------------------------------------------------- */

static void expect_bad(const void *p)
{
    bad = NULL;
    assert_int_equal(fh_malloc_usable_size(p), 0);
    assert_ptr_equal(bad, p);
    assert_null(fh_realloc((void *)(uintptr_t)p, 100));
}

static void test_slab__what_is_no_block_is_told(void **state)
{
    (void)state;
    char local, *p = fh_malloc(100), *large = fh_malloc(1 << 20), *run = fh_malloc(20000);
    char *slack = fh_malloc(3072); /* of these a slab holds 21, and 1024 bytes are left */
    expect_bad(&local);
    expect_bad(&bad);
    expect_bad((void *)16);
    expect_bad((void *)UINTPTR_MAX);
    expect_bad((void *)arena.base);
    expect_bad((void *)(arena.base + arena.size - 1));
    expect_bad(p + 1);
    expect_bad(p + 16);
    expect_bad(large + 4096);
    expect_bad(large + 65536);
    expect_bad(run + 1);
    expect_bad(run + 1024);
    expect_bad(span_start(slab_of(slack)) + 21 * 3072);
    assert_int_equal(bad_count, 26);
    fh_free(slack);
    fh_free(run);
    expect_bad(run);
    fh_free(large);
    expect_bad(large);
    fh_free(p);
}

static void test_slab__double_frees_of_runs_and_large_blocks_are_told(void **state)
{
    (void)state;
    char *large = fh_malloc(1 << 20), *run = fh_malloc(20000), *beside = fh_malloc(20000);
    fh_free(large);
    fh_free(large);
    assert_int_equal(bad_count, 1);
    fh_free(run);
    fh_free(run);
    assert_int_equal(bad_count, 2);
    fh_free(beside);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, empty, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_slab__goes_from_current_to_full_to_partial_to_the_arena),
        CASE(test_slab__freed_blocks_are_handed_out_before_new_memory),
        CASE(test_slab__free_blocks_are_taken_before_a_page_is_carved),
        CASE(test_slab__is_touched_a_page_at_a_time),
        CASE(test_slab__all_blocks_of_all_classes_can_be_had),
        CASE(test_slab__all_blocks_can_be_had_where_runs_were),
        CASE(test_slab__a_page_that_a_block_reaches_into_goes_back),
        CASE(test_slab__pages_that_came_with_it_go_back),
        CASE(test_slab__a_free_in_many_starts_the_helper),
        CASE(test_slab__one_that_shrinks_to_less_than_half_moves),
        CASE(test_slab__alignment_of_every_size),
        CASE(test_slab__alignment_where_slabs_are_borrowed),
        CASE(test_slab__borrowed_blocks_count_as_of_their_own_class),
        CASE(test_slab__a_borrowed_one_that_is_free_goes_back),
        CASE(test_slab__allocated_is_what_was_handed_out),
        CASE(test_slab__what_is_no_block_is_told),
        CASE(test_slab__double_frees_of_runs_and_large_blocks_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
