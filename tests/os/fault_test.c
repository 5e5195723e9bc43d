/*
 * Pages that are watched by faults (os/linux/watch_faults.c). What could break: a write that is not told; a fault of the
 * program's own that we take for ours, or that does not reach the handler that was there, with its mask; a handler that was
 * installed after ours takes all faults, or calls ours for ever; a thread that blocks the signal is killed; the process has
 * no mappings left, and the fault is met for ever.
 */
#include "os/watch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/segv.h"
#include "kit/unit.h"
#include "os/os.h"

enum { GRAINS = 64 };

#define GRAIN OS_WATCH_GRAIN

static struct os_watch watch = OS_WATCH_CLOSED;
#define SIZE (GRAINS * GRAIN)

static char *range;

static int set_up(void **state)
{
    (void)state;
    range = os_vm_reserve(SIZE, GRAIN);
    os_watch_allow(OS_WATCH_FAULTS);
    return range == NULL || !os_vm_commit(range, SIZE) || !os_watch_open(&watch, OS_WATCH_ANY) ||
           !os_watch_add(&watch, range, SIZE);
}

static int tear_down(void **state)
{
    (void)state;
    os_watch_close(&watch);
    os_watch_allow(OS_WATCH_PROTECT | OS_WATCH_SOFT_DIRTY);
    os_vm_release(range, SIZE);
    return 0;
}

static bool watch_all(void)
{
    uintptr_t start = (uintptr_t)range, end = start + SIZE;
    if (!os_watch_begin(&watch, start, end)) return false;
    os_watch_again(start, end);
    return true;
}

/* A bit for each grain that was written to; the first and the last always are. */
#define EDGES (1ull | 1ull << (GRAINS - 1))

static uint64_t written(void)
{
    uintptr_t from = (uintptr_t)range, end = from + SIZE;
    struct os_range ranges[3];
    uint64_t bits = 0;
    for (size_t count; (count = os_watch_take(&watch, &from, end, ranges, 3));)
        for (size_t i = 0; i < count; i++)
            for (uintptr_t p = ranges[i].start; p < ranges[i].end; p += GRAIN)
                bits |= 1ull << (p - (uintptr_t)range) / GRAIN;
    assert_int_equal(bits & EDGES, EDGES);
    return bits & ~EDGES;
}

static void write_to(size_t grain)
{
    *(volatile char *)(range + grain * GRAIN + 5000) += 1;
}

/* ---- what is told -------------------------------------------------------------------------------------- */

static void test_fault__what_was_written_to_is_told(void **state)
{
    (void)state;
    uintptr_t start = (uintptr_t)range;
    assert_true(os_watch_begin(&watch, start, start + SIZE));
    assert_int_equal(written(), ~EDGES); /* nothing is watched yet */
    os_watch_again(start, start + SIZE);
    assert_int_equal(written(), 0);
    for (size_t i = 0; i < GRAINS; i += 9) write_to(i);
    write_to(1);
    assert_int_equal(written(), 0x40201008040202ull);
    assert_int_equal(written(), 0x40201008040202ull);
    os_watch_again(start, start + 2 * GRAIN);
    assert_int_equal(written(), 0x40201008040200ull);
    write_to(1);
    os_watch_end();
    write_to(2); /* is not watched */
    os_watch_again(start + GRAIN, start + 2 * GRAIN);
    write_to(1);
    assert_int_equal(written(), 0x40201008040202ull);
}

enum { WRITERS = 4, WRITES = 20000 };

static void *writes(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < WRITES; i++) {
        size_t grain = (size_t)rand_r(&seed) % GRAINS;
        __atomic_fetch_add((uint64_t *)(range + grain * GRAIN), 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Each round sees all that was written since the round before: so the sum that it knows is never behind. */
static void test_fault__no_write_of_any_thread_is_missed(void **state)
{
    (void)state;
    pthread_t thread[WRITERS];
    uint64_t known[GRAINS] = {0}, sum = 0;
    assert_true(watch_all());
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&thread[i], NULL, writes, (void *)(i + 1));
    for (bool last = false;; last = sum == (uint64_t)WRITERS * WRITES) {
        uint64_t bits = written();
        for (size_t i = 0; i < GRAINS; i++) {
            uintptr_t start = (uintptr_t)range + i * GRAIN;
            bool edge = EDGES >> i & 1;
            if (bits >> i & 1) os_watch_again(start, start + GRAIN);
            if (edge || bits >> i & 1)
                known[i] = __atomic_load_n((uint64_t *)start, __ATOMIC_RELAXED);
        }
        if (last) break;
        sum = 0;
        for (size_t i = 0; i < GRAINS; i++)
            sum += __atomic_load_n((uint64_t *)(range + i * GRAIN), __ATOMIC_RELAXED);
    }
    for (int i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
    for (size_t i = 0; i < GRAINS; i++)
        assert_int_equal(known[i], *(uint64_t *)(range + i * GRAIN));
}

/* ---- faults of the program's --------------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile int calls;
static void *volatile at;
static sigset_t during;

static void jumps(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    calls++;
    at = info->si_addr;
    pthread_sigmask(SIG_BLOCK, NULL, &during);
    siglongjmp(back, 1);
}

/* Writes to where nothing is; whether a handler has jumped back. */
static bool faults_elsewhere(void)
{
    char *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int before = calls;
    if (sigsetjmp(back, 1) == 0) *(volatile char *)nowhere = 1;
    bool jumped = calls == before + 1 && at == nowhere;
    munmap(nowhere, 4096);
    return jumped;
}

static void test_fault__others_go_to_the_handler_before(void **state)
{
    (void)state;
    struct sigaction before, theirs = {.sa_sigaction = jumps, .sa_flags = SA_SIGINFO};
    sigaddset(&theirs.sa_mask, SIGUSR1);
    tear_down(state);
    sigaction(SIGSEGV, &theirs, &before);
    set_up(state);
    assert_true(watch_all());
    for (int i = 0; i < 3; i++) {
        assert_true(faults_elsewhere());
        assert_true(sigismember(&during, SIGUSR1) && sigismember(&during, SIGSEGV));
        assert_false(sigismember(&during, SIGUSR2));
        write_to((size_t)i + 1);
    }
    assert_int_equal(written(), 14);
    os_watch_close(&watch);
    assert_true(faults_elsewhere()); /* and theirs is there again */
    sigaction(SIGSEGV, &before, NULL);
}

static struct sigaction ours_as_seen;

/* As a program's handler does that passes on what it does not know. */
static void passes_on(int signal, siginfo_t *info, void *context)
{
    calls += 100;
    ours_as_seen.sa_sigaction(signal, info, context);
}

static void test_fault__a_handler_over_ours_is_gone_under(void **state)
{
    (void)state;
    struct sigaction before, first = {.sa_sigaction = jumps, .sa_flags = SA_SIGINFO};
    struct sigaction over = {.sa_sigaction = passes_on, .sa_flags = SA_SIGINFO};
    tear_down(state);
    sigaction(SIGSEGV, &first, &before);
    set_up(state);
    assert_true(watch_all());
    sigaction(SIGSEGV, &over, &ours_as_seen);
    calls = 0;
    write_to(7); /* theirs has it, and passes it on */
    assert_int_equal(calls, 100);
    assert_int_equal(written(), 1 << 7);
    os_watch_end();
    assert_true(watch_all());
    write_to(9); /* ours has it */
    assert_int_equal(calls, 100);
    assert_int_equal(written(), 1 << 9);
    calls = 0;
    char *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigsetjmp(back, 1) == 0) *(volatile char *)nowhere = 1;
    assert_int_equal(calls, 101); /* ours, theirs, ours, the first */
    assert_ptr_equal(at, nowhere);
    os_watch_close(&watch);
    sigaction(SIGSEGV, &before, NULL);
}

static int child_signal(void (*what)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct sigaction plain = {.sa_handler = SIG_DFL};
        os_watch_close(&watch);
        sigaction(SIGSEGV, &plain, NULL);
        if (!os_watch_open(&watch, OS_WATCH_ANY) || !os_watch_add(&watch, range, SIZE) ||
            !watch_all())
            _exit(3);
        write_to(3);
        what();
        _exit(written() == 1 << 3 ? 0 : 4);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void wild_write(void)
{
    *(volatile char *)(uintptr_t)(SIZE / 2) = 1;
}

static void sent(void)
{
    kill(getpid(), SIGSEGV);
}

/* Where nothing is protected by us, a fault is met again for a while. */
static void write_in_vain(void)
{
    write_to(5);
    mprotect(range + 5 * GRAIN, GRAIN, PROT_NONE);
    write_to(5);
}

static void nothing(void) {}

static void test_fault__without_a_handler_the_process_ends(void **state)
{
    (void)state;
    assert_int_equal(child_signal(nothing), 0);
    assert_int_equal(child_signal(wild_write), SIGSEGV);
    assert_int_equal(child_signal(sent), SIGSEGV);
    assert_int_equal(child_signal(write_in_vain), SIGSEGV);
}

/* ---- threads that cannot bear it ----------------------------------------------------------------------- */

static pthread_barrier_t meet;

static void *blocks(void *unused)
{
    sigset_t segv;
    sigemptyset(&segv);
    sigaddset(&segv, SIGSEGV);
    pthread_sigmask(SIG_BLOCK, &segv, NULL);
    pthread_barrier_wait(&meet);
    pthread_barrier_wait(&meet);
    write_to(1); /* or it is killed */
    return unused;
}

static void test_fault__while_a_thread_blocks_the_signal_nothing_is_protected(void **state)
{
    (void)state;
    pthread_t thread;
    pthread_barrier_init(&meet, NULL, 2);
    assert_true(watch_all());
    os_watch_end();
    pthread_create(&thread, NULL, blocks, NULL);
    pthread_barrier_wait(&meet);
    assert_false(watch_all());
    os_watch_again((uintptr_t)range, (uintptr_t)range + SIZE);
    assert_int_equal(written(), ~EDGES);
    pthread_barrier_wait(&meet);
    pthread_join(thread, NULL);
    assert_true(watch_all());
    pthread_barrier_destroy(&meet);
}

/* ---- no mappings left ---------------------------------------------------------------------------------- */

static bool use_up_mappings(void)
{
    enum { MOST = 300000 };
    for (int i = 0; i < MOST; i++) {
        int how = i & 1 ? PROT_READ : PROT_NONE; /* so that none joins another */
        if (mmap(NULL, 4096, how, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) return true;
    }
    return false;
}

static void test_fault__without_mappings_more_is_told(void **state)
{
    (void)state;
    enum { SKIPPED = 7 };
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        if (!watch_all()) _exit(1);
        if (!use_up_mappings()) _exit(SKIPPED);
        write_to(30);
        if (!(written() >> 30 & 1)) _exit(2);
        uintptr_t start = (uintptr_t)range;
        for (size_t i = 0; i < GRAINS; i += 2)
            os_watch_again(start + i * GRAIN, start + (i + 1) * GRAIN);
        for (size_t i = 0; i < GRAINS; i++) write_to(i);
        _exit(written() == ~EDGES ? 0 : 3);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_fault__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_to_is_told),
        TEST(no_write_of_any_thread_is_missed),
        TEST(others_go_to_the_handler_before),
        TEST(a_handler_over_ours_is_gone_under),
        TEST(without_a_handler_the_process_ends),
        TEST(while_a_thread_blocks_the_signal_nothing_is_protected),
        TEST(without_mappings_more_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
