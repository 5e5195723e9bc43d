/* See span/purger.h.
 *
 *     0 asleep --note--> 1 running --two quiet rounds--> 0
 */
#include "span/purger.h"

#include "os/os.h"
#include "span/span.h"

enum {
    STACK = 32 << 10, /* the sweep keeps bitmaps on it */
    QUIET_ROUNDS = 2,
};

struct purger_config purger = {.enabled = true, .delay_ms = 1000};
_Atomic uint32_t purger_state;

static _Atomic int helper_alive; /* cleared by the kernel when the stack is free again */
static char helper_stack[STACK] __attribute__((aligned(64)));
static _Atomic uint32_t helper_woken; /* 1: naps no more */

/* False once the kernel kept what was offered, since it is locked, until it takes something. */
static bool helper_is_of_use;

static bool purger_round(void)
{
    bool more = purger.sweep && purger.sweep(false), refused;
    if (span_purge(purger.delay_ms, &refused) > 0)
        helper_is_of_use = true;
    else if (refused)
        helper_is_of_use = false;
    bool dirty = __atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED) > 0;
    return more || (dirty && helper_is_of_use);
}

/* Half a second at a time, lest the helper keep for long what the process has given up. */
static bool purger_nap(uint64_t ms)
{
    uint64_t now = os_clock_ms(), end = now + ms;
    do {
        os_wait(&helper_woken, 0, base_min(end - now, 500));
        if (!purger.enabled || !os_helper_is_current()) return false;
        now = os_clock_ms();
    } while (now < end);
    return true;
}

/* Sleeps until the next round, with looks in between. False: the helper should end. */
static bool purger_wait(bool *looks)
{
    uint64_t left = base_max(purger.delay_ms / 2, 10);
    *looks = false;
    for (; purger.look_ms && purger.look_ms < left; left -= purger.look_ms) {
        if (!purger_nap(purger.look_ms)) return false;
        *looks |= purger.look();
    }
    if (!purger_nap(left)) return false;
    if (purger.look_ms) *looks |= purger.look();
    return true;
}

/* Naps and looks around until there is nothing more to do. False if the helper should end at once:
 * switched off, or the process became another user's, whose next note starts another. */
static bool purger_rounds(void)
{
    for (int quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
        bool looks;
        if (!purger_wait(&looks)) return false;
        if (purger_round() || looks) quiet = -1;
    }
    return true;
}

/* It has no thread control block of libc's, which ASan would look for at its end. */
__attribute__((no_sanitize("address"))) static void purger_main(void *unused)
{
    (void)unused;
    bool go_on;
    helper_is_of_use = true;
    do {
        STORE(&purger_state, 1);
        go_on = purger_rounds();
        STORE(&purger_state, 0);
        /* A note that came in between saw a running helper: look once more. */
        atomic_thread_fence(memory_order_seq_cst);
        go_on &= helper_is_of_use &&
                 __atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED) >= PURGER_WORTH;
    } while (go_on);
    __atomic_store_n(&fh_registry.helper_running, 0, __ATOMIC_RELAXED);
    os_helper_exit();
}

void purger_note_slow(void)
{
    if (!purger.enabled || atomic_load_explicit(&helper_alive, memory_order_acquire)) return;
    uint32_t asleep = 0;
    if (!atomic_compare_exchange_strong(&purger_state, &asleep, 1)) return;
    __atomic_store_n(&fh_registry.helper_running, 1, __ATOMIC_RELAXED);
    if (os_helper_start(purger_main, NULL, helper_stack, sizeof helper_stack, &helper_alive))
        return;
    /* Refused (seccomp, limits on processes): give up for good; malloc_trim still works. */
    __atomic_store_n(&fh_registry.helper_running, 0, __ATOMIC_RELAXED);
    purger.enabled = false;
    STORE(&purger_state, 0);
}

void purger_stop(void)
{
    purger.enabled = false;
    STORE(&helper_woken, 1);
    os_wake(&helper_woken);
    static _Atomic uint32_t never;
    while (atomic_load_explicit(&helper_alive, memory_order_acquire)) os_wait(&never, 0, 1);
    STORE(&helper_woken, 0);
}

size_t purger_run_now(void)
{
    if (purger.sweep) purger.sweep(true);
    return span_purge(0, NULL);
}

void purger_fork_child(void)
{
    atomic_store(&helper_alive, 0);
    STORE(&purger_state, 0);
    fh_registry.helper_running = 0;
}
