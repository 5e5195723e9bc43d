/* os.h's clock, threads, randomness and environment on Linux. */
#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/syscall.h"
#include "os/os.h"
#include "os/thread.h"

size_t os_page_size(void)
{
    /* getauxval reads a table that the kernel put on the stack: no allocation, no errno here. */
    static _Atomic size_t cached;
    size_t size = LOAD(&cached);
    if (UNLIKELY(size == 0)) {
        size = getauxval(AT_PAGESZ);
        STORE(&cached, size);
    }
    return size;
}

uint64_t os_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* vDSO: no system call */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint32_t os_thread_id(void)
{
    return (uint32_t)SYS0(SYS_gettid);
}

uint32_t os_process_id(void)
{
    return (uint32_t)SYS0(SYS_getpid);
}

bool os_thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t other;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    if (!thread) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool started = pthread_create(thread ? thread : &other, &attributes, entry, argument) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* The helper's whole life: all signals blocked by its starter, so that no handler of the program's
 * ever runs on its small stack. */
bool os_helper_start(void (*entry)(void *), void *argument, void *stack, size_t stack_size,
                     _Atomic int *alive)
{
    enum {
        TLS_ROOM = 2048
    }; /* either side of the thread pointer, all zero: x86 reads below, arm above */
    char *base = stack;
    void **tls = (void **)(base + TLS_ROOM);
    tls[0] = tls; /* x86-64: the thread pointer's first word is itself */
    char *top = (char *)base_round_down((size_t)base + stack_size, 16);

    uint64_t all = ~0ull, before;
    SYS4(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &before, sizeof all);
    atomic_store_explicit(alive, 1, memory_order_relaxed);
    unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                          CLONE_SYSVSEM | CLONE_SETTLS | CLONE_CHILD_CLEARTID;
    long tid = base_clone(flags, top, tls, entry, argument, alive);
    if (base_syscall_failed(tid)) atomic_store_explicit(alive, 0, memory_order_relaxed);
    SYS4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &before, NULL, sizeof before);
    return !base_syscall_failed(tid);
}

_Noreturn void os_helper_exit(void)
{
    for (;;) SYS1(SYS_exit, 0);
}

/* The number behind the next tab, if any. */
static uint32_t number_after_tab(const char **at)
{
    while (**at && **at != '\t') ++*at;
    if (**at) ++*at;
    uint32_t n = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) n = n * 10 + (uint32_t)(**at - '0');
    return n;
}

bool os_helper_is_current(void)
{
    char text[1024] = {0};
    int fd = os_file_open("/proc/self/status"); /* of the process's first thread */
    if (fd < 0) return true;
    os_file_read(fd, text, sizeof text - 1);
    os_file_close(fd);
    for (const char *at = text; *at; at++) {
        if (at[0] != '\n' || at[1] != 'U' || at[2] != 'i' || at[3] != 'd' || at[4] != ':') continue;
        uint32_t real = number_after_tab(&at), effective = number_after_tab(&at);
        return real == (uint32_t)SYS0(SYS_getuid) && effective == (uint32_t)SYS0(SYS_geteuid);
    }
    return true;
}

void os_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    struct timespec limit = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    SYS4(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit);
}

void os_wake(_Atomic uint32_t *word)
{
    SYS3(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

uint64_t os_random(void)
{
    uint64_t value;
    if (SYS3(SYS_getrandom, &value, sizeof value, 1 /* GRND_NONBLOCK */) == sizeof value)
        return value;
    const uint64_t *seed = (const uint64_t *)getauxval(AT_RANDOM);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (seed ? seed[0] ^ seed[1] : 0) + (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15ull;
}

const char *os_environment(const char *name)
{
    if (getauxval(AT_SECURE) != 0 || environ == NULL) return NULL;
    for (char **entry = environ; *entry; entry++) {
        const char *e = *entry, *n = name;
        while (*n && *e == *n) e++, n++;
        if (*n == 0 && *e == '=') return e + 1;
    }
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
    while (length > 0) {
        long n = SYS3(SYS_write, fd, text, length);
        if (n <= 0) return false;
        text += n;
        length -= (size_t)n;
    }
    return true;
}
