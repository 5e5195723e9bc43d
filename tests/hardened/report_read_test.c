/*
 * Reports of the hardened library, read by the command: with names of functions and lines of this very program, and
 * whatever else a file may hold.
 *
 * What could break: an address of the next line, a name of another function, text that steers a terminal, a report
 * that was cut.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../cli/hardened.h"
#include "../../cli/json_read.h"
#include "kit/unit.h"

static const struct palette plain = {"", "", "", "", "", ""};

/* What is shown of a line; free() it. NULL: it is no report. */
static char *shown(const char *line)
{
    char *text = NULL, *copy = strdup(line);
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool is_report = hardened_show_one(copy, strlen(copy), out, &plain);
    fclose(out);
    free(copy);
    if (is_report) return text;
    free(text);
    return NULL;
}

extern const char __executable_start[];

__attribute__((noinline)) static void here_it_is(void)
{
    __asm__ volatile("" ::: "memory");
}

static const int here_line = __LINE__ - 5; /* where it begins */

static void test_report__functions_and_lines_are_told(void **state)
{
    char path[4096] = "", line[6000], wanted[4200];
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    unsigned long offset = (unsigned long)((uintptr_t)here_it_is - (uintptr_t)__executable_start);
    snprintf(line, sizeof line,
             "{\"report\":1,\"what\":\"double-free\",\"sentence\":\"double free of a "
             "block\",\"process\":7,"
             "\"thread\":8,\"program\":\"/bin/"
             "x\\u001b[2J\",\"stack\":[{\"pc\":\"0x1\",\"module\":\"%s\","
             "\"offset\":\"0x%lx\"},{\"pc\":\"0x77\"}],\"freed\":{\"thread\":9,\"stack\":[{\"pc\":"
             "\"0x99\"}]}}",
             path, offset);
    char *text = shown(line);
    assert_non_null(text);
    assert_non_null(strstr(text, "freehold: x?[2J (pid 7): double-free: double free of a block\n"));
    assert_non_null(strstr(text, "#0  here_it_is  "));
    snprintf(wanted, sizeof wanted, "#0  here_it_is  %s:", __FILE__);
    const char *line_at = strstr(text, wanted);
    if (dlopen("libdw.so.1", RTLD_LAZY)) assert_non_null(line_at);
    if (line_at) assert_in_range(atoi(line_at + strlen(wanted)), here_line, here_line + 3);
    assert_non_null(strstr(text, "#1  no module+0x77\n"));
    assert_non_null(strstr(text, "freed by    thread 9\n    #0  no module+0x99\n"));
    assert_null(strstr(text, "made by"));
    free(text);
    (void)state;
}

static void test_report__what_is_no_report_is_told_apart(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "[]",
        "{\"report\":2}",
        "{\"report\":\"1\"}",
        "{\"report\":1,}",
        "{\"report\":1} x",
        "{\"report\":1",
        "{\"report\":1,\"what\":\"cut of",
        "{\"report\":1,\"what\":\"\\u12\"}",
        "{\"report\":1,\"what\":\"\\x\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (shown(lines[i])) fail_msg("taken for a report: %s", lines[i]);
    char *text = shown(" {\"a\" : [ 1, -2.5e3, true , null,{}] , \"report\" : 1 } ");
    assert_non_null(text);
    free(text);
    (void)state;
}

static void test_report__nesting_is_bounded(void **state)
{
    char line[4096];
    memset(line, '[', sizeof line);
    line[sizeof line - 1] = 0;
    assert_null(shown(line));
    (void)state;
}

static void test_report__texts_are_decoded(void **state)
{
    char text[] = "{\"a\":\"\\u0041\\u00e9\\u20ac\\n\\\"\\ud800\\u0000\",\"n\":"
                  "18446744073709551615,\"p\":\"0xff\"}";
    struct json_tree tree;
    const struct json_node *root = json_tree_read(&tree, text, strlen(text));
    assert_string_equal(json_text_of(root, "a"),
                        "A\xc3\xa9\xe2\x82\xac\n\"\xef\xbf\xbd\xef\xbf\xbd");
    assert_true(json_number_of(root, "n") > 1000000000000ull); /* no overflow */
    assert_int_equal(json_address_of(root, "p"), 255);
    assert_string_equal(json_text_of(root, "b"), "");
    assert_int_equal(json_number_of(NULL, "n"), 0);
    json_tree_finish(&tree);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report__functions_and_lines_are_told),
        cmocka_unit_test(test_report__what_is_no_report_is_told_apart),
        cmocka_unit_test(test_report__nesting_is_bounded),
        cmocka_unit_test(test_report__texts_are_decoded),
    };
    here_it_is();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
