/* See random.h. */
#include <string.h>

#include "hard/random.h"
#include "os/guard.h"
#include "os/say.h"

_Atomic uint32_t random_epoch = 1;

/* Four blocks at a time, one in each lane. */
typedef uint32_t lanes __attribute__((vector_size(16)));
enum { LANES = 4 };

FH_INLINE lanes rotate(lanes x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

#define QUARTER(a, b, c, d)                                                                        \
    do {                                                                                           \
        a += b, d = rotate(d ^ a, 16);                                                             \
        c += d, b = rotate(b ^ c, 12);                                                             \
        a += b, d = rotate(d ^ a, 8);                                                              \
        c += d, b = rotate(b ^ c, 7);                                                              \
    } while (0)

/* Blocks of 64 bytes: "expand 32-byte k", key, counter, no nonce. */
static void chacha8(const uint32_t key[8], uint32_t counter, uint32_t out[LANES][16])
{
    uint32_t words[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    lanes input[16], x[16];
    memcpy(words + 4, key, 32);
    for (int i = 0; i < 16; i++) x[i] = input[i] = (lanes){words[i], words[i], words[i], words[i]};
    x[12] = input[12] = (lanes){counter, counter + 1, counter + 2, counter + 3};
    for (int round = 0; round < 8; round += 2) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++)
        for (int lane = 0; lane < LANES; lane++) out[lane][i] = (x[i] + input[i])[lane];
}

static FH_COLD void seed(struct random *random)
{
    if (!os_entropy(random->key, sizeof random->key)) {
        os_say("freehold",
               "the kernel gives no random numbers (getrandom failed), and a hardened heap "
               "without them would only look like one; stopping");
        base_abort();
    }
    random->epoch = LOAD(&random_epoch);
}

void random_refill(struct random *random)
{
    enum { BLOCKS = (RANDOM_BYTES + 32) / 64 };
    static_assert(RANDOM_BYTES + 32 == 64 * BLOCKS && BLOCKS % LANES == 0, "whole blocks");
    if (random->epoch != LOAD(&random_epoch)) seed(random);
    uint32_t out[BLOCKS][16];
    for (uint32_t i = 0; i < BLOCKS; i += LANES) chacha8(random->key, i, out + i);
    memcpy(random->key, out, sizeof random->key);
    memcpy(random->bytes, (char *)out + sizeof random->key, RANDOM_BYTES);
    random->left = RANDOM_BYTES;
    base_forget(out, sizeof out);
}

uint64_t random_64(struct random *random)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | random_byte(random);
    return value;
}
