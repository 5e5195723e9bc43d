/*
 * Zones whose pointers the processor checks, where it can (aarch64 with MTE):    tagged CASE
 * Each case but `right` must be stopped by the report that it is made for.
 */
#include <freehold/hardened.h>
#include <freehold/zone.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static fh_zone *zone;

static char *take(void)
{
    return fh_zone_allocate(zone, 40);
}

static void use_after_free(void)
{
    char *p = take();
    fh_zone_free(zone, p);
    p[3] = 1;
}

/* 40 bytes are three granules: the last 8 of these are nobody's, and the fourth is not the block's. */
static void overflow(void)
{
    char *p = take();
    p[48] = 1;
}

/* Right into the next block, over what lies between. */
static void far(void)
{
    char *p = NULL, *q = NULL;
    for (int i = 0; i < 1000; i++) {
        p = q;
        q = take();
        uintptr_t distance = ((uintptr_t)q & 0xffffffffffffff) - ((uintptr_t)p & 0xffffffffffffff);
        if (p && distance == 64) break;
    }
    p[64] = 1;
}

/* The same place, its next life. */
static void old_pointer(void)
{
    enum { LIVES = 20000 };
    char *p = take();
    fh_zone_free(zone, p);
    for (int i = 0; i < LIVES; i++) {
        char *q = take();
        if (((uintptr_t)p ^ (uintptr_t)q) << 8 == 0) p[3] = 1;
        fh_zone_free(zone, q);
    }
}

static char *plain(char *p)
{
    return (char *)((uintptr_t)p << 8 >> 8);
}

static void plain_pointer(void)
{
    plain(take())[3] = 1;
}

static void free_plain(void)
{
    free(plain(take()));
}

static void free_twice(void)
{
    char *p = take();
    free(p);
    free(p);
}

/* Whatever may be done with them. */
static void right(void)
{
    static char *p[500];
    for (int turn = 0; turn < 10; turn++) {
        for (int i = 0; i < 500; i++) memset(p[i] = take(), i, 40);
        for (int i = 0; i < 500; i++)
            if ((uintptr_t)p[i] >> 56 == 0 || p[i][39] != (char)i) exit(1);
        for (int i = 0; i < 500; i += 2) p[i] = realloc(p[i], 48);
        if (fh_zone_verify(zone) || fh_zone_count(zone) != 500) exit(1);
        for (int i = 0; i < 500; i += 2) fh_zone_free(zone, p[i]);
        for (int i = 1; i < 500; i += 2) free(p[i]);
    }
    if (fh_zone_seal(zone) != -EOPNOTSUPP) exit(1);
    fh_zone_destroy(zone);
    puts("tagged: all is well");
}

/* CTest takes no signal for an answer, and reads the report. */
static void end(const struct fh_hardened_report *report)
{
    (void)report;
    _exit(1);
}

int main(int argc, char **argv)
{
#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {CASE(use_after_free), CASE(overflow),   CASE(far),        CASE(old_pointer),
                 CASE(plain_pointer),  CASE(free_plain), CASE(free_twice), CASE(right)};
    fh_hardened_set_hook(end);
    zone = fh_zone_create("tagged", 48, FH_ZONE_TAGGED);
    if (zone == NULL) {
        perror("no tags here");
        return 77;
    }
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) cases[i].run();
    return 0;
}
