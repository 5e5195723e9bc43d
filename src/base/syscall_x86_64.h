/* The x86-64 system call instruction, and the start of a thread that libc does not know. */
#ifndef BASE_SYSCALL_X86_64_H
#define BASE_SYSCALL_X86_64_H

#include "base/base.h"

FH_INLINE long base_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* clone() into `entry(argument)` on a fresh stack. The child must not return into this frame (its
 * stack is another), so the call is made here, where both sides of it can be seen. `tls` becomes
 * the child's thread pointer. Returns the child's id or a negative errno. */
FH_INLINE long base_clone(unsigned long flags, void *stack_top, void *tls, void (*entry)(void *),
                          void *argument, _Atomic int *exit_word)
{
    long result;
    register void *r10 __asm__("r10") = (void *)exit_word;
    register void *r8 __asm__("r8") = tls;
    register void (*r12)(void *) __asm__("r12") = entry;
    register void *r13 __asm__("r13") = argument;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(56L /* SYS_clone */), "D"(flags), "S"(stack_top), "d"(0L), "r"(r10),
                       "r"(r8), "r"(r12), "r"(r13)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
