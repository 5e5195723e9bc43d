// Random numbers of the workloads: seeds are constants, so that everybody under measurement serves the
// same sequence of requests.
#ifndef BENCH_COMMON_RANDOM_H
#define BENCH_COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline struct random random_seeded(uint64_t seed)
{
    return (struct random){(seed + 1) * 0x9E3779B97F4A7C15u};
}

// xorshift64*: about a nanosecond, so that the harness stays small beside what it measures.
static inline uint64_t random_next(struct random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545F4914F6CDD1Du;
}

static inline size_t random_below(struct random *random, size_t limit)
{
    return (size_t)(((random_next(random) >> 32) * (uint64_t)limit) >> 32);
}

static inline size_t random_between(struct random *random, size_t low, size_t high)
{
    return low + random_below(random, high - low + 1);
}

#endif
