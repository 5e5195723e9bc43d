/*
 * What a report says, over os/fake: the numbers against those of a program that counts for itself.
 *
 * What could break: a class or a large block overlooked; the wrong order; a ledger that does not add up to what the
 * kernel counts; anything allocated on the way; a file that grows without end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "face/oom.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/purger.h"

static unsigned mallocs;

#ifdef COUNT_MALLOC
/* Every call of libc's own malloc in this program is counted; a sanitizer wants it for itself. */
void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    mallocs++;
    return __libc_malloc(size);
}
#endif

enum { SMALL = 30000, RUNS = 300, LARGE = 12 };

static void *small[SMALL], *run[RUNS], *large[LARGE];
static struct oom_census census;
static struct oom_ledger ledger;

static int fill(void **state)
{
    (void)state;
    purger.enabled = false;
    for (int i = 0; i < SMALL; i++) small[i] = memset(fh_malloc(480), 1, 480);
    for (int i = 0; i < RUNS; i++) run[i] = memset(fh_malloc(20000), 1, 20000);
    for (int i = 0; i < LARGE; i++) large[i] = memset(fh_malloc((i + 1) * 100000), 1, 1000);
    return 0;
}

static int empty(void **state)
{
    (void)state;
    for (int i = 0; i < SMALL; i++) fh_free(small[i]);
    for (int i = 0; i < RUNS; i++) fh_free(run[i]);
    for (int i = 0; i < LARGE; i++) fh_free(large[i]);
    fh_malloc_trim(0);
    return 0;
}

static void test_report__the_census_is_what_the_program_holds(void **state)
{
    (void)state;
    struct fh_usage usage;
    oom_census(&census);
    fh_usage_get(&usage);
    /* Some wait in the thread's list; the first lay in slabs of larger classes. */
    assert_in_range(census.group[30].count, SMALL / 10 * 9, SMALL + 40);
    assert_int_equal(census.group[30].live, census.group[30].count * 480);
    assert_int_equal(oom_group_size(30), 480);
    assert_int_equal(census.group[CLASSES + 19].count, RUNS); /* 20 granules */
    assert_int_equal(oom_group_size(CLASSES + 19), 20480);
    assert_int_equal(census.group[OOM_LARGE].count, LARGE);
    assert_ptr_equal(census.largest[0].start, large[LARGE - 1]);
    for (int i = 1; i < OOM_LARGEST; i++)
        assert_true(census.largest[i - 1].bytes >= census.largest[i].bytes);
    assert_int_equal(census.live, usage.live + usage.thread_lists);
    assert_int_equal(census.free, usage.free_in_slabs);
    assert_int_equal(census.dirty, usage.dirty);
}

/* Large blocks are touched at their beginning only: resident is what was. */
static void test_report__the_ledger_adds_up(void **state)
{
    (void)state;
    uint64_t sum = 0;
    oom_ledger(&ledger); /* its own pages are there from now on */
    oom_ledger(&ledger);
    for (int o = 0; o < OWNERS; o++) sum += ledger.owner[o];
    assert_int_equal((int64_t)(ledger.resident - sum), ledger.rest);
    assert_false(ledger.cut);
    assert_true(ledger.rest < 1 << 20 && ledger.rest > -(1 << 20));
    uint64_t live = (uint64_t)SMALL * 480 + (uint64_t)RUNS * 20480;
    assert_in_range(ledger.owner[OWN_LIVE], live, live + (2 << 20));
    assert_true(ledger.owner[OWN_STACK] > 0);
    assert_true(ledger.owner[OWN_CODE] > 0);
}

/* ---- the text --------------------------------------------------------------------------------------- */

static char text[1 << 16];

static int open_file(void)
{
    char path[] = "/tmp/report_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    return fd;
}

static const struct oom_reason reason = {OOM_MAX, {57 << 20, 64 << 20}, "/sys/fs/cgroup/some", 0};

static void report(int fd)
{
    oom_report(fd, &reason, NULL);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = 0;
}

/* Lines of a table "  NAME  BYTES ..."; the first column may be of several words. */
static long long value_of(const char *name)
{
    char line[64];
    snprintf(line, sizeof line, "\n  %s ", name);
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtoll(at + strlen(line), NULL, 10);
}

static void test_report__says_why_and_the_largest_first(void **state)
{
    (void)state;
    int fd = open_file();
    report(fd);
    assert_ptr_equal(strstr(text, OOM_MAGIC), text);
    assert_non_null(strstr(text, "limit comes near: 57.0 MiB of 64.0 MiB, /sys/fs/cgroup/some\n"));
    const char *table = strstr(text, "bytes free");
    assert_non_null(table);
    long long first = 0, last = 1ll << 62;
    for (const char *line = strchr(table, '\n') + 1; strncmp(line, "  others", 8) != 0;
         line = strchr(line, '\n') + 1) {
        if (strncmp(line, "  the largest", 13) == 0) break;
        char size[20];
        long long live;
        assert_int_equal(sscanf(line, " %19s %lld", size, &live), 2);
        if (first == 0) assert_string_equal(size, "480");
        first = live;
        assert_true(live <= last);
        last = live;
    }
    close(fd);
}

static void test_report__its_table_adds_up(void **state)
{
    (void)state;
    static const char *const rows[] = {"heap, in use", "heap, free", "heap, lists", "heap, own",
                                       "[heap]",       "stack",      "code",        "files",
                                       "anonymous",    "kernel",     "not found"};
    int fd = open_file();
    long long sum = 0;
    report(fd);
    char *part = strstr(text, ": resident, by owner\n");
    assert_non_null(part);
    memmove(text, part, strlen(part) + 1);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strstr(text, rows[i])) sum += value_of(rows[i]);
    if (strstr(text, "\n  heap, spans")) sum += value_of("heap, spans");
    if (strstr(text, "\n  stacks ")) sum += value_of("stacks");
    assert_int_equal(sum, value_of("sum"));
    close(fd);
}

/* ---- what it must not do ------------------------------------------------------------------------------ */

static void test_report__allocates_nothing(void **state)
{
    (void)state;
    int fd = open_file();
    oom_report(fd, &reason, NULL);
    struct fh_usage before, after;
    uint64_t requests = LOAD(&os_fake.requests);
    unsigned calls = mallocs;
    void *top = sbrk(0);
    fh_usage_get(&before);
    os_fake_refuse(1, OS_FAKE_ALL);
    oom_report(fd, &reason, NULL);
    os_fake_refuse(1, 0);
    STORE(&os_fake.refuse_from, 0);
    fh_usage_get(&after);
    assert_int_equal(LOAD(&os_fake.requests), requests);
    assert_int_equal(mallocs, calls);
    assert_ptr_equal(sbrk(0), top);
    assert_int_equal(before.live, after.live);
    close(fd);
}

static void test_report__trims_and_says_how_much(void **state)
{
    (void)state;
    int fd = open_file();
    for (int i = 0; i < SMALL; i++) {
        fh_free(small[i]);
        small[i] = NULL;
    }
    report(fd);
    assert_non_null(strstr(text, ": trimmed\n"));
    assert_true(value_of("given back") > SMALL * 480 / 2);
    assert_true(value_of("resident before") - value_of("resident after") > SMALL * 480 / 2);
    close(fd);
}

static unsigned told;
static void count_told(void)
{
    told++;
}

static void test_report__the_file_is_bounded(void **state)
{
    (void)state;
    struct stat status;
    int fd = open_file();
    for (int i = 0; i < 600; i++) {
        oom_report(fd, &reason, count_told);
        assert_int_equal(fstat(fd, &status), 0);
        assert_true(status.st_size <= OOM_FILE_MAX + (64 << 10));
    }
    assert_int_equal(told, 600);
    char start[64] = "";
    assert_true(pread(fd, start, sizeof start - 1, 0) > 0);
    assert_ptr_equal(strstr(start, OOM_MAGIC), start);
    close(fd);
}

static void test_report__nowhere_to_write_is_no_crash(void **state)
{
    (void)state;
    int full = open("/dev/full", O_RDWR);
    oom_report(full, &reason, count_told);
    oom_report(-1, &reason, count_told);
    close(full);
}

static void test_report__dates(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *date;
    } dates[] = {
        {0, "1970-01-01 00:00:00 UTC"},          {951782399, "2000-02-28 23:59:59 UTC"},
        {951782400, "2000-02-29 00:00:00 UTC"},  {1709164800, "2024-02-29 00:00:00 UTC"},
        {1735689599, "2024-12-31 23:59:59 UTC"}, {4107542400, "2100-03-01 00:00:00 UTC"},
    };
    for (size_t i = 0; i < COUNT_OF(dates); i++) {
        char date[40];
        struct text t = TEXT(date);
        oom_print_date(&t, dates[i].seconds);
        text_end(&t);
        assert_string_equal(date, dates[i].date);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report__the_census_is_what_the_program_holds),
        cmocka_unit_test(test_report__the_ledger_adds_up),
        cmocka_unit_test(test_report__says_why_and_the_largest_first),
        cmocka_unit_test(test_report__its_table_adds_up),
        cmocka_unit_test(test_report__allocates_nothing),
        cmocka_unit_test(test_report__trims_and_says_how_much),
        cmocka_unit_test(test_report__the_file_is_bounded),
        cmocka_unit_test(test_report__nowhere_to_write_is_no_crash),
        cmocka_unit_test(test_report__dates),
    };
    return cmocka_run_group_tests(tests, fill, empty);
}
