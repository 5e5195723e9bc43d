/*
 * os/watch: which pages of our memory were written to, as the kernel knows it; without signals and
 * without privileges, and what the kernel itself writes (a read() into the memory) counts as well.
 *
 * Two ways, tried on memory of our own before they are believed, since kernels say yes to both and
 * do nothing:
 *
 *   userfaultfd   write protection that a fault takes off by itself (UFFD_FEATURE_WP_ASYNC), read
 *                 and put back in one step by PAGEMAP_SCAN; Linux 6.7
 *   soft-dirty    bits that are cleared for the whole process, not in one step with being read:
 *                 so only at the beginning, and pages are told again and again; x86 as a rule
 *
 * Rejected: mprotect, where a read() into a protected page fails with EFAULT and the program does
 * not know why; a handler of SIGSEGV of ours that programs replace.
 *
 * One thread at a time; not thread-safe but for what the kernel notes by itself.
 */
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include "base/base.h"

struct os_range {
    uintptr_t start, end;
};

/* A good many to ask for at once. */
#define OS_WATCH_RANGES 512

/* Opens what is needed, in this process. False: this kernel cannot tell. */
bool os_watch_open(void);
void os_watch_close(void);

/* This memory, reserved or committed, is to be watched while it is mapped. False: it cannot be. */
bool os_watch_add(void *p, size_t size);

/* All pages of start..end, which was added, count as not written from now on. False: some do not. */
bool os_watch_begin(uintptr_t start, uintptr_t end);

/* Ranges of pages of *from..end that were written to since they last counted as not written, at most
 * `most`, and *from is where the next call goes on. They may count as not written from then on. When
 * the kernel fails, one range that is all the rest. 0: there are no more. */
size_t os_watch_take(uintptr_t *from, uintptr_t end, struct os_range *ranges, size_t most);

#endif
