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
 * Several watches may be open in a process, each over memory of its own, each used by one thread at a
 * time. But soft-dirty bits are the whole process's, so only one of them may have those: who opens with
 * OS_WATCH_ANY. Not thread-safe but for what the kernel notes by itself.
 */
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include "base/base.h"

struct os_range {
    uintptr_t start, end;
};

/* A good many to ask for at once. */
#define OS_WATCH_RANGES 512

enum os_watch_way { OS_WATCH_NONE, OS_WATCH_PROTECT, OS_WATCH_SOFT_DIRTY };

struct os_watch {
    enum os_watch_way way;
    int faults, pagemap, clear; /* file descriptors */
};
#define OS_WATCH_CLOSED                                                                            \
    {                                                                                              \
        .faults = -1, .pagemap = -1, .clear = -1                                                   \
    }

/* Opens what is needed, in this process. False: this kernel cannot tell. */
enum os_watch_wish { OS_WATCH_ANY, OS_WATCH_ONLY_PROTECT };
bool os_watch_open(struct os_watch *watch, enum os_watch_wish wish);
void os_watch_close(struct os_watch *watch);

/* This memory, reserved or committed, is to be watched while it is mapped. False: it cannot be. */
bool os_watch_add(struct os_watch *watch, void *p, size_t size);

/* All pages of start..end, which was added, count as not written from now on. False: some do not. */
bool os_watch_begin(struct os_watch *watch, uintptr_t start, uintptr_t end);

/* Ranges of pages of *from..end that were written to since they last counted as not written, at most
 * `most`, and *from is where the next call goes on. They may count as not written from then on. When
 * the kernel fails, one range that is all the rest. 0: there are no more. */
size_t os_watch_take(struct os_watch *watch, uintptr_t *from, uintptr_t end,
                     struct os_range *ranges, size_t most);

/* The same for memory of which little may be resident, and that need not begin: only of pages that are
 * there (in memory or swapped out), so that the kernel makes no page tables for others. `all`: also of
 * those that were not written to. Only with OS_WATCH_PROTECT. -1 when the kernel fails. */
long os_watch_take_resident(struct os_watch *watch, uintptr_t *from, uintptr_t end, bool all,
                            struct os_range *ranges, size_t most);

#endif
