/* os/guard.h on Linux. */
#include <sys/mman.h>

#include "base/syscall.h"
#include "os/guard.h"

/* Younger than Debian 12's headers; the numbers are the kernel's ABI. */
#define GUARD_INSTALL 102
#define GUARD_REMOVE 103
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

bool os_vm_reserve_at(uintptr_t start, size_t size)
{
    long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    long p = SYS6(SYS_mmap, start, size, PROT_NONE, flags, -1, 0);
    if (p == (long)start) return true;
    /* A kernel before 4.17 takes it for a hint. */
    if (!base_syscall_failed(p)) os_vm_release((void *)p, size);
    return false;
}

bool os_vm_guard(void *p, size_t size)
{
    return SYS3(SYS_madvise, p, size, GUARD_INSTALL) == 0;
}

bool os_vm_unguard(void *p, size_t size)
{
    return SYS3(SYS_madvise, p, size, GUARD_REMOVE) == 0;
}

bool os_vm_guard_try(void *p)
{
    return os_vm_guard(p, os_page_size()) && os_vm_unguard(p, os_page_size());
}

bool os_vm_decommit(void *p, size_t size)
{
    long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    return SYS6(SYS_mmap, p, size, PROT_NONE, flags, -1, 0) == (long)p;
}

void os_barrier_all(void)
{
    enum { EVERY_THREAD = 1 };
    atomic_thread_fence(memory_order_seq_cst);
    SYS3(SYS_membarrier, EVERY_THREAD, 0, 0);
}

bool os_entropy(void *buffer, size_t size)
{
    for (size_t have = 0; have < size;) {
        long n = SYS3(SYS_getrandom, (char *)buffer + have, size - have, 0);
        if (n == -4) continue; /* EINTR */
        if (n <= 0) return false;
        have += (size_t)n;
    }
    return true;
}
