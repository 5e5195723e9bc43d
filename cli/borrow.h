/*
 * Making a running process call one of its own functions: a thread is borrowed for it, at a safe point, and
 * goes on afterwards as if nothing had been. The others run on all the time.
 *
 * A safe point for a function of the allocator is one at which the thread holds none of its locks and is in
 * the middle of none of its changes:
 *
 *   - it waits in a system call that no allocator makes (poll, nanosleep, read, futex ...), or it runs in code
 *     that is neither the allocator's nor the C library's nor the loader's, none of which call out;
 *   - it is in no signal handler, which might have come in the middle of anything: no return from one lies on
 *     its stack; and not in fork, which holds all locks while it calls handlers;
 *   - the allocator's locks were each seen free while it stood (`unlocked`): so it holds none of them.
 *
 * It must stand on a stack of its own with room below, outside of seccomp, and be traced by nobody. Threads
 * are tried, those that wait first, until a deadline; then it is refused, with what stood against the last
 * of them.
 *
 * Rejected: stopping all threads (a lock that one of them holds would never become free), and calling
 * at any instruction after a look at the stack only (a stripped library does not say where its malloc is).
 */
#ifndef CLI_BORROW_H
#define CLI_BORROW_H

#include "machine.h"
#include "process.h"

enum { BORROW_WHY = 400, BORROW_MS = 3000 };

struct borrow {
    const struct process *process;
    const struct module *allocator; /* no thread inside it is borrowed, */
    bool is_libc;                   /* but, if it is the C library too, those that wait there */
    struct machine_function function;
    /* Whether the allocator's locks were all seen free since the thread stands; may wait a little. */
    bool (*unlocked)(void *context, const struct memory *memory);
    void *context;
    pid_t thread;         /* which one did it */
    uint64_t borrowed_us; /* for how long */
    unsigned tried;       /* threads that were stopped for a look */
    char why[BORROW_WHY]; /* of a failure: a clause */
};

/* False: nothing was done, and `why` says why not; or the process ended meanwhile. */
bool borrow_call(struct borrow *b);

#endif
