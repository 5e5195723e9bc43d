/* os/fault.h on Linux. */
#include "os/fault.h"

#include <errno.h>
#include <ucontext.h>

#include "base/syscall.h"

#if defined(__x86_64__)

uintptr_t os_context_pc(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

enum os_access os_context_access(const void *context)
{
    enum { PAGE_FAULT = 14, WRITE = 2 };
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    if (registers[REG_TRAPNO] != PAGE_FAULT) return OS_ACCESS_UNKNOWN;
    return registers[REG_ERR] & WRITE ? OS_WRITE : OS_READ;
}

#elif defined(__aarch64__)

uintptr_t os_context_pc(const void *context)
{
    return ((const ucontext_t *)context)->uc_mcontext.pc;
}

/* Among the records behind the registers is one with the syndrome: its class is a data abort of the lower level,
 * and one bit says that it was a write. */
enum os_access os_context_access(const void *context)
{
    enum { SYNDROME = 0x45535201, DATA_ABORT = 0x24, WRITE = 1 << 6 };
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
    const char *at = (const char *)machine->__reserved, *end = at + sizeof machine->__reserved;
    while (at + 16 <= end) {
        const uint32_t *head = (const uint32_t *)at;
        if (head[0] == 0 || head[1] < 16) break;
        if (head[0] == SYNDROME) {
            uint64_t syndrome = *(const uint64_t *)(at + 8);
            if (syndrome >> 26 != DATA_ABORT) return OS_ACCESS_UNKNOWN;
            return syndrome & WRITE ? OS_WRITE : OS_READ;
        }
        at += head[1];
    }
    return OS_ACCESS_UNKNOWN;
}

#endif

/* The kernel copies the set of signals before it looks at what is to be done with it, which is nothing. */
static bool word_can_be_read(uintptr_t word)
{
    enum { NOTHING = 99, LOWEST = 4096 };
    return word >= LOWEST && SYS4(SYS_rt_sigprocmask, NOTHING, word, NULL, 8) == -EINVAL;
}

size_t os_vm_can_read(const void *p, size_t size)
{
    uintptr_t start = (uintptr_t)p, at = start;
    enum { STEP = 4096 }; /* the smallest page: one word stands for it */
    while (at < start + size && word_can_be_read(base_round_down(at, 8)))
        at = base_round_down(at, STEP) + STEP;
    return base_min(at - start, size);
}
