/*
 * A heap whose addresses are used up (option reserve). What could break: malloc returns NULL though freed slots wait for
 * a sweep that nobody has asked for, since what waits is less than what one begins at; it never returns NULL; a slot is
 * handed out that a word points to; threads that all run out at once wait for each other.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/zone.h>

#include "hard/reuse_core.h"
#include "hard/reuse_scan.h"
#include "kit/unit.h"

/* Less of each is freed than a sweep begins at: 8 MiB of small slots, or a 16th of all addresses, of which option
 * reserve=16M has 64 MiB here. */
enum { MOST = 200000, SMALL_BACK = 20, LARGE_BACK = 3, THREADS = 4, ROUNDS = 200 };
enum { LARGE = CORE_LARGE - 8192 };

static uintptr_t held[MOST];

static uint64_t sweeps(void)
{
    struct reuse_stats now;
    reuse_stats_get(&now);
    return now.sweeps;
}

/* Kept masked: no word is to point to what is freed. */
#define MASK 0x5555555555555555ull

static size_t fill_up(size_t size)
{
    size_t n = 0;
    for (void *p; n < MOST && (p = fh_malloc(size)); n++) held[n] = (uintptr_t)p ^ MASK;
    return n;
}

static void give_back(size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) core_free((void *)(held[i] ^ MASK));
}

static __attribute__((noinline)) void stack_clear(void)
{
    volatile char bytes[32768];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = 0;
}

/* As many again as were freed, but for some to which stale words may point; and then no more. */
static void come_back(size_t size, size_t back)
{
    size_t n = fill_up(size), again = 0;
    if (n < 3 * back || n == MOST) _exit(1);
    uint64_t before = sweeps();
    give_back(back, back);
    if (sweeps() != before) _exit(2); /* it is too little for one of its own accord */
    stack_clear();
    while (again < back && fh_malloc(size)) again++;
    if (again < (back + 1) / 2) _exit(3);
    if (sweeps() == before) _exit(4);
    for (size_t i = 0; i < 2 * back; i++)
        if (!fh_malloc(size)) _exit(0);
    _exit(5);
}

static void small(void)
{
    come_back(CORE_MEDIUM, SMALL_BACK);
}

static void large(void)
{
    come_back(LARGE, LARGE_BACK);
}

static void in_zone(void)
{
    fh_zone *zone = fh_zone_create("room", 0, 0);
    size_t n = 0, again = 0;
    if (!zone) _exit(1);
    for (void *p; n < MOST && (p = fh_zone_allocate(zone, CORE_MEDIUM)); n++)
        held[n] = (uintptr_t)p ^ MASK;
    if (n < 3 * SMALL_BACK || n == MOST) _exit(1);
    uint64_t before = sweeps();
    for (size_t i = 0; i < SMALL_BACK; i++)
        fh_zone_free(zone, (void *)(held[SMALL_BACK + i] ^ MASK));
    core_flush();
    stack_clear();
    while (again < SMALL_BACK && fh_zone_allocate(zone, CORE_MEDIUM)) again++;
    _exit(again < SMALL_BACK / 2 ? 3 : sweeps() == before ? 4 : 0);
}

/* The one that a word points to stays away, the others come. */
static void *volatile pointer;

static void kept(void)
{
    size_t n = fill_up(LARGE);
    if (n < 3 * LARGE_BACK || n == MOST) _exit(1);
    pointer = (void *)(held[LARGE_BACK] ^ MASK);
    give_back(LARGE_BACK, LARGE_BACK);
    stack_clear();
    for (void *p; (p = fh_malloc(LARGE));)
        if (p == pointer) _exit(2);
    _exit(core_waits(pointer) ? 0 : 3);
}

/* Nothing waits: NULL at once, however often it is asked for. */
static void in_vain(void)
{
    size_t n = fill_up(LARGE);
    if (n == MOST) _exit(1);
    core_flush();
    if (fh_malloc(LARGE)) _exit(2);
    uint64_t before = sweeps();
    for (int i = 0; i < 100; i++)
        if (fh_malloc(LARGE)) _exit(2);
    _exit(sweeps() <= before + 1 ? 0 : 3);
}

static void *thread_main(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *p = fh_malloc(LARGE), *q = fh_malloc(LARGE);
        fh_free(p);
        fh_free(q);
    }
    return unused;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    if (fill_up(LARGE) == MOST) _exit(1);
    for (int i = 0; i < 3; i++) fh_free((void *)(held[i] ^ MASK));
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, thread_main, NULL)) _exit(1);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    _exit(0);
}

static void in_child(void (*body)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        body();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status) fail_msg("status %x", (unsigned)status);
}

static void test_room__small_slots_that_wait_are_swept_before_null(void **state)
{
    (void)state;
    in_child(small);
}

static void test_room__large_slots_that_wait_are_swept_before_null(void **state)
{
    (void)state;
    in_child(large);
}

static void test_room__so_are_those_of_a_zone(void **state)
{
    (void)state;
    in_child(in_zone);
}

static void test_room__what_is_pointed_to_does_not_come(void **state)
{
    (void)state;
    in_child(kept);
}

static void test_room__nothing_is_swept_if_nothing_waits(void **state)
{
    (void)state;
    in_child(in_vain);
}

static void test_room__threads_that_all_run_out_go_on(void **state)
{
    (void)state;
    in_child(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room__small_slots_that_wait_are_swept_before_null),
        cmocka_unit_test(test_room__large_slots_that_wait_are_swept_before_null),
        cmocka_unit_test(test_room__so_are_those_of_a_zone),
        cmocka_unit_test(test_room__what_is_pointed_to_does_not_come),
        cmocka_unit_test(test_room__nothing_is_swept_if_nothing_waits),
        cmocka_unit_test(test_room__threads_that_all_run_out_go_on),
    };
    setenv("FREEHOLD_OPTIONS", "harden=strict,sample=0,reserve=16M", 1);
    fh_free(fh_malloc(1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
