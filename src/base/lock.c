/* The waiting side of base/lock.h. A short spin first: what these locks guard takes under a
 * microsecond, unless its holder lost the processor. */
#include "base/lock.h"

#include <linux/futex.h>
#include <time.h>

#include "base/syscall.h"

enum { SPINS = 60 };

void lock_take_slow(struct lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        base_pause();
        if (LOAD(&lock->word) == 0 && lock_try(lock)) return;
    }
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        SYS4(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL);
}

/* Who gives up leaves the word at 2: the next to give the lock wakes nobody, in vain. */
bool lock_take_within(struct lock *lock, unsigned ms)
{
    for (int i = 0; i < SPINS; i++) {
        if (LOAD(&lock->word) == 0 && lock_try(lock)) return true;
        base_pause();
    }
    for (; ms > 0; ms--) {
        struct timespec nap = {.tv_nsec = 1000000};
        if (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) == 0) return true;
        SYS4(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, &nap);
    }
    return lock_try(lock);
}

void lock_give_slow(struct lock *lock)
{
    SYS3(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}
