/* The aarch64 system call instruction, and the start of a thread that libc does not know. */
#ifndef BASE_SYSCALL_AARCH64_H
#define BASE_SYSCALL_AARCH64_H

#include "base/base.h"

FH_INLINE long base_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
}

/* See syscall_x86_64.h. The kernel's argument order differs: clone(flags, stack, parent, tls, child). */
FH_INLINE long base_clone(unsigned long flags, void *stack_top, void *tls, void (*entry)(void *),
                          void *argument, _Atomic int *exit_word)
{
    register long x8 __asm__("x8") = 220; /* SYS_clone */
    register long x0 __asm__("x0") = (long)flags;
    register long x1 __asm__("x1") = (long)stack_top;
    register long x2 __asm__("x2") = 0;
    register long x3 __asm__("x3") = (long)tls;
    register long x4 __asm__("x4") = (long)exit_word;
    register void (*x9)(void *) __asm__("x9") = entry;
    register void *x10 __asm__("x10") = argument;
    __asm__ volatile("svc 0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "mov x30, #0\n\t"
                     "mov x0, x10\n\t"
                     "blr x9\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10)
                     : "memory", "cc");
    return x0;
}

#endif
