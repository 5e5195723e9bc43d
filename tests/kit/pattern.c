/* See kit/pattern.h. */
#include "kit/pattern.h"

#include <string.h>

#include "kit/expect.h"

enum {
    DENSE = 64 << 10,
    STEP = 16 << 10,
    DENSE_ZERO = 1 << 20,
};

static uint64_t pattern_word(uint64_t seed, size_t offset)
{
    return (seed ^ 0x5bd1e995u) * 0x9e3779b97f4a7c15ull + offset * 0xff51afd7ed558ccdull;
}

/* The next word's place after `offset`. */
static size_t pattern_next(size_t offset)
{
    return offset + 8 < DENSE ? offset + 8 : (offset + STEP) / STEP * STEP;
}

static unsigned char pattern_tail(uint64_t seed, size_t size, size_t i)
{
    return (unsigned char)(pattern_word(seed, size) >> 8 * i | 1);
}

void pattern_write(void *p, size_t size, uint64_t seed)
{
    char *bytes = p;
    for (size_t at = 0; at + 8 <= size; at = pattern_next(at)) {
        uint64_t word = pattern_word(seed, at);
        memcpy(bytes + at, &word, sizeof word);
    }
    size_t tail = size % 8;
    for (size_t i = 0; i < tail; i++) bytes[size - tail + i] = (char)pattern_tail(seed, size, i);
}

void pattern_expect(const void *p, size_t size, size_t written, uint64_t seed)
{
    const char *bytes = p;
    for (size_t at = 0; at + 8 <= size; at = pattern_next(at)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        EXPECT(word == pattern_word(seed, at),
               "block %p of %zu bytes was changed at offset %zu: %016llx, written was %016llx", p,
               written, at, (unsigned long long)word, (unsigned long long)pattern_word(seed, at));
    }
    size_t tail = size == written ? size % 8 : 0;
    for (size_t i = 0; i < tail; i++)
        EXPECT((unsigned char)bytes[size - tail + i] == pattern_tail(seed, size, i),
               "block %p of %zu bytes was changed at offset %zu", p, written, size - tail + i);
}

void pattern_expect_zero(const void *p, size_t size)
{
    const char *bytes = p;
    size_t dense = size < DENSE_ZERO ? size : DENSE_ZERO;
    for (size_t at = 0; at < dense; at++)
        EXPECT(bytes[at] == 0, "block %p of %zu bytes is not zero at offset %zu", p, size, at);
    for (size_t at = dense; at + 8 <= size; at = pattern_next(at))
        EXPECT(bytes[at] == 0 && bytes[at + 7] == 0, "block %p of %zu bytes is not zero at %zu", p,
               size, at);
}
