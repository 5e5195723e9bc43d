/*
 * The parsers of the command against what other processes and kernels may put before them: every
 * input here is in a buffer of exactly its size, so that the address sanitizer sees a step too far.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../cli/cgroup.h"
#include "../../cli/human.h"
#include "../../cli/json.h"
#include "../../cli/maps.h"
#include "../../cli/process.h"

/* ---- maps ------------------------------------------------------------------------------------- */

static struct maps parse_maps(const char *text)
{
    struct maps maps;
    size_t size = strlen(text);
    char *exact = malloc(size + !size);
    memcpy(exact, text, size);
    assert_true(maps_parse(&maps, exact, size));
    free(exact);
    return maps;
}

static void test_maps__takes_every_field(void **state)
{
    (void)state;
    struct maps maps = parse_maps("1000-3000 r-xp 00002000 fd:01 77    /usr/lib/a b.so\n"
                                  "7ffe0000-ffffffffffffffff rw-s 0 00:00 0\n");
    assert_int_equal(maps.count, 2);
    const struct mapping *m = &maps.list[0];
    assert_int_equal(m->start, 0x1000);
    assert_int_equal(m->end, 0x3000);
    assert_int_equal(m->offset, 0x2000);
    assert_int_equal(m->inode, 77);
    assert_int_equal(m->device_major, 0xfd);
    assert_int_equal(m->device_minor, 1);
    assert_true(m->readable && !m->writable && m->executable && !m->shared && !m->deleted);
    assert_string_equal(m->path, "/usr/lib/a b.so");
    assert_string_equal(maps.list[1].path, "");
    assert_true(maps.list[1].shared && maps.list[1].writable);
    assert_int_equal(maps.list[1].end, UINT64_MAX);
    assert_ptr_equal(maps_find(&maps, 0x2fff), m);
    assert_null(maps_find(&maps, 0x3000));
    maps_finish(&maps);
}

static void test_maps__undoes_what_the_kernel_does_to_paths(void **state)
{
    (void)state;
    struct maps maps = parse_maps("1-2 r--p 0 0:0 1 /tmp/x\\012y (deleted)\n"
                                  "2-3 r--p 0 0:0 1  (deleted)\n"
                                  "3-4 r--p 0 0:0 1 /tmp/\\01\n");
    assert_int_equal(maps.count, 3);
    assert_string_equal(maps.list[0].path, "/tmp/x\ny");
    assert_true(maps.list[0].deleted);
    assert_string_equal(maps.list[2].path, "/tmp/\\01");
    assert_false(maps.list[2].deleted);
    maps_finish(&maps);
}

static void test_maps__leaves_out_what_is_no_line(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "x",
        "1000",
        "1000-",
        "1000-2000",
        "1000-2000 r-x",
        "1000-2000 r-xp ",
        "1000-2000 r-xp 0 0:0 ",
        "1000-2000 r-xp 0 00 7 /x",
        "2000-1000 r-xp 0 0:0 7 /backwards",
        "1000-1000 r-xp 0 0:0 7 /empty",
        "10000000000000000-20000000000000000 r-xp 0 0:0 7 /overflow",
        "1000-2000 r-xp 0 0:0 99999999999999999999 /overflow",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct maps maps = parse_maps(wrong[i]);
        assert_int_equal(maps.count, 0);
        assert_int_equal(maps.malformed, 1);
        maps_finish(&maps);
    }
    struct maps none = parse_maps(""), mixed = parse_maps("junk\n1-2 r--p 0 0:0 0\njunk");
    assert_int_equal(none.count + none.malformed, 0);
    assert_int_equal(mixed.count, 1);
    assert_int_equal(mixed.malformed, 2);
    maps_finish(&none);
    maps_finish(&mixed);
}

static void test_maps__same_file_needs_a_file(void **state)
{
    (void)state;
    struct maps maps = parse_maps("1-2 r--p 0 fe:1 5 /a\n2-3 r--p 0 fe:1 5 /b\n"
                                  "3-4 r--p 0 fe:2 5 /c\n4-5 r--p 0 0:0 0\n5-6 r--p 0 0:0 0\n");
    assert_true(maps_same_file(&maps.list[0], &maps.list[1]));
    assert_false(maps_same_file(&maps.list[1], &maps.list[2]));
    assert_false(maps_same_file(&maps.list[3], &maps.list[4]));
    maps_finish(&maps);
}

/* ---- LD_PRELOAD ------------------------------------------------------------------------------- */

static bool join(void *context, const char *entry)
{
    strcat(strcat(context, entry), "|");
    return strcmp(entry, "stop") != 0;
}

static void test_preload__is_separated_by_colons_and_spaces(void **state)
{
    (void)state;
    char seen[200] = "";
    preload_each(":a.so: /b.so  c.so:", join, seen);
    assert_string_equal(seen, "a.so|/b.so|c.so|");
    *seen = 0;
    preload_each("stop:on", join, seen);
    assert_string_equal(seen, "stop|");
    *seen = 0;
    char *longest = malloc(10000); /* longer than a path can be: left out */
    memset(longest, 'x', 9999);
    longest[9999] = 0;
    preload_each(longest, join, seen);
    assert_string_equal(seen, "");
    free(longest);
}

/* ---- control groups --------------------------------------------------------------------------- */

static void test_cgroup__version_one_goes_before_two(void **state)
{
    (void)state;
    char path[32] = "";
    assert_int_equal(cgroup_of("0::/\n4:cpu,memory:/box/a\n3:cpu:/b\n", path, sizeof path), 1);
    assert_string_equal(path, "/box/a");
    assert_int_equal(cgroup_of("4:memory:/one\n0::/two\n", path, sizeof path), 1);
    assert_string_equal(path, "/one");
    assert_int_equal(cgroup_of("3:cpu:/b\n0::/two", path, sizeof path), 2);
    assert_string_equal(path, "/two");
    assert_int_equal(cgroup_of("3:xmemory,memoryx:/b\n", path, sizeof path), 0);
    assert_int_equal(cgroup_of("\n:\n::\n0:\n", path, sizeof path), 0);
    assert_int_equal(cgroup_of("0::/a-path-longer-than-the-place-for-it\n", path, sizeof path), 2);
    assert_int_equal(strlen(path), sizeof path - 1);
}

static void test_cgroup__finds_the_mount_of_its_version(void **state)
{
    (void)state;
    static const char mounts[] =
        "30 23 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup rw\n"
        "31 23 0:27 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 23\n"
        "33 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
    char root[64], at[64];
    assert_true(cgroup_mount(mounts, 2, root, at, sizeof at));
    assert_string_equal(at, "/sys/fs/cgroup/unified");
    assert_true(cgroup_mount(mounts, 1, root, at, sizeof at));
    assert_string_equal(at, "/sys/fs/cgroup/memory");
    assert_string_equal(root, "/docker/x");
    assert_false(cgroup_mount("", 1, root, at, sizeof at));
    assert_false(cgroup_mount("1 2 3 4 5 6 - cgroup\n - - -\n", 1, root, at, sizeof at));
}

/* ---- numbers and text ------------------------------------------------------------------------- */

static void test_human__changes_unit_where_rounding_would_overflow_it(void **state)
{
    (void)state;
    assert_string_equal(HUMAN(bytes, 0), "0 B");
    assert_string_equal(HUMAN(bytes, 1023), "1023 B");
    assert_string_equal(HUMAN(bytes, 1024), "1.0 KiB");
    assert_string_equal(HUMAN(bytes, (1 << 20) - 1), "1.0 MiB");
    assert_string_equal(HUMAN(bytes, UINT64_MAX), "16.0 EiB");
    assert_string_equal(HUMAN(count, 999), "999");
    assert_string_equal(HUMAN(count, 999999), "1.0 M");
    assert_string_equal(HUMAN(count, UINT64_MAX), "18446.7 P");
    assert_string_equal(HUMAN(time, 999), "999 ms");
    assert_string_equal(HUMAN(time, 59949), "59.9 s");
    assert_string_equal(HUMAN(time, 59999), "1 min 00 s");
    assert_string_equal(HUMAN(time, 3600000), "1 h 00 min");
    assert_string_equal(HUMAN(exact, 1234567), "1,234,567");
    assert_string_equal(HUMAN(exact, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_int_equal(human_percent(1, 0), 0);
    assert_int_equal(human_percent(2, 3), 67);
}

static void test_human__bars_show_every_value_above_zero(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 500, UINT64_MAX / 2, UINT64_MAX};
    char bars[32];
    human_bars(bars, sizeof bars, values, 5, false);
    assert_string_equal(bars, " ..=@");
    human_bars(bars, 4, values, 5, false);
    assert_string_equal(bars, " ..");
    human_bars(bars, 4, values + 3, 2, true); /* room for one bar of three bytes */
    assert_string_equal(bars, "▄");
}

static void test_human__clean_keeps_control_out_of_the_terminal(void **state)
{
    (void)state;
    char clean[8];
    human_clean(clean, sizeof clean, "a\033[1m\177");
    assert_string_equal(clean, "a?[1m?");
    human_clean(clean, sizeof clean, "longer than that");
    assert_string_equal(clean, "longer ");
}

static void assert_json_text(const char *text, const char *expected)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    struct json j = json_to(out);
    json_text(&j, NULL, text);
    fclose(out);
    assert_string_equal(written, expected);
    free(written);
}

static void test_json__escapes_what_is_not_text(void **state)
{
    (void)state;
    assert_json_text("a\"\\\n\177", "\"a\\\"\\\\\\u000a\\u007f\"");
    assert_json_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                     "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    assert_json_text("\xff", "\"\\ufffd\"");
    assert_json_text("\xc3", "\"\\ufffd\"");                                  /* cut */
    assert_json_text("\xc0\xaf", "\"\\ufffd\\ufffd\"");                       /* overlong */
    assert_json_text("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");            /* a surrogate */
    assert_json_text("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); /* beyond the last */
    assert_json_text(NULL, "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps__takes_every_field),
        cmocka_unit_test(test_maps__undoes_what_the_kernel_does_to_paths),
        cmocka_unit_test(test_maps__leaves_out_what_is_no_line),
        cmocka_unit_test(test_maps__same_file_needs_a_file),
        cmocka_unit_test(test_preload__is_separated_by_colons_and_spaces),
        cmocka_unit_test(test_cgroup__version_one_goes_before_two),
        cmocka_unit_test(test_cgroup__finds_the_mount_of_its_version),
        cmocka_unit_test(test_human__changes_unit_where_rounding_would_overflow_it),
        cmocka_unit_test(test_human__bars_show_every_value_above_zero),
        cmocka_unit_test(test_human__clean_keeps_control_out_of_the_terminal),
        cmocka_unit_test(test_json__escapes_what_is_not_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
