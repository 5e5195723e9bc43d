/*
 * stack: the return addresses of the calling thread, without allocation and without a lock: from inside
 * malloc wherever that is called, from the dynamic linker, from a signal handler.
 *
 * Debian's binaries keep no frame pointers, so the tables of .eh_frame are read, by the unwinder of gcc's
 * runtime, which is linked into the library (-static-libgcc): with glibc 2.35 and later it finds a module's
 * tables by _dl_find_object, which takes no lock, and allocates nothing. Where no table tells anything
 * beyond the caller, frame pointers are followed.
 *
 * Tables can be wrong (assembly) and stacks overwritten: both may lead the unwinder to memory that is not
 * there. Then the signal handler (fault.c) comes back by stack_fault, and what was found so far is kept.
 */
#ifndef HARD_STACK_H
#define HARD_STACK_H

#include "base/base.h"

#define STACK_MOST 32

/* Once, before there are threads: what the unwinder prepares at its first use. */
void stack_start(void);

/* The return address of the caller of stack_take and those behind it, innermost first, without the first
 * `skip`; returns how many. 0 inside of itself (a signal handler that interrupted it in this thread). */
FH_NOINLINE unsigned stack_take(uintptr_t *pcs, unsigned most, unsigned skip);

/* The same from a signal handler: from the interrupted instruction `pc` on. */
FH_NOINLINE unsigned stack_take_from(uintptr_t pc, uintptr_t *pcs, unsigned most);

/* Called by the handler of a fault: does not return if this thread is in stack_take. */
void stack_fault(void);

#endif
