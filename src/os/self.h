/*
 * os/self: what the kernel tells a process about its own memory and threads, for who must look at all of
 * both beside a program that runs: from any thread, also one that libc does not know; no libc, no
 * allocation. All comes from /proc, and where that is not mounted there is nothing to be had.
 *
 * Memory is read by the kernel, not by loads: a program may unmap at any time what it was seen to have.
 *
 * A thread is *asleep* when the kernel holds it: in a system call, or waiting for a page. It *runs* when it
 * has a processor or waits for one.
 *
 * How a running thread is interrupted, and why so: a signal that is sent to it may reach it one instruction
 * later, in a system call that it has just begun, and many of those then fail with EINTR, whatever
 * SA_RESTART says; programs that have no signal handlers of their own do not expect that. So none is sent.
 * Each thread to be interrupted gets a timer on its own processor time. From Linux 5.10 on, such a timer
 * is looked at in the clock tick and goes off where the thread is on its way back to its program, when a
 * system call has its result already: nothing is ever cut short. The price is the tick: 1 to 10 ms.
 */
#ifndef OS_SELF_H
#define OS_SELF_H

#include <signal.h>

#include "os/os.h"
#include "os/watch.h"

struct os_self {
    int memory, pagemap; /* file descriptors, or -1 */
    uint32_t process;
    bool reads_by_call, tells_resident;
};
#define OS_SELF_CLOSED                                                                             \
    {                                                                                              \
        .memory = -1, .pagemap = -1                                                                \
    }

enum os_mapping_kind {
    OS_MAPPING_ANONYMOUS,
    OS_MAPPING_FILE,
    OS_MAPPING_STACK,  /* of the first thread */
    OS_MAPPING_DEVICE, /* not to be read: that alone may do something */
};

struct os_mapping {
    uintptr_t start, end;
    bool readable, writable, shared;
    bool after_guard; /* what lies directly below cannot be touched */
    enum os_mapping_kind kind;
};

struct os_mappings {
    int fd;
    size_t at, have, room;
    uintptr_t guard_end;
    char *buffer;
};

/* False: there is no /proc, or no way to read memory. */
bool os_self_open(struct os_self *self);
void os_self_close(struct os_self *self);

/* Copies to `to`; returns how many bytes could be read before the first that could not. */
size_t os_self_read(const struct os_self *self, void *to, uintptr_t from, size_t size);

/* Ranges of *from..end that are in memory or swapped out and not just what a file holds, at most `most`;
 * *from is where the next call goes on. 0: there are no more. Where the kernel cannot tell, all of it
 * if `else_all`, or nothing. */
size_t os_self_resident(const struct os_self *self, uintptr_t *from, uintptr_t end, bool shared,
                        bool else_all, struct os_range *ranges, size_t most);

/* The mappings of the process, from the lowest on, by way of a buffer of 8 KiB at least. */
bool os_mappings_open(struct os_mappings *mappings, char *buffer, size_t size);
bool os_mappings_next(struct os_mappings *mappings, struct os_mapping *mapping);
void os_mappings_close(struct os_mappings *mappings);

/* Calls `visit` for each thread of the process. False: the list cannot be had. The buffer, of 1 KiB at
 * least, is at a multiple of 8. */
bool os_threads_each(char *buffer, size_t size, void (*visit)(uint32_t thread));

enum os_thread_state { OS_THREAD_GONE, OS_THREAD_RUNS, OS_THREAD_SLEEPS };

/* *stack_pointer: of a sleeping thread, where it left its program; 0 if that is unknown. */
enum os_thread_state os_thread_look(uint32_t thread, uintptr_t *stack_pointer);

/* A number that has changed when the thread has run since. */
uint64_t os_thread_turns(uint32_t thread);

/* Whether it has a signal blocked. */
bool os_thread_blocks(uint32_t thread, int signal);

/* Whether this kernel has timers as above. */
bool os_thread_timers_are_polite(void);

/* A signal to the thread as soon as it has run for a moment, with si_code SI_TIMER and this value. Negative:
 * no timer. The timer is there until it is ended. */
int os_thread_ring(uint32_t thread, int signal, void *value);
void os_thread_ring_end(int timer);

#endif
