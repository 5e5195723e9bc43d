/* Text without libc. What could break: the largest numbers, and the end of the buffer. */
#include "base/format.h"

#include <string.h>

#include "kit/unit.h"

/* Formats with `write` and compares. */
static void expect_number(void (*write)(struct text *, uint64_t), uint64_t n, const char *expected)
{
    char buffer[64];
    struct text t = TEXT(buffer);
    write(&t, n);
    assert_int_equal(t.length, strlen(expected));
    assert_memory_equal(buffer, expected, t.length);
}

static void test_format__decimal(void **state)
{
    (void)state;
    expect_number(text_dec, 0, "0");
    expect_number(text_dec, 9, "9");
    expect_number(text_dec, 10, "10");
    expect_number(text_dec, 1234567890, "1234567890");
    expect_number(text_dec, UINT64_MAX, "18446744073709551615");
}

static void test_format__hexadecimal(void **state)
{
    (void)state;
    expect_number(text_hex, 0, "0x0");
    expect_number(text_hex, 0xabcdef, "0xabcdef");
    expect_number(text_hex, UINT64_MAX, "0xffffffffffffffff");
}

static void test_format__sizes_as_a_person_reads_them(void **state)
{
    (void)state;
    expect_number(text_size, 0, "0 B");
    expect_number(text_size, 1023, "1023 B");
    expect_number(text_size, 1024, "1.0 KiB");
    expect_number(text_size, 1536, "1.5 KiB");
    expect_number(text_size, MIB - 1, "1023.9 KiB");
    expect_number(text_size, MIB, "1.0 MiB");
    expect_number(text_size, 10 * GIB + GIB / 4, "10.2 GiB");
    expect_number(text_size, TIB, "1.0 TiB");
    expect_number(text_size, UINT64_MAX, "15.9 EiB");
}

static void test_format__sizes_as_options_take_them(void **state)
{
    (void)state;
    expect_number(text_size_exact, 0, "0");
    expect_number(text_size_exact, 1000, "1000");
    expect_number(text_size_exact, KIB, "1K");
    expect_number(text_size_exact, KIB + 1, "1025");
    expect_number(text_size_exact, 16 * MIB, "16M");
    expect_number(text_size_exact, 64 * TIB, "64T");
    expect_number(text_size_exact, 4096 * TIB, "4096T");
}

static void test_format__texts_follow_each_other(void **state)
{
    (void)state;
    char buffer[64];
    struct text t = TEXT(buffer);
    text_str(&t, "a");
    text_char(&t, '=');
    text_strn(&t, "bcdef", 3);
    text_strn(&t, "", 0);
    text_str(&t, "");
    text_dec(&t, 7);
    assert_int_equal(t.length, 6);
    assert_memory_equal(buffer, "a=bcd7", 6);
}

static void test_format__what_does_not_fit_is_cut(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 30; capacity++) {
        char buffer[40];
        memset(buffer, '#', sizeof buffer);
        struct text t = {buffer, 0, capacity};
        text_str(&t, "0123456789");
        text_hex(&t, UINT64_MAX);
        assert_int_equal(t.length, capacity < 28 ? capacity : 28);
        assert_memory_equal(buffer, "01234567890xffffffffffffffff", t.length);
        assert_int_equal(buffer[t.length], '#');
    }
}

static void test_format__an_end_is_always_there(void **state)
{
    (void)state;
    char line[8];
    memset(line, 'x', sizeof line);
    struct text t = TEXT(line);
    text_str(&t, "abc");
    text_end(&t);
    assert_string_equal(line, "abc");
    memset(line, 'x', sizeof line);
    struct text full = TEXT(line);
    text_str(&full, "abcdefghijk");
    text_end(&full);
    assert_int_equal(line[7], 0);
    assert_int_equal(strlen(line), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format__decimal),
        cmocka_unit_test(test_format__hexadecimal),
        cmocka_unit_test(test_format__sizes_as_options_take_them),
        cmocka_unit_test(test_format__sizes_as_a_person_reads_them),
        cmocka_unit_test(test_format__texts_follow_each_other),
        cmocka_unit_test(test_format__what_does_not_fit_is_cut),
        cmocka_unit_test(test_format__an_end_is_always_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
