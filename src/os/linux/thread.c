/* os/thread.h on Linux. */
#include "os/thread.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/syscall.h"

bool os_stack_bounds(uintptr_t *low, uintptr_t *high)
{
    pthread_attr_t attributes;
    void *start;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return false;
    bool known = pthread_attr_getstack(&attributes, &start, &size) == 0;
    pthread_attr_destroy(&attributes);
    *low = (uintptr_t)start;
    *high = (uintptr_t)start + size;
    return known;
}

bool os_thread_signal(uint32_t thread, int signal)
{
    return SYS3(SYS_tgkill, os_process_id(), thread, signal) == 0;
}

/* ---- signals --------------------------------------------------------------------------------- */

enum { SIGNALS = 65 };
static os_signal_fn *_Atomic signal_handler[SIGNALS], *_Atomic signal_hook;
static _Atomic int signal_hooked;

static void signal_dispatch(int signal, siginfo_t *info, void *context)
{
    if (LOAD(&signal_hooked) == signal) LOAD (&signal_hook)(signal, info, context);
    os_signal_fn *handler = LOAD(&signal_handler[signal]);
    if (handler) handler(signal, info, context);
}

static bool dispatch_install(int signal)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = signal_dispatch;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    return sigaction(signal, &action, NULL) == 0;
}

bool os_signal_handle(int signal, os_signal_fn *handler)
{
    STORE(&signal_handler[signal], handler);
    return dispatch_install(signal);
}

bool os_signal_is_hooked(int signal)
{
    struct { /* the kernel's */
        os_signal_fn *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } now = {NULL, 0, NULL, 0};
    long result = SYS4(SYS_rt_sigaction, signal, NULL, &now, sizeof now.mask);
    return result == 0 && now.handler == signal_dispatch && LOAD(&signal_hooked) == signal;
}

bool os_signal_hook(int signal, os_signal_fn *hook)
{
    struct sigaction now;
    if (sigaction(signal, NULL, &now) != 0) return false;
    bool by_default = now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN;
    if (!by_default && now.sa_sigaction != signal_dispatch) return false;
    STORE(&signal_hook, hook);
    STORE_RELEASE(&signal_hooked, signal);
    return !by_default || dispatch_install(signal);
}

/* ---- registers ------------------------------------------------------------------------------- */

unsigned os_context_registers(const void *context, uintptr_t *registers, uintptr_t *stack_pointer)
{
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    unsigned count = 0;
#if defined(__x86_64__)
    *stack_pointer = (uintptr_t)machine->gregs[REG_RSP];
    for (int r = REG_R8; r <= REG_RCX; r++) registers[count++] = (uintptr_t)machine->gregs[r];
#elif defined(__aarch64__)
    *stack_pointer = machine->sp;
    for (int r = 0; r <= 30; r++) registers[count++] = machine->regs[r];
#endif
    return count;
}

bool os_context_other_stack(const void *context, uintptr_t *low, uintptr_t *high)
{
    const stack_t *stack = &((const ucontext_t *)context)->uc_stack;
    *low = (uintptr_t)stack->ss_sp;
    *high = *low + stack->ss_size;
    return !(stack->ss_flags & SS_DISABLE);
}

static uint64_t time_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t os_thread_time_ns(void)
{
    return time_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t os_time_ns(void)
{
    return time_ns(CLOCK_MONOTONIC);
}

void os_thread_short_slices(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = 48, .runtime = 100000};
    SYS3(SYS_sched_setattr, 0, &attributes, 0);
}

void os_delay_us(uint64_t us)
{
    struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    SYS2(SYS_nanosleep, &time, NULL);
}

unsigned os_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

size_t os_cache_size(void)
{
    long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (size <= 0) return 1 * MIB;
    return base_min(base_max((size_t)size, 512 * KIB), 4 * MIB);
}

void os_wait_long(_Atomic uint32_t *word, uint32_t value)
{
    SYS4(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL);
}
