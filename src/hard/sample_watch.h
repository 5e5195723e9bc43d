/*
 * sample_watch: reads of sampled blocks before anything was written to them. (IsoAlloc has the idea, on
 * userfaultfd.)
 *
 * Some slots are registered with userfaultfd for missing pages: a page of a block that nobody touched yet
 * stops the thread that touches it, and a bare helper thread of ours is told whether it reads or writes. A write gets
 * its page. A read has found uninitialised memory: the page is made to fault, and the thread, when it
 * goes on, meets the handler of faults, which reports it with the stack of the one who reads.
 *
 * No signal is involved in what is right, so that a thread which blocks all signals, or has handlers of its own, never
 * notices: it is why the kernel's way without a helper (UFFD_FEATURE_SIGBUS) was rejected. Nor may a system
 * call that fills such a block fail (read(2) into a fresh buffer): it does fail, with EFAULT, where the kernel
 * lets a process handle its own faults only (UFFD_USER_MODE_ONLY, which is all that an unprivileged one gets by
 * default). There it is done only on explicit demand.
 *
 * A system call that reads (write(2) of a fresh buffer) is let go on with zeros: it must not fail either.
 *
 * What is not seen: reads of a page after the first write to any of its bytes.
 */
#ifndef HARD_SAMPLE_WATCH_H
#define HARD_SAMPLE_WATCH_H

#include "base/base.h"

enum sample_uninit {
    UNINIT_NO,
    UNINIT_WHOLE, /* only where system calls into watched memory work as ever */
    UNINIT_USER,  /* also where they fail with EFAULT */
};

#define WATCH_ONE_OF 8 /* sampled slots */

/* Tries, in this process, what is needed for slots in start..end. False: this kernel cannot, or does not let
 * us; nothing is to be watched then. */
bool sample_watch_start(enum sample_uninit wish, uintptr_t start, uintptr_t end);

/* A block is watched from now on: the helper stands by. False: it does not. */
bool sample_watch_begin(void);
void sample_watch_end(void);

/* The process locks itself in: nothing is watched any more, and the helper is gone when this returns. */
void sample_watch_stop(void);

/* Nothing is watched in the child: what is missing reads as zeros. */
void sample_watch_fork_child(void);

#endif
