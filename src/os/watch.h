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
 * One thread at a time; not thread-safe but for what the kernel, or the handler, notes by itself.
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
enum { OS_WATCH_PROTECT = 1, OS_WATCH_SOFT_DIRTY = 2, OS_WATCH_FAULTS = 4 };

/* Which may be tried from now on; the first two, unless somebody says otherwise. Thread-safe. */
void os_watch_allow(unsigned ways);

/* Opens what is needed, in this process. False: this kernel cannot tell. */
bool os_watch_open(void);
void os_watch_close(void);

/* The way is that by faults: all counts as written until os_watch_again, one range at a time is watched, and only what
 * is committed. */
bool os_watch_by_faults(void);

/* This memory, reserved or committed, is to be watched while it is mapped. False: it cannot be. */
bool os_watch_add(void *p, size_t size);

/* All pages of start..end, which was added, count as not written from now on. False: some do not. */
bool os_watch_begin(uintptr_t start, uintptr_t end);

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
size_t os_watch_take(uintptr_t *from, uintptr_t end, struct os_range *ranges, size_t most);

#endif
