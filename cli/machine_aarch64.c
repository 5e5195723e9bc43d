/*
 * Registers on aarch64.
 *
 * No call is injected here: machine_gadgets_find finds none, so that the threads stay stopped and the
 * memory is read from the process itself, and no function is called. A call that failed with EINTR has lost its first argument,
 * which shares a register with the result; it is noted from /proc before the stop.
 */
#include "machine.h"

#ifdef __aarch64__

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "file.h"

enum { X0 = 0, X8 = 8, SP = 31, PC = 32, WORDS = 34 };

bool machine_take(struct machine_registers *r, const void *block, size_t size)
{
    return machine_take_aarch64(r, block, size);
}

bool machine_get(struct machine_registers *r, pid_t tid)
{
    uint64_t block[WORDS], argument = r->syscall_argument;
    struct iovec io = {block, sizeof block};
    if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io) != 0 || !machine_take(r, block, io.iov_len))
        return false;
    r->syscall_argument = argument;
    io = (struct iovec){&r->thread_pointer, sizeof r->thread_pointer};
    return ptrace(PTRACE_GETREGSET, tid, NT_ARM_TLS, &io) == 0;
}

size_t machine_vectors(pid_t tid, uint64_t words[MACHINE_VECTORS / 8])
{
    struct iovec io = {words, MACHINE_VECTORS};
    return ptrace(PTRACE_GETREGSET, tid, NT_PRFPREG, &io) == 0 ? io.iov_len & ~(size_t)7 : 0;
}

bool machine_jump_guard(const struct machine_registers *r, uint64_t *address)
{
    (void)r, (void)address;
    return false;
}

uint64_t machine_jump_word(uint64_t word, uint64_t guard)
{
    return word ^ guard;
}

bool machine_set(const struct machine_registers *r, pid_t tid)
{
    struct iovec io = {(void *)r->word, WORDS * sizeof(uint64_t)};
    return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io) == 0;
}

/* "22 0x4 0xffff..." while it waits in a call, "running" else. */
void machine_before_stop(struct machine_registers *r, pid_t pid, pid_t tid)
{
    char path[64];
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    r->syscall_argument = 0;
    if (!file_read(&text, path, 4096)) return;
    char *end = text.data;
    strtoll(text.data, &end, 10);
    if (end != text.data) r->syscall_argument = strtoull(end, NULL, 16);
    free(text.data);
}

/* Calls that fail with EINTR after any stop (signal(7)) and have done nothing by then. */
static bool is_harmless_again(uint64_t number)
{
    switch (number) {
    case SYS_epoll_pwait:
    case 441 /* epoll_pwait2 */:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_connect: /* of TCP: waits on for the connection that was begun */
    case SYS_io_getevents:
    case SYS_io_pgetevents: return true;
    default: return false;
    }
}

bool machine_was_cut(const struct machine_registers *r)
{
    return (int64_t)r->word[X0] == -EINTR && is_harmless_again(r->word[X8]);
}

bool machine_put_back(struct machine_registers *r, pid_t tid)
{
    r->word[X0] = r->syscall_argument;
    r->word[PC] -= 4; /* the instruction `svc` */
    return machine_set(r, tid);
}

/* The kernel sets the number of restart_syscall after the stop, and the program counter tells it to. */
bool machine_goes_on_by_restart(const struct machine_registers *r, struct seccomp_data *restart)
{
    (void)r;
    *restart = (struct seccomp_data){0};
    return false;
}

bool machine_must_restart(long number, const uint64_t argument[6])
{
    return number == SYS_nanosleep || number == SYS_clock_nanosleep ||
           (number == SYS_futex && argument[3] != 0);
}

void machine_gadgets_find(struct machine_gadgets *g, const unsigned char *code, size_t size,
                          uint64_t address)
{
    (void)g, (void)code, (void)size, (void)address;
}

bool machine_call(struct machine_call *call)
{
    call->result = -ENOSYS;
    return false;
}

bool machine_can_call(void)
{
    return false;
}

bool machine_is_wait(long number)
{
    (void)number;
    return false;
}

bool machine_waits(const struct machine_registers *r)
{
    (void)r;
    return false;
}

bool machine_function(struct machine_call *call, const struct machine_function *function)
{
    (void)function;
    call->result = -ENOSYS;
    return false;
}

bool machine_errno(const struct memory *memory, uint64_t location, uint64_t thread_pointer,
                   uint64_t *address)
{
    (void)memory, (void)location, (void)thread_pointer, (void)address;
    return false;
}

#endif
