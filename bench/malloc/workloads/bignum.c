// Arithmetic on big numbers whose digits live on the heap: every sum and product is a new block.
//
// Stresses: short-lived blocks of slowly growing size between bursts of real computation; the
// allocator is a part of the time, not all of it, as in most programs. Who has it: computer
// algebra, cryptography and key generation, integers of Python and Ruby, exact geometry.
#include "../kit/kit.h"

enum { DIGITS_OF_FACTORIAL = 340, FULL_ROUNDS = 14000 };

struct number {
    uint32_t size;
    uint32_t limb[];
};

static struct number *number_new(uint32_t size)
{
    struct number *number = block_new(sizeof *number + size * sizeof number->limb[0]);
    number->size = size;
    return number;
}

static struct number *number_times(const struct number *a, uint32_t factor)
{
    struct number *product = number_new(a->size + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->size; i++) {
        carry += (uint64_t)a->limb[i] * factor;
        product->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    product->limb[a->size] = (uint32_t)carry;
    product->size -= carry == 0;
    return product;
}

static struct number *number_plus(const struct number *a, uint32_t term)
{
    struct number *sum = number_new(a->size + 1);
    uint64_t carry = term;
    for (uint32_t i = 0; i < a->size; i++) {
        carry += a->limb[i];
        sum->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum->limb[a->size] = (uint32_t)carry;
    sum->size -= carry == 0;
    return sum;
}

static uint32_t number_modulo(const struct number *a, uint32_t prime)
{
    uint64_t rest = 0;
    for (uint32_t i = a->size; i--;) rest = (rest << 32 | a->limb[i]) % prime;
    return (uint32_t)rest;
}

// Horner's rule over pseudo-random digits, once with blocks and once modulo a prime: they must
// agree.
static void bignum_round(uint64_t seed)
{
    enum { PRIME = 4294967291u };
    struct random random = random_seeded(seed);
    struct number *value = number_new(1);
    value->limb[0] = 1;
    uint64_t expected = 1;
    for (int i = 0; i < DIGITS_OF_FACTORIAL; i++) {
        uint32_t factor = (uint32_t)random_next(&random) | 1, term = (uint32_t)i;
        struct number *product = number_times(value, factor);
        struct number *sum = number_plus(product, term);
        free(product);
        free(value);
        value = sum;
        expected = (expected * factor + term) % PRIME;
    }
    if (number_modulo(value, PRIME) != expected) fail("big number arithmetic went wrong");
    free(value);
}

void bignum_run(struct job *job)
{
    for (size_t rounds = job_total(job, FULL_ROUNDS); rounds; rounds--) bignum_round(rounds);
}
