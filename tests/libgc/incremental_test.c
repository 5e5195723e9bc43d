/*
 * Collections beside the program. What could break: a reference that is moved by a plain store while marking goes on,
 * from where it was not seen yet to where it was seen already, is lost, and its object collected; or one that the kernel
 * stores (a read into an object), one in static data, in a mark procedure's object, in an object that was freed and
 * allocated again meanwhile; a link is cleared though the program has made its object reachable again.
 */
#include <errno.h>
#include <stdbool.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "libgc/kit.h"

#include <gc/gc_mark.h>

enum { CELLS = 20000, ROUNDS = 40, MAGIC = 0x5ca1ab1e };

/* What is looked for is reached by one reference only, which moves all the time. */
struct item {
    struct item *next;
    unsigned long magic, number;
    char room[24];
};

static struct item *item_new(unsigned long number)
{
    struct item *item = GC_MALLOC(sizeof *item);
    item->magic = MAGIC;
    item->number = number;
    return item;
}

/* So many rounds at least, and as many collections as make it likely that one meets each line. */
static GC_word begun_with;

static bool more(unsigned round, unsigned least)
{
    enum { COLLECTIONS = 50 };
    return round < least || GC_get_gc_no() - begun_with < COLLECTIONS;
}

static unsigned long seed = 1;

static size_t random_below(size_t n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (size_t)(seed >> 33) % n;
}

static __attribute__((noinline)) struct item **cells_new(void)
{
    struct item **cell = GC_MALLOC(CELLS * sizeof *cell);
    for (size_t i = 0; i < CELLS; i++) cell[i] = item_new(i);
    return cell;
}

static void cells_check(struct item **cell)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < CELLS; i++) {
        assert_int_equal(cell[i]->magic, MAGIC);
        sum += cell[i]->number;
    }
    assert_int_equal(sum, (unsigned long)CELLS * (CELLS - 1) / 2);
}

/* Each is in one cell or on the stack; what is collected too early is overwritten by what is made here. */
static __attribute__((noinline)) void cells_stir(struct item **cell, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        size_t a = random_below(CELLS), b = random_below(CELLS);
        struct item *was = cell[a];
        cell[a] = NULL;
        struct item *garbage = item_new(CELLS);
        garbage->next = cell[b];
        cell[a] = cell[b];
        cell[b] = was;
    }
}

static void test_incremental__plain_stores(void **state)
{
    (void)state;
    struct item **cell = cells_new();
    for (unsigned round = 0; more(round, ROUNDS); round++) cells_stir(cell, 50000);
    cells_check(cell);
}

struct worker {
    struct item **cell;
    bool ok;
};

static void *stirs(void *argument)
{
    struct worker *worker = argument;
    worker->cell = cells_new();
    for (unsigned round = 0; more(round, ROUNDS / 2); round++) cells_stir(worker->cell, 20000);
    worker->ok = true;
    for (size_t i = 0; i < CELLS; i++) worker->ok &= worker->cell[i]->magic == MAGIC;
    return NULL;
}

static void test_incremental__threads(void **state)
{
    (void)state;
    static struct worker worker[3];
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) GC_pthread_create(&thread[i], NULL, stirs, &worker[i]);
    for (int i = 0; i < 3; i++) {
        GC_pthread_join(thread[i], NULL);
        assert_true(worker[i].ok);
    }
}

static struct item *in_static_data[1000];

static void test_incremental__static_data(void **state)
{
    (void)state;
    struct item **cell = GC_MALLOC(1000 * sizeof *cell);
    for (size_t i = 0; i < 1000; i++) cell[i] = item_new(i);
    for (unsigned round = 0; more(round, 2 * ROUNDS); round++) {
        for (size_t i = 0; i < 1000; i++) {
            in_static_data[i] = cell[i];
            cell[i] = NULL;
        }
        for (int i = 0; i < 5000; i++) item_new(0);
        for (size_t i = 0; i < 1000; i++) {
            cell[999 - i] = in_static_data[i];
            in_static_data[i] = NULL;
        }
        for (int i = 0; i < 5000; i++) item_new(0);
    }
    unsigned long sum = 0;
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(cell[i]->magic, MAGIC);
        sum += cell[i]->number;
    }
    assert_int_equal(sum, 1000 * 999 / 2);
}

/* Where pages are watched by faults a system call may refuse to write to an object with references: until the program
 * has written to it itself, or the heap is not being marked any more. */
static ssize_t reference_read(int fd, struct item **to)
{
    ssize_t got;
    while ((got = read(fd, to, sizeof *to)) < 0 && errno == EFAULT &&
           GC_incremental_protection_needs() != GC_PROTECTS_NONE)
        *(struct item *volatile *)to = NULL;
    return got;
}

/* References go through a pipe: the kernel writes them. */
static void test_incremental__what_the_kernel_stores(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct item **from = cells_new(), **to = GC_MALLOC(CELLS * sizeof *to);
    for (unsigned round = 0; more(round, ROUNDS / 4); round++) {
        for (size_t i = 0; i < CELLS; i++) {
            struct item *kept = from[i];
            assert_int_equal(write(ends[1], &from[i], sizeof *from), sizeof *from);
            from[i] = NULL;
            item_new(i);
            ssize_t got = reference_read(ends[0], &to[CELLS - 1 - i]);
            assert_int_equal(got, sizeof *to);
            assert_ptr_equal(to[CELLS - 1 - i], kept);
        }
        struct item **other = from;
        from = to;
        to = other;
    }
    cells_check(from);
    close(ends[0]);
    close(ends[1]);
}

/* A buffer without references can always be read into. */
static void test_incremental__buffers(void **state)
{
    enum { BUFFER = 200000, AT_ONCE = 4000 };
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct item **cell = cells_new();
    char *buffer = GC_MALLOC_ATOMIC(BUFFER), *from = calloc(1, AT_ONCE);
    for (unsigned round = 0; more(round, 1000); round++) {
        cells_stir(cell, 500);
        assert_int_equal(write(ends[1], from, AT_ONCE), AT_ONCE);
        assert_int_equal(read(ends[0], buffer + random_below(BUFFER - AT_ONCE), AT_ONCE), AT_ONCE);
    }
    cells_check(cell);
    free(from);
    close(ends[0]);
    close(ends[1]);
}

/* ---- mark procedures ----------------------------------------------------------------------------------------- */

/* Its reference is stored with all bits turned over. */
struct hidden {
    GC_word magic, reference;
};

static struct GC_ms_entry *hidden_mark(GC_word *object, struct GC_ms_entry *top,
                                       struct GC_ms_entry *limit, GC_word environment)
{
    struct hidden *hidden = (struct hidden *)object;
    (void)environment;
    if (hidden->magic != MAGIC) return top; /* freed, or not filled yet */
    return GC_MARK_AND_PUSH((void *)~hidden->reference, top, limit, (void **)&hidden->reference);
}

static void test_incremental__mark_procedures(void **state)
{
    enum { OBJECTS = 3000 };
    (void)state;
    static unsigned kind;
    if (kind == 0)
        kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(GC_new_proc(hidden_mark), 0), 0, 1);
    struct hidden **object = GC_MALLOC(OBJECTS * sizeof *object);
    for (size_t i = 0; i < OBJECTS; i++) {
        object[i] = GC_generic_malloc(sizeof **object, (int)kind);
        struct item *volatile kept = item_new(i);
        object[i]->reference = ~(GC_word)kept;
        object[i]->magic = MAGIC;
        GC_reachable_here((void *)kept);
    }
    for (unsigned round = 0; more(round, 200); round++) {
        for (size_t i = 0; i < 1000; i++) {
            struct hidden *a = object[random_below(OBJECTS)], *b = object[random_below(OBJECTS)];
            struct item *volatile kept = (struct item *)~a->reference; /* while no object has it */
            a->reference = b->reference;
            b->reference = ~(GC_word)kept;
            item_new(0);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++)
        assert_int_equal(((struct item *)~object[i]->reference)->magic, MAGIC);
}

/* ---- freed and resized objects --------------------------------------------------------------------------------- */

static void test_incremental__freed_and_resized(void **state)
{
    enum { BUFFERS = 500 };
    (void)state;
    unsigned char **buffer = GC_MALLOC(BUFFERS * sizeof *buffer);
    size_t *size = GC_MALLOC_ATOMIC(BUFFERS * sizeof *size);
    memset(size, 0, BUFFERS * sizeof *size);
    for (unsigned round = 0; more(round, 60000); round++) {
        size_t i = random_below(BUFFERS);
        for (size_t at = 0; at < size[i]; at += 97) assert_int_equal(buffer[i][at], i % 251);
        size_t want = random_below(100) ? random_below(2000) + 1 : random_below(300000) + 1;
        if (random_below(3) == 0) {
            GC_FREE(buffer[i]);
            buffer[i] = GC_MALLOC(want);
        } else {
            buffer[i] = GC_REALLOC(buffer[i], want);
        }
        size[i] = want;
        memset(buffer[i], (int)(i % 251), want);
    }
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

struct link {
    GC_word hidden;
};

static void *link_read(void *link)
{
    GC_word hidden = ((struct link *)link)->hidden;
    return hidden ? GC_REVEAL_POINTER(hidden) : NULL;
}

/* What is read through a link under the lock lives on. */
static void test_incremental__links(void **state)
{
    enum { LINKS = 2000 };
    (void)state;
    struct link *link = GC_MALLOC_ATOMIC(LINKS * sizeof *link);
    struct item **held = GC_MALLOC(LINKS * sizeof *held);
    memset(link, 0, LINKS * sizeof *link);
    size_t revived = 0;
    for (unsigned round = 0; more(round, 400000); round++) {
        size_t i = random_below(LINKS);
        struct item *item = GC_call_with_alloc_lock(link_read, &link[i]);
        if (item) {
            assert_int_equal(item->magic, MAGIC);
            assert_int_equal(item->number, i);
            revived += held[i] == NULL;
            held[i] = random_below(2) ? item : NULL;
        } else {
            assert_null(held[i]);
            item = item_new(i);
            link[i].hidden = GC_HIDE_POINTER(item);
            GC_general_register_disappearing_link((void **)&link[i].hidden, item);
        }
    }
    assert_true(revived > 0);
}

/* ---- one cycle after the other ------------------------------------------------------------------------------------ */

static pthread_t collector;
static _Atomic bool over;

static void *collects(void *unused)
{
    (void)unused;
    while (!over) {
        GC_gcollect();
        usleep(500);
    }
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    begun_with = GC_get_gc_no();
    over = false;
    return GC_pthread_create(&collector, NULL, collects, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    over = true;
    GC_pthread_join(collector, NULL);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_incremental__##name, set_up, tear_down)

int main(void)
{
    GC_INIT();
    GC_enable_incremental();
    const struct CMUnitTest tests[] = {
        TEST(plain_stores),           TEST(threads), TEST(static_data),
        TEST(what_the_kernel_stores), TEST(buffers), TEST(mark_procedures),
        TEST(freed_and_resized),      TEST(links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
