/* Requests of every size and alignment, reallocation, and what a pointer is. See heap/heap.h. */
#include <string.h>

#include "heap/slab.h"

void *heap_allocate(struct heap *heap, size_t size, bool *zeroed)
{
    *zeroed = false;
    if (size > RUN_MAX) return large_allocate(size, 1, zeroed);
    if (size > SLAB_MAX) return run_allocate(size, 1, zeroed);
    unsigned size_class = class_of(size);
    void *p = heap_take(heap, size_class);
    return p ? p : heap_allocate_slow(heap, size_class);
}

/* Blocks of a class lie at multiples of its size from the slab's start, which is aligned to 64 KiB:
 * a class whose size is a multiple of the alignment will do. */
void *heap_allocate_aligned(struct heap *heap, size_t alignment, size_t size)
{
    bool zeroed;
    if (alignment <= 16) return heap_allocate(heap, size, &zeroed);
    if (size <= SLAB_MAX && alignment <= SLAB_MAX) {
        size_t padded = base_round_up(base_max(size, 1), alignment);
        unsigned size_class = padded <= SLAB_MAX ? class_of(padded) : CLASSES;
        while (size_class < CLASSES && class_facts[size_class].size & (alignment - 1)) size_class++;
        if (size_class < CLASSES) {
            void *p = heap_take(heap, size_class);
            return p ? p : heap_allocate_slow(heap, size_class);
        }
    }
    if (size <= RUN_MAX && alignment <= RUN_MAX)
        return run_allocate(base_max(size, 1), alignment, &zeroed);
    return large_allocate(size, alignment, &zeroed);
}

unsigned slab_block_of(const struct span *slab, const void *p)
{
    return block_index(slab->size_class, (size_t)((const char *)p - span_start(slab)));
}

bool slab_block_is_uncarved(const struct span *slab, const void *p)
{
    unsigned piece = (unsigned)(((const char *)p - span_start(slab)) >> CARVE_SHIFT);
    if (slab_is_lone(slab, slab_block_of(slab, p))) return slab_lone(slab) & LONE_LISTED;
    return slab_uncarved(slab) >> piece & 1;
}

bool slab_block_is_free(const struct span *slab, const void *p)
{
    return slab_block_is_uncarved(slab, p) || block_peek(p) == arena.base;
}

/* The slab or large span whose live block starts at p, or NULL after a word to bad_pointer. */
static struct span *block_span(const void *p, const char *caller)
{
    struct span *span = arena_holds(p) ? span_at(span_index_of(p)) : NULL;
    if (span) {
        uint8_t kind = LOAD_ACQUIRE(&span->kind);
        if (kind == FH_SPAN_LARGE && p == span_start(span)) return span;
        if (kind == FH_SPAN_RUNS && run_usable_size(span, p)) return span;
        if (kind == FH_SPAN_SLAB && slab_has_live(span, p)) return span;
    }
    heap_config.bad_pointer(caller, p);
    return NULL;
}

static size_t block_usable(struct span *span, const void *p)
{
    uint8_t kind = LOAD(&span->kind);
    if (kind == FH_SPAN_LARGE) return LOAD(&span->bytes);
    if (kind == FH_SPAN_RUNS) return run_usable_size(span, p);
    return class_facts[span->size_class].size;
}

size_t heap_usable_size(const void *p, const char *caller)
{
    struct span *span = block_span(p, caller);
    return span ? block_usable(span, p) : 0;
}

/* A block that shrinks stays where it is while it still fills more than half of its place, or would
 * get no smaller one. */
static bool block_fits(struct heap *heap, size_t usable, size_t size)
{
    if (size > usable) return false;
    if (size > usable / 2 || usable <= 64) return true;
    return size <= SLAB_MAX && class_facts[heap->group[class_of(size)]].size >= usable;
}

void *heap_reallocate(struct heap *heap, void *p, size_t size)
{
    struct span *span = block_span(p, "realloc");
    if (span == NULL) return NULL;
    size_t usable = block_usable(span, p);
    uint8_t kind = LOAD(&span->kind);
    if (kind == FH_SPAN_LARGE && size > RUN_MAX) return large_reallocate(span, p, size);
    if (kind == FH_SPAN_RUNS && size > SLAB_MAX && size <= RUN_MAX && run_resize(span, p, size))
        return p;
    if (block_fits(heap, usable, size)) return p;
    bool zeroed;
    void *new = heap_allocate(heap, size, &zeroed);
    if (new == NULL) return NULL;
    memcpy(new, p, base_min(usable, size));
    heap_give(heap_self, p);
    return new;
}
