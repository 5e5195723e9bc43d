/*
 * Raw system calls, so that the allocator never touches errno, never goes through a libc wrapper
 * that a program or a tracer has interposed (hooked mmap and open re-enter malloc), and can run in
 * a thread without libc's thread control block.
 *
 * Every call returns the kernel's word: a result, or a negative errno.
 */
#ifndef BASE_SYSCALL_H
#define BASE_SYSCALL_H

#include <sys/syscall.h>

#include "base/base.h"

#if defined(__x86_64__)
#include "base/syscall_x86_64.h"
#elif defined(__aarch64__)
#include "base/syscall_aarch64.h"
#else
#error "freehold: x86-64 and aarch64 only; add src/base/syscall_<machine>.h to port it"
#endif

#define SYS0(nr) base_syscall((nr), 0, 0, 0, 0, 0, 0)
#define SYS1(nr, a) base_syscall((nr), (long)(a), 0, 0, 0, 0, 0)
#define SYS2(nr, a, b) base_syscall((nr), (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS3(nr, a, b, c) base_syscall((nr), (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS4(nr, a, b, c, d) base_syscall((nr), (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS5(nr, a, b, c, d, e)                                                                    \
    base_syscall((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS6(nr, a, b, c, d, e, f)                                                                 \
    base_syscall((nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

FH_INLINE bool base_syscall_failed(long result)
{
    return (unsigned long)result >= (unsigned long)-4095;
}

#endif
