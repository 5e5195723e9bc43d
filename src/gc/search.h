/*
 * search: words that may be references, found at the speed of memory.
 *
 * Each word is written to where the next candidate goes, and that place moves on if it is one: no
 * branch that could be guessed wrong. docs/decisions/0009-deep-stacks.md has the numbers, and what
 * was rejected.
 */
#ifndef GC_SEARCH_H
#define GC_SEARCH_H

#include "gc/meta.h"

#define SEARCH_WORDS 8

struct search {
    uintptr_t base; /* words from here on ... */
    size_t range;   /* ... so many bytes are candidates */
};

FH_INLINE struct search search_begin(void)
{
    return (struct search){side_base(), __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED)};
}

FH_INLINE bool search_is(const struct search *search, uintptr_t word)
{
    return word - search->base < search->range;
}

/* Of the eight words from `at` on the candidates go to `to`, which has room for eight; returns how
 * many. */
FH_INLINE size_t search_eight(const struct search *search, uintptr_t at, uintptr_t *to)
{
    size_t count = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < SEARCH_WORDS; i++) {
        uintptr_t word = word_load((uintptr_t *)at + i);
        to[count] = word;
        count += search_is(search, word);
    }
    return count;
}

#endif
