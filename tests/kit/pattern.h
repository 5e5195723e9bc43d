/*
 * What tests write into blocks: words that depend on a seed and on their place, so that a byte from
 * another block, from another place of the same block, or a zeroed page is never taken for right.
 *
 *     | every word, up to 64 KiB | one word each 16 KiB ...           | last bytes: every one |
 *
 * Large blocks are written thinly: tests of gigabytes should touch megabytes.
 */
#ifndef KIT_PATTERN_H
#define KIT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

void pattern_write(void *p, size_t size, uint64_t seed);

/* EXPECTs the first `size` bytes of what was written with `written` bytes. */
void pattern_expect(const void *p, size_t size, size_t written, uint64_t seed);

/* EXPECTs zeros: all of them up to 1 MiB, then those that pattern_write would write. */
void pattern_expect_zero(const void *p, size_t size);

#endif
