/*
 * sigaltstack, because the kernel then holds the only address of a stack that the program may have allocated and
 * forgotten: it would look lost, stay as it is for days, and be written to by the next signal. So what was ever given
 * to the kernel so is never given back by the plug.
 *
 * A table without removal: threads come and go with their stacks, and an address that stands here in vain costs a
 * leak at most. If it is full, everything counts as kept.
 *
 * Rejected: to ask for the stack of each thread at each look, which would be a system call injected into every thread.
 */
#include <errno.h>
#include <signal.h>

#include "base/syscall.h"
#include "face/plug.h"

enum { KEPT_MAX = 1024 };

static _Atomic uintptr_t kept[KEPT_MAX];
static _Atomic bool kept_all;

void plug_keep(uintptr_t address)
{
    for (int i = 0; i < KEPT_MAX; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&kept[i], &none, address) || none == address) return;
    }
    STORE(&kept_all, true);
}

bool plug_is_kept(uintptr_t start, size_t size)
{
    for (int i = 0; i < KEPT_MAX; i++) {
        uintptr_t address = LOAD(&kept[i]);
        if (address == 0) break;
        if (address - start < size) return true;
    }
    return LOAD(&kept_all);
}

#ifndef FH_NO_INTERPOSE

PUBLIC __attribute__((weak)) int sigaltstack(const stack_t *new, stack_t *old)
{
    if (new &&arena_holds(new->ss_sp)) plug_keep((uintptr_t) new->ss_sp);
    long result = SYS2(SYS_sigaltstack, new, old);
    if (!base_syscall_failed(result)) return 0;
    errno = (int)-result;
    return -1;
}

#endif
