/* See fault.h. */
#include "hard/fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/lock.h"
#include "base/syscall.h"
#include "hard/report.h"
#include "hard/sample.h"
#include "hard/zone.h"
#include "os/fault.h"
#include "os/os.h"
#include "os/tag.h"

#define PUBLIC __attribute__((visibility("default")))

/* glibc's own, under the name that it keeps for itself. */
int __sigaction(int signal, const struct sigaction *action, struct sigaction *before);

/* What the program wants of a signal: two copies, so that the handler reads one while the other changes. */
struct wish {
    struct sigaction action[2];
    _Atomic uint32_t now;
};

static struct {
    struct lock lock;
    _Atomic bool ours;
    _Atomic uint32_t process;
    struct wish wish[2]; /* of SIGSEGV, of SIGBUS */
} fault;

static struct wish *wish_of(int signal)
{
    return &fault.wish[signal == SIGBUS];
}

static void wish_read(const struct wish *wish, struct sigaction *action)
{
    uint32_t now;
    do {
        now = LOAD_ACQUIRE(&wish->now); /* pairs with wish_write */
        *action = wish->action[now & 1];
        atomic_thread_fence(memory_order_acquire);
    } while (LOAD(&wish->now) != now);
}

static void wish_write(struct wish *wish, const struct sigaction *action)
{
    uint32_t next = LOAD(&wish->now) + 1;
    wish->action[next & 1] = *action;
    sigdelset(&wish->action[next & 1].sa_mask, SIGKILL);
    sigdelset(&wish->action[next & 1].sa_mask, SIGSTOP);
    STORE_RELEASE(&wish->now, next);
}

/* ---- faults of ours ---------------------------------------------------------------------------------------- */

/* The last slot that ends before p, in the same slab: what ran into the guard. */
static bool slot_before(uintptr_t p, struct slot *slot)
{
    enum { SLAB_MOST = 512 << 10, STEP = 16 };
    for (uintptr_t at = base_round_down(p, STEP), end = at - SLAB_MOST; at > end; at -= STEP)
        if (hard_holds((void *)at) && hard_slot_find((void *)at, slot)) return true;
    return false;
}

static enum hard_what slot_what(const struct slot *slot, uintptr_t at)
{
    unsigned state = hard_state(LOAD(slot->word));
    if (state == SLOT_NEVER) return HARD_TOUCHED_NONE;
    if (state != SLOT_LIVE) return HARD_TOUCHED_FREED;
    if (at < hard_slot_start(slot)) return HARD_TOUCHED_FRONT;
    return at >= hard_slot_start(slot) + hard_slot_size(slot) ? HARD_TOUCHED_BEHIND
                                                              : HARD_TOUCHED_NONE;
}

/* Nothing else makes a live block of a zone fault. */
static bool is_sealed(const struct slot *slot)
{
    return region_is_zone(slot->region) && hard_state(LOAD(slot->word)) == SLOT_LIVE;
}

static void slot_explain(uintptr_t at, struct slot *slot, struct hard_fault *f)
{
    f->what = HARD_TOUCHED_NONE;
    if (!hard_slot_find((void *)at, slot) && !slot_before(at, slot)) return;
    f->what = slot_what(slot, at);
    if (f->what == HARD_TOUCHED_NONE && is_sealed(slot)) {
        f->what = HARD_ZONE;
        f->right = ZONE_IS_SEALED;
    }
    if (f->what != HARD_TOUCHED_NONE) f->slot = slot;
}

static bool in_records(const void *p)
{
    size_t size = hard.size >> HARD_META_SHIFT;
    return hard.size &&
           ((uintptr_t)p - hard.meta < size || (uintptr_t)p - (uintptr_t)&hard < sizeof hard);
}

/* The processor met a wrong tag; then the address has its own still. */
static bool is_wrong_tag(const siginfo_t *info)
{
    enum { LATER = 8, AT_ONCE = 9 };
    return info->si_signo == SIGSEGV && (info->si_code == LATER || info->si_code == AT_ONCE);
}

static void *untagged(const siginfo_t *info)
{
    uintptr_t p = (uintptr_t)info->si_addr;
    return (void *)(is_wrong_tag(info) ? p & (((uintptr_t)1 << OS_TAG_SHIFT) - 1) : p);
}

/* Within a live block the pointer is another life's, or another block's. */
static void tag_explain(struct hard_fault *f)
{
    os_tag_check(false); /* the report shows what is there, and this thread ends */
    if (f->what != HARD_ZONE && f->what != HARD_TOUCHED_NONE) return;
    f->what = HARD_ZONE;
    f->right = ZONE_BAD_TAG;
}

/* True: it was ours, was told, and the program goes on. */
static bool told(const siginfo_t *info, const void *context)
{
    struct slot slot;
    void *p = untagged(info);
    bool sampled = sample_holds(p);
    if (info->si_code <= 0 || info->si_code == SI_KERNEL) return false; /* sent, or of no address */
    if (!sampled && !hard_holds(p) && !in_records(p)) return false;
    struct hard_fault f = {.address = p, .access = os_context_access(context), .context = context};
    if (sampled)
        sample_explain(p, &f);
    else if (hard_holds(p))
        slot_explain((uintptr_t)p, &slot, &f);
    else
        f.what = HARD_METADATA;
    if (is_wrong_tag(info)) tag_explain(&f);
    hard_report(&f);
    if (sampled) sample_open(p);
    return sampled;
}

/* ---- everybody else's ---------------------------------------------------------------------------------------- */

/* Without a handler the process ends by the signal: a fault is met again, what was sent is sent again. */
static void pass_to_system(int signal, const siginfo_t *info)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    __sigaction(signal, &plain, NULL);
    if (info->si_code <= 0)
        SYS4(SYS_rt_tgsigqueueinfo, os_process_id(), os_thread_id(), signal, info);
}

static void fault_pass_on(int signal, siginfo_t *info, void *context)
{
    struct sigaction wish, plain = {.sa_handler = SIG_DFL};
    wish_read(wish_of(signal), &wish);
    if (wish.sa_flags & SA_RESETHAND) wish_write(wish_of(signal), &plain);
    if (wish.sa_flags & SA_SIGINFO)
        wish.sa_sigaction(signal, info, context);
    else if (wish.sa_handler == SIG_DFL || wish.sa_handler == SIG_IGN)
        pass_to_system(signal, info);
    else
        wish.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    stack_fault();
    if (told(info, context))
        errno = error;
    else
        fault_pass_on(signal, info, context);
}

/* ---- installing ------------------------------------------------------------------------------------------------- */

/* Our handler as the program would have its own. Without one, on the alternate stack: an overflow of the
 * stack is not ours, but may be met there. */
static int install(int signal, const struct sigaction *wish)
{
    struct sigaction ours = *wish;
    if (!(wish->sa_flags & SA_SIGINFO) && wish->sa_handler == SIG_IGN)
        return __sigaction(signal, wish, NULL);
    if (!(wish->sa_flags & SA_SIGINFO) && wish->sa_handler == SIG_DFL) ours.sa_flags = SA_ONSTACK;
    ours.sa_sigaction = on_fault;
    ours.sa_flags = (ours.sa_flags | SA_SIGINFO) & ~SA_RESETHAND;
    return __sigaction(signal, &ours, NULL);
}

static int exchange(int signal, const struct sigaction *action, struct sigaction *before)
{
    struct wish *wish = wish_of(signal);
    struct sigaction asked; /* `action` and `before` may be the same */
    if (action) asked = *action;
    if (before) wish_read(wish, before);
    if (action == NULL) return 0;
    if (install(signal, &asked) != 0) return -1;
    wish_write(wish, &asked);
    return 0;
}

/* All signals blocked: a handler may call it too. */
static int exchange_locked(int signal, const struct sigaction *action, struct sigaction *before)
{
    uint64_t all = ~0ull, mask;
    struct sigaction asked, was;
    if (action) asked = *action; /* a bad pointer faults here, without the lock */
    SYS4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &mask, sizeof all);
    lock_take(&fault.lock);
    int result = exchange(signal, action ? &asked : NULL, &was);
    lock_give(&fault.lock);
    SYS4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    if (before && result == 0) *before = was;
    return result;
}

/* A child that shares its parent's memory but not its handlers. */
static int exchange_in_other(int signal, const struct sigaction *action, struct sigaction *before)
{
    struct sigaction was;
    int result = __sigaction(signal, action, &was);
    if (result == 0 && (was.sa_flags & SA_SIGINFO) && was.sa_sigaction == on_fault)
        wish_read(wish_of(signal), &was);
    if (before && result == 0) *before = was;
    return result;
}

static bool is_ours(int signal)
{
    return (signal == SIGSEGV || signal == SIGBUS) && LOAD(&fault.ours);
}

int fault_action(int signal, const struct sigaction *action, struct sigaction *before)
{
    if (!is_ours(signal)) return __sigaction(signal, action, before);
    if (os_process_id() != LOAD(&fault.process)) return exchange_in_other(signal, action, before);
    return exchange_locked(signal, action, before);
}

void fault_start(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS};
    stack_start();
    STORE(&fault.process, os_process_id());
    for (int i = 0; i < 2; i++) {
        struct sigaction found;
        if (__sigaction(signals[i], NULL, &found) != 0) return;
        wish_write(wish_of(signals[i]), &found);
        install(signals[i], &found);
    }
    STORE(&fault.ours, true);
}

void fault_stop(void)
{
    struct sigaction wish;
    if (!LOAD(&fault.ours)) return;
    STORE(&fault.ours, false);
    wish_read(&fault.wish[0], &wish);
    __sigaction(SIGSEGV, &wish, NULL);
    wish_read(&fault.wish[1], &wish);
    __sigaction(SIGBUS, &wish, NULL);
}

void fault_fork_child(void)
{
    lock_reset(&fault.lock);
    STORE(&fault.process, os_process_id());
}

/* ---- the C library's names ----------------------------------------------------------------------------------------- */

#ifndef FH_NO_INTERPOSE

PUBLIC int sigaction(int signal, const struct sigaction *action, struct sigaction *before)
{
    return fault_action(signal, action, before);
}

/* glibc's signal() under a name that hardly anybody uses. */
sighandler_t ssignal(int signal, sighandler_t handler);

PUBLIC sighandler_t signal(int signal, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    if (!is_ours(signal) || handler == SIG_ERR) return ssignal(signal, handler);
    sigaddset(&action.sa_mask, signal);
    return fault_action(signal, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

/* As of System V: once, and not blocked meanwhile. It is what signal() is to programs that ask for strict X/Open. */
sighandler_t sysv_signal(int signal, sighandler_t handler);

PUBLIC sighandler_t __sysv_signal(int signal, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESETHAND | SA_NODEFER},
                     before;
    if (!is_ours(signal) || handler == SIG_ERR) return sysv_signal(signal, handler);
    return fault_action(signal, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}

PUBLIC sighandler_t bsd_signal(int number, sighandler_t handler)
{
    return signal(number, handler);
}

#endif
