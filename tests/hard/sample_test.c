/*
 * Sampled blocks. What could break: two blocks in one slot, memory that is there when it should fault or the other way
 * round, a slot that comes back at once, records that tell of another block, a fork in between; and for reads
 * of what was never written: a correct program that is told of, or that a system call fails for.
 */
#include "kit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "hard/fault.h"
#include "hard/report.h"
#include "hard/sample.h"
#include "hard/sample_watch.h"
#include "kit/child.h"
#include "kit/random.h"

#define NOT_SAID SIZE_MAX

static void *take(size_t size)
{
    return sample_allocate(size, 16, KIND_MALLOC);
}

static void give(void *p)
{
    sample_free(p, KIND_MALLOC, NOT_SAID, 0, "free");
}

static bool touches(volatile char *p)
{
    return os_vm_can_read((void *)p, 1) == 1;
}

/* ---- what a block is --------------------------------------------------------------------------------------------- */

static void check_block(char *p, size_t size, size_t alignment)
{
    assert_non_null(p);
    assert_true(sample_holds(p) && sample_holds(p + size));
    assert_int_equal((uintptr_t)p % alignment, 0);
    assert_int_equal(sample_usable(p, "malloc_usable_size"), size);
    memset(p, 0x77, size);
    char *before = (char *)((uintptr_t)p & ~4095ul) - 1,
         *behind = (char *)(((uintptr_t)p + size + 4095) & ~4095ul);
    assert_false(touches(before));
    assert_false(touches(behind));
    const struct sample_block *block = sample_find(p + size / 2);
    assert_ptr_equal(block->start, p);
    assert_int_equal(block->size, size);
    assert_int_equal(block->made.thread, gettid());
    assert_true(block->made.count > 2);
    assert_int_equal(hard_state(block->word), SLOT_LIVE);
}

static void test_sample__is_alone_between_pages_that_fault(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 15, 16, 17, 100, 4095, 4096, 4097, 10000, 32768};
    bool right = false, left = false;
    for (int round = 0; round < 40; round++) {
        size_t size = sizes[round % COUNT_OF(sizes)], alignment = 16u << round % 5;
        char *p = sample_allocate(size, alignment, KIND_NEW);
        check_block(p, size, alignment);
        bool at_start = (uintptr_t)p % 4096 == 0,
             at_end = ((uintptr_t)p + size + alignment - 1) % 4096 < alignment;
        left |= at_start && !at_end;
        right |= at_end && !at_start;
        sample_free(p, KIND_NEW, size, alignment, "operator delete");
        assert_false(touches(p));
        assert_false(touches(p + size - 1));
    }
    assert_true(left && right);
}

static void test_sample__refuses_what_does_not_fit(void **state)
{
    (void)state;
    assert_null(take(0));
    assert_null(take(SAMPLE_MOST + 1));
    assert_null(take(SIZE_MAX));
    assert_null(sample_allocate(16, 8192, KIND_MALLOC));
}

static void test_sample__never_shares_a_slot(void **state)
{
    (void)state;
    char *block[64];
    unsigned n = 0;
    while (n < 64 && (block[n] = take(100 + n)) != NULL) memset(block[n], (int)n, 100 + n), n++;
    size_t live, open;
    sample_count(&live, &open);
    assert_int_equal(open, 16);
    assert_int_equal(live, n);
    assert_int_equal(n, 12); /* a quarter stays freed */
    for (unsigned i = 0; i < n; i++)
        for (size_t k = 0; k < 100 + i; k++) assert_int_equal(block[i][k], i);
    for (unsigned i = 0; i < n; i++) give(block[i]);
}

static void test_sample__comes_back_late_and_at_random(void **state)
{
    (void)state;
    unsigned soon = 0;
    for (int i = 0; i < 400; i++) {
        void *first = take(64);
        const struct sample_block *slot = sample_find(first);
        give(first);
        void *next = take(64);
        soon += sample_find(next) == slot;
        give(next);
    }
    assert_int_equal(soon, 0);
}

static void test_sample__budget_follows_the_heap(void **state)
{
    (void)state;
    static void *block[4096];
    unsigned n = 0;
    size_t live, open;
    fake_live_bytes = 100 << 20;
    while (n < 4096 && (block[n] = take(32)) != NULL) n++;
    sample_count(&live, &open);
    assert_int_equal(open, 100);
    assert_int_equal(n, 75);
    for (unsigned i = 0; i < n; i++) give(block[i]);
    fake_live_bytes = 1ull << 40;
    for (n = 0; n < 4096 && (block[n] = take(32)) != NULL;) n++;
    sample_count(&live, &open);
    assert_int_equal(open, 256); /* sample_slots */
    for (unsigned i = 0; i < n; i++) give(block[i]);
    fake_live_bytes = 0;
}

static void count_block(const struct sample_block *block, void *context)
{
    unsigned *counts = context;
    counts[hard_state(block->word) == SLOT_LIVE]++;
}

static void test_sample__all_can_be_visited(void **state)
{
    (void)state;
    void *a = take(10), *b = take(20);
    unsigned counts[2] = {0};
    sample_each(count_block, counts);
    assert_int_equal(counts[1], 2);
    assert_true(counts[0] > 0);
    give(a);
    give(b);
}

static void test_sample__model(void **state)
{
    (void)state;
    struct random random = {42};
    struct {
        unsigned char *p;
        size_t size;
    } block[32] = {0};
    for (int i = 0; i < 20000; i++) {
        unsigned k = (unsigned)random_below(&random, COUNT_OF(block));
        if (block[k].p) {
            for (size_t n = 0; n < block[k].size; n += 61)
                assert_int_equal(block[k].p[n], (k + n) & 255);
            give(block[k].p);
            block[k].p = NULL;
        } else if ((block[k].p = take(block[k].size = 1 + random_size(&random, SAMPLE_MOST - 1))) !=
                   NULL) {
            for (size_t n = 0; n < block[k].size; n++) block[k].p[n] = (unsigned char)(k + n);
        }
    }
    for (unsigned k = 0; k < COUNT_OF(block); k++)
        if (block[k].p) give(block[k].p);
}

static void *churn(void *argument)
{
    struct random random = {(uintptr_t)argument};
    for (int i = 0; i < 5000; i++) {
        size_t size = 1 + random_below(&random, 5000);
        unsigned char *p = take(size), byte = (unsigned char)random_next(&random);
        if (p == NULL) continue;
        memset(p, byte, size);
        for (size_t n = 0; n < size; n++)
            if (p[n] != byte) return (void *)1;
        give(p);
    }
    return NULL;
}

static void test_sample__threads(void **state)
{
    (void)state;
    pthread_t thread[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 50; i++) { /* and forks meanwhile */
        sample_fork_prepare();
        pid_t pid = fork();
        if (pid == 0) {
            sample_fork_child();
            report_fork_child();
            fault_fork_child();
            for (int k = 0; k < 30; k++) {
                void *p = take(77);
                if (p) give(p);
            }
            _exit(0);
        }
        sample_fork_parent();
        int status;
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
}

/* ---- misuse: in a child, by what it says --------------------------------------------------------------------- */

/* cmocka has its own handlers of faults by now. */
static struct child_end run(void (*body)(void *), void *argument)
{
    fault_start();
    struct child_end end = child_run(body, argument);
    fault_stop();
    return end;
}

struct misuse {
    void (*body)(void *);
    const char *says;
};

static volatile char sink;

static char *pick(size_t size, bool right)
{
    for (;;) {
        char *p = take(size);
        memset(p, 'x', size);
        if (((uintptr_t)p % 4096 != 0) == right) return p;
        give(p);
    }
}

static void twice(void *unused)
{
    char *p = take(48);
    (void)unused;
    give(p);
    give(p);
}

static void inside(void *unused)
{
    (void)unused;
    give((char *)take(48) + 16);
}

static void other_kind(void *unused)
{
    (void)unused;
    sample_free(take(48), KIND_NEW, NOT_SAID, 0, "operator delete");
}

static void other_size(void *unused)
{
    (void)unused;
    sample_free(take(48), KIND_MALLOC, 47, 0, "free_sized");
}

static void usable_of_freed(void *unused)
{
    char *p = take(48);
    (void)unused;
    give(p);
    sample_usable(p, "malloc_usable_size");
}

static void read_freed(void *unused)
{
    char *p = take(48);
    (void)unused;
    give(p);
    sink = p[8];
}

static void write_freed(void *unused)
{
    char *p = take(48);
    (void)unused;
    give(p);
    p[47] = 1;
}

static void write_behind(void *unused)
{
    (void)unused;
    pick(48, true)[48] = 1;
}

static void write_far_behind(void *unused)
{
    (void)unused;
    pick(4000, false)[4096 + 200] = 1;
}

static void read_front(void *unused)
{
    (void)unused;
    sink = pick(48, false)[-3];
}

static void write_near_behind(void *unused)
{
    char *p = pick(45, true);
    (void)unused;
    memcpy(p + 45, "A\0", 2); /* up to the guard there is room for three */
    give(p);
}

static void write_near_front(void *unused)
{
    char *p = pick(48, true);
    (void)unused;
    p[-5] = 'B';
    give(p);
}

static const struct misuse misuses[] = {
    {twice, "double free of a block of 48 bytes; stopping"},
    {inside, "16 bytes into a block of 48 bytes, not the start of a block; stopping"},
    {other_kind,
     "delete of a block of 48 bytes that was made by malloc, which wants free; stopping"},
    {other_size, "size 47 said for a block of 48 bytes; stopping"},
    {usable_of_freed, "malloc_usable_size(0x"},
    {usable_of_freed, ": a freed block of 48 bytes; stopping"},
    {read_freed, ": read 8 bytes into a freed block of 48 bytes; stopping"},
    {write_freed, ": write 47 bytes into a freed block of 48 bytes; stopping"},
    {write_behind, ": write right behind a block of 48 bytes; stopping"},
    {write_far_behind, ": write 296 bytes past the end of a block of 4000 bytes; stopping"},
    {read_front, ": read 3 bytes in front of a block of 48 bytes; stopping"},
    {write_near_behind,
     ": write of at least 2 bytes past the end of a block of 45 bytes; stopping"},
    {write_near_behind, "the first of them 0 behind the block: 41 00  |A.|\n"},
    {write_near_front, ": write of at least 5 bytes in front of a block of 48 bytes; stopping"},
    {write_near_front, "  changed  1 byte, 5 in front of the block: 42  |B|\n"},
};

static void test_sample__tells_misuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(misuses); i++) {
        struct child_end end = run(misuses[i].body, NULL);
        if (end.signal != SIGABRT || !strstr(end.said, misuses[i].says))
            fail_msg("case %zu: signal %d, status %d, said: %s", i, end.signal, end.status,
                     end.said);
        assert_non_null(strstr(end.said, "\n  made     by thread "));
    }
}

static void go_on(void *argument)
{
    const struct misuse *misuse = argument;
    report_config.go_on = true;
    misuse->body(NULL);
    for (int i = 0; i < 100; i++) {
        char *p = take(100);
        if (p == NULL) continue;
        memset(p, 1, 100);
        give(p);
    }
}

static void test_sample__goes_on_if_it_shall(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(misuses); i++) {
        struct child_end end = run(go_on, (void *)&misuses[i]);
        if (end.signal || end.status || !strstr(end.said, "; ignored\n"))
            fail_msg("case %zu: signal %d, status %d, said: %s", i, end.signal, end.status,
                     end.said);
    }
}

static void freed_by_other(void *unused)
{
    char *p = take(48);
    pthread_t thread;
    (void)unused;
    pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))give, p);
    pthread_join(thread, NULL);
    sink = *p;
}

static void test_sample__knows_who_freed_it(void **state)
{
    (void)state;
    struct child_end end = run(freed_by_other, NULL);
    unsigned made = 0, freed = 0;
    const char *at = strstr(end.said, "  made     by thread ");
    assert_non_null(at);
    made = (unsigned)atoi(at + 21);
    at = strstr(at, "  freed    by thread ");
    assert_non_null(at);
    freed = (unsigned)atoi(at + 21);
    assert_int_not_equal(made, freed);
}

/* ---- reads of what was never written --------------------------------------------------------------------------- */

/* A block that is watched: one of eight. */
static char *take_watched(size_t size)
{
    for (int i = 0; i < 1000; i++) {
        char *p = take(size);
        if (p && sample_find(p)->watched) return p;
        if (p) give(p);
    }
    return NULL;
}

static void read_unwritten(void *unused)
{
    (void)unused;
    sink = take_watched(500)[100];
}

static void read_unwritten_and_go_on(void *unused)
{
    report_config.go_on = true;
    char *p = take_watched(500);
    (void)unused;
    if (p[100] != 0) _exit(1);
    p[100] = 5;
    if (p[100] != 5) _exit(2);
    give(p);
    give(take_watched(300));
}

static void zero_behind(void *unused)
{
    char *p = take_watched(50);
    (void)unused;
    memset(p, 'x', 50);
    p[50] = 0;
    give(p);
}

static void fork_and_read_unwritten(void *unused)
{
    int status;
    give(take_watched(10)); /* there is a helper */
    sample_fork_prepare();
    pid_t pid = fork();
    if (pid == 0) {
        sample_fork_child();
        fault_fork_child();
        read_unwritten(unused);
        _exit(0);
    }
    sample_fork_parent();
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) abort();
}

static void test_watch__tells_a_read_before_any_write(void **state)
{
    (void)state;
    struct child_end end = run(read_unwritten, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(
        end.said, "read of memory that nothing was written to yet, 100 bytes into a block of 500"));
    end = run(zero_behind, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(
        strstr(end.said, "write of at least 1 byte past the end of a block of 50 bytes"));
    end = run(fork_and_read_unwritten, NULL);
    assert_int_equal(end.signal, SIGABRT);
    assert_non_null(strstr(end.said, "100 bytes into a block of 500"));
    end = run(read_unwritten_and_go_on, NULL);
    assert_int_equal(end.signal, 0);
    assert_int_equal(end.status, 0);
    assert_non_null(strstr(end.said, "nothing was written to yet"));
}

/* Each in a child, which must say nothing and end well. */
static void writes_then_reads(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++) {
        char *p = take_watched(6000);
        memset(p, 3, 6000);
        if (p[5999] != 3) _exit(1);
        give(p);
        p = take_watched(48);
        p[0] = 1;
        sink = p[40]; /* a page that was written to: not seen */
        give(p);
        give(take_watched(4096)); /* never touched at all */
        sample_unwatch(p = take_watched(100));
        sink = p[5];
        give(p);
    }
}

static void system_calls(void *unused)
{
    int ends[2], sockets[2];
    (void)unused;
    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) _exit(9);
    for (int i = 0; i < 10; i++) {
        char *p = take_watched(5000);
        if (write(ends[1], "abcdef", 6) != 6 || read(ends[0], p + 4500, 6) != 6) _exit(1);
        if (memcmp(p + 4500, "abcdef", 6) != 0) _exit(2);
        give(p);
        p = take_watched(64);
        if (write(ends[1], p, 6) != 6 || read(ends[0], p, 6) != 6)
            _exit(3); /* let go on, with zeros */
        give(p);
        p = take_watched(64);
        if (send(sockets[0], "xyz", 3, 0) != 3 || recv(sockets[1], p, 64, 0) != 3 || p[2] != 'z')
            _exit(4);
        give(p);
    }
}

static void signals_blocked(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    writes_then_reads(unused);
}

static void all_closed(void *unused)
{
    give(take_watched(10));
    close_range(3, ~0u, 0);
    for (int i = 0; i < 20; i++)
        open("/dev/null", O_RDONLY); /* under every number that was closed */
    writes_then_reads(unused);
}

static void forks(void *unused)
{
    char *p = take_watched(9000);
    memset(p, 1, 4096);
    sample_fork_prepare();
    pid_t pid = fork();
    if (pid == 0) {
        sample_fork_child();
        if (p[0] != 1 || p[8500] != 0) _exit(1);
        writes_then_reads(unused);
        give(p);
        _exit(0);
    }
    sample_fork_parent();
    int status;
    waitpid(pid, &status, 0);
    if (status) _exit(8);
    p[8500] = 1;
    give(p);
}

static void *use_watched(void *unused)
{
    for (int i = 0; i < 200; i++) {
        char *p = take(3000);
        if (p == NULL) continue;
        memset(p, i, 3000);
        if (p[2999] != (char)i) return (void *)1;
        give(p);
    }
    return unused;
}

static void threads(void *unused)
{
    pthread_t thread[8];
    (void)unused;
    for (int i = 0; i < 8; i++) pthread_create(&thread[i], NULL, use_watched, NULL);
    for (int i = 0; i < 8; i++) {
        void *failed;
        pthread_join(thread[i], &failed);
        if (failed) _exit(1);
    }
}

/* The helper has ended by then, and another comes. */
static void after_a_pause(void *unused)
{
    writes_then_reads(unused);
    struct timespec nap = {.tv_sec = 2};
    nanosleep(&nap, NULL);
    writes_then_reads(unused);
    char *p = take_watched(100); /* watched still when it wakes */
    nanosleep(&nap, NULL);
    p[0] = 1;
    give(p);
}

static enum sample_uninit wish = UNINIT_WHOLE;

static void locks_itself_in(void *unused)
{
    char *p = take_watched(9000);
    struct stat status;
    (void)unused;
    p[0] = 1;
    sample_watch_stop();
    if (stat("/proc/self/task", &status) != 0 || status.st_nlink != 3)
        _exit(1); /* this thread only */
    if (p[8999] != 0) _exit(2);
    give(p);
    if (take_watched(100)) _exit(3);
}

static void test_watch__leaves_correct_programs_alone(void **state)
{
    (void)state;
    static void (*const bodies[])(void *) = {writes_then_reads, system_calls,   signals_blocked,
                                             all_closed,        forks,          threads,
                                             after_a_pause,     locks_itself_in};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        if (wish == UNINIT_USER && bodies[i] == system_calls)
            continue; /* they fail: see sample_watch.h */
        struct child_end end = run(bodies[i], NULL);
        if (end.signal || end.status || end.said[0])
            fail_msg("case %zu: signal %d, status %d, said: %s", i, end.signal, end.status,
                     end.said);
    }
}

static int setup_samples(void **state)
{
    (void)state;
    fake_start(1, 256);
    report_start(NULL);
    fault_start();
    return sample_start(UNINIT_NO) ? 0 : -1;
}

static int say_skipped(void)
{
    puts("skipped: no userfaultfd for this process here");
    return 77;
}

static int setup_watched(void **state)
{
    (void)state;
    fake_start(1, 256);
    report_start(NULL);
    fault_start();
    return sample_start(wish) ? 0 : -1;
}

static void off(void *unused)
{
    (void)unused;
    fake_start(0, 256);
    if (!sample_start(UNINIT_WHOLE) || sample_allocate(16, 16, KIND_MALLOC) ||
        sample_holds((void *)0) || sample_holds((void *)hard.base) || sample_find((void *)8))
        _exit(1);
}

static void test_sample__is_nothing_when_it_is_off(void **state)
{
    (void)state;
    assert_int_equal(child_run(off, NULL).status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample__is_alone_between_pages_that_fault),
        cmocka_unit_test(test_sample__refuses_what_does_not_fit),
        cmocka_unit_test(test_sample__never_shares_a_slot),
        cmocka_unit_test(test_sample__comes_back_late_and_at_random),
        cmocka_unit_test(test_sample__all_can_be_visited),
        cmocka_unit_test(test_sample__tells_misuse),
        cmocka_unit_test(test_sample__goes_on_if_it_shall),
        cmocka_unit_test(test_sample__knows_who_freed_it),
        cmocka_unit_test(test_sample__model),
        cmocka_unit_test(test_sample__threads),
        cmocka_unit_test(test_sample__budget_follows_the_heap),
    };
    const struct CMUnitTest watched[] = {
        cmocka_unit_test(test_watch__tells_a_read_before_any_write),
        cmocka_unit_test(test_watch__leaves_correct_programs_alone),
    };
    const struct CMUnitTest none[] = {cmocka_unit_test(test_sample__is_nothing_when_it_is_off)};
    const char *way = argc > 1 ? argv[1] : "";
    sample_region.no_guards = strcmp(way, "mappings") == 0;
    if (strcmp(way, "watched-user") == 0) {
        /* What an unprivileged process gets; nothing of the kernel's touches a block here. */
        wish = UNINIT_USER;
        if (setuid(65534) != 0 || !sample_watch_start(UNINIT_USER, 0, 0)) return say_skipped();
        return cmocka_run_group_tests(watched, setup_watched, NULL);
    }
    if (strcmp(way, "watched") == 0) {
        if (!sample_watch_start(UNINIT_WHOLE, 0, 0)) return say_skipped();
        return cmocka_run_group_tests(watched, setup_watched, NULL);
    }
    return cmocka_run_group_tests(none, NULL, NULL) +
           cmocka_run_group_tests(tests, setup_samples, NULL);
}
