/*
 * Where a function's caller may keep values across a call: the registers that a called function must
 * preserve, and the stack. Whoever publishes a thread's stack to others saves both, in one step: what the
 * function at hand has pushed by then is above the stack pointer that is returned, and what it has not is
 * still in its register. (Its frame's address will not do: it pushes below that.)
 */
#ifndef BASE_REGISTERS_H
#define BASE_REGISTERS_H

#include "base/base.h"

#if defined(__x86_64__)
#define BASE_REGISTERS 6
#define BASE_RED_ZONE 128 /* bytes below the stack pointer that a leaf function may use */
FH_INLINE uintptr_t base_registers_save(uintptr_t *to)
{
    uintptr_t stack_pointer;
    __asm__ volatile("movq %%rbx, 0(%1)\n\tmovq %%rbp, 8(%1)\n\tmovq %%r12, 16(%1)\n\t"
                     "movq %%r13, 24(%1)\n\tmovq %%r14, 32(%1)\n\tmovq %%r15, 40(%1)\n\t"
                     "movq %%rsp, %0"
                     : "=&r"(stack_pointer)
                     : "r"(to)
                     : "memory");
    return stack_pointer;
}
#elif defined(__aarch64__)
#define BASE_REGISTERS 11
#define BASE_RED_ZONE 0
FH_INLINE uintptr_t base_registers_save(uintptr_t *to)
{
    uintptr_t stack_pointer;
    __asm__ volatile("stp x19, x20, [%1]\n\tstp x21, x22, [%1, 16]\n\tstp x23, x24, [%1, 32]\n\t"
                     "stp x25, x26, [%1, 48]\n\tstp x27, x28, [%1, 64]\n\tstr x29, [%1, 80]\n\t"
                     "mov %0, sp"
                     : "=&r"(stack_pointer)
                     : "r"(to)
                     : "memory");
    return stack_pointer;
}
#endif

#endif
