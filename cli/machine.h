/*
 * What freezing needs to know of the processor: registers, and how to make a thread do one system
 * call. One file a machine: machine_x86_64.c, machine_aarch64.c.
 */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "memory.h"

/* The words of the general registers, as PTRACE_GETREGSET and the notes of core files have them. */
enum { MACHINE_WORDS = 34 };

struct machine_registers {
    uint64_t word[MACHINE_WORDS];
    size_t count;
    uint64_t stack_pointer;
    uint64_t thread_pointer;   /* 0: not known */
    uint64_t syscall_argument; /* the first one, where a stop loses it (aarch64) */
};

/* Fills the fields after `word` from it; `size` bytes of a NT_PRSTATUS register block. */
bool machine_take(struct machine_registers *r, const void *block, size_t size);

/* The same with the words of a machine that is not ours: a core may come from the other one. */
bool machine_take_x86_64(struct machine_registers *r, const void *block, size_t size);
bool machine_take_aarch64(struct machine_registers *r, const void *block, size_t size);

bool machine_get(struct machine_registers *r, pid_t tid);
bool machine_set(const struct machine_registers *r, pid_t tid);

/* Before a thread is interrupted: notes what the interruption would lose. */
void machine_before_stop(struct machine_registers *r, pid_t pid, pid_t tid);

/* It stands in a call that failed with EINTR and is harmless to make again: because we stopped it, unless
 * a signal is pending. Then the call is put back. */
bool machine_was_cut(const struct machine_registers *r);
bool machine_put_back(struct machine_registers *r, pid_t tid);

/* Instructions of the process that a call is made with; both 0: none found, or not wanted here. */
struct machine_gadgets {
    uint64_t call;   /* system call; return */
    uint64_t resume; /* rt_sigreturn */
};

/* Looks for them in executable memory. */
void machine_gadgets_find(struct machine_gadgets *g, const unsigned char *code, size_t size,
                          uint64_t address);

/* Bytes below the stack pointer that a call may write to. */
enum { MACHINE_ROOM = 32 << 10 };

struct machine_call {
    pid_t tid;
    const struct memory *memory;
    const struct machine_gadgets *gadgets;
    const struct machine_registers *registers; /* as it stands */
    long number;
    uint64_t argument[6];
    bool clone;  /* the call makes a child, whose id is then known to the tracer */
    long result; /* negative errno, or what the call returned */
    pid_t child;
};

/* Makes the thread do the call. Afterwards it stands as before, but for a call that it was in: that
 * will be restarted. False: the thread has ended, or could not be made to. */
bool machine_call(struct machine_call *call);

#endif
