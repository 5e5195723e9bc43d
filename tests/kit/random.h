/*
 * Random numbers that a printed seed brings back (splitmix64: Steele, Lea, Flood 2014), and the
 * sizes that tests ask for: as programs ask, mostly small, now and then large, and more often than
 * chance would have it right beside a border of the allocator.
 */
#ifndef KIT_RANDOM_H
#define KIT_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* 0 ... bound - 1. */
static inline uint64_t random_below(struct random *r, uint64_t bound)
{
    return random_next(r) % bound;
}

static inline bool random_chance(struct random *r, unsigned one_in)
{
    return random_below(r, one_in) == 0;
}

/* 0 ... max; each doubling as likely as the next. */
static inline size_t random_size(struct random *r, size_t max)
{
    static const size_t border[] = {0, 16, 64, 1024, 2048, 4096, 32768, 65536, 131072, 1 << 20};
    size_t size;
    if (random_chance(r, 8)) {
        size = border[random_below(r, sizeof border / sizeof *border)];
        size += random_below(r, 35);
        size -= size >= 17 ? 17 : 0;
    } else {
        unsigned bits = 64u - (unsigned)__builtin_clzll(max | 1);
        size = random_next(r) & ((1ull << random_below(r, bits + 1)) - 1);
    }
    return size <= max ? size : max;
}

/* A seed from the kernel, for runs that look for news. */
uint64_t random_seed(void);

/* The seed that a program was given as its n-th argument; "random" and none: random_seed(). Prints
 * it, so that a failure can be repeated. */
uint64_t random_seed_argument(int argc, char **argv, int n);

#endif
