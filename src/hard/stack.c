/* See stack.h. */
#include "hard/stack.h"

#include <setjmp.h>
#include <signal.h>
#include <unwind.h>

#include "base/syscall.h"

enum { FRAME_MOST = 1 << 20 }; /* bytes of a frame that frame pointers are believed to have */

static __thread struct {
    bool busy;
    jmp_buf back;
} stack_local;

struct stack_walk {
    uintptr_t *pcs, from; /* addresses count from this one on */
    unsigned most, skip, count;
    bool found;
};

static bool stack_walk_add(struct stack_walk *walk, uintptr_t pc)
{
    walk->found |= pc == walk->from;
    if (!walk->found) return true;
    if (walk->skip > 0) {
        walk->skip--;
        return true;
    }
    if (walk->count < walk->most) walk->pcs[walk->count++] = pc;
    return walk->count < walk->most;
}

static _Unwind_Reason_Code stack_walk_frame(struct _Unwind_Context *context, void *argument)
{
    uintptr_t pc = _Unwind_GetIP(context);
    return pc != 0 && stack_walk_add(argument, pc) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Both machines keep the caller's frame pointer and the return address next to each other. */
__attribute__((no_sanitize("address"))) static void stack_walk_frame_pointers(
    struct stack_walk *walk)
{
    uintptr_t *frame = __builtin_frame_address(0);
    while (frame[1] != 0 && stack_walk_add(walk, frame[1])) {
        uintptr_t *next = (uintptr_t *)frame[0];
        if (next <= frame || (uintptr_t)next % sizeof *next) return;
        if ((uintptr_t)next - (uintptr_t)frame > FRAME_MOST) return;
        frame = next;
    }
}

/* While it runs, a fault leads back here; also in a thread that has blocked the signals of one, which would
 * otherwise end the process. */
static FH_NOINLINE void stack_walk_guarded(struct stack_walk *walk)
{
    uint64_t faults = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1), before = 0;
    SYS4(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults, &before, sizeof before);
    stack_local.busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    if (_setjmp(stack_local.back) == 0) {
        _Unwind_Backtrace(stack_walk_frame, walk);
        if (walk->count < base_min(2, walk->most)) {
            *walk = (struct stack_walk){
                .pcs = walk->pcs, .from = walk->from, .most = walk->most, .skip = walk->skip};
            stack_walk_frame_pointers(walk);
        }
    }
    atomic_signal_fence(memory_order_seq_cst);
    stack_local.busy = false;
    SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

unsigned stack_take_from(uintptr_t pc, uintptr_t *pcs, unsigned most)
{
    struct stack_walk walk = {.pcs = pcs, .from = pc, .most = most};
    if (stack_local.busy || most == 0) return 0;
    stack_walk_guarded(&walk);
    return walk.count;
}

unsigned stack_take(uintptr_t *pcs, unsigned most, unsigned skip)
{
    struct stack_walk walk = {.pcs = pcs, .most = most, .skip = skip};
    if (stack_local.busy || most == 0) return 0;
    walk.from = (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0));
    stack_walk_guarded(&walk);
    return walk.count;
}

void stack_start(void)
{
    uintptr_t pc;
    stack_take(&pc, 1, 0);
}

void stack_fault(void)
{
    if (stack_local.busy) _longjmp(stack_local.back, 1);
}
