/*
 * What report.c, sample.c and fault.c need of the hardened heap, without the heap: one slab of 64-byte slots in one
 * chunk, and one large block. For tests of these files alone.
 */
#ifndef TESTS_HARD_FAKE_H
#define TESTS_HARD_FAKE_H

#include "hard/hard.h"

enum { FAKE_SLOT = 64, FAKE_SLOTS = 200, FAKE_CHUNK = 1 << 20 };

/* All measures on; one of `sample` is sampled, in so many slots. */
void fake_start(uint32_t sample, uint32_t sample_slots);

/* Bytes that the heap says are live. */
extern uint64_t fake_live_bytes;

/* A slot's start, after it was made live with `size` bytes, or got another state. */
char *fake_live(unsigned i, size_t size, unsigned kind);
void fake_state(unsigned i, unsigned state);

/* The large block, of `size` bytes in all but the last two pages of the chunk's second half. */
char *fake_large(size_t size);
void fake_large_state(unsigned state);

#endif
