/* See kit/random.h. */
#include "kit/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint64_t random_seed(void)
{
    uint64_t seed;
    return getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed >> 32 : 1;
}

uint64_t random_seed_argument(int argc, char **argv, int n)
{
    bool given = argc > n && strcmp(argv[n], "random") != 0;
    uint64_t seed = given ? strtoull(argv[n], NULL, 0) : random_seed();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}
