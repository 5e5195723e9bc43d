/*
 * What freezing and borrowing need to know of the processor: registers, and how to make a thread do one
 * system call, or call one function. One file a machine: machine_x86_64.c, machine_aarch64.c.
 */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <linux/seccomp.h>
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
    uint64_t stack_pointer, program_counter;
    uint64_t thread_pointer;   /* 0: not known */
    bool put_back;             /* it is about to make the call again that a stop had cut */
    uint64_t syscall_argument; /* the first one, where a stop loses it (aarch64) */
};

/* Fills the fields after `word` from it; `size` bytes of a NT_PRSTATUS register block. */
bool machine_take(struct machine_registers *r, const void *block, size_t size);

/* The same with the words of a machine that is not ours: a core may come from the other one. */
bool machine_take_x86_64(struct machine_registers *r, const void *block, size_t size);
bool machine_take_aarch64(struct machine_registers *r, const void *block, size_t size);

bool machine_get(struct machine_registers *r, pid_t tid);
/* The vector registers of a thread that stands, as the kernel lays them out. Bytes, a multiple of 8; 0: none. */
enum { MACHINE_VECTORS = 16 << 10 };
size_t machine_vectors(pid_t tid, uint64_t words[MACHINE_VECTORS / 8]);

/* Where a thread keeps the word by which glibc encrypts addresses in a jmp_buf, and such a word as it was. False: not
 * known on this machine. */
bool machine_jump_guard(const struct machine_registers *r, uint64_t *address);
uint64_t machine_jump_word(uint64_t word, uint64_t guard);

bool machine_set(const struct machine_registers *r, pid_t tid);

/* Before a thread is interrupted: notes what the interruption would lose. */
void machine_before_stop(struct machine_registers *r, pid_t pid, pid_t tid);

/* It stands in a call that failed with EINTR and is harmless to make again: because we stopped it, unless
 * a signal is pending. Then the call is put back. */
bool machine_was_cut(const struct machine_registers *r);
bool machine_put_back(struct machine_registers *r, pid_t tid);

/* It stands in a call with which the kernel goes on by another one, restart_syscall, unless it is put back; `restart`
 * is that other call, as a filter sees it. False where nothing can be put back (aarch64). */
bool machine_goes_on_by_restart(const struct machine_registers *r, struct seccomp_data *restart);

/* Whether the kernel will go on so with a call, and we cannot put it back: known before the stop. */
bool machine_must_restart(long number, const uint64_t argument[6]);

/* It stands in a call that waits for something from outside (time, input, a futex ...), which an allocator
 * never makes while it holds its own together. */
bool machine_waits(const struct machine_registers *r);
bool machine_is_wait(long number);

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

/* Makes the thread call a function of the process, which takes one word and whose result is lost; it may
 * take long, and all signals but SIGKILL wait. Should we be killed, it ends all the same, and the thread goes
 * on as it stood. Afterwards it stands as before. `location`: that of __errno_location, whose answer is
 * kept over the call. False: the thread has ended, or nothing was done to it. */
struct machine_function {
    uint64_t address, argument, location;
};
bool machine_function(struct machine_call *call, const struct machine_function *function);

/* Where the thread's errno lies, by the code of __errno_location; false: it has another form. */
bool machine_errno(const struct memory *memory, uint64_t location, uint64_t thread_pointer,
                   uint64_t *address);

/* Whether functions can be called on this machine at all. */
bool machine_can_call(void);
/* Waits until a thread that we trace stands; false: it has ended, or `over`, which may be NULL, says that it is not
 * to be waited for any longer. `own`: we are its parent too, and its end is left to whoever waits for that. */
struct machine_wait {
    pid_t tid;
    bool own;
    bool (*over)(void *context, pid_t tid);
    void *context;
    int status;   /* as of waitpid */
    bool is_over; /* it was not waited for any longer */
};
bool machine_await(struct machine_wait *wait);

/* As /proc/TID/stat has it: 'R', 'S', 'D' ...; 'X' when it is gone. */
char machine_state(pid_t tid);

#endif
