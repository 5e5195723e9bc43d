/*
 * Large blocks: above 64 KiB each has a span of its own, and starts where the span starts.
 *
 * A span is whole slices, but only pages that the program touches are resident, so a block of 65 KiB
 * costs 65 KiB and some address space. Its usable size is rounded to the page.
 *
 * A block that grows is extended in place if what follows is free. Else its pages are moved to a
 * larger span by their page tables if that is cheaper than to copy them.
 */
#include <string.h>

#include "event/counter.h"
#include "heap/slab.h"
#include "os/os.h"

/* From here on moving page tables beats copying. Each move may leave two more mappings behind,
 * which are a limited good (vm.max_map_count), so not for less. */
#define MOVE_MIN MIB

/* Beyond this no address space can hold it; sums with alignment and rounding stay far from a wrap. */
#define LARGE_MAX ((size_t)1 << 46)

static size_t slices_for(size_t size)
{
    return (size + SLICE_SIZE - 1) >> SLICE_SHIFT;
}

static void large_count(int64_t blocks, int64_t bytes)
{
    counter_add(&fh_registry.large_count, blocks);
    counter_add(&fh_registry.large_bytes, bytes);
    if (bytes <= 0) return;
    counter_add(&fh_registry.large_allocated, 1);
    counter_add(&fh_registry.large_allocated_bytes, bytes);
}

static struct span *large_span(size_t size, size_t slices, size_t align_slices)
{
    struct span *span = span_allocate(slices, align_slices, DENSE);
    if (span == NULL) return NULL;
    STORE(&span->bytes, size);
    STORE(&span->owner, NULL);
    STORE_RELEASE(&span->kind, FH_SPAN_LARGE);
    span_mark_body(span);
    large_count(1, (int64_t)size);
    return span;
}

void *large_allocate(size_t size, size_t alignment, bool *zeroed)
{
    if (UNLIKELY(size > LARGE_MAX || alignment > LARGE_MAX)) return NULL;
    size_t bytes = base_round_up(base_max(size, 1), os_page_size());
    struct span *span = large_span(bytes, slices_for(bytes), base_max(slices_for(alignment), 1));
    if (span == NULL) return NULL;
    *zeroed = span->flags & FH_SPAN_ZERO;
    return block_unmark(span_start(span), *zeroed);
}

void large_free(struct span *span)
{
    large_count(-1, -(int64_t)LOAD(&span->bytes));
    span_free(span);
}

static void large_resize(struct span *span, size_t bytes)
{
    int64_t change = (int64_t)bytes - (int64_t)LOAD(&span->bytes);
    STORE(&span->bytes, bytes);
    counter_add(&fh_registry.large_bytes, change);
}

/* A block that grows once grows again: it is put where as much room follows, which stays free as
 * long as nobody else needs it. */
static struct span *large_span_with_room(size_t bytes)
{
    size_t slices = slices_for(bytes);
    struct span *span = large_span(bytes, 2 * slices, 1);
    if (span) span_shrink(span, slices, true);
    return span ? span : large_span(bytes, slices, 1);
}

static void *large_move(struct span *span, size_t bytes)
{
    size_t old = LOAD(&span->bytes);
    struct span *to = large_span_with_room(bytes);
    if (to == NULL) return NULL;
    /* Whole slices: what lies behind the block may have been touched by an earlier one, and what is
     * left must be clean. */
    size_t span_bytes = (size_t)LOAD(&span->slices) << SLICE_SHIFT;
    bool moved = old >= MOVE_MIN && os_vm_move(span_start(to), span_start(span), span_bytes);
    if (!moved) memcpy(span_start(to), span_start(span), old);
    large_count(-1, -(int64_t)old);
    if (moved)
        span_free_clean(span);
    else
        span_free(span);
    return span_start(to);
}

void *large_reallocate(struct span *span, void *p, size_t size)
{
    if (size > LARGE_MAX) return NULL;
    size_t bytes = base_round_up(size, os_page_size()), slices = slices_for(bytes);
    uint32_t old = LOAD(&span->slices);
    bool zero;
    if (slices < old)
        span_shrink(span, slices, false);
    else if (slices > old && !span_grow(span, slices, &zero))
        return large_move(span, bytes);
    large_resize(span, bytes);
    span_mark_body(span);
    return p;
}
