/*
 * random: numbers that nobody can foretell from those before: ChaCha with 8 rounds (Bernstein, "ChaCha, a
 * variant of Salsa20", 2008), each refill giving the next key as well, so that what was drawn is gone
 * ("fast-key-erasure random-number generators", Bernstein, 2017). One generator a thread, not
 * thread-safe; the child of a fork gets new keys.
 */
#ifndef HARD_RANDOM_H
#define HARD_RANDOM_H

#include "base/base.h"

#define RANDOM_BYTES 480

struct random {
    uint32_t key[8];
    uint32_t left;  /* bytes of `bytes`, from its end on; 0: refill */
    uint32_t epoch; /* random_epoch at the last seeding */
    uint8_t bytes[RANDOM_BYTES];
};

/* Changes when all generators must get new keys. */
extern _Atomic uint32_t random_epoch;

/* The process ends with a line when the kernel has no entropy. */
void random_refill(struct random *random);

/* Enough bytes for a call of malloc or free are there: quick.h draws without looking. */
FH_INLINE bool random_is_ready(const struct random *random)
{
    return random->left > 1;
}

FH_INLINE void random_ready(struct random *random)
{
    if (UNLIKELY(!random_is_ready(random))) random_refill(random);
}

FH_INLINE uint8_t random_byte(struct random *random)
{
    if (UNLIKELY(random->left == 0)) random_refill(random);
    return random->bytes[--random->left];
}

/* Below n, n <= 2^16: the bias is below n / 2^16. */
FH_INLINE uint32_t random_below(struct random *random, uint32_t n)
{
    uint32_t high = random_byte(random);
    return (high << 8 | random_byte(random)) * n >> 16;
}

/* Only if it is ready. */
FH_INLINE uint8_t random_byte_ready(struct random *random)
{
    return random->bytes[--random->left];
}

uint64_t random_64(struct random *random);

#endif
