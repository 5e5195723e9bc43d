/*
 * Options over os/fake: from the program's symbol, from the environment, and at run time; and each way
 * of getting one wrong, which must be one clear line.
 *
 * What could break: a number that overflows, a value that is taken for another, a message that names
 * the wrong source. Start-up cases have a process each.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <freehold/freehold.h>

#include "face/face.h"
#include "kit/child.h"
#include "kit/expect.h"
#include "kit/unit.h"
#include "os/fake/fake.h"
#include "span/purger.h"

static int set_up(void **state)
{
    (void)state;
    fh_free(fh_malloc(1));
    return 0;
}

static void expect_option(const char *key, const char *value)
{
    char text[300];
    assert_int_equal(fh_option_get(key, text, sizeof text), 0);
    assert_string_equal(text, value);
}

/* ---- right ------------------------------------------------------------------------------------------- */

static void test_options__standards_are_those_of_the_table(void **state)
{
    (void)state;
    char text[300];
#define OPTION(name, type, standard, smallest, largest, when, unit, sentence)                      \
    assert_int_equal(fh_option_get(#name, text, sizeof text),                                      \
                     strcmp(#when, "HARDENED") ? 0 : -ENOENT);                                     \
    assert_true(strlen(sentence) > 10);
#include "face/options.def"
#undef OPTION
    expect_option("purge", "1");
    expect_option("purge_delay", "1000");
    expect_option("bad_free", "abort");
    expect_option("stats", "0");
}

/* Nobody shall believe to be hardened because an option was taken without effect. */
static void test_options__those_of_the_hardened_library_are_refused_by_the_other(void **state)
{
    (void)state;
    char text[300];
    assert_int_equal(fh_option_set("harden", "strict"), -ENOENT);
    os_fake.said_length = 0;
    options_parse("harden=strict,canary=1", "here");
    os_fake.said[os_fake.said_length] = 0;
    assert_non_null(strstr(
        os_fake.said, "freehold: here: 'harden' is an option of libfreehold-hardened.so.1, and "
                      "this is libfreehold.so.1; ignored (freehold run --hardened"));
    assert_non_null(strstr(os_fake.said, "'canary' is an option of"));
    assert_int_equal(options.harden, 1);
    assert_int_equal(options.canary, -1);
    options_hardened = true;
    os_fake.said_length = 0;
    options_parse("harden=strict,canary=1,uninit=user,zero=64K", "here");
    assert_int_equal(os_fake.said_length, 0);
    assert_true(options.harden == 2 && options.canary == 1 && options.uninit == 2 &&
                options.zero == 64 << 10);
    expect_option("harden", "strict");
    expect_option("buckets", "level");
    assert_int_equal(fh_option_set("harden", "light"), -EPERM);
    assert_int_equal(fh_option_get("sample", text, sizeof text), 0);
    options_hardened = false;
    options.harden = 1;
    options.canary = options.zero = -1;
    options.uninit = 0;
}

static void test_options__values_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *becomes;
    } good[] = {
        {"purge", "0", "0"},
        {"purge", "yes", "1"},
        {"purge", "off", "0"},
        {"purge", "on", "1"},
        {"purge", "no", "0"},
        {"purge", "true", "1"},
        {"purge", "false", "0"},
        {"purge", "1", "1"},
        {"purge_delay", "10", "10"},
        {"purge_delay", "3600000", "3600000"},
        {"purge_delay", "0250", "250"},
        {"bad_free", "ignore", "ignore"},
        {"bad_free", "abort", "abort"},
        {"purge_delay", "1000", "1000"},
        {"gc_debug", "verify", "verify"},
        {"gc_debug", "fence+poison+verify", "verify+poison+fence"},
        {"gc_debug", "delay+delay", "delay"},
        {"gc_debug", "verify+poison+move+fence+delay", "verify+poison+move+fence+delay"},
        {"gc_debug", "0", "0"},
        {"gc_stress", "1073741824", "1073741824"},
        {"gc_stress", "0", "0"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(fh_option_set(good[i].key, good[i].value), 0);
        expect_option(good[i].key, good[i].becomes);
    }
}

static void test_options__take_effect(void **state)
{
    (void)state;
    assert_int_equal(fh_option_set("purge_delay", "77"), 0);
    assert_int_equal(purger.delay_ms, 77);
    assert_int_equal(fh_registry.purge_delay_ms, 77);
    assert_int_equal(fh_option_set("purge", "0"), 0);
    assert_false(purger.enabled);
    assert_int_equal(fh_option_set("purge", "1"), 0);
    assert_true(purger.enabled);
    assert_int_equal(fh_option_set("purge_delay", "1000"), 0);
}

/* ---- wrong at run time --------------------------------------------------------------------------------- */

static void test_options__wrong_values_are_refused_and_change_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
    } wrong[] = {
        {"purge", "2"},
        {"purge", "yess"},
        {"purge", "YES "},
        {"purge", ""},
        {"purge_delay", ""},
        {"purge_delay", "9"},
        {"purge_delay", "3600001"},
        {"purge_delay", "-10"},
        {"purge_delay", "10ms"},
        {"purge_delay", "1.5"},
        {"purge_delay", " 10"},
        {"purge_delay", "10 "},
        {"purge_delay", "0x10"},
        {"purge_delay", "99999999999999999999999"},
        {"purge_delay", "18446744073709551616"},
        {"purge_delay", "18446744073709552616"}, /* 2^64 + 1000 */
        {"purge_delay", "10K"},
        {"bad_free", ""},
        {"bad_free", "abor"},
        {"bad_free", "aborts"},
        {"bad_free", "abort|ignore"},
        {"gc_debug", ""},
        {"gc_debug", "+"},
        {"gc_debug", "verify+"},
        {"gc_debug", "+verify"},
        {"gc_debug", "verify++poison"},
        {"gc_debug", "verify|poison"},
        {"gc_debug", "verif"},
        {"gc_debug", "1"},
        {"gc_debug", "0+verify"},
        {"gc_stress", "-1"},
        {"gc_stress", "1073741825"},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (fh_option_set(wrong[i].key, wrong[i].value) != -EINVAL)
            fail_msg("%s=%s was taken", wrong[i].key, wrong[i].value);
    expect_option("purge", "1");
    expect_option("purge_delay", "1000");
    expect_option("bad_free", "abort");
}

static void test_options__unknown_fixed_and_short(void **state)
{
    (void)state;
    char text[4];
    assert_int_equal(fh_option_set("no_such", "1"), -ENOENT);
    assert_int_equal(fh_option_set("", "1"), -ENOENT);
    assert_int_equal(fh_option_set("purge_dela", "1"), -ENOENT);
    assert_int_equal(fh_option_set("reserve", "64M"), -EPERM);
    assert_int_equal(fh_option_get("no_such", text, sizeof text), -ENOENT);
    assert_int_equal(fh_option_get("purge_delay", text, sizeof text),
                     -ENOSPC); /* "1000" and its 0 */
    assert_int_equal(fh_option_get("purge", text, sizeof text), 0);
    assert_int_equal(fh_option_get("purge", text, 0), -ENOSPC);
}

/* ---- at the start -------------------------------------------------------------------------------------- */

struct start {
    const char *environment; /* FREEHOLD_OPTIONS */
    const char *key, *value; /* what must come of it */
    bool secure;
};

static void start_and_check(void *argument)
{
    const struct start *start = argument;
    static char entry[300];
    const char *environment[] = {"OTHER=1", entry, NULL};
    strcpy(entry, "FREEHOLD_OPTIONS=");
    strncat(entry, start->environment, sizeof entry - 32);
    os_fake.environment = environment;
    os_fake.secure = start->secure;
    fh_free(fh_malloc(1));
    char text[300] = "";
    if (start->key == NULL) return;
    EXPECT(fh_option_get(start->key, text, sizeof text) == 0, "%s is unknown", start->key);
    EXPECT(strcmp(text, start->value) == 0, "%s is %s", start->key, text);
}

static struct child_end start(const char *environment, const char *key, const char *value)
{
    struct start s = {environment, key, value, false};
    return child_run(start_and_check, &s);
}

static void expect_silent(struct child_end end)
{
    assert_string_equal(end.said, "");
    assert_int_equal(end.status, 0);
}

static void test_options__come_from_the_environment(void **state)
{
    (void)state;
    expect_silent(start("purge_delay=77", "purge_delay", "77"));
    expect_silent(start("purge=0,purge_delay=77", "purge_delay", "77"));
    expect_silent(start("purge_delay=77,purge_delay=78", "purge_delay", "78"));
    expect_silent(start(",,purge_delay=77,", "purge_delay", "77"));
    expect_silent(start("", "purge_delay", "1000"));
    expect_silent(start("stats", "stats", "1")); /* a switch alone is on */
    expect_silent(start("reserve=64MiB", "reserve", "67108864"));
    expect_silent(start("reserve=64M", "reserve", "67108864"));
    expect_silent(start("reserve=1g", "reserve", "1073741824"));
    expect_silent(start("reserve=2TB", "reserve", "2199023255552"));
    expect_silent(start("reserve=1048576K", "reserve", "1073741824"));
}

/* The program's own symbol (tests/kit/options.c) is read first, the environment overrides it. */
static void test_options__the_environment_overrides_the_symbol(void **state)
{
    (void)state;
    expect_silent(start("", "reserve", "1099511627776"));
    expect_silent(start("reserve=2T", "reserve", "2199023255552"));
}

static void test_options__a_setuid_program_does_not_listen(void **state)
{
    (void)state;
    struct start s = {"purge_delay=77,nonsense", "purge_delay", "1000", true};
    expect_silent(child_run(start_and_check, &s));
}

/* One line, that says which source, what, why, and what would be right. */
static void expect_complaint(const char *environment, const char *line)
{
    struct child_end end = start(environment, NULL, NULL);
    assert_int_equal(end.status, 0);
    assert_string_equal(end.said, line);
}

static void test_options__a_mistake_is_one_clear_line(void **state)
{
    (void)state;
    expect_complaint("purge_dealy=77", "freehold: FREEHOLD_OPTIONS: 'purge_dealy' is no option; "
                                       "ignored (FREEHOLD_OPTIONS=help lists them)\n");
    expect_complaint("purge_delay=5",
                     "freehold: FREEHOLD_OPTIONS: 'purge_delay=5' has a bad value: "
                     "use 10 to 3600000; ignored\n");
    expect_complaint(
        "purge=maybe",
        "freehold: FREEHOLD_OPTIONS: 'purge=maybe' has a bad value: use 0 or 1; ignored\n");
    expect_complaint("bad_free=crash",
                     "freehold: FREEHOLD_OPTIONS: 'bad_free=crash' has a bad value: "
                     "use abort|ignore; ignored\n");
    expect_complaint("reserve=1M", "freehold: FREEHOLD_OPTIONS: 'reserve=1M' has a bad value: "
                                   "use 16M to 64T; ignored\n");
    expect_complaint("purge=", "freehold: FREEHOLD_OPTIONS: 'purge=' has a bad value: "
                               "use 0 or 1; ignored\n");
    expect_complaint("run_file", "freehold: FREEHOLD_OPTIONS: 'run_file' has a bad value: "
                                 "use a path of at most 255 bytes; ignored\n");
}

static void test_options__what_overflows_is_no_value(void **state)
{
    (void)state;
    /* 2^64 + 2^40 */
    expect_complaint("reserve=16777217T", "freehold: FREEHOLD_OPTIONS: 'reserve=16777217T' has a "
                                          "bad value: use 16M to 64T; ignored\n");
}

static void test_options__a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char entry[300] = "run_file=", line[300];
    size_t name = strlen(entry);
    memset(entry + name, 'x', 256);
    entry[name + 256] = 0;
    snprintf(line, sizeof line,
             "freehold: FREEHOLD_OPTIONS: '%.80s' has a bad value: "
             "use a path of at most 255 bytes; ignored\n",
             entry);
    expect_complaint(entry, line);
}

/* ---- run_file names a file that is something else --------------------------------------------------------- */

enum { FOREIGN_SIZE = sizeof(struct fh_run_slot) * FH_RUN_SLOTS };

/* As large as a file of `freehold run`, and with what it begins with. */
static void foreign_write(const char *path, unsigned char *bytes)
{
    memset(bytes, 'x', FOREIGN_SIZE);
    memcpy(bytes, FH_RUN_MAGIC, sizeof FH_RUN_MAGIC);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, FOREIGN_SIZE, file), FOREIGN_SIZE);
    assert_int_equal(fclose(file), 0);
}

static void test_options__run_file_never_changes_a_file_of_others(void **state)
{
    (void)state;
    static unsigned char before[FOREIGN_SIZE], after[FOREIGN_SIZE + 1];
    char path[] = "/tmp/options_test.XXXXXX", option[64], line[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    foreign_write(path, before);
    snprintf(option, sizeof option, "run_file=%s", path);
    snprintf(line, sizeof line,
             "freehold: run_file: '%s' is no file that `freehold run` made; ignored\n", path);
    expect_complaint(option, line);
    assert_int_equal(pread(fd, after, sizeof after, 0), FOREIGN_SIZE);
    assert_memory_equal(before, after, FOREIGN_SIZE);
    close(fd);
    unlink(path);
}

static void test_options__run_file_that_cannot_be_is_said(void **state)
{
    (void)state;
    expect_complaint("run_file=/no/such/file", "freehold: run_file: '/no/such/file' is no file "
                                               "that `freehold run` made; ignored\n");
    expect_complaint("run_file=/tmp",
                     "freehold: run_file: '/tmp' is no file that `freehold run` made; ignored\n");
    expect_complaint(
        "run_file=/dev/null",
        "freehold: run_file: '/dev/null' is no file that `freehold run` made; ignored\n");
    /* `freehold run` has ended, or is another user's. */
    expect_complaint("run_file=/proc/4194305/fd/3", "");
}

static void test_options__the_right_ones_count_beside_the_wrong(void **state)
{
    (void)state;
    struct child_end end = start("nonsense=1,purge_delay=77,purge=x", "purge_delay", "77");
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.said, "'nonsense'"));
    assert_non_null(strstr(end.said, "'purge=x'"));
}

static void test_options__very_long_ones_are_cut(void **state)
{
    (void)state;
    char text[251];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct child_end end = start(text, "purge_delay", "1000");
    assert_int_equal(end.status, 0);
    assert_in_range(strlen(end.said), 100, 250);
    assert_ptr_equal(strchr(end.said, '\n'), end.said + strlen(end.said) - 1);
}

static void test_options__strict_ends_the_program(void **state)
{
    (void)state;
    static const char *const mistakes[] = {"strict=1,nonsense", "nonsense,strict",
                                           "purge=,strict=1", "strict=on,run_file=/tmp"};
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct child_end end = start(mistakes[i], NULL, NULL);
        assert_int_equal(end.signal, SIGABRT);
        assert_non_null(strstr(end.said, "; stopping (option strict=1)"));
        assert_null(strstr(end.said, "; ignored"));
    }
    assert_int_equal(start("strict=1,purge=0", "purge", "0").status, 0);
    assert_int_equal(start("nonsense,strict=0", "purge", "1").status, 0);
}

static void test_options__help_prints_the_table(void **state)
{
    (void)state;
    struct child_end end = start("help", "purge_delay", "1000");
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.said, "reserve=1T ")); /* not 1099511627776 */
#define OPTION(name, type, standard, smallest, largest, when, unit, sentence)                      \
    assert_true((strstr(end.said, "\n" #name "=") != NULL || strncmp(#name, "purge", 6) == 0) ==   \
                (strcmp(#when, "HARDENED") != 0));                                                 \
    assert_true((strstr(end.said, sentence) != NULL) == (strcmp(#when, "HARDENED") != 0));
#include "face/options.def"
#undef OPTION
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* In processes of their own, which must find an allocator that was not started. */
        cmocka_unit_test(test_options__come_from_the_environment),
        cmocka_unit_test(test_options__the_environment_overrides_the_symbol),
        cmocka_unit_test(test_options__a_setuid_program_does_not_listen),
        cmocka_unit_test(test_options__a_mistake_is_one_clear_line),
        cmocka_unit_test(test_options__what_overflows_is_no_value),
        cmocka_unit_test(test_options__a_path_that_is_too_long_is_refused),
        cmocka_unit_test(test_options__the_right_ones_count_beside_the_wrong),
        cmocka_unit_test(test_options__very_long_ones_are_cut),
        cmocka_unit_test(test_options__strict_ends_the_program),
        cmocka_unit_test(test_options__help_prints_the_table),
        cmocka_unit_test(test_options__run_file_never_changes_a_file_of_others),
        cmocka_unit_test(test_options__run_file_that_cannot_be_is_said),
        /* In this one. */
        cmocka_unit_test_setup(test_options__standards_are_those_of_the_table, set_up),
        cmocka_unit_test(test_options__those_of_the_hardened_library_are_refused_by_the_other),
        cmocka_unit_test(test_options__values_are_understood),
        cmocka_unit_test(test_options__take_effect),
        cmocka_unit_test(test_options__wrong_values_are_refused_and_change_nothing),
        cmocka_unit_test(test_options__unknown_fixed_and_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
