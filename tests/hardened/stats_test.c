/*
 * What malloc_stats says of the hardened library, level strict: the numbers must be those of what the program did.
 * Links the library; its options come from the environment.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit/child.h"
#include "kit/unit.h"

enum { BLOCK = 4000, SLOT = 4096, FEW = 40, MANY = 12000, SAMPLED = 5 };

/* What stands behind "freehold: WHAT". */
static const char *said(const struct child_end *end, const char *what)
{
    char line[64];
    snprintf(line, sizeof line, "freehold: %-18s", what);
    const char *at = strstr(end->said, line);
    return at ? at + strlen(line) : NULL;
}

static double number(const struct child_end *end, const char *what)
{
    const char *at = said(end, what);
    assert_non_null(at);
    return strtod(at, NULL);
}

static struct child_end told_of(void (*body)(void *))
{
    struct child_end end = child_run(body, NULL);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
    return end;
}

static void nothing(void *unused)
{
    (void)unused;
    malloc_stats();
}

static void test_stats__say_the_level_and_only_what_it_has(void **state)
{
    (void)state;
    struct child_end end = told_of(nothing);
    bool strict = strstr(getenv("FREEHOLD_OPTIONS"), "harden=strict");
    const char *level = said(&end, "level");
    assert_non_null(level);
    assert_int_equal(strncmp(level, strict ? "strict " : "standard ", strict ? 7 : 9), 0);
    assert_int_equal(said(&end, "sweeps") != NULL, strict);
    assert_int_equal(said(&end, "longest pause") != NULL, strict);
    assert_null(said(&end, "freed elsewhere"));
}

static void free_few(void *unused)
{
    void *few[FEW];
    (void)unused;
    malloc_stats();
    for (int i = 0; i < FEW; i++) few[i] = malloc(BLOCK);
    for (int i = 0; i < FEW; i++) free(few[i]);
    malloc_stats();
}

static double quarantined(const char *said)
{
    char unit;
    double n;
    const char *at = strstr(said, "freehold: in quarantine");
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen("freehold: in quarantine"), "%lf %c", &n, &unit), 2);
    return unit == 'K' ? n : unit == 'B' ? n / 1024 : -1;
}

static void test_quarantine__holds_what_was_freed(void **state)
{
    (void)state;
    if (!strstr(getenv("FREEHOLD_OPTIONS"), "sample=0")) skip();
    struct child_end end = told_of(free_few);
    double before = quarantined(end.said);
    const char *second = strstr(end.said, "freehold: in quarantine") + 1;
    double more = quarantined(second) - before, wanted = FEW * SLOT / 1024.;
    assert_true(more > wanted * 0.9 && more < wanted * 1.1 + 8);
}

/* A sweep that is under way has found nothing yet: its helper is a thread too, and links are 2 and the threads. */
static void await_helpers(void)
{
    struct stat tasks;
    for (int i = 0; i < 10000 && stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 3; i++)
        usleep(1000);
}

static void *volatile pointed_to[3];

static void free_many(void *unused)
{
    static void *many[MANY];
    (void)unused;
    for (int i = 0; i < MANY; i++) many[i] = malloc(BLOCK);
    for (int i = 0; i < 3; i++) pointed_to[i] = many[i];
    for (int i = 0; i < MANY; i++) {
        void *p = many[i];
        many[i] = NULL;
        free(p);
    }
    await_helpers();
    malloc_stats();
}

static void test_sweeps__are_counted_and_keep_what_is_pointed_to(void **state)
{
    (void)state;
    if (!strstr(getenv("FREEHOLD_OPTIONS"), "harden=strict")) skip();
    struct child_end end = told_of(free_many);
    assert_true(number(&end, "sweeps") >= 1);
    assert_true(number(&end, "longest pause") >= 1);
    assert_true(number(&end, "awaiting a sweep") > 0);
    const char *kept = said(&end, "  of it kept");
    assert_non_null(kept);
    assert_true(strtod(kept, NULL) >= 3 * SLOT / 1024.);
    kept = strstr(kept, " in ");
    assert_non_null(kept);
    assert_true(strtol(kept + 4, NULL, 10) >= 3);
}

static void free_and_trim(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10 * FEW; i++) {
        void *volatile p = malloc(BLOCK);
        free(p);
    }
    malloc_stats();
    malloc_trim(0);
    malloc_stats();
}

/* What waits in quarantine stays there. */
static void test_trim__sweeps_what_waits(void **state)
{
    (void)state;
    if (!strstr(getenv("FREEHOLD_OPTIONS"), "harden=strict")) skip();
    struct child_end end = told_of(free_and_trim);
    assert_true(number(&end, "awaiting a sweep") > 0);
    assert_int_equal(number(&end, "sweeps"), 0);
    char *second =
        strstr(strstr(end.said, "freehold: in quarantine") + 1, "freehold: in quarantine");
    assert_non_null(second);
    memmove(end.said, second, strlen(second) + 1);
    assert_true(number(&end, "sweeps") >= 1);
    assert_true(number(&end, "awaiting a sweep") == strtod(said(&end, "  of it kept"), NULL));
}

static void take_sampled(void *unused)
{
    void *taken[SAMPLED];
    (void)unused;
    malloc_stats();
    for (int i = 0; i < SAMPLED; i++) taken[i] = malloc(100);
    malloc_stats();
    for (int i = 0; i < SAMPLED; i++) free(taken[i]);
    malloc_stats();
}

/* Every block is one, while there are slots. */
static void test_samples__in_use_are_counted(void **state)
{
    (void)state;
    if (!strstr(getenv("FREEHOLD_OPTIONS"), "sample=1")) skip();
    struct child_end end = told_of(take_sampled);
    const char *at = end.said;
    long in_use[3];
    for (int i = 0; i < 3; i++) {
        at = strstr(at, "freehold: samples in use");
        assert_non_null(at);
        at += strlen("freehold: samples in use");
        in_use[i] = strtol(at, NULL, 10);
    }
    assert_int_equal(in_use[1], in_use[0] + SAMPLED);
    assert_int_equal(in_use[2], in_use[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats__say_the_level_and_only_what_it_has),
        cmocka_unit_test(test_quarantine__holds_what_was_freed),
        cmocka_unit_test(test_sweeps__are_counted_and_keep_what_is_pointed_to),
        cmocka_unit_test(test_trim__sweeps_what_waits),
        cmocka_unit_test(test_samples__in_use_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
