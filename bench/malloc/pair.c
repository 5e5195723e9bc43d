// The program that bench/malloc/instructions counts: `pair PATTERN SIZE ROUNDS` does ROUNDS times a
// fixed number of malloc/free pairs. Two runs that differ only in ROUNDS differ by exactly those
// pairs, so start-up and the harness' tables cancel out; what the loop itself costs is counted by a
// fourth argument, `nothing`, which calls empty functions instead (3 instructions a pair, with both
// returns).
//
//   immediate   malloc, free, malloc, free ...
//   fifo        300 blocks made, then freed in the same order
//   mixed       300 blocks of 16 to 512 bytes made, then freed in random order (SIZE is not used)
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 300 };

static void *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static unsigned order[BLOCKS];

// The loops below must stay as written: no pair is optimised away.
static void *(*volatile make)(size_t) = malloc;
static void (*volatile drop)(void *) = free;

static void *make_nothing(size_t size)
{
    (void)size;
    return NULL;
}

static void drop_nothing(void *block)
{
    (void)block;
}

static void round_immediate(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) drop(make(sizes[i]));
}

static void round_ordered(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) blocks[i] = make(sizes[i]);
    for (unsigned i = 0; i < BLOCKS; i++) drop(blocks[order[i]]);
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void tables_fill(size_t size, int mixed)
{
    uint32_t state = 7;
    for (unsigned i = 0; i < BLOCKS; i++) {
        sizes[i] = mixed ? 16 + next(&state) % 497 : size;
        order[i] = i;
    }
    for (unsigned i = BLOCKS; mixed && i > 1; i--) {
        unsigned j = next(&state) % i, kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fputs("usage: pair immediate|fifo|mixed SIZE ROUNDS [nothing]\n", stderr);
        return 2;
    }
    tables_fill(strtoul(arguments[2], NULL, 10), !strcmp(arguments[1], "mixed"));
    if (count > 4) {
        make = make_nothing;
        drop = drop_nothing;
    }
    void (*turn)(void) = strcmp(arguments[1], "immediate") ? round_ordered : round_immediate;
    for (unsigned long rounds = strtoul(arguments[3], NULL, 10); rounds; rounds--) turn();
    return 0;
}
