/*
 * Registers and injected system calls on x86-64.
 *
 * What the thread's stack holds while it makes a call, from the red zone down:
 *
 *     sp - 128
 *      | floating-point state | frame of the thread | frame of the child | ...
 *                               ^ rsp during the call
 *     a frame:  | address of rt_sigreturn | ucontext |
 *
 * The call is made by an instruction of the program that is followed by `ret`. So whoever returns from
 * it unwatched, because we were killed, goes on in rt_sigreturn, which puts every register back; the
 * child, on its own frame, finds itself calling exit_group. While we live neither happens: we stop the
 * thread as the call ends, and set the registers ourselves.
 *
 * A function is called on the same stack: it returns into rt_sigreturn, and there we stop the thread, before
 * the kernel does that call. In its place it makes another one, which does nothing and returns to the same
 * frame, so that until we have set the registers nothing depends on us. The return of rt_sigreturn itself
 * would not do: the kernel then forgets how long a thread had yet to sleep.
 */
#include "machine.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* The order of struct user_regs_struct. */
enum {
    R15,
    R14,
    R13,
    R12,
    RBP,
    RBX,
    R11,
    R10,
    R9,
    R8,
    RAX,
    RCX,
    RDX,
    RSI,
    RDI,
    ORIG_RAX,
    RIP,
    CS,
    EFLAGS,
    RSP,
    SS,
    FS_BASE,
    GS_BASE,
    DS,
    ES,
    FS,
    GS,
    WORDS,
};
_Static_assert(sizeof(struct user_regs_struct) == WORDS * 8, "as the kernel has it");
_Static_assert((int)WORDS <= (int)MACHINE_WORDS, "fits");

/* The kernel's own codes of a call to be restarted, which only a tracer sees. */
enum { RESTART_FIRST = 512, RESTART_LAST = 514, RESTART_BLOCK = 516 };

enum { RED_ZONE = 128, STATE_MAX = 16 << 10, STATE_NOTE = 464 };

bool machine_take(struct machine_registers *r, const void *block, size_t size)
{
    return machine_take_x86_64(r, block, size);
}

bool machine_get(struct machine_registers *r, pid_t tid)
{
    uint64_t block[WORDS];
    struct iovec io = {block, sizeof block};
    return ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io) == 0 &&
           machine_take(r, block, io.iov_len);
}

size_t machine_vectors(pid_t tid, uint64_t words[MACHINE_VECTORS / 8])
{
    struct iovec io = {words, MACHINE_VECTORS};
    return ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) == 0 ? io.iov_len & ~(size_t)7 : 0;
}

/* pointer_guard of tcbhead_t, part of the ABI between glibc's own parts. */
bool machine_jump_guard(const struct machine_registers *r, uint64_t *address)
{
    *address = r->thread_pointer + 0x30;
    return r->thread_pointer != 0;
}

uint64_t machine_jump_word(uint64_t word, uint64_t guard)
{
    return (word >> 17 | word << 47) ^ guard;
}

bool machine_set(const struct machine_registers *r, pid_t tid)
{
    struct iovec io = {(void *)r->word, WORDS * sizeof(uint64_t)};
    return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io) == 0;
}

void machine_before_stop(struct machine_registers *r, pid_t pid, pid_t tid)
{
    (void)r, (void)pid, (void)tid; /* the kernel keeps all arguments in the registers */
}

/* Calls that fail with EINTR after any stop (signal(7)) and have done nothing by then. */
static bool is_harmless_again(uint64_t number)
{
    switch (number) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case 441 /* epoll_pwait2 */:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case 426 /* io_uring_enter */:
    case 449 /* futex_waitv */:
    case SYS_futex:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect: /* of TCP: waits on for the connection that was begun */
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_msgrcv:
    case SYS_msgsnd:
    case SYS_mq_timedreceive:
    case SYS_mq_timedsend: return true;
    default: return false;
    }
}

static bool in_call(const struct machine_registers *r)
{
    return (int64_t)r->word[ORIG_RAX] >= 0;
}

bool machine_can_call(void)
{
    return true;
}

bool machine_is_wait(long number)
{
    switch (number) {
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case 441 /* epoll_pwait2 */:
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_restart_syscall:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
    case SYS_futex:
    case 449 /* futex_waitv */:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_read:
    case SYS_readv:
    case SYS_accept:
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_msgrcv:
    case SYS_mq_timedreceive:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case 426 /* io_uring_enter */: return true;
    default: return false;
    }
}

bool machine_waits(const struct machine_registers *r)
{
    if (r->put_back) return machine_is_wait((long)r->word[RAX]);
    return in_call(r) && machine_is_wait((long)r->word[ORIG_RAX]);
}

static void rewind_to(struct machine_registers *r, uint64_t number)
{
    r->word[RIP] -= 2; /* the instruction `syscall` */
    r->word[RAX] = number;
    r->word[ORIG_RAX] = (uint64_t)-1;
}

bool machine_was_cut(const struct machine_registers *r)
{
    return in_call(r) && (int64_t)r->word[RAX] == -EINTR && is_harmless_again(r->word[ORIG_RAX]);
}

bool machine_put_back(struct machine_registers *r, pid_t tid)
{
    rewind_to(r, r->word[ORIG_RAX]);
    r->put_back = true;
    r->program_counter = r->word[RIP];
    return machine_set(r, tid);
}

bool machine_goes_on_by_restart(const struct machine_registers *r, struct seccomp_data *restart)
{
    const uint64_t *word = r->word;
    *restart = (struct seccomp_data){
        .nr = SYS_restart_syscall,
        .arch = AUDIT_ARCH_X86_64,
        .instruction_pointer = word[RIP],
        .args = {word[RDI], word[RSI], word[RDX], word[R10], word[R8], word[R9]},
    };
    return in_call(r) && (int64_t)word[RAX] == -RESTART_BLOCK;
}

bool machine_must_restart(long number, const uint64_t argument[6])
{
    (void)number, (void)argument; /* the call is put back */
    return false;
}

/* The registers with which the thread goes on after a call of ours: the kernel would restart a call
 * that it was in by what it finds in them when a stop ends, but that stop is over. */
static struct machine_registers going_on(const struct machine_registers *r, bool by_frame)
{
    struct machine_registers again = *r;
    int64_t result = (int64_t)r->word[RAX];
    if (!in_call(r)) return again;
    if (-result >= RESTART_FIRST && -result <= RESTART_LAST)
        rewind_to(&again, r->word[ORIG_RAX]);
    else if (-result == RESTART_BLOCK) /* rt_sigreturn forgets how much of a sleep was left */
        rewind_to(&again, by_frame ? r->word[ORIG_RAX] : SYS_restart_syscall);
    return again;
}

void machine_gadgets_find(struct machine_gadgets *g, const unsigned char *code, size_t size,
                          uint64_t address)
{
    static const unsigned char call[] = {0x0f, 0x05, 0xc3};
    static const unsigned char resume[] = {0x48, 0xc7, 0xc0, SYS_rt_sigreturn, 0, 0, 0, 0x0f, 0x05};
    const unsigned char *found = g->call ? NULL : memmem(code, size, call, sizeof call);
    if (found) g->call = address + (uint64_t)(found - code);
    found = g->resume ? NULL : memmem(code, size, resume, sizeof resume);
    if (found) g->resume = address + (uint64_t)(found - code);
}

/* ---- frames --------------------------------------------------------------------------------- */

struct frame {
    uint64_t resume;
    ucontext_t context; /* the kernel's is this one up to the first word of its signal mask */
};

struct frames {
    uint64_t start, end; /* of the bytes written to */
    uint64_t own, child;
    unsigned char bytes[MACHINE_ROOM], before[MACHINE_ROOM];
};

static void context_fill(ucontext_t *c, const uint64_t *word, uint64_t state, uint64_t mask)
{
    static const int order[] = {R8,  R9,  R10, R11, R12, R13, R14, R15, RDI,
                                RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, EFLAGS};
    c->uc_flags = 7;           /* extended state; ss is valid, and to be restored */
    c->uc_stack.ss_flags = -1; /* invalid, and so the alternate stack is left as it is */
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        c->uc_mcontext.gregs[i] = (greg_t)word[order[i]];
    c->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)(word[CS] | word[SS] << 48);
    c->uc_mcontext.fpregs = (fpregset_t)state;
    memcpy(&c->uc_sigmask, &mask, sizeof mask);
}

/* What fits a thread that does not use the newest, largest registers; see xfeatures in the Intel SDM. */
static size_t state_size(const unsigned char *state, size_t size)
{
    enum { TILES = 17 };
    unsigned a, b, c, d;
    uint64_t features;
    memcpy(&features, state + STATE_NOTE, sizeof features);
    if (features >> TILES & 3 || !__get_cpuid_count(0xd, TILES, &a, &b, &c, &d)) return size;
    return b != 0 && b < size ? b : size;
}

/* Floating-point state in the form of a signal frame: announced in its reserved bytes, and closed by a
 * word of its own. */
static size_t state_get(unsigned char *state, pid_t tid)
{
    struct {
        uint32_t magic, extended_size;
        uint64_t features;
        uint32_t size;
    } note = {0x46505853, 0, 0, 0};
    static const uint32_t closing = 0x46505845;
    struct iovec io = {state, STATE_MAX};
    if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) != 0 || io.iov_len < 576) return 0;
    size_t size = state_size(state, io.iov_len);
    memcpy(&note.features, state + STATE_NOTE, sizeof note.features);
    note.size = (uint32_t)size;
    note.extended_size = (uint32_t)(size + sizeof closing);
    memcpy(state + STATE_NOTE, &note, sizeof note);
    memcpy(state + size, &closing, sizeof closing);
    return size + sizeof closing;
}

static bool frames_make(struct frames *f, const struct machine_call *call, uint64_t mask)
{
    static unsigned char state[STATE_MAX + 64];
    const struct machine_registers *r = call->registers;
    struct machine_registers own = going_on(r, true), child = own;
    size_t state_bytes = state_get(state, call->tid);
    if (state_bytes == 0) return false;
    f->end = (r->stack_pointer - RED_ZONE) & ~63ull;
    uint64_t state_at = (f->end - state_bytes) & ~63ull;
    f->own = ((state_at - sizeof(struct frame)) & ~15ull) - 8;
    f->child = f->own - sizeof(struct frame) - 8;
    f->start = f->child;
    child.word[RIP] = call->gadgets->call;
    child.word[RAX] = SYS_exit_group;
    child.word[RDI] = 0;
    struct frame ours = {.resume = call->gadgets->resume}, its = ours;
    context_fill(&ours.context, own.word, state_at, mask);
    context_fill(&its.context, child.word, 0, ~0ull);
    memcpy(f->bytes + (state_at - f->start), state, state_bytes);
    memcpy(f->bytes + (f->own - f->start), &ours, sizeof ours);
    memcpy(f->bytes + (f->child - f->start), &its, sizeof its);
    return memory_read(call->memory, f->start, f->before, f->end - f->start);
}

static bool bytes_write(pid_t tid, uint64_t address, const void *bytes, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)tid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && pwrite(fd, bytes, size, (off_t)address) == (ssize_t)size;
    if (fd >= 0) close(fd);
    return done;
}

static bool frames_write(const struct frames *f, pid_t tid, const unsigned char *bytes)
{
    return bytes_write(tid, f->start, bytes, f->end - f->start);
}

/* ---- the call ------------------------------------------------------------------------------- */

static bool note_child(struct machine_call *call)
{
    unsigned long child = 0;
    if (ptrace(PTRACE_GETEVENTMSG, call->tid, 0, &child) != 0) return false;
    call->child = (pid_t)child;
    return true;
}

/* Runs the thread to the end of the call: its beginning and its end are stops, and so is a clone. */
static bool run_to_end(struct machine_call *call)
{
    long signal = 0;
    for (int stops = 0, boundaries = 0; boundaries < 2; stops++) {
        struct machine_wait wait = {.tid = call->tid};
        if (stops == 64 || ptrace(PTRACE_SYSCALL, call->tid, 0, signal) != 0) return false;
        if (!machine_await(&wait)) return false;
        int status = wait.status, event = status >> 16;
        signal = 0;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            boundaries++;
        else if (event == PTRACE_EVENT_CLONE && !note_child(call))
            return false;
        else if (event == 0)
            signal = WSTOPSIG(status); /* SIGSTOP: no mask holds it back */
    }
    return true;
}

static void begin_registers(struct machine_registers *r, const struct machine_call *call,
                            const struct frames *f)
{
    static const int order[] = {RDI, RSI, RDX, R10, R8, R9};
    for (int i = 0; i < 6; i++) r->word[order[i]] = call->argument[i];
    if (call->clone) r->word[RSI] = f->child; /* its stack */
    r->word[RIP] = call->gadgets->call;
    r->word[RSP] = f->own;
    r->word[RAX] = (uint64_t)call->number;
    r->word[ORIG_RAX] = (uint64_t)-1;
    r->word[EFLAGS] &= ~0x500ull; /* neither backwards nor step by step */
}

/* The order makes each instant safe: frames, then registers that return into them, then the mask. */
static bool call_with(struct machine_call *call, const struct frames *f, uint64_t mask)
{
    uint64_t all = ~0ull;
    struct machine_registers during = *call->registers, after, back = going_on(call->registers, 0);
    begin_registers(&during, call, f);
    if (!machine_set(&during, call->tid)) return false;
    bool done = ptrace(PTRACE_SETSIGMASK, call->tid, sizeof all, &all) == 0 && run_to_end(call) &&
                machine_get(&after, call->tid);
    call->result = done ? (long)after.word[RAX] : -ESRCH;
    ptrace(PTRACE_SETSIGMASK, call->tid, sizeof mask, &mask);
    return machine_set(&back, call->tid) && done;
}

bool machine_call(struct machine_call *call)
{
    struct frames *f = calloc(1, sizeof *f);
    uint64_t mask;
    bool done = f && ptrace(PTRACE_GETSIGMASK, call->tid, sizeof mask, &mask) == 0 &&
                frames_make(f, call, mask) && frames_write(f, call->tid, f->bytes);
    if (done) {
        ptrace(PTRACE_SETOPTIONS, call->tid, 0,
               PTRACE_O_TRACESYSGOOD | (call->clone ? PTRACE_O_TRACECLONE : 0));
        done = call_with(call, f, mask);
        ptrace(PTRACE_SETOPTIONS, call->tid, 0, PTRACE_O_TRACESYSGOOD);
        frames_write(f, call->tid, f->before);
    }
    free(f);
    return done;
}

/* ---- a function ----------------------------------------------------------------------------- */

/* Runs the thread to its next stop at a system call; false: it has ended. */
static bool run_to_stop(pid_t tid)
{
    for (long signal = 0;;) {
        struct machine_wait wait = {.tid = tid};
        if (ptrace(PTRACE_SYSCALL, tid, 0, signal) != 0 || !machine_await(&wait)) return false;
        if (WSTOPSIG(wait.status) == (SIGTRAP | 0x80)) return true;
        signal =
            wait.status >> 16 == 0 ? WSTOPSIG(wait.status) : 0; /* SIGSTOP: no mask holds it back */
    }
}

/* To the instruction that would return from the frame, and from there, by a call that does nothing, to a
 * stop at which the registers can be set. */
static bool run_to_return(struct machine_call *call, const struct frames *f)
{
    struct machine_registers r;
    do {
        if (!run_to_stop(call->tid) || !machine_get(&r, call->tid)) return false;
    } while (r.word[ORIG_RAX] != SYS_rt_sigreturn || r.word[RSP] != f->own + sizeof(uint64_t));
    r.word[ORIG_RAX] = SYS_getpid;
    r.word[RIP] = call->gadgets->call + 2; /* its `ret`, to the frame */
    r.word[RSP] = f->own;
    return machine_set(&r, call->tid) && run_to_stop(call->tid);
}

bool machine_errno(const struct memory *memory, uint64_t location, uint64_t thread_pointer,
                   uint64_t *address)
{
    static const unsigned char plain[] = {0x48, 0x8b, 0x05}, fixed[] = {0x48, 0xc7, 0xc0};
    static const unsigned char landing[] = {0xf3, 0x0f, 0x1e, 0xfa};
    static const unsigned char add[] = {0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3};
    unsigned char code[32];
    int32_t operand;
    uint64_t offset;
    if (!location || !memory_read(memory, location, code, sizeof code)) return false;
    unsigned at = memcmp(code, landing, sizeof landing) == 0 ? sizeof landing : 0;
    memcpy(&operand, code + at + 3, sizeof operand);
    if (memcmp(code + at + 7, add, sizeof add) != 0) return false;
    if (memcmp(code + at, fixed, sizeof fixed) == 0)
        offset = (uint64_t)(int64_t)operand;
    else if (memcmp(code + at, plain, sizeof plain) != 0 ||
             !memory_read(memory, location + at + 7 + (uint64_t)(int64_t)operand, &offset,
                          sizeof offset))
        return false;
    *address = thread_pointer + offset;
    return true;
}

/* As in call_with: frames, then registers that return into them, then the mask; and all of it back. */
static bool function_with(struct machine_call *call, const struct machine_function *function,
                          const struct frames *f, uint64_t mask, uint64_t errno_at)
{
    uint64_t all = ~0ull;
    int32_t error;
    struct machine_registers during = *call->registers, back = going_on(call->registers, false);
    if (!memory_read(call->memory, errno_at, &error, sizeof error)) return false;
    begin_registers(&during, call, f);
    during.word[RIP] = function->address;
    if (!machine_set(&during, call->tid)) return false;
    bool done =
        ptrace(PTRACE_SETSIGMASK, call->tid, sizeof all, &all) == 0 && run_to_return(call, f);
    bytes_write(call->tid, errno_at, &error, sizeof error);
    ptrace(PTRACE_SETSIGMASK, call->tid, sizeof mask, &mask);
    return machine_set(&back, call->tid) && done;
}

bool machine_function(struct machine_call *call, const struct machine_function *function)
{
    struct frames *f = calloc(1, sizeof *f);
    uint64_t mask, errno_at;
    call->argument[0] = function->argument;
    call->clone = false;
    bool done = f &&
                machine_errno(call->memory, function->location, call->registers->thread_pointer,
                              &errno_at) &&
                ptrace(PTRACE_GETSIGMASK, call->tid, sizeof mask, &mask) == 0 &&
                frames_make(f, call, mask) && frames_write(f, call->tid, f->bytes);
    if (done) {
        done = function_with(call, function, f, mask, errno_at);
        frames_write(f, call->tid, f->before);
    }
    free(f);
    return done;
}

#endif
