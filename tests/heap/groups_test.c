/*
 * Classes that share slabs while a heap is small, over os/fake.
 *
 * What could break: a small heap that pays a page for every class; a large one whose blocks stay larger
 * than asked for; alignment that a class's size promises and its group's does not; a realloc that moves
 * a block to a place of the same size.
 */
#include <string.h>

#include <freehold/freehold.h>

#include "heap/slab.h"
#include "kit/resident.h"
#include "kit/unit.h"
#include "os/fake/fake.h"

static int fresh(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    fh_malloc_trim(0);
    return fh_registry.slabs != 0;
}

static size_t resident_slabs(void)
{
    uint32_t first = arena.first, slices = (uint32_t)fh_registry.high - first;
    return resident_bytes(span_start(span_at(first)), (size_t)slices << SLICE_SHIFT);
}

static void test_groups__few_blocks_of_many_sizes_take_few_pages(void **state)
{
    (void)state;
    void *p[65];
    for (unsigned i = 1; i <= 64; i++) p[i] = fh_malloc(i * 16);
    assert_in_range(resident_slabs(), 1,
                    20 * CARVE_SIZE); /* 33 KiB asked for; by classes 64 pages */
    for (unsigned i = 1; i <= 64; i++) assert_true(fh_malloc_usable_size(p[i]) >= i * 16);
    for (unsigned i = 1; i <= 64; i++) fh_free(p[i]);
}

static void test_groups__the_first_page_of_each_serves_three_sizes(void **state)
{
    (void)state;
    static const size_t size[] = {24, 40, 100, 200, 250, 600, 900};
    void *p[COUNT_OF(size)];
    for (size_t i = 0; i < COUNT_OF(size); i++) p[i] = fh_malloc(size[i]);
    assert_in_range(resident_slabs(), 1, 3 * CARVE_SIZE);
    for (size_t i = 0; i < COUNT_OF(size); i++) fh_free(p[i]);
}

/* Of which there are many, a class has its own slabs: no more than 2.5 % is wasted in the mean. */
static void test_groups__a_class_of_many_parts_from_its_group(void **state)
{
    (void)state;
    enum { MANY = 40000 };
    static void *p[MANY];
    size_t asked = 0, given = 0;
    for (unsigned i = 0; i < MANY; i++) {
        size_t size = 257 + i * 7919u % 768;
        p[i] = fh_malloc(size);
        if (i < MANY / 2) continue;
        asked += size;
        given += fh_malloc_usable_size(p[i]);
    }
    assert_in_range(given, asked, asked * 103 / 100);
    for (unsigned i = 0; i < MANY; i++) fh_free(p[i]);
}

static void test_groups__wait_till_the_group_is_large(void **state)
{
    (void)state;
    enum { FEW = 400 };
    static void *p[FEW];
    for (unsigned i = 0; i < FEW; i++) p[i] = fh_malloc(520); /* 200 KiB: two to a doubling */
    assert_int_equal(fh_malloc_usable_size(p[FEW - 1]), 768);
    for (unsigned i = 0; i < FEW; i++) fh_free(p[i]);
}

/* 256 serves 80 as long as its first page has blocks; then it is 96, one of two to a doubling. */
static void test_groups__part_with_the_first_page(void **state)
{
    (void)state;
    enum { PAGE = CARVE_SIZE / 256 };
    void *p[PAGE + 1];
    for (unsigned i = 0; i <= PAGE; i++) {
        p[i] = fh_malloc(80);
        assert_int_equal(fh_malloc_usable_size(p[i]), i < PAGE ? 256 : 96);
    }
    for (unsigned i = 0; i <= PAGE; i++) fh_free(p[i]);
}

/* The table in slab.c: two to a doubling while there are 8 slabs, four while there are 16. */
static void test_groups__part_at_the_numbers_said(void **state)
{
    (void)state;
    enum { MOST = 4000 };
    static void *p[MOST];
    static const struct {
        size_t usable;
        uint32_t slabs;
    } step[] = {{768, 8}, {640, 16}};
    unsigned n = 0;
    p[n++] = fh_malloc(520);
    while (fh_malloc_usable_size(p[n - 1]) > 768) p[n++] = fh_malloc(520);
    for (size_t i = 0; i < COUNT_OF(step); i++) {
        while (fh_malloc_usable_size(p[n - 1]) == step[i].usable) p[n++] = fh_malloc(520);
        assert_int_equal(heap_self->bin[class_of(step[i].usable)].slabs, step[i].slabs);
    }
    assert_int_equal(fh_malloc_usable_size(p[n - 1]), 528);
    while (n > 0) fh_free(p[--n]);
}

static void test_groups__keep_alignment(void **state)
{
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        for (size_t size = 1; size <= 4096; size += 16) {
            void *p = fh_aligned_alloc(alignment, size);
            assert_int_equal((uintptr_t)p % alignment, 0);
            fh_free(p);
        }
        assert_int_equal(fresh(state), 0); /* as nothing of any class is left */
    }
}

static void test_groups__realloc_stays_where_it_would_get_no_less(void **state)
{
    (void)state;
    char *p = fh_malloc(80);
    size_t usable = fh_malloc_usable_size(p);
    assert_true(usable > 2 * 80);
    memset(p, 1, 80);
    for (size_t size = 80; size < usable; size++) assert_ptr_equal(fh_realloc(p, size), p);
    for (size_t size = usable; size > 70; size--) assert_ptr_equal(fh_realloc(p, size), p);
    fh_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_groups__few_blocks_of_many_sizes_take_few_pages, fresh),
        cmocka_unit_test_setup(test_groups__the_first_page_of_each_serves_three_sizes, fresh),
        cmocka_unit_test_setup(test_groups__a_class_of_many_parts_from_its_group, fresh),
        cmocka_unit_test_setup(test_groups__wait_till_the_group_is_large, fresh),
        cmocka_unit_test_setup(test_groups__part_with_the_first_page, fresh),
        cmocka_unit_test_setup(test_groups__part_at_the_numbers_said, fresh),
        cmocka_unit_test_setup(test_groups__keep_alignment, fresh),
        cmocka_unit_test_setup(test_groups__realloc_stays_where_it_would_get_no_less, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
