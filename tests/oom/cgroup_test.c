/*
 * The limits of a control group: lines as kernels and container engines write them, and directories made here.
 *
 * What could break: the wrong hierarchy; a group namespace; "max" and version 1's huge number for no limit taken for a
 * limit; file pages that count as if they could not go; the limit of an ancestor overlooked.
 */
#include "os/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/unit.h"

static int group(const char *line, const char **path)
{
    size_t at = 0;
    int version = cgroup_parse_group(line, strlen(line), &at);
    *path = line + at;
    return version;
}

static void test_cgroup__the_line_of_the_memory_controller(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int version;
        const char *path;
    } lines[] = {
        {"0::/", 2, "/"},
        {"0::/user.slice/user-0.slice", 2, "/user.slice/user-0.slice"},
        {"4:memory:/docker/abc", 1, "/docker/abc"},
        {"9:cpuset,memory,pids:/x:y", 1, "/x:y"},
        {"9:cpuset,memoryx:/x", 0, NULL},
        {"1:name=systemd:/", 0, NULL},
        {"0:cpu:/", 0, NULL},
        {"4:memory:", 0, NULL},
        {"4:memory:relative", 0, NULL},
        {"4:memory", 0, NULL},
        {":", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const char *path;
        assert_int_equal(group(lines[i].line, &path), lines[i].version);
        if (lines[i].version) assert_string_equal(path, lines[i].path);
    }
}

static bool mount(const char *line, int version, char *root, char *at)
{
    return cgroup_parse_mount(line, strlen(line), version, root, at);
}

static void test_cgroup__the_line_of_its_mount(void **state)
{
    (void)state;
    char root[CGROUP_PATH], at[CGROUP_PATH];
    const char *one = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory";
    const char *two =
        "30 23 0:26 /a\\040b /sys/fs/cg\\134x rw shared:4 master:1 - cgroup2 cgroup2 rw";
    assert_true(mount(one, 1, root, at));
    assert_string_equal(root, "/");
    assert_string_equal(at, "/sys/fs/cgroup/memory");
    assert_false(mount(one, 2, root, at));
    assert_true(mount(two, 2, root, at));
    assert_string_equal(root, "/a b");
    assert_string_equal(at, "/sys/fs/cg\\x");
    assert_false(mount("35 31 0:32 / /x rw - cgroup cgroup rw,cpu", 1, root, at));
    assert_false(mount("35 31 0:32 / /x rw cgroup2 cgroup2 rw", 2, root, at));
    assert_false(mount("35 31", 2, root, at));
    assert_false(mount("", 2, root, at));
    assert_false(cgroup_parse_mount("1 2 0:3 / \0x rw - cgroup2 c rw", 29, 2, root, at));
    char line[2 * CGROUP_PATH + 64];
    snprintf(line, sizeof line, "1 2 0:3 / /%0*d rw - cgroup2 c rw", CGROUP_PATH, 0);
    assert_false(mount(line, 2, root, at)); /* does not fit */
}

static uint64_t number(const char *text)
{
    return cgroup_parse_number(text, strlen(text));
}

static void test_cgroup__numbers(void **state)
{
    (void)state;
    assert_int_equal(number("0\n"), 0);
    assert_int_equal(number("67108864"), 67108864);
    assert_true(number("max\n") == CGROUP_NONE);
    assert_true(number("") == CGROUP_NONE);
    assert_true(number("12x") == CGROUP_NONE);
    assert_true(number("-1") == CGROUP_NONE);
    assert_true(number("9223372036854771712\n") == CGROUP_NONE); /* version 1's none */
    assert_true(number("99999999999999999999999") == CGROUP_NONE);
    const char *stat = "anon 5\ninactive_file 77\ntotal_inactive_file 88\nfile 9";
    assert_int_equal(cgroup_parse_stat(stat, strlen(stat), "inactive_file"), 77);
    assert_int_equal(cgroup_parse_stat(stat, strlen(stat), "total_inactive_file"), 88);
    assert_int_equal(cgroup_parse_stat(stat, strlen(stat), "file"), 9);
    assert_int_equal(cgroup_parse_stat(stat, strlen(stat), "fil"), 0);
    assert_int_equal(cgroup_parse_stat(stat, 0, "anon"), 0);
}

/* ---- directories -------------------------------------------------------------------------------- */

static char directory[] = "/tmp/cgroup_test.XXXXXX";

static void put(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static int make_directory(void **state)
{
    (void)state;
    char child[200];
    if (!mkdtemp(directory)) return 1;
    snprintf(child, sizeof child, "%s/child", directory);
    return mkdir(child, 0700);
}

static int remove_directory(void **state)
{
    (void)state;
    char command[200];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static void test_cgroup__the_fullest_limit_counts(void **state)
{
    (void)state;
    struct cgroup_level max, high;
    struct cgroup c = {.version = 2, .top = strlen(directory)};
    snprintf(c.path, sizeof c.path, "%s/child", directory);
    put("child/memory.max", "1000000\n");
    put("child/memory.high", "max\n");
    put("child/memory.current", "400000\n");
    put("memory.max", "2000000\n");
    put("memory.high", "1500000\n");
    put("memory.current", "1400000\n");
    put("memory.stat", "anon 1\ninactive_file 200000\n");
    cgroup_read(&c, &max, &high);
    assert_int_equal(max.limit, 2000000); /* 60 % against 40 */
    assert_int_equal(max.used, 1200000);
    assert_string_equal(max.path, directory);
    assert_int_equal(high.limit, 1500000);
    put("child/memory.current", "990000\n");
    cgroup_read(&c, &max, &high);
    assert_int_equal(max.limit, 1000000);
    assert_int_equal(max.used, 990000);
    assert_string_equal(max.path, c.path);
}

static void test_cgroup__without_limits_or_files_there_is_none(void **state)
{
    (void)state;
    struct cgroup_level max, high;
    struct cgroup c = {.version = 2};
    snprintf(c.path, sizeof c.path, "%s/child/missing", directory);
    c.top = strlen(c.path);
    cgroup_read(&c, &max, &high);
    assert_true(max.limit == CGROUP_NONE && high.limit == CGROUP_NONE);
    c.version = 0;
    cgroup_read(&c, &max, &high);
    assert_true(max.limit == CGROUP_NONE);
}

static void test_cgroup__version_1(void **state)
{
    (void)state;
    struct cgroup_level max, high;
    struct cgroup c = {.version = 1, .top = strlen(directory)};
    snprintf(c.path, sizeof c.path, "%s", directory);
    put("memory.limit_in_bytes", "1000\n");
    put("memory.usage_in_bytes", "950\n");
    put("memory.stat", "inactive_file 1\ntotal_inactive_file 50\n");
    cgroup_read(&c, &max, &high);
    assert_int_equal(max.limit, 1000);
    assert_int_equal(max.used, 900);
    assert_true(high.limit == CGROUP_NONE);
}

/* Whatever this machine has: it is found without a crash, and its directory is there. */
static void test_cgroup__our_own(void **state)
{
    (void)state;
    struct cgroup c;
    cgroup_find(&c);
    if (c.version == 0) skip();
    assert_int_equal(access(c.path, F_OK), 0);
    assert_true(c.top <= strlen(c.path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cgroup__the_line_of_the_memory_controller),
        cmocka_unit_test(test_cgroup__the_line_of_its_mount),
        cmocka_unit_test(test_cgroup__numbers),
        cmocka_unit_test(test_cgroup__the_fullest_limit_counts),
        cmocka_unit_test(test_cgroup__without_limits_or_files_there_is_none),
        cmocka_unit_test(test_cgroup__version_1),
        cmocka_unit_test(test_cgroup__our_own),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
