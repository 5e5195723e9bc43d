/*
 * The parsers and sums under check, compare and map. What could break: a text that ends where a number
 * should, a unit that overflows, a field of no mapping, a median of nothing, a verdict that noise makes.
 * Inputs are in buffers of exactly their size, so that the address sanitizer sees a step too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/amount.h"
#include "../../cli/compare.h"
#include "../../cli/fields.h"
#include "../../cli/ledger.h"
#include "../../cli/xml.h"

/* ---- amounts ---------------------------------------------------------------------------------- */

static void test_amount__reads_what_people_write(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"64M", 64 << 20},
        {"64MB", 64 << 20},
        {"64MiB", 64 << 20},
        {"64mib", 64 << 20},
        {"1.5k", 1536},
        {"0.1G", 107374182},
        {"10B", 10},
        {"1T", 1ull << 40},
        {"15.9E", 18331451923248866918ull},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 77;
        assert_true(amount_bytes(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    uint64_t count;
    assert_true(amount_count("10k", &count));
    assert_int_equal(count, 10000);
    assert_true(amount_count("2.5M", &count));
    assert_int_equal(count, 2500000);
}

static void test_amount__refuses_the_rest(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "K",
        "-1",
        "+1",
        "1.",
        ".5",
        "1.2.3",
        "1 M",
        "1MM",
        "1iB",
        "1KBB",
        "0x10",
        "1e3",
        "16E",
        "99999999999G",
        "18446744073709551616",
        "1Kx",
        "1.1234567890",
    };
    uint64_t n;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(amount_bytes(wrong[i], &n));
    assert_false(amount_count("10KiB", &n));
    assert_false(amount_count("10kB", &n));
    assert_false(amount_count("10B", &n));
}

/* ---- fields ----------------------------------------------------------------------------------- */

static bool number_in(const char *text, const char *key, uint64_t *number)
{
    size_t size = strlen(text);
    char *exact = malloc(size + !size);
    memcpy(exact, text, size);
    bool found = field_number(exact, size, key, number);
    free(exact);
    return found;
}

static void test_fields__finds_the_line_and_its_unit(void **state)
{
    (void)state;
    static const char status[] = "Name:\tVmRSS: 1\nVmHWM:\t    1764 kB\nThreads:\t12\nVmRSS:\t8 kB";
    uint64_t n = 0;
    assert_true(number_in(status, "VmHWM", &n));
    assert_int_equal(n, 1764 * 1024);
    assert_true(number_in(status, "Threads", &n));
    assert_int_equal(n, 12);
    assert_true(number_in(status, "VmRSS", &n));
    assert_int_equal(n, 8192);
    assert_false(number_in(status, "Name", &n));
    assert_false(number_in(status, "Vm", &n));
    assert_false(number_in("", "Vm", &n));
    assert_false(number_in("VmHWM", "VmHWM", &n));
    assert_false(number_in("VmHWM:", "VmHWM", &n));
    assert_false(number_in("VmHWM: 99999999999999999999 kB", "VmHWM", &n));
    assert_false(number_in("VmHWM: 18446744073709551615 kB", "VmHWM", &n));
    assert_true(number_in("VmHWM: 3 kB", "VmHWM", &n));
    assert_int_equal(n, 3072);
}

static void test_fields__knows_what_this_process_has_resident(void **state)
{
    (void)state;
    struct resident r = resident_read(getpid());
    assert_true(r.now > 100 * 1024 && r.most >= r.now);
    r = resident_read(4194305);
    assert_int_equal(r.now, 0);
}

/* ---- smaps ------------------------------------------------------------------------------------ */

static struct smaps parse_smaps(const char *text)
{
    struct smaps smaps = {0};
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *exact = malloc(length + !length);
        memcpy(exact, text, length);
        smaps_line(&smaps, exact, length);
        free(exact);
        text += length + (text[length] != 0);
    }
    return smaps;
}

static void test_smaps__takes_mappings_and_their_fields(void **state)
{
    (void)state;
    struct smaps s = parse_smaps("1000-3000 r-xp 00002000 fd:01 77    /usr/lib/a b.so\n"
                                 "Size:                  8 kB\n"
                                 "Rss:                   4 kB\n"
                                 "Shared_Clean:          1 kB\n"
                                 "Shared_Dirty:          2 kB\n"
                                 "AnonHugePages:      2048 kB\n"
                                 "VmFlags: rd ex mr mw me gd \n"
                                 "3000-4000 rw-p 00003000 fd:01 77    /usr/lib/a b.so\n"
                                 "Rss:                   8 kB\n"
                                 "Private_Hugetlb:       3 kB\n"
                                 "VmFlags: rd wr gdx\n"
                                 "7ffe0000-7fff0000 rw-p 0 00:00 0\n");
    assert_int_equal(s.count, 3);
    assert_int_equal(s.malformed, 0);
    assert_int_equal(s.list[0].rss, 4096);
    assert_int_equal(s.list[0].shared, 3072);
    assert_int_equal(s.list[0].huge, 2 << 20);
    assert_true(s.list[0].grows_down);
    assert_false(s.list[2].grows_down);
    assert_int_equal(s.list[1].rss, 8192);
    assert_int_equal(s.list[1].hugetlb, 3072);
    assert_string_equal(s.list[1].mapping.path, "/usr/lib/a b.so");
    assert_ptr_equal(s.list[0].mapping.path, s.list[1].mapping.path); /* kept once */
    assert_string_equal(s.list[2].mapping.path, "");
    assert_int_equal(smaps_find(&s, 0), 0);
    assert_int_equal(smaps_find(&s, 0x2fff), 0);
    assert_int_equal(smaps_find(&s, 0x3000), 1);
    assert_int_equal(smaps_find(&s, 0x5000), 2);
    assert_int_equal(smaps_find(&s, UINT64_MAX), 3);
    smaps_finish(&s);
}

static void test_smaps__counts_what_is_neither(void **state)
{
    (void)state;
    struct smaps s = parse_smaps(
        "Rss: 4 kB\njunk\n1000-2000 rw-p 0 0:0 0\nRss 4 kB\nRss: kB\n"
        "Rss: 99999999999999999999 kB\nRss: 18446744073709551615 kB\nVmFlags:\nVmFlags: g\n");
    assert_int_equal(s.count, 1);
    assert_int_equal(s.malformed, 3);
    assert_int_equal(s.list[0].rss, 0);
    smaps_finish(&s);
}

static void test_smaps__adds_up_for_this_process(void **state)
{
    (void)state;
    struct smaps s;
    uint64_t sum = 0;
    assert_true(smaps_read(&s, getpid()));
    for (size_t i = 0; i < s.count; i++) sum += s.list[i].rss;
    assert_int_equal(s.malformed, 0);
    assert_true(s.count > 10 && sum > 100 * 1024);
    smaps_finish(&s);
    assert_false(smaps_read(&s, 4194305));
    smaps_finish(&s);
}

/* ---- pages ------------------------------------------------------------------------------------ */

static void add_run(void *context, uint64_t start, uint64_t end)
{
    *(uint64_t *)context += end - start;
}

static void test_pages__both_ways_find_the_same(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 64 * page;
    char *p = aligned_alloc(page, size);
    struct pages pages;
    uint64_t scanned = 0, read = 0, start = (uintptr_t)p;
    assert_true(pages_open(&pages, getpid()));
    memset(p, 1, size);
    assert_true(pages_each(&pages, start, start + size, add_run, &scanned));
    pages.scan = false;
    assert_true(pages_each(&pages, start, start + size, add_run, &read));
    assert_int_equal(scanned, size);
    assert_int_equal(read, size);
    pages_close(&pages);
    assert_false(pages_open(&pages, 4194305));
    free(p);
}

/* Own pages, pages of a file, one that was never touched; [0] private, [1] of the file. */
static void test_pages__held_are_those_that_a_copy_needs(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 8 * page;
    FILE *file = tmpfile();
    assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file), 0);
    struct pages pages;
    assert_true(p != MAP_FAILED && pages_open(&pages, getpid()));
    p[0] = p[page] = p[5 * page] = 1;
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(((volatile char *)p)[i * page], i < 2 || i == 5);
    for (int scan = 0; scan <= pages.scan; scan++) {
        struct pages way = pages;
        uint64_t own = 0, all = 0, start = (uintptr_t)p, at = start;
        way.scan = scan;
        assert_true(pages_each_held(&way, PAGES_OWN, &at, start + size, add_run, &own));
        assert_int_equal(at, start + size);
        assert_int_equal(own, 3 * page);
        at = start;
        assert_true(pages_each_held(&way, PAGES_SWAPPED, &at, start + size, add_run, &all));
        assert_true(all >= 7 * page);
    }
    pages_close(&pages);
    munmap(p, size);
    fclose(file);
}

/* ---- threads ---------------------------------------------------------------------------------- */

static void test_stack_pointer__is_the_word_before_the_last(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t pointer; /* 0: none */
    } cases[] = {
        {"202 0x7f00 0x1 0x2 0x3 0x4 0x5 0x7ffe10 0x7f55\n", 0x7ffe10},
        {"-1 0x7ffe20 0x7f55\n", 0x7ffe20},
        {"running\n", 0},
        {"", 0},
        {"\n", 0},
        {"0x10", 0},
        {"0x 0x", 0},
        {"x10 0x20", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t pointer = 0;
        size_t size = strlen(cases[i].text);
        char *exact = malloc(size + !size);
        memcpy(exact, cases[i].text, size);
        assert_int_equal(stack_pointer_parse(exact, size, &pointer), cases[i].pointer != 0);
        if (cases[i].pointer) assert_int_equal(pointer, cases[i].pointer);
        free(exact);
    }
}

/* ---- XML -------------------------------------------------------------------------------------- */

static void assert_xml(const char *text, const char *expected)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    xml_text(out, text);
    fclose(out);
    assert_string_equal(written, expected);
    free(written);
}

static void test_xml__writes_only_what_xml_can_say(void **state)
{
    (void)state;
    assert_xml("a<b>&\"'\n\t", "a&lt;b&gt;&amp;&quot;&apos;&#10;&#9;");
    assert_xml("\xc3\xa4\xf0\x9f\x98\x80", "\xc3\xa4\xf0\x9f\x98\x80");
    assert_xml("\033\177\xff\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

/* ---- the comparison's verdict ------------------------------------------------------------------ */

enum { ROUNDS = 5 };

struct stand {
    struct compare compare;
    struct sample samples[3][ROUNDS];
};

/* Three candidates that are all alike: 100 ms and 10 MB. */
static struct stand *stand_make(void)
{
    struct stand *s = calloc(1, sizeof *s);
    s->compare.count = 3;
    s->compare.rounds = s->compare.done = ROUNDS;
    for (int c = 0; c < 3; c++) {
        s->compare.candidates[c].samples = s->samples[c];
        for (int i = 0; i < ROUNDS; i++)
            s->samples[c][i] =
                (struct sample){.good = true, .ns = 100000000, .peak = 10000000, .end = 5000000};
    }
    return s;
}

static void test_compare__of_equals_none_is_best(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    assert_true(s->compare.candidates[1].time_ratio.median == 1 &&
                s->compare.candidates[2].score.high == 1);
    free(s);
}

static void test_compare__best_is_who_is_better_round_by_round(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    for (int i = 0; i < ROUNDS; i++) { /* a machine that gets slower: the ratios stay */
        for (int c = 0; c < 3; c++) s->samples[c][i].ns *= (uint64_t)i + 1;
        s->samples[1][i].ns = s->samples[1][i].ns * 8 / 10;
        s->samples[2][i].ns = s->samples[2][i].ns * 9 / 10;
        s->samples[2][i].peak = 12000000;
    }
    compare_judge(&s->compare);
    assert_ptr_equal(s->compare.best, &s->compare.candidates[1]);
    assert_true(s->compare.candidates[1].time_ratio.low > 0.79 &&
                s->compare.candidates[1].time_ratio.high < 0.81);
    assert_true(s->compare.candidates[0].ns.median == 300000000 &&
                s->compare.candidates[0].ns.low == 200000000);
    free(s);
}

static void test_compare__who_is_not_beaten_is_as_good(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    for (int i = 0; i < ROUNDS; i++) {
        s->samples[1][i].ns = 50000000;
        s->samples[2][i].ns = i % 2 ? 49000000 : 52000000;
    }
    compare_judge(&s->compare);
    assert_ptr_equal(s->compare.best, &s->compare.candidates[1]);
    assert_true(s->compare.candidates[2].as_good);
    assert_false(s->compare.candidates[1].as_good);
    for (int i = 0; i < ROUNDS; i++) s->samples[2][i].ns = 60000000;
    compare_judge(&s->compare);
    assert_false(s->compare.candidates[2].as_good);
    free(s);
}

static void test_compare__better_in_half_of_the_rounds_is_not_better(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    s->samples[1][0].ns = s->samples[1][1].ns = s->samples[1][2].ns = 50000000;
    s->samples[1][3].ns = s->samples[1][4].ns = 110000000;
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    free(s);
}

static void test_compare__less_time_for_more_work_is_luck(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    for (int i = 0; i < ROUNDS; i++) {
        s->samples[0][i].cpu_ns = s->samples[2][i].cpu_ns = 10000000;
        s->samples[1][i].cpu_ns = 13000000;
        s->samples[1][i].ns = 42000000;
    }
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    assert_true(s->compare.candidates[1].time_ratio.median < 0.5);
    free(s);
}

static void test_compare__two_rounds_are_too_few(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    for (int i = 0; i < ROUNDS; i++) s->samples[1][i].ns = 50000000;
    s->compare.done = 2;
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    s->compare.done = 3;
    compare_judge(&s->compare);
    assert_ptr_equal(s->compare.best, &s->compare.candidates[1]);
    free(s);
}

static void test_compare__who_fails_is_not_best(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    for (int i = 0; i < ROUNDS; i++) s->samples[1][i].ns = s->samples[2][i].ns = 50000000;
    s->samples[1][3].good = false;
    s->samples[2][2].output = 1;
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    assert_int_equal(s->compare.candidates[1].ns.count, ROUNDS - 1);
    assert_int_equal(s->compare.candidates[2].other_output, 1);
    s->samples[0][1].output = 2; /* the program differs from itself: that says nothing */
    s->compare.candidates[2].other_output = 0;
    compare_judge(&s->compare);
    assert_ptr_equal(s->compare.best, &s->compare.candidates[2]);
    free(s);
}

static void test_compare__no_round_is_no_verdict(void **state)
{
    (void)state;
    struct stand *s = stand_make();
    s->compare.done = 0;
    compare_judge(&s->compare);
    assert_null(s->compare.best);
    assert_int_equal(s->compare.candidates[0].ns.count, 0);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amount__reads_what_people_write),
        cmocka_unit_test(test_amount__refuses_the_rest),
        cmocka_unit_test(test_fields__finds_the_line_and_its_unit),
        cmocka_unit_test(test_fields__knows_what_this_process_has_resident),
        cmocka_unit_test(test_smaps__takes_mappings_and_their_fields),
        cmocka_unit_test(test_smaps__counts_what_is_neither),
        cmocka_unit_test(test_smaps__adds_up_for_this_process),
        cmocka_unit_test(test_pages__both_ways_find_the_same),
        cmocka_unit_test(test_pages__held_are_those_that_a_copy_needs),
        cmocka_unit_test(test_stack_pointer__is_the_word_before_the_last),
        cmocka_unit_test(test_xml__writes_only_what_xml_can_say),
        cmocka_unit_test(test_compare__of_equals_none_is_best),
        cmocka_unit_test(test_compare__best_is_who_is_better_round_by_round),
        cmocka_unit_test(test_compare__who_is_not_beaten_is_as_good),
        cmocka_unit_test(test_compare__better_in_half_of_the_rounds_is_not_better),
        cmocka_unit_test(test_compare__less_time_for_more_work_is_luck),
        cmocka_unit_test(test_compare__two_rounds_are_too_few),
        cmocka_unit_test(test_compare__who_fails_is_not_best),
        cmocka_unit_test(test_compare__no_round_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
