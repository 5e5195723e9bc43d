/*
 * Sweep before reuse (src/hard/reuse.h). What could break: a root that is not looked at, so that a slot is
 * handed out while a word points to it; one that is found where none is, so that it never is; a word that
 * moves about during the sweep; a program that notices: a system call cut short, a deadlock, a fork.
 *
 * For each kind of root: the only pointer to a freed block is hidden there, a sweep must keep the block, and
 * the next one, when the pointer is gone, must release it. To see that this can fail, the same with the root
 * out of the sweep's sight: then the block must go.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <freehold/freehold.h>
#include <freehold/gc.h>

#include "hard/reuse_core.h"
#include "hard/reuse_scan.h"
#include "kit/random.h"
#include "kit/unit.h"

/* In the test itself addresses are kept like this, or they would be roots. */
#define MASK 0x5555555555555555ull

static __attribute__((noinline)) void stack_clear(void)
{
    volatile char bytes[32768];
    memset((char *)bytes, 0, sizeof bytes);
    __asm__ volatile("" ::"r"(bytes) : "memory");
}

static struct reuse_stats stats(void)
{
    struct reuse_stats now;
    reuse_stats_get(&now);
    return now;
}

static void sweep_now(void)
{
    stack_clear();
    reuse_now();
    stack_clear();
}

/* After others that stay, so that it hardly ever has an address of which there may be stale words. */
static __attribute__((noinline)) uintptr_t block_make(size_t size)
{
    for (int i = 0; i < 50 && size != CORE_LARGE; i++) core_allocate(size, false);
    return (uintptr_t)core_allocate(size, false) ^ MASK;
}

static __attribute__((noinline)) void block_free(uintptr_t masked)
{
    core_free((void *)(masked ^ MASK));
}

static __attribute__((noinline)) bool block_waits(uintptr_t masked)
{
    return core_waits((void *)(masked ^ MASK));
}

static __attribute__((noinline)) void put(volatile uintptr_t *place, uintptr_t masked)
{
    *place = masked ^ MASK;
}

/* ---- a thread that keeps a pointer -------------------------------------------------------------------- */

static _Thread_local volatile uintptr_t in_thread_storage;
static struct keeper {
    pthread_t thread;
    void (*keep)(uintptr_t masked);
    uintptr_t masked;
    int end[2]; /* a pipe: closed when it shall end */
    int go;     /* 1: it shall end */
    _Atomic int ready;
    uintptr_t stack;
    size_t stack_size;
} keeper;

static void keeper_sleep(void)
{
    char c;
    keeper.ready = 1;
    assert_int_equal(read(keeper.end[0], &c, 1), 0);
}

static void keeper_run(void)
{
    keeper.ready = 1;
    while (!__atomic_load_n(&keeper.go, __ATOMIC_RELAXED)) {
    }
}

static __attribute__((noinline)) void keep_on_stack_asleep(uintptr_t masked)
{
    volatile uintptr_t place;
    put(&place, masked);
    stack_clear();
    keeper_sleep();
    place = 0;
}

static __attribute__((noinline)) void keep_on_stack_running(uintptr_t masked)
{
    volatile uintptr_t place;
    put(&place, masked);
    stack_clear();
    keeper_run();
    place = 0;
}

static void keep_in_thread_storage(uintptr_t masked)
{
    put(&in_thread_storage, masked);
    stack_clear();
    keeper_sleep();
    in_thread_storage = 0;
}

static void keep_in_register(uintptr_t masked)
{
    stack_clear();
    keeper.ready = 1;
    uintptr_t value = masked, mask = MASK;
#if defined(__x86_64__)
    __asm__ volatile("xorq %1, %0\n1:\tcmpl $0, %2\n\tje 1b\n\txorl %k0, %k0"
                     : "+r"(value)
                     : "r"(mask), "m"(keeper.go)
                     : "cc", "memory");
#else
    __asm__ volatile("eor %0, %0, %1\n1:\tldr w9, %2\n\tcbz w9, 1b\n\tmov %0, xzr"
                     : "+r"(value)
                     : "r"(mask), "m"(keeper.go)
                     : "x9", "memory");
#endif
}

static void keep_in_vector(uintptr_t masked)
{
#if defined(__x86_64__)
    stack_clear();
    keeper.ready = 1;
    uintptr_t value = masked, mask = MASK;
    __asm__ volatile("xorq %1, %0\n\tmovq %0, %%xmm9\n\txorl %k0, %k0\n1:\tcmpl $0, %2\n\tje 1b\n\t"
                     "pxor %%xmm9, %%xmm9"
                     : "+r"(value)
                     : "r"(mask), "m"(keeper.go)
                     : "cc", "memory", "xmm9");
#else
    keep_in_register(masked);
#endif
}

/* Its registers cannot be seen: the way to show that they were. */
static void keep_in_register_blocked(uintptr_t masked)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    keep_in_register(masked);
}

static void on_alternate_stack(int signal)
{
    (void)signal;
    keeper_run();
}

/* Interrupted by a handler of the program's, which runs on a stack of its own. */
static __attribute__((noinline)) void keep_below_alternate_stack(uintptr_t masked)
{
    stack_t stack = {.ss_size = 64 << 10};
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = on_alternate_stack, .sa_flags = SA_ONSTACK};
    volatile uintptr_t place;
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR2, &action, NULL);
    put(&place, masked);
    stack_clear();
    pthread_kill(pthread_self(), SIGUSR2);
    place = 0;
    stack.ss_flags = SS_DISABLE;
    void *memory = stack.ss_sp;
    sigaltstack(&stack, NULL);
    munmap(memory, 64 << 10);
}

static void *keeper_main(void *unused)
{
    pthread_attr_t attributes;
    void *low;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &low, &keeper.stack_size);
    pthread_attr_destroy(&attributes);
    keeper.stack = (uintptr_t)low;
    keeper.keep(keeper.masked);
    stack_clear();
    return unused;
}

static void keeper_start(void (*keep)(uintptr_t), uintptr_t masked)
{
    keeper.keep = keep;
    keeper.masked = masked;
    keeper.ready = keeper.go = 0;
    assert_int_equal(pipe(keeper.end), 0);
    assert_int_equal(pthread_create(&keeper.thread, NULL, keeper_main, NULL), 0);
    while (!keeper.ready) usleep(100);
    usleep(2000); /* until it sleeps */
}

static void keeper_end(void)
{
    __atomic_store_n(&keeper.go, 1, __ATOMIC_RELAXED);
    close(keeper.end[1]);
    pthread_join(keeper.thread, NULL);
    close(keeper.end[0]);
}

/* ---- roots --------------------------------------------------------------------------------------------- */

static volatile uintptr_t in_data = 1, in_bss;
static volatile uintptr_t *on_main_stack, *place; /* where the pointer of the root at hand is */
static size_t place_size;
static void *module, *mapping;
static struct fh_gc_heap *gc_heap;
static void *gc_object;

struct root {
    const char *name;
    void (*hide)(uintptr_t masked);
    void (*clear)(void);
    size_t size; /* of the block */
};

static void place_clear(void)
{
    *place = 0;
}

static void hide_at(volatile uintptr_t *at, uintptr_t masked)
{
    place = at;
    place_size = sizeof *at;
    put(place, masked);
}

static void hide_in_data(uintptr_t masked)
{
    hide_at(&in_data, masked);
}

static void hide_in_bss(uintptr_t masked)
{
    hide_at(&in_bss, masked);
}

static void hide_on_this_stack(uintptr_t masked)
{
    hide_at(on_main_stack, masked);
}

static void hide_in_own_thread_storage(uintptr_t masked)
{
    hide_at(&in_thread_storage, masked);
}

static void hide_in_module(uintptr_t masked)
{
    if (!module) module = dlopen(REUSE_MODULE, RTLD_NOW);
    assert_non_null(module);
    hide_at(dlsym(module, "reuse_module_place"), masked);
}

static void hide_in_small_block(uintptr_t masked)
{
    hide_at((volatile uintptr_t *)core_allocate(CORE_SMALL, false) + 3, masked);
}

static void hide_in_medium_block(uintptr_t masked)
{
    hide_at((volatile uintptr_t *)core_allocate(CORE_MEDIUM, false) + 100, masked);
}

static void hide_in_large_block(uintptr_t masked)
{
    hide_at((volatile uintptr_t *)core_allocate(CORE_LARGE, false) + 100000, masked);
}

static void *allocate_elsewhere(void *size)
{
    return core_allocate((size_t)size, false);
}

static void hide_in_block_of_another_thread(uintptr_t masked)
{
    pthread_t thread;
    void *block;
    pthread_create(&thread, NULL, allocate_elsewhere, (void *)CORE_SMALL);
    pthread_join(thread, &block);
    hide_at(block, masked);
}

static void hide_in_libcs_heap(uintptr_t masked)
{
    hide_at(malloc(100), masked);
}

static void hide_mapped(uintptr_t masked, size_t size, int flags, int fd)
{
    mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    assert_ptr_not_equal(mapping, MAP_FAILED);
    hide_at((volatile uintptr_t *)((char *)mapping + size / 2), masked);
    place_size = size;
}

static void mapping_clear(void)
{
    munmap(mapping, place_size);
}

static void hide_in_mapping(uintptr_t masked)
{
    hide_mapped(masked, 64 << 10, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void hide_in_shared_mapping(uintptr_t masked)
{
    hide_mapped(masked, 64 << 10, MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void hide_in_bulk_mapping(uintptr_t masked)
{
    hide_mapped(masked, 256 << 20, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
}

static void hide_in_file_mapping(uintptr_t masked)
{
    int fd = open("/proc/self/exe", O_RDONLY);
    hide_mapped(masked, 8192, MAP_PRIVATE, fd);
    close(fd);
}

static void hide_in_sealed_mapping(uintptr_t masked)
{
    hide_in_mapping(masked);
    mprotect(mapping, place_size, PROT_READ);
}

static void hide_in_gc_object(uintptr_t masked)
{
    struct fh_gc_options options = {.policy = FH_GC_MARK};
    if (!gc_heap) gc_heap = fh_gc_create(&options);
    gc_object = fh_gc_new_bytes(gc_heap, 64);
    assert_non_null(gc_object);
    hide_at(gc_object, masked);
}

#define KEPT(name)                                                                                 \
    static void hide_##name(uintptr_t masked)                                                      \
    {                                                                                              \
        keeper_start(keep_##name, masked);                                                         \
        place = (volatile uintptr_t *)keeper.stack;                                                \
        place_size = keeper.stack_size;                                                            \
    }
KEPT(on_stack_asleep)
KEPT(on_stack_running)
KEPT(in_thread_storage)
KEPT(in_register)
KEPT(in_vector)
KEPT(below_alternate_stack)

static const struct root roots[] = {
    {"static data", hide_in_data, place_clear, CORE_SMALL},
    {"static data without a value", hide_in_bss, place_clear, CORE_SMALL},
    {"this thread's stack", hide_on_this_stack, place_clear, CORE_SMALL},
    {"this thread's storage", hide_in_own_thread_storage, place_clear, CORE_SMALL},
    {"stack of a sleeping thread", hide_on_stack_asleep, keeper_end, CORE_SMALL},
    {"stack of a running thread", hide_on_stack_running, keeper_end, CORE_SMALL},
    {"stack of a thread on another", hide_below_alternate_stack, keeper_end, CORE_SMALL},
    {"storage of a sleeping thread", hide_in_thread_storage, keeper_end, CORE_SMALL},
    {"register", hide_in_register, keeper_end, CORE_SMALL},
    {"vector register", hide_in_vector, keeper_end, CORE_SMALL},
    {"module's data", hide_in_module, place_clear, CORE_SMALL},
    {"small block", hide_in_small_block, place_clear, CORE_SMALL},
    {"medium block", hide_in_medium_block, place_clear, CORE_MEDIUM},
    {"large block", hide_in_large_block, place_clear, CORE_LARGE},
    {"block of another thread", hide_in_block_of_another_thread, place_clear, CORE_SMALL},
    {"block of another allocator", hide_in_libcs_heap, place_clear, CORE_SMALL},
    {"mapping", hide_in_mapping, mapping_clear, CORE_SMALL},
    {"shared mapping", hide_in_shared_mapping, mapping_clear, CORE_MEDIUM},
    {"very large mapping", hide_in_bulk_mapping, mapping_clear, CORE_SMALL},
    {"written page of a file's mapping", hide_in_file_mapping, mapping_clear, CORE_SMALL},
    {"mapping that is read-only by now", hide_in_sealed_mapping, mapping_clear, CORE_LARGE},
    {"object of a gc heap", hide_in_gc_object, place_clear, CORE_SMALL},
};

static uintptr_t block_hidden(const struct root *root)
{
    uintptr_t masked = block_make(root->size);
    root->hide(masked);
    stack_clear();
    block_free(masked);
    return masked;
}

/* NULL, or what went wrong. */
static const char *root_fails(const struct root *root, bool out_of_sight)
{
    uintptr_t masked = block_hidden(root);
    unsigned hidden = reuse_scan.hidden_count;
    reuse_scan.hides_blocks = out_of_sight;
    if (out_of_sight) reuse_hide((uintptr_t)place, place_size);
    sweep_now();
    bool kept = block_waits(masked);
    reuse_scan.hidden_count = hidden;
    reuse_scan.hides_blocks = false;
    root->clear();
    if (!kept && !out_of_sight) return "handed out";
    if (kept && out_of_sight) return "kept out of sight";
    sweep_now();
    return block_waits(masked) ? "kept when the pointer is gone" : NULL;
}

/* A stale word elsewhere, of an earlier block at the same address, may keep one, but not one after the other. */
static void check_each_root(bool out_of_sight)
{
    enum { TRIES = 4 };
    volatile uintptr_t here = 0;
    on_main_stack = &here;
    for (size_t i = 0; i < COUNT_OF(roots); i++) {
        const char *fails = NULL;
        for (int n = 0; n < TRIES; n++) {
            fails = root_fails(&roots[i], out_of_sight);
            if (!fails || !strcmp(fails, "handed out")) break;
        }
        if (fails) fail_msg("%s: %s", roots[i].name, fails);
    }
    on_main_stack = NULL;
}

static void test_reuse__block_waits_while_a_root_of_any_kind_points_to_it(void **state)
{
    (void)state;
    check_each_root(false);
    assert_int_equal(stats().stopped_whole, 0);
}

/* As above all blocks were watched. */
static void test_reuse__small_heap_is_searched_in_the_stop(void **state)
{
    (void)state;
    uint64_t most = reuse_scan.small_most;
    reuse_scan.small_most = UINT64_MAX;
    check_each_root(false);
    check_each_root(true);
    reuse_scan.small_most = most;
}

static void test_reuse__root_that_is_not_looked_at_does_not_keep_it(void **state)
{
    (void)state;
    check_each_root(true);
}

static void test_reuse__register_of_a_thread_that_blocks_the_signal_is_not_seen(void **state)
{
    (void)state;
    uint64_t unseen = stats().threads_unseen;
    uintptr_t masked = block_make(CORE_SMALL);
    keeper_start(keep_in_register_blocked, masked);
    block_free(masked);
    sweep_now();
    assert_false(block_waits(masked));
    assert_true(stats().threads_unseen > unseen);
    keeper_end();
}

static void test_reuse__interior_pointer_keeps_and_bucket_for_data_does_not(void **state)
{
    (void)state;
    uintptr_t masked = block_make(CORE_SMALL);
    put(&in_bss, masked);
    in_bss += CORE_SLOT - 1;
    block_free(masked);
    sweep_now();
    assert_true(block_waits(masked));
    in_bss += 1; /* the next slot's */
    volatile uintptr_t *data = core_allocate(CORE_SMALL, true);
    put(data, masked);
    sweep_now();
    in_bss = 0;
    *data = 0;
    assert_false(block_waits(masked));
}

/* ---- beside a program that runs --------------------------------------------------------------------------- */

/* Of a class that no other test has: stacks of threads that are not in the child are full of addresses. */
enum { CORE_OTHER = 200 };

enum { PLACES = 64, MOVES_SWEEPS = 60 };
static volatile uintptr_t *places[PLACES];
static _Atomic bool movers_end;
static _Atomic uint64_t moves;

/* The pointer is always in one place at least, in a register at times, and never for long in the same; now and
 * then the thread sleeps with it on its stack. */
static void *mover(void *seed)
{
    struct random random = {(uint64_t)seed};
    volatile uintptr_t on_stack = 0;
    unsigned at = 0;
    while (!movers_end) {
        unsigned next = (unsigned)random_below(&random, PLACES);
        on_stack = *places[at];
        *places[at] = 0;
        if (random_below(&random, 2000) == 0) usleep(300);
        *places[next] = on_stack;
        on_stack = 0;
        at = next;
        moves++;
    }
    *places[at] = 0;
    stack_clear(); /* libc keeps stacks of threads that have ended */
    return NULL;
}

/* In blocks of all sizes, static data, and a mapping. */
static void places_make(void)
{
    static uintptr_t words[4];
    uintptr_t *mapped =
        mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const size_t sizes[] = {CORE_SMALL, CORE_MEDIUM, CORE_LARGE};
    for (unsigned i = 0; i < PLACES; i++) {
        if (i % 8 == 7)
            places[i] = &words[i / 16];
        else if (i % 8 == 6)
            places[i] = &mapped[(size_t)i * 512];
        else
            places[i] = (uintptr_t *)core_allocate(sizes[i % 3], false) + i % 8;
    }
}

static void test_reuse__word_that_moves_about_is_not_missed(void **state)
{
    (void)state;
    pthread_t thread;
    places_make();
    uintptr_t masked = block_make(CORE_SMALL);
    put(places[0], masked);
    movers_end = false;
    pthread_create(&thread, NULL, mover, (void *)17);
    block_free(masked);
    uint64_t unsettled = stats().unsettled;
    for (int i = 0; i < MOVES_SWEEPS; i++) {
        sweep_now();
        if (!block_waits(masked) && stats().unsettled == unsettled)
            fail_msg("missed in sweep %d", i);
        if (!block_waits(masked)) skip(); /* told as such */
    }
    movers_end = true;
    pthread_join(thread, NULL);
    printf("%llu moves, %llu unsettled\n", (unsigned long long)moves,
           (unsigned long long)(stats().unsettled - unsettled));
}

/* ---- what a program might notice ---------------------------------------------------------------------------- */

static _Atomic bool callers_end;
static _Atomic uint64_t calls, interrupted;

/* Short waits in calls that SA_RESTART does not begin again, with some work in between. */
static void *caller(void *unused)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (unsigned i = 0; !callers_end; i++) {
        struct timespec nap = {0, 50000};
        for (volatile unsigned k = 0; k < i % 5000; k++) {
        }
        int result = i % 3 == 0   ? poll(NULL, 0, (int)(i % 2))
                     : i % 3 == 1 ? epoll_wait(epoll, &event, 1, (int)(i % 2))
                                  : nanosleep(&nap, NULL);
        if (result < 0 && errno == EINTR) interrupted++;
        calls++;
    }
    close(epoll);
    return unused;
}

static void callers_run(void (*disturb)(pthread_t thread), int times)
{
    pthread_t threads[3];
    callers_end = false;
    interrupted = 0;
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, caller, NULL);
    for (int i = 0; i < times; i++) disturb(threads[i % 3]);
    callers_end = true;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void disturb_by_sweep(pthread_t thread)
{
    (void)thread;
    sweep_now();
}

static void disturb_by_signal(pthread_t thread)
{
    pthread_kill(thread, SIGURG);
    usleep(500);
}

static void test_reuse__no_system_call_is_cut_short(void **state)
{
    (void)state;
    uint64_t sweeps = stats().sweeps;
    callers_run(disturb_by_sweep, 150);
    assert_true(stats().sweeps >= sweeps + 150);
    assert_int_equal(interrupted, 0);
    /* Nor do threads that end keep the others standing. */
    assert_true(stats().pause_ns_most < 1000000ull * reuse_scan.reach_ms);
    callers_run(disturb_by_signal, 300); /* so it would be, were the signal simply sent */
    assert_int_not_equal(interrupted, 0);
}

static _Atomic int descriptor_seen;

static void *descriptors_look(void *first)
{
    while (!callers_end) {
        int fd = dup(0);
        if (fd != (int)(intptr_t)first) descriptor_seen = fd;
        close(fd);
    }
    return NULL;
}

static void test_reuse__descriptors_are_not_in_the_programs_table(void **state)
{
    (void)state;
    pthread_t thread;
    int first = dup(0);
    close(first);
    callers_end = false;
    descriptor_seen = -1;
    pthread_create(&thread, NULL, descriptors_look, (void *)(intptr_t)first);
    for (int i = 0; i < 50; i++) sweep_now();
    callers_end = true;
    pthread_join(thread, NULL);
    assert_int_equal(descriptor_seen, -1);
}

/* ---- threads that come and go, a collector that stops them too ------------------------------------------------ */

static void *short_life(void *unused)
{
    for (volatile int k = 0; k < 20000; k++) {
    }
    return unused;
}

static void *thread_maker(void *unused)
{
    while (!callers_end) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, NULL) == 0) pthread_join(thread, NULL);
        calls++;
    }
    return unused;
}

struct cell {
    struct cell *next;
    uint64_t value;
};
FH_GC_TYPE(cell, next)

/* A list that is always the same; the collector would free what it does not see. */
static void *collected(void *heap)
{
    while (!callers_end) {
        struct cell *volatile first = NULL;
        for (uint64_t i = 0; i < 20000; i++) {
            struct cell *cell = fh_gc_new((struct fh_gc_heap *)heap, cell);
            cell->value = i;
            cell->next = first;
            first = cell;
        }
        uint64_t i = 20000;
        for (struct cell *cell = first; cell; cell = cell->next) assert_int_equal(cell->value, --i);
        assert_int_equal(i, 0);
        fh_gc_collect(heap, FH_GC_FULL);
        calls++;
    }
    return NULL;
}

static void test_reuse__collector_and_threads_that_come_and_go_are_not_in_the_way(void **state)
{
    (void)state;
    struct fh_gc_options options = {.policy = FH_GC_WATCHED};
    struct fh_gc_heap *heap = fh_gc_create(&options);
    pthread_t threads[3];
    callers_end = false;
    calls = 0;
    pthread_create(&threads[0], NULL, thread_maker, NULL);
    pthread_create(&threads[1], NULL, collected, heap);
    pthread_create(&threads[2], NULL, collected, heap);
    for (int i = 0; i < 60 || calls < 60; i++) {
        uintptr_t masked = block_make(CORE_SMALL);
        put(&in_bss, masked);
        block_free(masked);
        sweep_now();
        assert_true(block_waits(masked));
        in_bss = 0;
    }
    callers_end = true;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    fh_gc_destroy(heap);
    assert_true(stats().pause_ns_most < 1000000ull * reuse_scan.reach_ms);
}

/* ---- poison ------------------------------------------------------------------------------------------------- */

static void test_reuse__words_in_blocks_are_poisoned_by_request(void **state)
{
    (void)state;
    uintptr_t guard = (uintptr_t)reuse_scan.room - (64 << 10);
    uintptr_t masked = block_make(CORE_SMALL), other = block_make(CORE_SMALL);
    volatile uintptr_t *holder = core_allocate(CORE_SMALL, false),
                       *medium = core_allocate(1000, false);
    put(&holder[2], masked);
    put(&medium[9], masked);
    put(&holder[3], other); /* live: stays */
    block_free(masked);
    uint64_t poisoned = stats().poisoned;
    reuse_scan.poison = guard;
    sweep_now();
    reuse_scan.poison = 0;
    assert_int_equal(stats().poisoned, poisoned + 2);
    assert_int_equal(holder[2] & ~0xfffull, guard);
    assert_int_equal(medium[9] & ~0xfffull, guard);
    assert_int_equal(holder[3], other ^ MASK);
    assert_false(block_waits(masked));
    put(&in_bss, other); /* in static data it only keeps */
    block_free(other);
    holder[3] = 0;
    reuse_scan.poison = guard;
    sweep_now();
    reuse_scan.poison = 0;
    assert_int_equal(in_bss, other ^ MASK);
    assert_true(block_waits(other));
    in_bss = 0;
}

/* ---- how much waits ----------------------------------------------------------------------------------------- */

static _Atomic uint64_t most_pending;

static void *churner(void *unused)
{
    void *live[256] = {0};
    for (unsigned i = 0; i < 400000; i++) {
        unsigned at = i * 7919 % 256;
        if (live[at]) core_free_later(live[at]);
        live[at] = core_allocate(i % 16 ? CORE_SMALL : CORE_MEDIUM, false);
        if (i % 512) continue;
        uint64_t pending = stats().pending_bytes;
        if (pending > most_pending) most_pending = pending;
    }
    for (unsigned i = 0; i < 256; i++)
        if (live[i]) core_free_later(live[i]);
    core_flush();
    return unused;
}

static void test_reuse__what_waits_is_bounded(void **state)
{
    (void)state;
    enum { THREADS = 3, SOFT = 8 << 20, EACH = 64 << 10 };
    pthread_t threads[THREADS];
    struct reuse_stats before = stats();
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, churner, NULL);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    struct reuse_stats after = stats();
    uint64_t slack = after.kept_bytes + (uint64_t)THREADS * EACH * 2;
    printf("most pending %llu KiB, %llu sweeps, %llu waits, pause most %llu us\n",
           (unsigned long long)most_pending / 1024,
           (unsigned long long)(after.sweeps - before.sweeps),
           (unsigned long long)(after.waits - before.waits),
           (unsigned long long)after.pause_ns_most / 1000);
    assert_true(after.sweeps > before.sweeps);
    assert_true(most_pending >= SOFT);
    assert_true(most_pending <= 2 * SOFT + slack);
    sweep_now();
    assert_true(stats().pending_bytes - stats().kept_bytes < EACH);
}

/* ---- fork ------------------------------------------------------------------------------------------------------ */

/* Nothing was swept yet, so nothing is open that could be closed. Runs first. */
static void test_reuse__child_of_fork_keeps_its_files(void **state)
{
    (void)state;
    int pipe_ends[2];
    assert_int_equal(stats().sweeps, 0);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(dup2(pipe_ends[0], 0), 0);
    pid_t child = fork();
    if (child == 0) {
        int missing = 0;
        for (int fd = 0; fd <= pipe_ends[1]; fd++) missing += fcntl(fd, F_GETFD) < 0;
        _exit(missing);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static _Atomic bool forker_end;
static void *churn_until_end(void *unused)
{
    while (!forker_end) churner(NULL);
    return unused;
}

/* What it has freed is in a list of its own, and it is not there in the child. */
static void *free_elsewhere(void *masked)
{
    block_free((uintptr_t)masked);
    stack_clear();
    keeper_sleep();
    return NULL;
}

static void in_child(uintptr_t masked, uintptr_t gone, uintptr_t elsewhere)
{
    sweep_now();
    if (!block_waits(masked) || block_waits(gone)) _exit(1);
    if (block_waits(elsewhere)) _exit(4);
    in_bss = 0;
    sweep_now();
    if (block_waits(masked)) _exit(2);
    uint64_t released = stats().released;
    churner(NULL);
    _exit(stats().released > released ? 0 : 3);
}

/* In a frame that is gone before the fork, with what it had of addresses. */
static __attribute__((noinline)) void two_freed(uintptr_t *masked, uintptr_t *gone)
{
    *masked = block_make(CORE_OTHER);
    *gone = block_make(CORE_OTHER);
    put(&in_bss, *masked);
    block_free(*masked);
    block_free(*gone);
}

static void test_reuse__child_of_fork_goes_on(void **state)
{
    (void)state;
    pthread_t thread;
    forker_end = false;
    pthread_create(&thread, NULL, churn_until_end, NULL);
    for (int i = 0; i < 12; i++) {
        uintptr_t masked, gone;
        two_freed(&masked, &gone);
        stack_clear();
        uintptr_t elsewhere = block_make(CORE_OTHER);
        assert_int_equal(pipe(keeper.end), 0);
        keeper.ready = keeper.go = 0;
        pthread_create(&keeper.thread, NULL, free_elsewhere, (void *)elsewhere);
        while (!keeper.ready) usleep(100);
        pid_t child = fork();
        if (child == 0) in_child(masked, gone, elsewhere);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        keeper_end();
        in_bss = 0;
    }
    forker_end = true;
    pthread_join(thread, NULL);
    sweep_now();
}

/* ---- kernels that refuse ------------------------------------------------------------------------------------------ */

static void refuse(int number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        _exit(77);
}

static void kept_and_released(void)
{
    uintptr_t masked = block_make(CORE_SMALL);
    put(&in_bss, masked);
    block_free(masked);
    sweep_now();
    if (!block_waits(masked)) _exit(1);
    in_bss = 0;
    keeper_start(keep_in_register, masked);
    sweep_now();
    if (!block_waits(masked)) _exit(2);
    keeper_end();
    sweep_now();
    if (block_waits(masked)) _exit(3);
}

static void without_watch(void)
{
    refuse(SYS_userfaultfd);
    kept_and_released();
    _exit(stats().stopped_whole > 0 ? 0 : 4);
}

static void without_call_to_read(void)
{
    refuse(SYS_process_vm_readv);
    kept_and_released();
    _exit(0);
}

static void without_pagemap_scan(void)
{
    refuse(SYS_ioctl);
    kept_and_released();
    _exit(0);
}

static void without_helper(void)
{
    uintptr_t masked = block_make(CORE_SMALL);
    keeper_start(keep_in_register, masked);
    refuse(SYS_clone);
    block_free(masked);
    sweep_now();
    if (!block_waits(masked)) _exit(1);
    keeper_end();
    sweep_now();
    if (block_waits(masked)) _exit(2);
    _exit(stats().by_caller >= 2 ? 0 : 3);
}

static void without_proc(void)
{
    uintptr_t masked = block_make(CORE_SMALL);
    put(&in_bss, masked);
    block_free(masked);
    refuse(SYS_openat);
    sweep_now();
    _exit(!block_waits(masked) && stats().blind > 0 ? 0 : 1);
}

static void locked_in(void)
{
    uintptr_t masked = block_make(CORE_SMALL);
    put(&in_bss, masked);
    block_free(masked);
    reuse_end(true);
    sweep_now();
    if (block_waits(masked) || stats().blind == 0) _exit(1);
    churner(NULL);
    _exit(stats().pending_bytes < (16 << 20) ? 0 : 2);
}

static void test_reuse__does_with_less_where_the_kernel_refuses(void **state)
{
    (void)state;
    void (*const bodies[])(void) = {without_watch,  without_call_to_read, without_pagemap_scan,
                                    without_helper, without_proc,         locked_in};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        pid_t child = fork();
        if (child == 0) bodies[i]();
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status) fail_msg("body %zu: status %x", i, (unsigned)status);
    }
}

static int start(void **state)
{
    (void)state;
    setenv("FREEHOLD_OPTIONS", "harden=strict,sample=0", 1);
    fh_free(fh_malloc(1));
    assert_true(hard.measures.reuse);
    reuse_scan.reach_ms = 3000; /* the machine may be busy */
    reuse_scan.small_most = 0;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse__child_of_fork_keeps_its_files),
        cmocka_unit_test(test_reuse__block_waits_while_a_root_of_any_kind_points_to_it),
        cmocka_unit_test(test_reuse__small_heap_is_searched_in_the_stop),
        cmocka_unit_test(test_reuse__root_that_is_not_looked_at_does_not_keep_it),
        cmocka_unit_test(test_reuse__register_of_a_thread_that_blocks_the_signal_is_not_seen),
        cmocka_unit_test(test_reuse__interior_pointer_keeps_and_bucket_for_data_does_not),
        cmocka_unit_test(test_reuse__word_that_moves_about_is_not_missed),
        cmocka_unit_test(test_reuse__no_system_call_is_cut_short),
        cmocka_unit_test(test_reuse__collector_and_threads_that_come_and_go_are_not_in_the_way),
        cmocka_unit_test(test_reuse__words_in_blocks_are_poisoned_by_request),
        cmocka_unit_test(test_reuse__descriptors_are_not_in_the_programs_table),
        cmocka_unit_test(test_reuse__what_waits_is_bounded),
        cmocka_unit_test(test_reuse__child_of_fork_goes_on),
        cmocka_unit_test(test_reuse__does_with_less_where_the_kernel_refuses),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
