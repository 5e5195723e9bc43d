/*
 * 64 bytes looked at as one: what holds for byte k is bit k of the answer. SSE2 is part of every x86-64;
 * elsewhere eight bytes at a time in a register.
 */
#ifndef BASE_LANES_H
#define BASE_LANES_H

#include "base/base.h"

#define LANES_OF(byte) (0x0101010101010101ull * (byte))

#if defined(__x86_64__)
#include <emmintrin.h>

FH_INLINE uint64_t lanes_top_16(__m128i bytes)
{
    return (uint16_t)_mm_movemask_epi8(bytes);
}

/* Bytes of which `mask` leaves `value`. */
FH_INLINE uint64_t lanes_equal(const uint8_t *at, uint8_t mask, uint8_t value)
{
    __m128i masks = _mm_set1_epi8((char)mask), values = _mm_set1_epi8((char)value);
    uint64_t bits = 0;
    for (unsigned k = 0; k < 4; k++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at + k);
        bits |= lanes_top_16(_mm_cmpeq_epi8(_mm_and_si128(bytes, masks), values)) << 16 * k;
    }
    return bits;
}

/* Bytes whose highest bit is set. */
FH_INLINE uint64_t lanes_top(const uint8_t *at)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < 4; k++)
        bits |= lanes_top_16(_mm_loadu_si128((const __m128i *)at + k)) << 16 * k;
    return bits;
}
#else
/* Bit k: bit 0 of byte k. `x` has no other bits. */
FH_INLINE uint64_t lanes_gather(uint64_t x)
{
    return (x * 0x0102040810204080ull) >> 56;
}

FH_INLINE uint64_t lanes_load(const uint8_t *at)
{
    uint64_t word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
}

FH_INLINE uint64_t lanes_equal(const uint8_t *at, uint8_t mask, uint8_t value)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < 8; k++) {
        uint64_t x = (lanes_load(at + 8 * k) & LANES_OF(mask)) ^ LANES_OF(value);
        /* The highest bit of each byte of y is set where x is not 0. */
        uint64_t y = ((x & LANES_OF(0x7f)) + LANES_OF(0x7f)) | x;
        bits |= lanes_gather(~y >> 7 & LANES_OF(1)) << 8 * k;
    }
    return bits;
}

FH_INLINE uint64_t lanes_top(const uint8_t *at)
{
    uint64_t bits = 0;
    for (unsigned k = 0; k < 8; k++)
        bits |= lanes_gather(lanes_load(at + 8 * k) >> 7 & LANES_OF(1)) << 8 * k;
    return bits;
}
#endif

/* How many bits are set, without a call where the processor may lack the instruction. */
FH_INLINE unsigned lanes_count(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (unsigned)(x * LANES_OF(1) >> 56);
}

#endif
