/* The waiting side of base/lock.h. A short spin first: what these locks guard takes under a
 * microsecond, unless its holder lost the processor. */
#include "base/lock.h"

#include <linux/futex.h>

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

void lock_give_slow(struct lock *lock)
{
    SYS3(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1);
}
