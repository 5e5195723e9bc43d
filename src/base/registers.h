/*
 * Where a function's caller may keep values across a call: the registers that a called function must
 * preserve, and the stack. Whoever publishes a thread's stack to others saves both.
 */
#ifndef BASE_REGISTERS_H
#define BASE_REGISTERS_H

#include "base/base.h"

#if defined(__x86_64__)
#define BASE_REGISTERS 6
#define BASE_STACK_POINTER "rsp"
#define BASE_RED_ZONE 128 /* bytes below the stack pointer that a leaf function may use */
FH_INLINE void base_registers_save(uintptr_t *to)
{
    __asm__ volatile("movq %%rbx, 0(%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\t"
                     "movq %%r13, 24(%0)\n\tmovq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)" ::"r"(to)
                     : "memory");
}
#elif defined(__aarch64__)
#define BASE_REGISTERS 11
#define BASE_STACK_POINTER "sp"
#define BASE_RED_ZONE 0
FH_INLINE void base_registers_save(uintptr_t *to)
{
    __asm__ volatile(
        "stp x19, x20, [%0]\n\tstp x21, x22, [%0, 16]\n\tstp x23, x24, [%0, 32]\n\t"
        "stp x25, x26, [%0, 48]\n\tstp x27, x28, [%0, 64]\n\tstr x29, [%0, 80]" ::"r"(to)
        : "memory");
}
#endif

/* Below it is nothing of the caller's frame, and above it what the caller has pushed; the frame's address, where
 * the frame pointer is, has those pushes below it. */
FH_INLINE uintptr_t base_stack_pointer(void)
{
    register uintptr_t pointer __asm__(BASE_STACK_POINTER);
    __asm__ volatile("" : "=r"(pointer));
    return pointer;
}

#endif
