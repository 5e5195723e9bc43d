/*
 * os/watch: which pages of our memory were written to.
 *
 * Three ways, tried on memory of our own before they are believed, since kernels say yes and do nothing:
 *
 *   userfaultfd   write protection that a fault takes off by itself (UFFD_FEATURE_WP_ASYNC), read
 *                 and put back in one step by PAGEMAP_SCAN; Linux 6.7
 *   soft-dirty    bits that are cleared for the whole process, not in one step with being read:
 *                 so only at the beginning, and pages are told again and again; x86 as a rule
 *   faults        mprotect, and a handler of SIGSEGV of ours (linux/watch_faults.c); anywhere
 *
 * The first two are the kernel's own: no signals, no privileges, and what the kernel itself writes (a read() into
 * the memory) counts as well. By the third a read() into a protected page fails with EFAULT, and the program does not know
 * why: so it must be allowed, and whoever watches says for each range whether that may be so.
 *
 * Several watches may be open in a process, each over memory of its own, each used by one thread at a
 * time. But soft-dirty bits and the handler are the whole process's, so only one of them may have those: who opens
 * with OS_WATCH_ANY. Not thread-safe but for what the kernel, or the handler, notes by itself.
 */
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include <signal.h>

#include "base/base.h"

struct os_range {
    uintptr_t start, end;
};

/* A good many to ask for at once. */
#define OS_WATCH_RANGES 512

/* By faults memory is watched in units of this size, at its multiples. */
#define OS_WATCH_GRAIN (64 * KIB)

/* Ways, as bits, in the order in which they are tried. */
enum os_watch_way {
    OS_WATCH_NONE = 0,
    OS_WATCH_PROTECT = 1,
    OS_WATCH_SOFT_DIRTY = 2,
    OS_WATCH_FAULTS = 4,
};

struct os_watch {
    enum os_watch_way way;
    int faults, pagemap, clear; /* file descriptors */
};
#define OS_WATCH_CLOSED                                                                            \
    {                                                                                              \
        .faults = -1, .pagemap = -1, .clear = -1                                                   \
    }

/* Which OS_WATCH_ANY may try from now on; the first two, unless somebody says otherwise. Thread-safe. */
void os_watch_allow(unsigned ways);

/* Opens what is needed, in this process. False: this kernel cannot tell. */
enum os_watch_wish { OS_WATCH_ANY, OS_WATCH_ONLY_PROTECT };
bool os_watch_open(struct os_watch *watch, enum os_watch_wish wish);
void os_watch_close(struct os_watch *watch);

/* There is a watch by faults, and this and the next two are about it: all counts as written until os_watch_again, one range at a time is watched, and only what
 * is committed. */
bool os_watch_by_faults(void);

/* This memory, reserved or committed, is to be watched while it is mapped. False: it cannot be. */
bool os_watch_add(struct os_watch *watch, void *p, size_t size);

/* All pages of start..end, which was added, count as not written from now on. False: some do not. */
bool os_watch_begin(struct os_watch *watch, uintptr_t start, uintptr_t end);

/* By faults: what lies in start..end counts as not written from here on, but for the first and the last grain of all. By
 * other ways it does without. */
void os_watch_again(uintptr_t start, uintptr_t end);

/* By faults: none come any more, and what was written to by now is told as before. Until os_watch_begin. */
void os_watch_end(void);

/* A handler of SIGSEGV that comes before ours asks this first: true if the fault was one of ours, and the thread can
 * go on. In any thread. */
bool os_watch_fault(const siginfo_t *info);

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
