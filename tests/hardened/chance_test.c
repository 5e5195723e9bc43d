/*
 * What cannot be foretold, over the library itself. What could break: regions begin where they did the last time; the
 * next block lies beside the last one, or where a parent and its child agree; a freed block comes back at once; a
 * freed large block's addresses do.
 */
#include "kit/unit.h"

#include <freehold/freehold.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- where regions begin: of a program that is started again and again -------------------------------- */

static const char *program;

static uintptr_t base_of_a_new_process(void)
{
    int ends[2];
    uintptr_t base = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execl(program, program, "where", NULL);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &base, sizeof base), sizeof base);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return base;
}

/* Of 32 starts none is like another, and each of 24 bits of an address differs in about half of them: between 5 and
 * 27, which chance misses once in some 5,000 bits. */
static void test_chance__bases(void **state)
{
    (void)state;
    enum { STARTS = 32, BITS = 24, FIRST = 16 };
    uintptr_t base[STARTS];
    for (int i = 0; i < STARTS; i++) {
        base[i] = base_of_a_new_process();
        for (int j = 0; j < i; j++) assert_true(base[i] >> FIRST != base[j] >> FIRST);
    }
    for (int bit = FIRST; bit < FIRST + BITS; bit++) {
        int set = 0;
        for (int i = 0; i < STARTS; i++) set += base[i] >> bit & 1;
        assert_in_range(set, 4, STARTS - 4);
    }
}

/* ---- which block comes next -------------------------------------------------------------------------------- */

/* How far the next block lies from the last, in slots and modulo 16, against all distances being alike: chi-square of 15
 * degrees of freedom would be below 45 but in one of some 10,000 tries; that near ones are a little likelier here is
 * allowed for. Blocks one beside the other would have 96,000. */
static void test_chance__slots(void **state)
{
    (void)state;
    enum { PLACES = 16, DRAWS = 6400, SIZE = 56, SLOT = 64, MOST = 250 };
    unsigned count[PLACES] = {0};
    uintptr_t before = (uintptr_t)fh_malloc(SIZE);
    for (int i = 0; i < DRAWS; i++) {
        uintptr_t p = (uintptr_t)fh_malloc(SIZE);
        assert_true(p != 0);
        count[(p - before) / SLOT % PLACES]++;
        before = p;
    }
    double chi = 0, each = (double)DRAWS / PLACES;
    for (int i = 0; i < PLACES; i++) chi += (count[i] - each) * (count[i] - each) / each;
    print_message("chi-square of distances: %.0f\n", chi);
    assert_true(chi < MOST);
}

static void *blocks[256];

static void blocks_take(void)
{
    for (unsigned i = 0; i < 256; i++) blocks[i] = fh_malloc(200);
}

/* Parent and child go on from the same heap, and not in the same way. */
static void test_chance__a_fork_draws_anew(void **state)
{
    (void)state;
    int ends[2];
    void *of_child[256];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        blocks_take();
        _exit(write(ends[1], blocks, sizeof blocks) != sizeof blocks);
    }
    blocks_take();
    assert_int_equal(read(ends[0], of_child, sizeof of_child), sizeof of_child);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    unsigned same = 0;
    for (unsigned i = 0; i < 256; i++) same += blocks[i] == of_child[i];
    assert_in_range(same, 0, 128);
}

/* ---- what comes back ------------------------------------------------------------------------------------------ */

static void test_chance__freed_blocks_wait(void **state)
{
    (void)state;
    enum { WAIT = 100 };
    void *freed = fh_malloc(80);
    uintptr_t was = (uintptr_t)freed;
    fh_free(freed);
    for (int i = 0; i < WAIT; i++) {
        void *p = fh_malloc(80);
        assert_true((uintptr_t)p != was);
        fh_free(p);
    }
}

static void test_chance__freed_large_blocks_wait(void **state)
{
    (void)state;
    enum { WAIT = 200, SIZE = 300000 };
    char *freed = fh_malloc(SIZE);
    uintptr_t was = (uintptr_t)freed;
    fh_free(freed);
    for (int i = 0; i < WAIT; i++) {
        char *p = fh_malloc(SIZE);
        assert_true((uintptr_t)p + SIZE <= was || (uintptr_t)p >= was + SIZE);
        fh_free(p);
    }
}

/* Cleared when it was freed, so that nobody reads there what was. */
static void test_chance__freed_blocks_are_clear(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 100000; size *= 3) {
        volatile char *p = fh_malloc(size);
        memset((char *)p, 'x', size);
        fh_free((char *)p);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
    }
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1) {
        void *p = fh_malloc(48);
        return write(1, &p, sizeof p) != sizeof p;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chance__bases),
        cmocka_unit_test(test_chance__slots),
        cmocka_unit_test(test_chance__a_fork_draws_anew),
        cmocka_unit_test(test_chance__freed_blocks_wait),
        cmocka_unit_test(test_chance__freed_large_blocks_wait),
        cmocka_unit_test(test_chance__freed_blocks_are_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
