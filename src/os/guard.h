/*
 * guard: memory that faults when it is touched, without a mapping for each piece, and what else the hardened
 * policy asks of the kernel. The contract is that of os.h.
 */
#ifndef OS_GUARD_H
#define OS_GUARD_H

#include "os/os.h"

/* Reserves at a given place, which nobody has; false if somebody does. */
bool os_vm_reserve_at(uintptr_t start, size_t size);

/* Whether this kernel can guard pages of a mapping without splitting it (MADV_GUARD_INSTALL, Linux 6.13);
 * tried once, on the page at p, which is committed and afterwards as it was. */
bool os_vm_guard_try(void *p);

/* The pages of committed memory are given back to the kernel, and fault from now on, or no longer do. False:
 * the kernel refuses (locked pages, no memory for page tables). */
bool os_vm_guard(void *p, size_t size);
bool os_vm_unguard(void *p, size_t size);

/* Back to reserved: the pages go, and so do their page tables. Splits a mapping. */
bool os_vm_decommit(void *p, size_t size);

/* All threads of the process have a memory barrier, where the kernel has membarrier; at least this one. */
void os_barrier_all(void);

/* Random bytes of the kernel; false where it has none to give: there is no second best. */
bool os_entropy(void *buffer, size_t size);

#endif
