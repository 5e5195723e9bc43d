/*
 * What the fast library tells of misuse, cell by cell: the state that a block was brought into, what is then
 * done with it, by the thread that made it or by another, for each kind of block. told.def holds what is true
 * today, also where nothing is told, so that the limits in the README are those of the library.
 *
 *   told            compares; every cell is a process of its own
 *   told --print    prints the table as it is
 *
 * A cell is  t  the call was told, and stopped
 *            -  nothing was said; the program went on
 *            x  the process ended in another way
 *            .  does not apply
 */
#include "kit/child.h"
#include "kit/expect.h"

#include <freehold/freehold.h>
#include <freehold/registry.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Five slabs' worth of sizes, a run of granules, a large block. */
static const size_t sizes[] = {16, 100, 1000, 3000, 8000, 20000, 1000000};
enum { SIZES = sizeof sizes / sizeof *sizes, MANY = 3000, SLICE = 1 << FH_SLICE_SHIFT };

struct block {
    char *p;
    size_t size; /* as asked for */
};

/* Exit of a child whose state cannot be brought about for blocks of that size. */
enum { NOT_HERE = 99 };

/* ---- states ------------------------------------------------------------------------------------------------ */

static void *many[MANY];

/* As many as fill some slabs, for large ones few. */
static unsigned make_many(size_t size)
{
    unsigned n = size > 100000 ? 16 : size > 8192 ? 64 : MANY;
    for (unsigned i = 0; i < n; i++) many[i] = malloc(size);
    return n;
}

static bool same_slice(const void *p, const void *q)
{
    return (uintptr_t)p / SLICE == (uintptr_t)q / SLICE;
}

/* Two that lie in one slice, neighbours in the order of their making, from the middle of many. */
static unsigned pair_in_slice(size_t size)
{
    unsigned n = make_many(size);
    for (unsigned i = n / 2; i + 1 < n; i++)
        if (same_slice(many[i], many[i + 1])) return i;
    _exit(NOT_HERE);
}

static void trim(void)
{
    fh_malloc_trim(0);
}

static struct block state_live(size_t size)
{
    return (struct block){malloc(size), size};
}

static struct block state_freed(size_t size)
{
    char *p = malloc(size);
    free(p);
    return (struct block){p, size};
}

static struct block state_freed_before(size_t size)
{
    unsigned n = make_many(size);
    for (unsigned i = 0; i < n; i += 2) free(many[i]);
    return (struct block){many[2], size};
}

static void *thread_free(void *p)
{
    free(p);
    return NULL;
}

static sem_t was_freed;

static void *thread_free_and_wait(void *p)
{
    EXPECT(malloc(24) != NULL, "a heap of its own, with a table");
    free(p);
    sem_post(&was_freed);
    for (;;) pause();
    return NULL;
}

static void in_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, body, argument) == 0, "pthread_create");
    EXPECT(pthread_join(thread, NULL) == 0, "pthread_join");
}

/* It waits in the table of the thread that freed it. */
static struct block state_kept_by_other(size_t size)
{
    unsigned i = pair_in_slice(size);
    pthread_t thread;
    sem_init(&was_freed, 0, 0);
    EXPECT(pthread_create(&thread, NULL, thread_free_and_wait, many[i]) == 0, "pthread_create");
    sem_wait(&was_freed);
    return (struct block){many[i], size};
}

/* It was sent to the slab, whose owner has not looked yet. */
static struct block state_sent_by_other(size_t size)
{
    unsigned i = pair_in_slice(size);
    in_thread(thread_free, many[i]);
    return (struct block){many[i], size};
}

/* The owner has looked: a refill for another class takes all in. */
static struct block state_collected(size_t size)
{
    struct block b = state_sent_by_other(size);
    many[0] = malloc(size <= 1000 ? 5000 : 200);
    return b;
}

/* The list from which the thread allocates next holds it: of a slab of which all else was freed after it,
 * some came back. */
static struct block state_listed(size_t size)
{
    unsigned n = make_many(size), chosen = n / 2;
    free(many[chosen]);
    for (unsigned i = 0; i < n; i += 2)
        if (i != chosen && same_slice(many[i], many[chosen])) free(many[i]);
    for (unsigned k = 0; k < MANY; k++) {
        void *p = malloc(size);
        if (p != many[chosen] && same_slice(p, many[chosen]))
            return (struct block){many[chosen], size};
    }
    _exit(NOT_HERE);
}

/* Its page went back to the kernel while another block of the slab lives. */
static struct block state_purged(size_t size)
{
    unsigned n = make_many(size), low = n / 2, high = n / 2;
    for (unsigned i = 0; i < n; i++) {
        if (!same_slice(many[i], many[low])) continue;
        if (many[i] < many[low]) low = i;
        if (many[i] > many[high]) high = i;
    }
    if ((char *)many[high] - (char *)many[low] < 16384) _exit(NOT_HERE);
    for (unsigned i = 0; i < n; i++)
        if (i != low) free(many[i]);
    trim();
    return (struct block){many[high], fh_malloc_usable_size(many[low])};
}

/* The same of the block before, since that one may stay in the list without its page; and other blocks have been
 * made in a part of the slab again. */
static struct block state_purged_in_part(size_t size)
{
    struct block b = state_purged(size);
    if (size <= 8192) b.p -= b.size;
    for (unsigned i = 0; i < MANY; i++) {
        char *p = malloc(b.size); /* of its class, whatever serves `size` now */
        if (!same_slice(p, b.p) || (uintptr_t)p % SLICE < 8192) continue;
        if (p == b.p) break;
        if (p < b.p - 4096) return b;
    }
    _exit(NOT_HERE);
}

/* The block behind the first of its slab, which waits in a list: not handed out yet. */
static struct block state_next(size_t size)
{
    char *p = malloc(size);
    if (size > 3000) _exit(NOT_HERE);
    return (struct block){p + fh_malloc_usable_size(p), size};
}

/* One of the same slab on a page of which no block was made yet. */
static struct block state_beyond(size_t size)
{
    char *p = malloc(size);
    if (size > 8192) _exit(NOT_HERE);
    return (struct block){p + fh_malloc_usable_size(p) * (40000 / fh_malloc_usable_size(p)), size};
}

/* Its slab went back, and serves another size: it lies inside a block of that. */
static struct block state_reused(size_t size)
{
    unsigned n = make_many(size);
    size_t other = size <= 1000 ? 5000 : size <= 8000 ? 200 : 7000;
    for (unsigned i = 0; i < n; i++) free(many[i]);
    trim();
    for (unsigned k = 0; k < MANY; k++) {
        char *p = malloc(other);
        for (unsigned i = 0; i < n; i++)
            if ((char *)many[i] > p && (char *)many[i] < p + other)
                return (struct block){many[i], size};
    }
    _exit(NOT_HERE);
}

/* Somebody wrote to it after it was freed. */
static struct block state_overwritten(size_t size)
{
    struct block b = state_freed(size);
    memset(b.p, 'x', 16);
    return b;
}

/* A thread that ended owned it; this one has taken the slab over. */
static void *thread_make_some(void *size)
{
    make_many(*(size_t *)size);
    for (unsigned i = 0; i < MANY && many[i]; i += 2) free(many[i]);
    return NULL;
}

static struct block state_adopted(size_t size)
{
    EXPECT(malloc(24) != NULL, "a heap of its own");
    in_thread(thread_make_some, &size);
    trim();
    for (unsigned n = 0; n < MANY; n++) {
        char *p = malloc(size);
        for (unsigned i = 8; i < MANY && many[i]; i += 2)
            if (p == many[i] && same_slice(many[i - 8], p))
                return (struct block){many[i - 8], size};
    }
    _exit(NOT_HERE);
}

/* A live block with the words of a freed one in it, as a copy of memory that was never written may have. */
static struct block state_lookalike(size_t size)
{
    char *a = malloc(size), *b = malloc(size), *c = malloc(size);
    free(b);
    memcpy(a, b, 16);
    EXPECT(c, "keeps the slab");
    return (struct block){a, size};
}

/* ---- deeds ------------------------------------------------------------------------------------------------- */

/* They come with the C++ runtime's names, and a C program has no header for them. */
void _ZdlPvm(void *p, size_t size);
void _ZdlPvmSt11align_val_t(void *p, size_t size, size_t alignment);

static void *sink;

static void deed_free(struct block b)
{
    free(b.p);
}

static void deed_free_inside(struct block b)
{
    free(b.p + 16);
}

static void deed_free_half(struct block b)
{
    free(b.p + b.size / 2 / 16 * 16);
}

static void deed_free_8(struct block b)
{
    free(b.p + 8);
}

static void deed_free_1(struct block b)
{
    free(b.p + 1);
}

static void deed_realloc(struct block b)
{
    sink = realloc(b.p, b.size * 2);
}

static void deed_realloc_same(struct block b)
{
    sink = realloc(b.p, b.size);
}

static void deed_realloc_zero(struct block b)
{
    sink = realloc(b.p, 0);
}

static void deed_realloc_inside(struct block b)
{
    sink = realloc(b.p + 16, b.size * 2);
}

static void deed_usable(struct block b)
{
    fh_malloc_usable_size(b.p);
}

static void deed_usable_inside(struct block b)
{
    fh_malloc_usable_size(b.p + 16);
}

static void deed_sized_right(struct block b)
{
    fh_free_sized(b.p, b.size);
}

static void deed_sized_more(struct block b)
{
    fh_free_sized(b.p, fh_malloc_usable_size(b.p) + 1);
}

static void deed_sized_double(struct block b)
{
    _ZdlPvm(b.p, 2 * fh_malloc_usable_size(b.p));
}

static void deed_sized_less(struct block b)
{
    _ZdlPvm(b.p, b.size - 1);
}

static void deed_sized_tenth(struct block b)
{
    _ZdlPvm(b.p, b.size / 10);
}

static void deed_aligned_wrong(struct block b)
{
    size_t alignment = 16;
    while ((uintptr_t)b.p % alignment == 0) alignment *= 2;
    fh_free_aligned_sized(b.p, alignment, b.size);
}

static void deed_aligned_delete(struct block b)
{
    size_t alignment = 16;
    while ((uintptr_t)b.p % alignment == 0) alignment *= 2;
    _ZdlPvmSt11align_val_t(b.p, b.size, alignment);
}

/* ---- the table --------------------------------------------------------------------------------------------- */

struct row {
    const char *name;
    struct block (*state)(size_t size);
    void (*deed)(struct block b);
    const char *own, *other; /* a letter for each size */
};

#define TOLD(name, state, deed, own, other) {name, state_##state, deed_##deed, own, other},
static const struct row rows[] = {
#include "told.def"
};

struct cell {
    const struct row *row;
    size_t size;
    bool other;
};

/* The other thread has a heap before the block's state comes about: its start would change that. */
struct act {
    void (*deed)(struct block b);
    struct block b;
    sem_t ready, go;
};

static void *thread_act(void *argument)
{
    struct act *act = argument;
    sink = malloc(24);
    sem_post(&act->ready);
    sem_wait(&act->go);
    act->deed(act->b);
    return NULL;
}

static void cell_body(void *argument)
{
    const struct cell *cell = argument;
    struct act act = {.deed = cell->row->deed};
    pthread_t thread;
    if (cell->other) {
        sem_init(&act.ready, 0, 0);
        sem_init(&act.go, 0, 0);
        EXPECT(pthread_create(&thread, NULL, thread_act, &act) == 0, "pthread_create");
        sem_wait(&act.ready);
    }
    act.b = cell->row->state(cell->size);
    if (cell->other) {
        sem_post(&act.go);
        pthread_join(thread, NULL);
    } else {
        act.deed(act.b);
    }
    _exit(0);
}

/* The line that every report begins and ends with: freehold: free(0x...): ...; stopping ... */
static bool is_report(const char *said)
{
    const char *line = strstr(said, "freehold: ");
    return line && strstr(line, "(0x") && strstr(line, "; stopping (option bad_free=ignore");
}

static char cell_letter(struct cell cell)
{
    struct child_end end = child_run(cell_body, &cell);
    if (end.signal == 0 && end.status == NOT_HERE) return '.';
    if (end.signal == 0 && end.status == 0) return '-';
    return end.signal == SIGABRT && is_report(end.said) ? 't' : 'x';
}

static void row_run(const struct row *row, bool other, char letters[SIZES + 1])
{
    for (unsigned i = 0; i < SIZES; i++)
        letters[i] = cell_letter((struct cell){row, sizes[i], other});
    letters[SIZES] = 0;
}

int main(int argc, char **argv)
{
    bool print = argc > 1 && !strcmp(argv[1], "--print");
    unsigned wrong = 0;
    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        char own[SIZES + 1], other[SIZES + 1];
        row_run(row, false, own);
        row_run(row, true, other);
        bool same = !strcmp(own, row->own) && !strcmp(other, row->other);
        if (print) printf("%-62s %s %s\n", row->name, own, other);
        if (print || same) continue;
        printf("%s: %s %s, expected %s %s\n", row->name, own, other, row->own, row->other);
        wrong++;
    }
    return wrong != 0;
}
