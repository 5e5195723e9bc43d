/* See os/fake/fake.h. One file: it is a tool of tests, to be read as one. */
#include "os/fake/fake.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/syscall.h"
#include "os/os.h"
#include "os/thread.h"

#define STANDARD                                                                                   \
    {                                                                                              \
        .page_size = 4096, .clock_ms = 1000000, .address_space_left = SIZE_MAX,                    \
    }
struct os_fake os_fake = STANDARD;

void os_fake_reset(void)
{
    uint64_t now = LOAD(&os_fake.clock_ms);
    struct os_fake standard = STANDARD;
    memcpy(&os_fake, &standard, sizeof os_fake);
    STORE(&os_fake.clock_ms, now); /* never goes back */
}

void os_fake_refuse(uint64_t nth, uint64_t more)
{
    uint64_t from = LOAD(&os_fake.requests) + nth;
    STORE(&os_fake.refuse_from, from);
    STORE(&os_fake.refuse_to, from + more);
}

/* Counts a request; false if this one is to be refused. */
static bool request_granted(_Atomic uint64_t *kind)
{
    atomic_fetch_add(kind, 1);
    uint64_t number = atomic_fetch_add(&os_fake.requests, 1) + 1;
    uint64_t from = LOAD(&os_fake.refuse_from);
    if (from == 0 || number < from || number > LOAD(&os_fake.refuse_to)) return true;
    atomic_fetch_add(&os_fake.refused, 1);
    return false;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* The reservations, to check that callers stay inside: one for the allocator, some twenty for each heap of
 * the collector's. */
enum { RESERVATIONS = 2048 };

static struct reservation {
    _Atomic uintptr_t start;
    _Atomic size_t size;
} reservation[RESERVATIONS];
static _Atomic unsigned reservation_count;

static bool is_reserved(const void *p, size_t size)
{
    for (unsigned i = 0; i < LOAD(&reservation_count) && i < RESERVATIONS; i++) {
        size_t offset = (uintptr_t)p - LOAD(&reservation[i].start);
        if (offset < LOAD(&reservation[i].size) && size <= LOAD(&reservation[i].size) - offset)
            return true;
    }
    return false;
}

static bool is_whole_pages(const void *p, size_t size)
{
    return (uintptr_t)p % os_fake.page_size == 0 && size % os_fake.page_size == 0;
}

static void check_range(const void *p, size_t size)
{
    CHECK(is_whole_pages(p, size));
    CHECK(is_reserved(p, size));
}

size_t os_page_size(void)
{
    return os_fake.page_size;
}

void *os_vm_reserve(size_t size, size_t align)
{
    CHECK(base_is_pow2(align) && size % os_fake.page_size == 0);
    if (size > os_fake.address_space_left || !request_granted(&os_fake.reserved)) return NULL;
    align = base_max(align, os_fake.page_size);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    long p = SYS6(SYS_mmap, NULL, size + align, PROT_NONE, flags, -1, 0);
    if (base_syscall_failed(p)) return NULL;
    char *start = (char *)base_round_up((size_t)p, align);
    unsigned i = atomic_fetch_add(&reservation_count, 1);
    CHECK(i < RESERVATIONS);
    STORE(&reservation[i].size, size);
    STORE(&reservation[i].start, (uintptr_t)start);
    return start;
}

bool os_vm_readable(void *p, size_t size)
{
    check_range(p, size);
    return request_granted(&os_fake.readable) && SYS3(SYS_mprotect, p, size, PROT_READ) == 0;
}

bool os_vm_commit(void *p, size_t size)
{
    check_range(p, size);
    if (!request_granted(&os_fake.committed)) return false;
    return SYS3(SYS_mprotect, p, size, PROT_READ | PROT_WRITE) == 0;
}

bool os_vm_purge(void *p, size_t size)
{
    check_range(p, size);
    if (os_fake.refuse_purge) return false;
    atomic_fetch_add(&os_fake.purged, 1);
    atomic_fetch_add(&os_fake.purged_bytes, size);
    return SYS3(SYS_madvise, p, size, MADV_DONTNEED) == 0;
}

void os_vm_release(void *p, size_t size)
{
    check_range(p, size);
    atomic_fetch_add(&os_fake.released, 1);
    CHECK(SYS2(SYS_munmap, p, size) == 0);
}

bool os_vm_move(void *to, void *from, size_t size)
{
    check_range(to, size);
    check_range(from, size);
    if (os_fake.refuse_move) return false;
    atomic_fetch_add(&os_fake.moved, 1);
    memcpy(to, from, size);
    return SYS3(SYS_madvise, from, size, MADV_DONTNEED) == 0;
}

/* Hints: a system may ignore them, and this one does. */
void os_vm_populate(void *p, size_t size)
{
    check_range(p, size);
}

void os_vm_dump(void *p, size_t size, bool yes)
{
    (void)yes;
    check_range(p, size);
}

void os_vm_name(void *p, size_t size, const char *name)
{
    (void)name;
    check_range(p, size);
}

size_t os_vm_address_space_left(void)
{
    return os_fake.address_space_left;
}

/* ---- time and threads -------------------------------------------------------------------------- */

uint64_t os_clock_ms(void)
{
    return LOAD(&os_fake.clock_ms);
}

uint32_t os_thread_id(void)
{
    return (uint32_t)SYS0(SYS_gettid);
}

uint32_t os_process_id(void)
{
    return (uint32_t)SYS0(SYS_getpid);
}

/* The helper is a coroutine: it runs where a test lets it, and stops where it naps. */
static struct {
    void (*entry)(void *);
    void *argument;
    _Atomic int *alive;
    ucontext_t itself, caller;
    bool runs;
} helper;

static void helper_main(void)
{
    helper.entry(helper.argument);
}

bool os_helper_start(void (*entry)(void *), void *argument, void *stack, size_t stack_size,
                     _Atomic int *alive)
{
    CHECK(stack != NULL && helper.entry == NULL);
    if (os_fake.helper == OS_FAKE_HELPER_REFUSED) return false;
    CHECK(getcontext(&helper.itself) == 0);
    helper.itself.uc_stack = (stack_t){.ss_sp = stack, .ss_size = stack_size};
    makecontext(&helper.itself, helper_main, 0);
    helper.entry = entry;
    helper.argument = argument;
    helper.alive = alive;
    atomic_store(alive, 1);
    return true;
}

bool os_fake_run_helper(void)
{
    if (helper.entry == NULL) return false;
    helper.runs = true;
    CHECK(swapcontext(&helper.caller, &helper.itself) == 0);
    helper.runs = false;
    return true;
}

_Noreturn void os_helper_exit(void)
{
    helper.entry = NULL;
    atomic_store(helper.alive, 0);
    for (;;) setcontext(&helper.caller);
}

bool os_helper_is_current(void)
{
    return !os_fake.user_changed;
}

static void wait_really(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    struct timespec limit = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    SYS4(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit);
}

/* Unless told otherwise nobody else runs who could wake the sleeper: all of the time passes. */
void os_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    if (os_fake.waits) {
        wait_really(word, value, ms);
        return;
    }
    if (LOAD(word) == value) atomic_fetch_add(&os_fake.clock_ms, ms);
    if (helper.runs) CHECK(swapcontext(&helper.itself, &helper.caller) == 0);
}

/* os/thread.h's waits are real here, too. */
void os_wake(_Atomic uint32_t *word)
{
    SYS3(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

bool os_thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size)
{
    pthread_t other;
    sigset_t all, before;
    if (!request_granted(&os_fake.threads)) return false;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread ? thread : &other, NULL, entry, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started && thread == NULL) pthread_detach(other);
    (void)stack_size;
    return started;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

uint64_t os_random(void)
{
    static _Atomic uint64_t state;
    uint64_t z = atomic_fetch_add(&state, 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    return z ^ z >> 27;
}

const char *os_environment(const char *name)
{
    size_t length = strlen(name);
    if (os_fake.secure || os_fake.environment == NULL) return NULL;
    for (const char *const *entry = os_fake.environment; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

int os_file_open(const char *path)
{
    return (int)SYS4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

long os_file_read(int fd, char *buffer, size_t size)
{
    return SYS3(SYS_read, fd, buffer, size);
}

void os_file_close(int fd)
{
    SYS1(SYS_close, fd);
}

void *os_memfd_map(const char *path, size_t size)
{
    int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    long fd = SYS4(SYS_openat, AT_FDCWD, path, flags, 0), p = -1;
    if (base_syscall_failed(fd)) return NULL;
    long sealed = SYS3(SYS_fcntl, fd, F_GET_SEALS, 0), both = F_SEAL_SHRINK | F_SEAL_GROW;
    if (!base_syscall_failed(sealed) && (sealed & both) == both &&
        SYS3(SYS_lseek, fd, 0, SEEK_END) == (long)size)
        p = SYS6(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    SYS1(SYS_close, fd);
    return base_syscall_failed(p) ? NULL : (void *)p;
}

bool os_write(int fd, const char *text, size_t length)
{
    size_t at = atomic_fetch_add(&os_fake.said_length, length);
    if (at < sizeof os_fake.said - 1) {
        size_t room = sizeof os_fake.said - 1 - at;
        memcpy(os_fake.said + at, text, base_min(length, room));
    }
    return os_fake.quiet || SYS3(SYS_write, fd, text, length) == (long)length;
}
