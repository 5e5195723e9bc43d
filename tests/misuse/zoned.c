/*
 * What is done wrong with private zones, and what is told on request, in a program that is linked with the hardened
 * library:    zoned CASE
 * Ends well if nothing was noticed.
 */
#include <freehold/freehold.h>
#include <freehold/zone.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile char sink;
static volatile size_t too_much = (size_t)1 << 46;

/* ---- zones ---------------------------------------------------------------------------------------------- */

static void read_destroyed(void)
{
    fh_zone *zone = fh_zone_create("keys", 100, 0);
    char *p = fh_zone_strdup(zone, "secret");
    fh_zone_destroy(zone);
    sink = p[3];
}

static void write_sealed(void)
{
    fh_zone *zone = fh_zone_create("table", 0, 0);
    char *p = fh_zone_allocate_zeroed(zone, 10, 10);
    fh_zone_seal(zone);
    p[7] = 1;
}

static void read_sealed(void)
{
    fh_zone *zone = fh_zone_create("table", 0, 0);
    char *p = fh_zone_allocate_zeroed(zone, 10, 10);
    fh_zone_seal(zone);
    sink = p[7];
}

static void free_sealed(void)
{
    fh_zone *zone = fh_zone_create("table", 0, 0);
    char *p = fh_zone_allocate(zone, 100);
    fh_zone_seal(zone);
    free(p);
}

static void free_elsewhere(void)
{
    fh_zone *zone = fh_zone_create("here", 0, 0), *other = fh_zone_create("there", 0, 0);
    fh_zone_free(other, fh_zone_allocate(zone, 100));
}

static void free_twice(void)
{
    fh_zone *zone = fh_zone_create("here", 0, 0);
    char *p = fh_zone_allocate(zone, 100);
    fh_zone_free(zone, p);
    free(p);
}

static void handle_destroyed(void)
{
    fh_zone *zone = fh_zone_create("here", 0, 0);
    fh_zone_destroy(zone);
    sink = fh_zone_allocate(zone, 1) != NULL;
}

static void old_tag(void)
{
    fh_zone *zone = fh_zone_create("tagged", 0, 0);
    char *tagged = fh_zone_tag(zone, fh_zone_allocate(zone, 100));
    fh_zone_free(zone, fh_zone_untag(zone, tagged));
    sink = fh_zone_untag(zone, tagged) != NULL;
}

/* Where nothing is cleared when it is freed. */
static void zeroed(void)
{
    fh_zone *zone = fh_zone_create("zeros", 0, 0);
    for (int i = 0; i < 1000; i++) {
        char *p = fh_zone_allocate_zeroed(zone, 1, 1000);
        for (int j = 0; j < 1000; j++)
            if (p[j]) exit(1);
        memset(p, 'x', 1000);
        fh_zone_free(zone, p);
    }
}

/* ---- on request ------------------------------------------------------------------------------------------- */

/* The damaged block is never freed. */
static void damaged(void)
{
    char *p = malloc(40);
    p[40] = 'x';
    for (int i = 0; i < 1000; i++) free(malloc(100));
}

/* They come with the C++ runtime's names, and a C program has no header for them. */
void *_Znam(size_t size);
void _ZdaPv(void *p);

static void large_deleted(void)
{
    char *p = _Znam(200001);
    p[200001] = 'x';
    _ZdaPv(p);
}

static void array_resized(void)
{
    sink = realloc(_Znam(48), 100) != NULL;
}

/* A block in slots of 64 bytes, with so much of its address. */
static char *at_offset(size_t offset)
{
    char *p;
    do p = aligned_alloc(32, 50);
    while (((uintptr_t)p & 127) != offset);
    return p;
}

static void alignment_of_address(void)
{
    fh_free_aligned_sized(at_offset(64), 128, 50);
}

/* What was asked for is not known. */
static void alignment_that_fits(void)
{
    fh_free_aligned_sized(at_offset(0), 128, 50);
}

/* At the beginning of a page: a guard lies in front of it; at the beginning of a slot of 256 KiB, another slot's. */
static void large_page_front(void)
{
    char *p = aligned_alloc(4096, 200001);
    while (((uintptr_t)p & ((1 << 18) - 1)) == 0) p = aligned_alloc(4096, 200001);
    p[-1] = 'x';
}

/* Pages that others left (level light), and new ones: nothing beside a block was written to. */
static void large_whole(void)
{
    static const size_t sizes[] = {200000, 199000, 196624, 201000, 131073, 204784, 190001};
    for (unsigned i = 0; i < 700; i++) {
        size_t size = sizes[i % 7], other = sizes[i / 7 % 7];
        char *p = i % 3 ? malloc(size) : aligned_alloc(64, size);
        memset(p, 'x', size);
        p = realloc(p, other);
        memset(p, 'y', other);
        fh_hardened_verify();
        if (i % 5) free(p);
    }
}

/* Nothing is called any more but sleep: who looks is not this thread. For a minute, or until the end. */
static void wait_for_look(void)
{
    for (int i = 0; i < 60; i++) sleep(1);
}

static void damaged_waits(void)
{
    char *p = malloc(40);
    p[40] = 'x';
    wait_for_look();
}

/* A look may have gone over it already. */
static void damaged_later(void)
{
    char *p = malloc(40);
    usleep(200000);
    p[41] = 'x';
    wait_for_look();
}

/* In a child, which had no helper until it took slots. */
static void damaged_in_child(void)
{
    char *p = malloc(40);
    if (fork() == 0) {
        p[42] = 'x';
        for (int i = 0; i < 1000; i++) sink = malloc(40) != NULL;
        wait_for_look();
    }
    int status = 0;
    wait(&status);
    if (WIFSIGNALED(status)) raise(WTERMSIG(status));
}

/* A helper that found something would say so in 300 ms; nothing is wrong. */
static void whole_waits(void)
{
    for (int i = 0; i < 20000; i++) {
        char *p = malloc((size_t)i % 3000 + 1);
        memset(p, 'y', (size_t)i % 3000 + 1);
        if (i % 3) free(p);
    }
    usleep(300000);
}

static void no_memory(void)
{
    sink = malloc(too_much) != NULL;
}

static void no_memory_in_zone(void)
{
    fh_zone *zone = fh_zone_create("here", 0, 0);
    sink = fh_zone_allocate(zone, too_much) != NULL;
}

static void refused_but_no_memory(void)
{
    fh_zone *zone = fh_zone_create("here", 10, 0);
    sink = fh_zone_allocate(zone, 11) != NULL;
    fh_zone_seal(zone);
    sink = fh_zone_allocate(zone, 10) != NULL;
}

static int lines_of_maps(const char *words)
{
    char line[512];
    int lines = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) lines += strstr(line, words) != NULL;
    fclose(maps);
    return lines;
}

static void named(void)
{
    char *p = malloc(40), *q = malloc(200000);
    if (lines_of_maps("[anon:freehold:heap]") == 0) exit(77); /* this kernel names no memory */
    if (!p || !q || !lines_of_maps("[anon:freehold:48]") || !lines_of_maps("[anon:freehold:large "))
        exit(1);
}

/* With every block sampled: slots are few, and would come again. */
static void sampled_for_good(void)
{
    char *gone = malloc(100);
    fh_free_permanently(gone);
    for (int i = 0; i < 20000; i++) {
        char *p = malloc(100);
        if ((size_t)p / 4096 == (size_t)gone / 4096) exit(1);
        free(p);
    }
}

static void sampled_for_good_twice(void)
{
    char *p = malloc(100);
    fh_free_permanently(p);
    fh_free_permanently(p);
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
    } cases[] = {
        CASE(read_destroyed),
        CASE(write_sealed),
        CASE(read_sealed),
        CASE(free_sealed),
        CASE(free_elsewhere),
        CASE(free_twice),
        CASE(handle_destroyed),
        CASE(old_tag),
        CASE(damaged),
        CASE(damaged_waits),
        CASE(damaged_later),
        CASE(damaged_in_child),
        CASE(whole_waits),
        CASE(array_resized),
        CASE(alignment_of_address),
        CASE(alignment_that_fits),
        CASE(large_deleted),
        CASE(large_page_front),
        CASE(large_whole),
        CASE(no_memory),
        CASE(no_memory_in_zone),
        CASE(refused_but_no_memory),
        CASE(zeroed),
        CASE(named),
        CASE(sampled_for_good),
        CASE(sampled_for_good_twice),
    };
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(argv[1], cases[i].name) != 0) continue;
        cases[i].run();
        return 0;
    }
    return 2;
}
