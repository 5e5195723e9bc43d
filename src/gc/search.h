/*
 * search: whether any of eight words may be a reference, at the speed of memory.
 *
 * Most words of stacks and static data are none. So eight are tested at a time, with arithmetic on pairs:
 * each minus the start of the arena, shifted so that only what is beyond the part in use (4 GiB at least) is
 * left, is 0 in the lower half. Who finds one looks at each word again, exactly.
 *
 * Rejected: exact comparisons of 64 bits (SSE2 has none without a sign); AVX2 behind a test of the processor.
 */
#ifndef GC_SEARCH_H
#define GC_SEARCH_H

#include "gc/meta.h"

#define SEARCH_WORDS 8

typedef uint64_t search_pair __attribute__((vector_size(16), aligned(8), may_alias));
typedef uint32_t search_halves __attribute__((vector_size(16)));

struct search {
    uintptr_t base; /* words from here on ... */
    size_t range;   /* ... so many bytes are candidates */
    unsigned shift;
};

FH_INLINE struct search search_begin(void)
{
    size_t range = __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
    return (struct search){side_base(), range, range >> 32 ? base_log2(range) + 1 : 32};
}

FH_INLINE bool search_is(const struct search *search, uintptr_t word)
{
    return word - search->base < search->range;
}

/* False: none of the eight words from `at` on is a candidate. */
FH_INLINE bool search_some(const struct search *search, uintptr_t at)
{
    const search_pair *pair = (const search_pair *)at;
    search_pair base = {search->base, search->base};
    search_halves zero = {0, 0, 0, 0};
    for (unsigned i = 0; i < SEARCH_WORDS / 2; i++)
        zero |= (search_halves)((search_halves)((pair[i] - base) >> search->shift) == 0);
    return zero[0] | zero[2]; /* the upper halves are 0 anyway */
}

#endif
