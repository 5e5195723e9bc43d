/*
 * A lock of four bytes: one compare-and-swap to take, one exchange to give, a futex for those who
 * wait. The three states are those of Drepper, "Futexes Are Tricky" (2011), mutex 2.
 *
 *     0 free  <->  1 held  ->  2 held, and somebody sleeps
 *
 * Not recursive, no owner: the fork handlers of face/ take all locks and reset them in the child.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include "base/base.h"

struct lock {
    _Atomic uint32_t word;
};

FH_COLD void lock_take_slow(struct lock *lock);
FH_COLD void lock_give_slow(struct lock *lock);

FH_INLINE bool lock_try(struct lock *lock)
{
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

FH_INLINE void lock_take(struct lock *lock)
{
    if (UNLIKELY(!lock_try(lock))) lock_take_slow(lock);
}

/* Gives up after about `ms`; 0: after a short spin. For who must get on although the holder may stand for
 * long. */
FH_COLD bool lock_take_within(struct lock *lock, unsigned ms);

FH_INLINE void lock_give(struct lock *lock)
{
    if (UNLIKELY(atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2))
        lock_give_slow(lock);
}

/* Only for the child of a fork, where no other thread exists. */
FH_INLINE void lock_reset(struct lock *lock)
{
    STORE(&lock->word, 0);
}

FH_INLINE bool lock_is_held(struct lock *lock)
{
    return LOAD(&lock->word) != 0;
}

#endif
