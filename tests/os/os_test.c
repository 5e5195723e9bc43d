/*
 * The contract of os/os.h, word by word; built over os/linux and over os/fake, which must not differ.
 *
 * What could break: memory that does not read as zeros where the floors above rely on it, memory that
 * stays resident after it was given back, an errno that a program sees change across free.
 */
#include "os/os.h"
#include "os/self.h"
#include "os/thread.h"
#include "os/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/syscall.h"
#include "kit/unit.h"

#ifdef OS_TEST_FAKE
#include "os/fake/fake.h"
#endif

#define SIZE (16 * MIB)
#define PIECE (4 * MIB)

static char *range; /* reserved by the set-up */

static int set_up(void **state)
{
    (void)state;
    range = os_vm_reserve(SIZE, 2 * MIB);
    return range == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    os_vm_release(range, SIZE);
    return 0;
}

static bool all_bytes(const char *p, size_t size, char value)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != value) return false;
    return true;
}

static size_t resident_pages(char *p, size_t size)
{
    static unsigned char page[SIZE / 4096];
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    assert_int_equal(mincore(p, size, page), 0);
    for (size_t i = 0; i < size / page_size; i++) count += page[i] & 1;
    return count;
}

/* Whether the kernel can read (or write) there, asked without a fault: a pipe is filled from it. */
static bool kernel_can(char *p, bool write_there)
{
    int fd[2];
    char byte = 1;
    assert_int_equal(pipe(fd), 0);
    if (write_there) assert_int_equal(write(fd[1], &byte, 1), 1);
    ssize_t n = write_there ? read(fd[0], p, 1) : write(fd[1], p, 1);
    close(fd[0]);
    close(fd[1]);
    return n == 1;
}

/* ---- memory ------------------------------------------------------------------------------------------ */

static void test_os__page_size_is_a_power_of_two(void **state)
{
    (void)state;
    assert_true(base_is_pow2(os_page_size()));
    assert_in_range(os_page_size(), 4096, 65536);
}

static void test_os__reserved_is_aligned_and_faults(void **state)
{
    (void)state;
    for (size_t align = os_page_size(); align <= 64 * MIB; align *= 4) {
        char *p = os_vm_reserve(SIZE, align);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        assert_false(kernel_can(p, false));
        assert_false(kernel_can(p + SIZE - 1, false));
        os_vm_release(p, SIZE);
    }
}

static void test_os__readable_is_zero_and_not_writable(void **state)
{
    (void)state;
    assert_true(os_vm_readable(range, PIECE));
    assert_true(all_bytes(range, PIECE, 0));
    assert_false(kernel_can(range, true));
    assert_false(kernel_can(range + PIECE, false));
}

static void test_os__committed_is_zero_and_writable(void **state)
{
    (void)state;
    assert_true(os_vm_commit(range, PIECE));
    assert_true(all_bytes(range, PIECE, 0));
    memset(range, 1, PIECE);
    assert_true(os_vm_commit(range, 2 * PIECE)); /* again: what is there stays */
    assert_true(all_bytes(range, PIECE, 1));
    assert_true(all_bytes(range + PIECE, PIECE, 0));
}

static void test_os__purged_is_zero_and_not_resident(void **state)
{
    (void)state;
    assert_true(os_vm_commit(range, 2 * PIECE));
    memset(range, 1, 2 * PIECE);
    size_t before = resident_pages(range, 2 * PIECE);
    assert_int_equal(before, 2 * PIECE / (size_t)sysconf(_SC_PAGESIZE));
    assert_true(os_vm_purge(range, PIECE));
    assert_int_equal(resident_pages(range, PIECE), 0);
    assert_true(all_bytes(range, PIECE, 0));
    assert_true(all_bytes(range + PIECE, PIECE, 1));
    memset(range, 2, PIECE);
    assert_true(all_bytes(range, PIECE, 2));
}

static void test_os__move_takes_the_pages_along(void **state)
{
    (void)state;
    char *to = range + 2 * PIECE;
    assert_true(os_vm_commit(range, SIZE));
    memset(range, 3, PIECE);
    memset(range + PIECE, 4, PIECE);
    if (!os_vm_move(to, range, PIECE)) skip(); /* a kernel before 5.7 */
    assert_true(all_bytes(to, PIECE, 3));
    assert_true(all_bytes(range, PIECE, 0));
    assert_true(all_bytes(range + PIECE, PIECE, 4));
    memset(range, 5, PIECE); /* both are committed as before */
    memset(to, 6, PIECE);
    assert_true(all_bytes(range, PIECE, 5));
}

/* Part of the source is another mapping to the kernel (here: left out of core dumps). */
static void test_os__move_that_fails_leaves_all_as_it_was(void **state)
{
    (void)state;
    char *to = range + 2 * PIECE;
    assert_true(os_vm_commit(range, SIZE));
    memset(range, 7, PIECE);
    memset(to, 8, PIECE);
    assert_int_equal(madvise(range + PIECE / 2, PIECE / 2, MADV_DONTDUMP), 0);
    if (os_vm_move(to, range, PIECE)) {
        assert_true(all_bytes(to, PIECE, 7));
        assert_true(all_bytes(range, PIECE, 0));
    } else {
        assert_true(kernel_can(to, true) && kernel_can(to + PIECE - 1, true));
        assert_true(all_bytes(range, PIECE, 7));
    }
    memset(to, 9, PIECE);
}

static void test_os__hints_change_nothing(void **state)
{
    (void)state;
    assert_true(os_vm_commit(range, PIECE));
    memset(range, 1, PIECE / 2);
    os_vm_name(range, PIECE, "freehold:test");
    os_vm_dump(range, PIECE, false);
    os_vm_dump(range, PIECE, true);
    os_vm_populate(range, PIECE);
    assert_true(all_bytes(range, PIECE / 2, 1));
    assert_true(all_bytes(range + PIECE / 2, PIECE / 2, 0));
}

static void test_os__errno_is_never_touched(void **state)
{
    (void)state;
    errno = 12345;
    assert_true(os_vm_commit(range, SIZE));
    os_vm_purge(range, SIZE);
    os_vm_move(range + PIECE, range, PIECE);
    os_vm_name(range, SIZE, "freehold:test");
    os_vm_dump(range, SIZE, true);
    os_vm_address_space_left();
    os_clock_ms();
    os_random();
    assert_null(os_vm_reserve((size_t)1 << 60, 4096));
    os_environment("NOT_THERE");
    assert_int_equal(errno, 12345);
}

/* ---- time, threads, the rest ----------------------------------------------------------------------------- */

static void test_os__clock_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = os_clock_ms();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = os_clock_ms();
        assert_true(now >= last);
        last = now;
    }
}

static void *own_id(void *id)
{
    *(uint32_t *)id = os_thread_id();
    return NULL;
}

static void test_os__threads_have_ids(void **state)
{
    (void)state;
    uint32_t other = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, own_id, &other);
    pthread_join(thread, NULL);
    assert_int_equal(os_thread_id(), getpid()); /* the main thread's */
    assert_int_equal(os_process_id(), getpid());
    assert_int_not_equal(other, 0);
    assert_int_not_equal(other, os_thread_id());
}

static void test_os__random_numbers_differ(void **state)
{
    (void)state;
    uint64_t seen[64];
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        seen[i] = os_random();
        for (size_t k = 0; k < i; k++) assert_true(seen[i] != seen[k]);
    }
}

static void test_os__files_are_read_to_their_end(void **state)
{
    (void)state;
    char text[64];
    size_t total = 0;
    int fd = os_file_open("/proc/self/status");
    assert_true(fd >= 0);
    for (long n; (n = os_file_read(fd, text, sizeof text)) > 0;) total += (size_t)n;
    os_file_close(fd);
    assert_true(total > 100);
    assert_true(os_file_open("/no/such/file") < 0);
}

/* A file in memory of so many bytes, and its name. */
static int memfd_make(off_t size, int seals, char *path, size_t capacity)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0 && ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    snprintf(path, capacity, "/proc/self/fd/%d", fd);
    return fd;
}

static void test_os__only_a_sealed_file_in_memory_is_mapped(void **state)
{
    (void)state;
    char path[64];
    int both = F_SEAL_SHRINK | F_SEAL_GROW;
    int fd = memfd_make(8192, both, path, sizeof path);
    char *p = os_memfd_map(path, 8192);
    assert_non_null(p);
    p[8191] = 7;
    assert_int_equal(pread(fd, path, 1, 8191), 1);
    assert_int_equal(path[0], 7); /* it is shared */
    assert_int_equal(munmap(p, 8192), 0);
    close(fd);

    fd = memfd_make(8192, both, path, sizeof path);
    assert_null(os_memfd_map(path, 4096));
    assert_null(os_memfd_map(path, 8193));
    close(fd);
    fd = memfd_make(8192, F_SEAL_GROW, path, sizeof path);
    assert_null(os_memfd_map(path, 8192));
    close(fd);
    assert_null(os_memfd_map("/no/such/file", 4096));
    assert_null(os_memfd_map("/tmp", 4096));
    assert_null(os_memfd_map("/dev/zero", 0));
}

static void test_os__a_file_of_a_file_system_is_not_mapped(void **state)
{
    (void)state;
    char path[] = "/tmp/os_test.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
    assert_null(os_memfd_map(path, 4096));
    close(fd);
    unlink(path);
}

static void test_os__a_broken_descriptor_loses_the_message(void **state)
{
    (void)state;
    os_write(-1, "lost", 4);
}

/* ---- where the two differ: what only one of them can show ------------------------------------------------- */

#ifndef OS_TEST_FAKE

static char helper_stack[64 << 10] __attribute__((aligned(64)));
static _Atomic uint32_t helper_word;

/* In the helper: no libc, no thread-local storage; so nothing of AddressSanitizer's either, which
 * looks for its thread before a call that does not return. */
#if defined(__clang__)
__attribute__((no_sanitize("address")))
#endif
static void
helper_main(void *argument)
{
    while (LOAD_ACQUIRE(&helper_word) == 0) os_wait(&helper_word, 0, 10000);
    STORE_RELEASE((_Atomic uint32_t *)argument, os_thread_id());
    os_helper_exit();
}

static void test_os__helper_runs_beside_and_ends(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        static _Atomic int alive;
        static _Atomic uint32_t id;
        STORE(&helper_word, 0);
        STORE(&id, 0);
        assert_true(os_helper_start(helper_main, &id, helper_stack, sizeof helper_stack, &alive));
        assert_int_equal(atomic_load(&alive), 1);
        STORE_RELEASE(&helper_word, 1);
        os_wake(&helper_word);
        while (atomic_load(&alive)) usleep(100);
        assert_int_not_equal(LOAD_ACQUIRE(&id), 0);
        assert_int_not_equal(LOAD_ACQUIRE(&id), os_thread_id());
    }
}

static void test_os__wait_ends_when_the_word_differs(void **state)
{
    (void)state;
    _Atomic uint32_t word = 1;
    os_wait(&word, 0, 3600000); /* returns at once, or this test never ends */
    os_wait(&word, 1, 1);
}

/* ---- pages that were written to -------------------------------------------------------------- */

static struct os_watch watch;

static size_t pages_written(char *p, size_t size, struct os_range *ranges, size_t most)
{
    uintptr_t from = (uintptr_t)p, end = from + size;
    size_t count = 0;
    for (size_t more; (more = os_watch_take(&watch, &from, end, ranges + count, most - count));)
        assert_in_range(count += more, 1, most - 1);
    return count;
}

static void test_os__watch_tells_pages_that_were_written_to(void **state)
{
    (void)state;
    size_t page = os_page_size();
    struct os_range range_of[40];
    if (!os_watch_open(&watch, OS_WATCH_ANY)) skip(); /* a kernel that cannot tell */
    assert_true(os_watch_add(&watch, range, SIZE));
    assert_true(os_vm_commit(range, PIECE)); /* after it was added */
    memset(range, 1, PIECE);
    assert_true(os_watch_begin(&watch, (uintptr_t)range, (uintptr_t)range + SIZE));
    assert_int_equal(pages_written(range, SIZE, range_of, 40), 0);
    for (int i = 0; i < 10; i++) range[(size_t)i * 8 * page] = 2;
    assert_int_equal(*(volatile char *)(range + 4 * page), 1); /* a read is none */
    assert_int_equal(pages_written(range, SIZE, range_of, 40), 10);
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal((void *)range_of[i].start, range + (size_t)i * 8 * page);
        assert_ptr_equal((void *)range_of[i].end, range + (size_t)i * 8 * page + page);
    }
    /* In small portions, with what comes meanwhile; and pages that follow each other are one range. */
    assert_true(os_watch_begin(&watch, (uintptr_t)range, (uintptr_t)range + SIZE));
    uintptr_t from = (uintptr_t)range, end = from + SIZE;
    for (int i = 0; i < 4; i++) range[(size_t)i * 16 * page] = 3;
    memset(range + PIECE / 2, 3, 5 * page);
    assert_int_equal(os_watch_take(&watch, &from, end, range_of, 2), 2);
    assert_int_equal(os_watch_take(&watch, &from, end, range_of, 40), 3);
    assert_int_equal(range_of[2].end - range_of[2].start, 5 * page);
    assert_int_equal(os_watch_take(&watch, &from, end, range_of, 40), 0);
    os_watch_close(&watch);
}

static void test_os__watch_sees_what_the_kernel_writes(void **state)
{
    (void)state;
    struct os_range range_of[4];
    int zero = open("/dev/zero", O_RDONLY);
    if (!os_watch_open(&watch, OS_WATCH_ANY)) skip();
    assert_true(os_watch_add(&watch, range, SIZE) && os_vm_commit(range, PIECE));
    memset(range, 1, PIECE);
    assert_true(os_watch_begin(&watch, (uintptr_t)range, (uintptr_t)range + PIECE));
    assert_int_equal(read(zero, range + 3 * os_page_size(), 10), 10);
    assert_int_equal(pages_written(range, PIECE, range_of, 4), 1);
    assert_ptr_equal((void *)range_of[0].start, range + 3 * os_page_size());
    close(zero);
    os_watch_close(&watch);
}

/* Memory that was moved is not watched: then everything counts as written, until it is added again. */
static void test_os__watch_does_not_miss_memory_that_was_moved(void **state)
{
    (void)state;
    struct os_range range_of[64];
    if (!os_watch_open(&watch, OS_WATCH_ANY)) skip();
    assert_true(os_watch_add(&watch, range, SIZE) && os_vm_commit(range, 3 * PIECE));
    memset(range, 1, 3 * PIECE);
    assert_true(os_watch_begin(&watch, (uintptr_t)range, (uintptr_t)range + SIZE));
    if (!os_vm_move(range + 2 * PIECE, range, PIECE)) skip();
    range[2 * PIECE + os_page_size()] = 2;
    size_t count = pages_written(range, SIZE, range_of, 64);
    bool told = false;
    for (size_t i = 0; i < count; i++)
        told |= range_of[i].start <= (uintptr_t)range + 2 * PIECE + os_page_size() &&
                (uintptr_t)range + 2 * PIECE + os_page_size() < range_of[i].end;
    assert_true(told);
    assert_true(os_watch_begin(&watch, (uintptr_t)range, (uintptr_t)range + SIZE));
    range[2 * PIECE] = 3;
    assert_int_equal(pages_written(range, SIZE, range_of, 64), 1);
    os_watch_close(&watch);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* The kernel makes no page tables for what is not there, and guards are guards still. */
static void test_os__watch_of_what_is_resident_leaves_the_rest_alone(void **state)
{
    (void)state;
    size_t page = os_page_size();
    struct os_range found[8];
    uintptr_t start = (uintptr_t)range, end = start + SIZE, from = start;
    if (!os_watch_open(&watch, OS_WATCH_ONLY_PROTECT)) skip();
    assert_true(os_watch_add(&watch, range, SIZE) && os_vm_commit(range, SIZE));
    range[3 * page] = range[4 * page] = range[2 * MIB] = 1;
    bool guarded = madvise(range + 5 * page, page, MADV_GUARD_INSTALL) == 0;
    assert_int_equal(os_watch_take_resident(&watch, &from, end, true, found, 8), 2);
    assert_ptr_equal((void *)found[0].start, range + 3 * page);
    assert_ptr_equal((void *)found[1].start, range + 2 * MIB);
    from = start;
    assert_int_equal(os_watch_take_resident(&watch, &from, end, false, found, 8), 0);
    range[4 * page] = 2;
    range[9 * MIB] = 1; /* was not there */
    from = start;
    assert_int_equal(os_watch_take_resident(&watch, &from, end, false, found, 8), 2);
    assert_ptr_equal((void *)found[0].start, range + 4 * page);
    assert_ptr_equal((void *)found[1].start, range + 9 * MIB);
    assert_int_equal(range[3 * page] + range[4 * page] + range[9 * MIB], 4);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    if (guarded) assert_int_equal(write(ends[1], range + 5 * page, 1), -1);
    close(ends[0]);
    close(ends[1]);
    os_watch_close(&watch);
}

/* ---- a process that looks at itself ------------------------------------------------------------ */

static void test_os__self_reads_what_can_be_read(void **state)
{
    (void)state;
    size_t page = os_page_size();
    struct os_self self;
    char copy[100];
    assert_true(os_self_open(&self));
    assert_true(os_vm_commit(range, PIECE));
    memset(range, 7, page);
    assert_int_equal(os_self_read(&self, copy, (uintptr_t)range, 100), 100);
    assert_memory_equal(copy, range, 100);
    int hole = (int)SYS3(SYS_mprotect, range + page, page, PROT_NONE);
    assert_int_equal(hole, 0);
    assert_int_equal(os_self_read(&self, copy, (uintptr_t)range + page - 60, 100), 60);
    assert_int_equal(os_self_read(&self, copy, (uintptr_t)range + page, 100), 0);
    assert_true(os_vm_commit(range + page, page));
    os_self_close(&self);
}

static void test_os__self_knows_what_is_resident(void **state)
{
    (void)state;
    size_t page = os_page_size();
    struct os_self self;
    struct os_range found[8];
    assert_true(os_self_open(&self));
    if (!self.tells_resident) skip();
    assert_true(os_vm_commit(range, PIECE) && os_vm_purge(range, PIECE));
    assert_int_equal(*(volatile char *)(range + 9 * page), 0); /* the page of zeros is none */
    memset(range + 2 * page, 1, 3 * page);
    range[6 * page] = 1;
    uintptr_t from = (uintptr_t)range + 2 * page + 8, end = (uintptr_t)range + 6 * page + 16;
    assert_int_equal(os_self_resident(&self, &from, end, false, false, found, 8), 2);
    assert_ptr_equal((void *)found[0].start, range + 2 * page + 8);
    assert_ptr_equal((void *)found[0].end, range + 5 * page);
    assert_ptr_equal((void *)found[1].start, range + 6 * page);
    assert_ptr_equal((void *)found[1].end, range + 6 * page + 16);
    assert_int_equal(os_self_resident(&self, &from, end, false, false, found, 8), 0);
    os_self_close(&self);
}

static void test_os__mappings_are_told_as_they_are(void **state)
{
    (void)state;
    static char buffer[8192];
    struct os_mappings mappings;
    struct os_mapping m;
    size_t page = os_page_size();
    bool stack = false, ours = false, code = false;
    assert_true(os_vm_commit(range, PIECE));
    assert_int_equal(SYS3(SYS_mprotect, range, page, PROT_NONE), 0);
    assert_true(os_mappings_open(&mappings, buffer, sizeof buffer));
    for (uintptr_t last = 0; os_mappings_next(&mappings, &m); last = m.end) {
        uintptr_t here = (uintptr_t)&m, text = (uintptr_t)os_mappings_next,
                  at = (uintptr_t)range + page;
        assert_true(m.start >= last && m.end > m.start);
        if (here >= m.start && here < m.end) stack = m.kind == OS_MAPPING_STACK && m.writable;
        if (text >= m.start && text < m.end)
            code = m.kind == OS_MAPPING_FILE && !m.writable && m.readable;
        if (at == m.start) ours = m.after_guard && m.readable && m.writable && !m.shared;
    }
    os_mappings_close(&mappings);
    assert_true(os_vm_commit(range, page));
    assert_true(stack && ours && code);
}

static _Atomic int looked_at_state;
static uint32_t looked_at;
static _Atomic unsigned threads_seen;

static void *looked_at_main(void *unused)
{
    looked_at = os_thread_id();
    STORE_RELEASE(&looked_at_state, 1);
    while (LOAD_ACQUIRE(&looked_at_state) == 1) {
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    STORE_RELEASE(&looked_at_state, 3);
    while (LOAD_ACQUIRE(&looked_at_state) == 3) usleep(20000);
    return unused;
}

static void thread_seen(uint32_t thread)
{
    if (thread == looked_at || thread == os_thread_id()) threads_seen++;
}

static void *_Atomic rung_with;
static void on_ring(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    if (info->si_code == SI_TIMER) atomic_store(&rung_with, info->si_value.sival_ptr);
}

static void test_os__threads_are_seen_to_run_to_sleep_and_to_end(void **state)
{
    (void)state;
    static uint64_t buffer[256];
    pthread_t thread;
    uintptr_t pointer, low, high;
    STORE(&looked_at_state, 0);
    assert_true(os_signal_hook(SIGURG, on_ring) && os_signal_is_hooked(SIGURG));
    pthread_create(&thread, NULL, looked_at_main, NULL);
    while (LOAD_ACQUIRE(&looked_at_state) != 1) {
    }
    threads_seen = 0;
    assert_true(os_threads_each((char *)buffer, sizeof buffer, thread_seen));
    assert_int_equal(threads_seen, 2);
    assert_int_equal(os_thread_look(looked_at, &pointer), OS_THREAD_RUNS);
    assert_false(os_thread_blocks(looked_at, SIGURG));
    atomic_store(&rung_with, NULL);
    int timer = os_thread_ring(looked_at, SIGURG, &thread);
    assert_in_range(timer, 0, 1000);
    while (atomic_load(&rung_with) == NULL) usleep(1000);
    assert_ptr_equal(atomic_load(&rung_with), &thread);
    os_thread_ring_end(timer);
    STORE_RELEASE(&looked_at_state, 2);
    while (LOAD_ACQUIRE(&looked_at_state) != 3) usleep(100);
    assert_true(os_thread_blocks(looked_at, SIGURG));
    uint64_t turns = os_thread_turns(looked_at);
    for (int i = 0; i < 1000 && os_thread_look(looked_at, &pointer) != OS_THREAD_SLEEPS; i++)
        usleep(1000);
    assert_int_equal(os_thread_look(looked_at, &pointer), OS_THREAD_SLEEPS);
    assert_true(os_stack_bounds(&low, &high));
    assert_true(pointer != 0 && (pointer < low || pointer >= high)); /* on its own stack */
    usleep(60000);
    assert_true(os_thread_turns(looked_at) > turns);
    STORE_RELEASE(&looked_at_state, 4);
    pthread_join(thread, NULL);
    for (int i = 0; i < 1000 && os_thread_look(looked_at, &pointer) != OS_THREAD_GONE; i++)
        usleep(1000);
    assert_int_equal(os_thread_look(looked_at, &pointer), OS_THREAD_GONE);
    signal(SIGURG, SIG_DFL);
    assert_false(os_signal_is_hooked(SIGURG));
}

static void test_os__environment_is_the_process_own(void **state)
{
    (void)state;
    setenv("FREEHOLD_TEST", "a=b", 1);
    setenv("FREEHOLD_TEST_LONGER", "c", 1);
    assert_string_equal(os_environment("FREEHOLD_TEST"), "a=b");
    assert_null(os_environment("FREEHOLD_TES"));
    setenv("FREEHOLD_TEST", "", 1);
    assert_string_equal(os_environment("FREEHOLD_TEST"), "");
    unsetenv("FREEHOLD_TEST");
    assert_null(os_environment("FREEHOLD_TEST"));
}

#else

static void test_os__environment_is_what_the_test_says(void **state)
{
    (void)state;
    static const char *const environment[] = {"A=1", "AB=2", "EMPTY=", NULL};
    assert_null(os_environment("A"));
    os_fake.environment = environment;
    assert_string_equal(os_environment("A"), "1");
    assert_string_equal(os_environment("AB"), "2");
    assert_string_equal(os_environment("EMPTY"), "");
    assert_null(os_environment("B"));
    os_fake.secure = true;
    assert_null(os_environment("A"));
    os_fake_reset();
}

static void test_os__requests_are_refused_as_told(void **state)
{
    (void)state;
    os_fake_reset();
    os_fake_refuse(2, 1);
    assert_true(os_vm_commit(range, PIECE));
    assert_false(os_vm_commit(range, PIECE));
    assert_false(os_vm_readable(range, PIECE));
    assert_true(os_vm_commit(range, PIECE));
    assert_int_equal(os_fake.requests, 4);
    assert_int_equal(os_fake.committed, 3);
    assert_int_equal(os_fake.refused, 2);
    os_fake.refuse_purge = true;
    range[0] = 1;
    assert_false(os_vm_purge(range, PIECE));
    assert_int_equal(range[0], 1);
    os_fake_reset();
}

static _Atomic uint32_t never;
static int rounds;

static void helper_main(void *argument)
{
    for (int i = 0; i < 2; i++) {
        os_wait(&never, 0, 500);
        rounds++;
    }
    *(bool *)argument = true;
    os_helper_exit();
}

static void test_os__helper_goes_on_when_it_is_let(void **state)
{
    (void)state;
    static char stack[64 << 10] __attribute__((aligned(64)));
    static _Atomic int alive;
    bool ended = false;
    assert_false(os_fake_run_helper());
    assert_false(os_helper_start(helper_main, &ended, stack, sizeof stack, &alive));
    os_fake.helper = OS_FAKE_HELPER_WAITS;
    assert_true(os_helper_start(helper_main, &ended, stack, sizeof stack, &alive));
    uint64_t before = os_clock_ms();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&alive), 1);
        assert_int_equal(rounds, i ? i - 1 : 0);
        assert_true(os_fake_run_helper());
        assert_int_equal(os_clock_ms() - before, i < 2 ? 500 * (i + 1) : 1000);
    }
    assert_true(ended);
    assert_int_equal(atomic_load(&alive), 0);
    assert_false(os_fake_run_helper());
    os_fake_reset();
}

static void test_os__messages_are_kept(void **state)
{
    (void)state;
    os_fake_reset();
    os_fake.quiet = true;
    os_write(2, "one ", 4);
    os_write(2, "two", 3);
    assert_string_equal(os_fake.said, "one two");
    os_fake_reset();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_os__page_size_is_a_power_of_two),
        cmocka_unit_test(test_os__reserved_is_aligned_and_faults),
        cmocka_unit_test_setup_teardown(test_os__readable_is_zero_and_not_writable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__committed_is_zero_and_writable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__purged_is_zero_and_not_resident, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__move_takes_the_pages_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__move_that_fails_leaves_all_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__hints_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__errno_is_never_touched, set_up, tear_down),
        cmocka_unit_test(test_os__clock_never_goes_back),
        cmocka_unit_test(test_os__threads_have_ids),
        cmocka_unit_test(test_os__random_numbers_differ),
        cmocka_unit_test(test_os__only_a_sealed_file_in_memory_is_mapped),
        cmocka_unit_test(test_os__a_file_of_a_file_system_is_not_mapped),
        cmocka_unit_test(test_os__files_are_read_to_their_end),
        cmocka_unit_test(test_os__a_broken_descriptor_loses_the_message),
#ifndef OS_TEST_FAKE
        cmocka_unit_test(test_os__helper_runs_beside_and_ends),
        cmocka_unit_test(test_os__wait_ends_when_the_word_differs),
        cmocka_unit_test_setup_teardown(test_os__watch_tells_pages_that_were_written_to, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__watch_sees_what_the_kernel_writes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__watch_does_not_miss_memory_that_was_moved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_os__watch_of_what_is_resident_leaves_the_rest_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__self_reads_what_can_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__self_knows_what_is_resident, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_os__mappings_are_told_as_they_are, set_up, tear_down),
        cmocka_unit_test(test_os__threads_are_seen_to_run_to_sleep_and_to_end),
        cmocka_unit_test(test_os__environment_is_the_process_own),
#else
        cmocka_unit_test(test_os__environment_is_what_the_test_says),
        cmocka_unit_test_setup_teardown(test_os__requests_are_refused_as_told, set_up, tear_down),
        cmocka_unit_test(test_os__helper_goes_on_when_it_is_let),
        cmocka_unit_test(test_os__messages_are_kept),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
