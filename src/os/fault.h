/*
 * fault: what the kernel tells a handler of SIGSEGV or SIGBUS, from the context that it was given; and
 * whether memory can be read, for those who must not fault themselves.
 */
#ifndef OS_FAULT_H
#define OS_FAULT_H

#include "base/base.h"

enum os_access { OS_ACCESS_UNKNOWN, OS_READ, OS_WRITE };

/* The instruction that was interrupted, and what it did to the memory that it faulted on. */
uintptr_t os_context_pc(const void *context);
enum os_access os_context_access(const void *context);

/* Bytes from p on that can be read, at most `size`, without a fault and by a system call that no sandbox
 * forbids. Another thread may change that the next moment. */
size_t os_vm_can_read(const void *p, size_t size);

#endif
