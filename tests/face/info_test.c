/*
 * The statistics under glibc's names, which must tell the truth: a program that watches mallinfo2 sees
 * what it holds come and go, and malloc_trim says whether it returned anything.
 *
 * Linked to the shared library: these names exist only there.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "kit/child.h"
#include "kit/unit.h"

enum { N = 10000 };

static char *block[N];

static void allocate(size_t size)
{
    for (int i = 0; i < N; i++) memset(block[i] = malloc(size), 1, size);
}

static void release(void)
{
    for (int i = 0; i < N; i++) free(block[i]);
}

static void test_mallinfo2__counts_small_blocks(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    allocate(250); /* blocks of 256 bytes */
    struct mallinfo2 full = mallinfo2();
    assert_in_range(full.uordblks - before.uordblks, N * 256, N * 256 + 4096);
    assert_true(full.arena >= full.uordblks);
    assert_int_equal(full.arena, full.uordblks + full.fordblks);
    assert_true(full.ordblks > 0);
    release();
    struct mallinfo2 after = mallinfo2();
    assert_in_range(after.uordblks, 0, before.uordblks + 4096);
    assert_true(after.fordblks > before.fordblks);
}

static void test_mallinfo2__counts_large_blocks(void **state)
{
    (void)state;
    struct mallinfo2 before = mallinfo2();
    void *p = malloc(5 << 20), *q = malloc(7 << 20);
    struct mallinfo2 full = mallinfo2();
    assert_int_equal(full.hblks - before.hblks, 2);
    assert_int_equal(full.hblkhd - before.hblkhd, 12 << 20);
    free(p);
    free(q);
    assert_int_equal(mallinfo2().hblks, before.hblks);
    assert_int_equal(mallinfo2().hblkhd, before.hblkhd);
}

static void test_mallinfo__does_not_wrap(void **state)
{
    (void)state;
    void *p = malloc((size_t)5 << 30);
    assert_non_null(p);
    struct mallinfo info = mallinfo();
    assert_int_equal(info.hblkhd, INT32_MAX);
    assert_true(info.uordblks >= 0 && info.arena >= 0);
    free(p);
}

static void test_malloc_trim__says_whether_it_returned_anything(void **state)
{
    (void)state;
    malloc_trim(0);
    allocate(500);
    release();
    assert_true(mallinfo2().fordblks > 4 << 20);
    assert_int_equal(malloc_trim(0), 1);
    assert_true(mallinfo2().fordblks < 1 << 20);
    assert_int_equal(mallinfo2().keepcost, 0);
    int more = 0;
    while (more < 10 && malloc_trim(0) == 1) more++;
    assert_in_range(more, 0, 9); /* there is an end to it */
}

static void test_mallopt__does_what_it_says(void **state)
{
    (void)state;
    char text[8];
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, -1), 1); /* never trim */
    assert_int_equal(fh_option_get("purge", text, sizeof text), 0);
    assert_string_equal(text, "0");
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 128 * 1024), 1);
    assert_int_equal(fh_option_get("purge", text, sizeof text), 0);
    assert_string_equal(text, "1");
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 1), 0); /* there is no such thing here */
    assert_int_equal(mallopt(12345, 1), 0);
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

static void test_malloc_info__is_xml(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    void *p = malloc(3 << 20);
    FILE *file = open_memstream(&text, &length);
    assert_int_equal(malloc_info(0, file), 0);
    fclose(file);
    assert_ptr_equal(strstr(text, "<malloc version=\"freehold-"), text);
    assert_non_null(strstr(text, "<total type=\"large\" size=\"3145728\"/>"));
    assert_non_null(strstr(text, "</heap>\n</malloc>\n"));
    assert_int_equal(count_of(text, "<"), count_of(text, ">"));
    assert_int_equal(count_of(text, "\"") % 2, 0);
    assert_int_equal(malloc_info(1, stderr), EINVAL);
    free(text);
    free(p);
}

static void print_stats(void *unused)
{
    (void)unused;
    void *volatile p = malloc(3 << 20);
    malloc_stats();
    free(p);
}

static void test_malloc_stats__says_what_each_number_is(void **state)
{
    (void)state;
    struct child_end end = child_run(print_stats, NULL);
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.said, "freehold: live"));
    assert_non_null(strstr(end.said, "3.0 MiB"));
    assert_true(count_of(end.said, "\n") <= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mallinfo2__counts_small_blocks),
        cmocka_unit_test(test_mallinfo2__counts_large_blocks),
        cmocka_unit_test(test_mallinfo__does_not_wrap),
        cmocka_unit_test(test_malloc_trim__says_whether_it_returned_anything),
        cmocka_unit_test(test_mallopt__does_what_it_says),
        cmocka_unit_test(test_malloc_info__is_xml),
        cmocka_unit_test(test_malloc_stats__says_what_each_number_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
