/*
 * Rules of option exempt. What could break: a line that is taken for more than it says, one that is dropped without a word,
 * a pattern that never ends or holds for too much, a count of rules beyond the table.
 */
#include "kit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hard/exempt.h"
#include "kit/expect.h"

static unsigned complaints, last_line;
static char last_why[100];

static void complain(unsigned line, const char *text, size_t length, const char *why)
{
    (void)text, (void)length;
    complaints++;
    last_line = line;
    snprintf(last_why, sizeof last_why, "%s", why);
}

static struct exempt_rules parsed;

static void parse(const char *text)
{
    memset(&parsed, 0, sizeof parsed);
    complaints = 0;
    exempt_parse(&parsed, text, strlen(text), complain);
}

static void test_exempt__patterns_hold_for_what_they_say(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool holds;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*c", "abbc", true},
        {"a*c", "abb", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*.so*", "x.so.1", true},
        {"*.so", "x.so.1", false},
        {"*ab*ab", "abxabab", true},
        {"?", "", false},
        {"a**", "a", true},
        {"libx.so", "libx.so.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT(exempt_glob(cases[i].pattern, cases[i].text) == cases[i].holds, "%s over %s",
               cases[i].pattern, cases[i].text);
}

static void test_exempt__a_rule_is_what_its_line_says(void **state)
{
    (void)state;
    parse(
        "# none\n\n \t \nlibrary a.so\n\tlibrary /b/*.so kinds sizes \r\nsite c++.so+0xFf canary\n"
        "site d:f calls access\nsite e:1+0x10 all");
    assert_int_equal(complaints, 0);
    assert_int_equal(parsed.count, 5);
    const struct exempt_rule *r = parsed.rule;
    assert_string_equal(r[0].library, "a.so");
    assert_int_equal(r[0].groups, (1u << EXEMPT_ALL) - 1);
    assert_int_equal(r[0].offset, 0);
    assert_int_equal(r[0].line, 4);
    assert_string_equal(r[1].library, "/b/*.so");
    assert_int_equal(r[1].groups, 1u << EXEMPT_KINDS | 1u << EXEMPT_SIZES);
    assert_string_equal(r[2].library, "c++.so");
    assert_int_equal(r[2].offset, 0xff);
    assert_int_equal(r[2].groups, 1u << EXEMPT_CANARY);
    assert_string_equal(r[3].function, "f");
    assert_int_equal(r[3].groups, 1u << EXEMPT_CALLS | 1u << EXEMPT_ACCESS);
    assert_string_equal(r[4].library, "e:1");
    assert_int_equal(r[4].offset, 16);
    assert_int_equal(r[4].line, 8);
}

static void test_exempt__what_is_no_rule_is_said_and_dropped(void **state)
{
    static const char *const lines[] = {"lib a",
                                        "library",
                                        "library a some",
                                        "site",
                                        "site a",
                                        "site a+",
                                        "site a+1",
                                        "site a+0x",
                                        "site a+0xg",
                                        "site a+0x0",
                                        "site a+0x11112222333344445",
                                        "site a:",
                                        "site +0x1",
                                        "site :f",
                                        "Library a",
                                        "library a kinds x"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[200];
        snprintf(text, sizeof text, "library first\n%s\nlibrary last\n", lines[i]);
        parse(text);
        EXPECT(complaints == 1 && last_line == 2, "'%s': %u complaints", lines[i], complaints);
        EXPECT(parsed.count == 2 && parsed.rule[1].line == 3, "'%s': %u rules", lines[i],
               parsed.count);
    }
}

static void test_exempt__no_more_and_no_longer_than_there_is_room_for(void **state)
{
    char text[EXEMPT_RULES * 20 + 200] = "", name[EXEMPT_NAME + 1];
    (void)state;
    for (unsigned i = 0; i < EXEMPT_RULES + 1; i++) strcat(text, "library a.so\n");
    parse(text);
    assert_int_equal(parsed.count, EXEMPT_RULES);
    assert_int_equal(complaints, 1);
    assert_int_equal(last_line, EXEMPT_RULES + 1);
    for (unsigned size = EXEMPT_NAME - 1; size <= EXEMPT_NAME; size++) {
        memset(name, 'x', size);
        name[size] = 0;
        snprintf(text, sizeof text, "library %s\n", name);
        parse(text);
        EXPECT(parsed.count == (size < EXEMPT_NAME), "a name of %u bytes", size);
    }
    exempt_parse(&parsed, "library a\0b", 11, complain);
    EXPECT(parsed.count == 0, "a name with an end in it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exempt__patterns_hold_for_what_they_say),
        cmocka_unit_test(test_exempt__a_rule_is_what_its_line_says),
        cmocka_unit_test(test_exempt__what_is_no_rule_is_said_and_dropped),
        cmocka_unit_test(test_exempt__no_more_and_no_longer_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
