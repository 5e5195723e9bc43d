/*
 * In what order blocks are scanned, which is what marking costs.
 *
 * In a heap whose references lead anywhere, every block is a miss of the caches, and a miss of the TLB,
 * whose walks through page tables cost more than the memory itself in a virtual machine (230 ns of 300).
 * Two things against it:
 *
 *   ahead   places wait in a short queue after their memory was asked for, so that many misses are under
 *           way at once. To ask when a block is pushed is too early for most, as a table of references
 *           fills the stack, and too late for the one that is popped next.
 *   batch   of a high stack the uppermost blocks are taken all at once and scanned by rising address, so
 *           that they share pages, or at least the lines of page tables. The order needs not be exact: the
 *           bits of the page's number within 16 GiB are sorted by, and two far stretches come mixed.
 *
 * A stack that stays low, as a long list makes it, is worked on from its top as ever. Rejected: to sweep the
 * heap for blocks to be scanned, page by page, which a list in random order makes endless.
 */
#include "span/reach.h"

enum { PAGE_BITS = 12, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

bool reach_ahead_put(struct reach_ahead *a, struct reach_place *place)
{
    struct reach_place *slot = &a->place[(a->first + a->count) % REACH_AHEAD], oldest = *slot;
    bool full = a->count == REACH_AHEAD;
    *slot = *place;
    *place = oldest;
    a->first = (a->first + full) % REACH_AHEAD;
    a->count += !full;
    return full;
}

bool reach_ahead_get(struct reach_ahead *a, struct reach_place *place)
{
    if (a->count == 0) return false;
    *place = a->place[a->first];
    a->first = (a->first + 1) % REACH_AHEAD;
    a->count--;
    return true;
}

/* Stable, by one digit of the page's number. */
static void sort_digit(const uint64_t *from, uint64_t *to, unsigned shift)
{
    uint32_t begin[DIGITS] = {0}, sum = 0;
    for (size_t i = 0; i < REACH_BATCH; i++) begin[from[i] >> shift & (DIGITS - 1)]++;
    for (size_t i = 0; i < DIGITS; i++) {
        uint32_t count = begin[i];
        begin[i] = sum;
        sum += count;
    }
    for (size_t i = 0; i < REACH_BATCH; i++) to[begin[from[i] >> shift & (DIGITS - 1)]++] = from[i];
}

/* The top of a high stack becomes the batch. */
static void take_batch(struct reach_worker *w)
{
    w->count -= REACH_BATCH;
    sort_digit(w->stack + w->count, w->batch + REACH_BATCH, PAGE_BITS);
    sort_digit(w->batch + REACH_BATCH, w->batch, PAGE_BITS + DIGIT_BITS);
    w->batch_at = 0;
}

bool reach_next(struct reach_worker *w, uint64_t *start)
{
    if (w->batch_at == REACH_BATCH && w->count >= REACH_BATCH) take_batch(w);
    if (w->batch_at < REACH_BATCH)
        *start = w->batch[w->batch_at++];
    else if (w->count > 0)
        *start = w->stack[--w->count];
    else
        return false;
    return true;
}
