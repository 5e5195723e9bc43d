/*
 * os/fake: the contract of os/os.h, kept by a system that tests command.
 *
 * Memory is real (one mmap for each reservation, mprotect, madvise), so that what is not committed
 * faults and what was purged reads as zeros. What a real system does seldom, this one does when told:
 * it refuses the n-th request, keeps another page size, lets hours pass. And it holds its callers to
 * the contract: an address or size that is no multiple of the page, a commit outside of what was
 * reserved, ends in a failed CHECK.
 *
 * Tests write os_fake's fields; os_fake_reset brings back those of a system that refuses nothing.
 */
#ifndef OS_FAKE_FAKE_H
#define OS_FAKE_FAKE_H

#include "base/base.h"

enum os_fake_helper {
    OS_FAKE_HELPER_REFUSED, /* the kernel gives no thread */
    OS_FAKE_HELPER_WAITS,   /* it is there, and runs when os_fake_run_helper is called */
};

struct os_fake {
    size_t page_size;
    _Atomic uint64_t clock_ms;
    size_t address_space_left; /* SIZE_MAX: no limit */

    /* Requests for memory (reserve, readable, commit) and for threads are counted from 1; those from number
     * `refuse_from` to `refuse_to` are refused. */
    _Atomic uint64_t requests;
    _Atomic uint64_t refuse_from, refuse_to; /* 0: none */
    bool refuse_purge;                       /* as the kernel does for locked pages */
    bool refuse_move;

    enum os_fake_helper helper;
    bool waits; /* os_wait sleeps, for tests with threads; else only the clock moves */
    const char *const *environment; /* "NAME=value", ended by NULL; NULL: empty */
    bool secure;                    /* as in a setuid program */
    bool user_changed;              /* setuid() was called since the helper was started */

    /* What was done so far. */
    _Atomic uint64_t reserved, readable, committed, purged, released, moved, threads; /* calls */
    _Atomic uint64_t purged_bytes;
    _Atomic uint64_t refused;
    char said[4096]; /* what was written to stderr, cut and ended by 0 */
    _Atomic size_t said_length;
    bool quiet; /* and do not write it */
};

extern struct os_fake os_fake;

/* The knobs and counts of a system that was just started. Memory stays as it is. */
void os_fake_reset(void);

/* Refuses the n-th request from now on, and those that follow it: `more` of them, or all. */
#define OS_FAKE_ALL (UINT64_MAX / 2)
void os_fake_refuse(uint64_t nth, uint64_t more);

/* Lets the helper go on, on this thread, until it naps or ends; the clock moves by the length of its
 * nap. False if there is no helper. */
bool os_fake_run_helper(void);

#endif
