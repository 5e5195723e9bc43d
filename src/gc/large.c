/*
 * Large objects: above 64 KiB, a span each. Their state is the mark byte of their first granule, as
 * with all objects, so the marker asks no question; they never move, and go back to the arena as
 * soon as a collection has found them dead.
 */
#include <string.h>

#include "gc/large.h"
#include "gc/size.h"

/* The heap's share of the limit is taken before there is memory for it: threads that allocate at
 * the same time do not pass it together. */
static bool room_reserve(struct gc_heap *heap, struct gc_thread *thread, size_t slices)
{
    enum fh_gc_why why;
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    bool allowed = size_allows(heap, slices, &why);
    if (allowed) heap->large_bytes += slices << SLICE_SHIFT;
    if (heap_bytes(heap) > heap->stats.heap_bytes_peak)
        heap->stats.heap_bytes_peak = heap_bytes(heap);
    lock_give(&heap->lock);
    thread_leave(thread);
    return allowed;
}

static void room_return(struct gc_heap *heap, struct gc_thread *thread, size_t slices)
{
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    heap->large_bytes -= slices << SLICE_SHIFT;
    lock_give(&heap->lock);
    thread_leave(thread);
}

/* Enters the object into the heap, with its mark byte: a collection may look at it from then on. */
static bool gc_large_enter(struct gc_heap *heap, struct gc_block *block, size_t size, uint32_t id)
{
    size_t slices = LOAD(&block->slices);
    uint8_t *meta = meta_of(gc_block_start(block));
    uint16_t stamp = FH_GC_STAMP(id & 0xffff, 48);
    gc_lock_take(&heap->lock);
    uint32_t *entry = NULL;
    if (side_commit(gc_block_index(block) + (uint32_t)slices)) entry = vector_add(&heap->large);
    if (entry) {
        *entry = gc_block_index(block);
        block->position = (uint32_t)(heap->large.count - 1);
        block->young = true;
        /* While a cycle goes on what is new is alive until its end. */
        bool black = mutator_of(gc_local.thread, heap)->black;
        unsigned state = black ? heap->mark : META_YOUNG;
        if (heap->logs && LOAD(&heap->phase) != PHASE_IDLE && !black)
            log_fill(gc_block_start(block), base_round_up(size, 8), true);
        meta_store(meta + 1, (uint8_t)(stamp >> 8));
        meta_store(meta, (uint8_t)((stamp & ~META_STATE) | state));
        STORE(&block->bytes, size);
        STORE(&block->owner, heap);
        STORE(&block->state, BLOCK_CURRENT);
        STORE_RELEASE(&block->kind, FH_SPAN_GC_LARGE);
    }
    lock_give(&heap->lock);
    return entry != NULL;
}

/* So many slices that read as zeros; NULL. The thread may be stopped while it zeroes them, as it
 * holds nothing and nobody knows of them yet: a gigabyte takes longer than others should wait. Not
 * busy. */
static struct span *gc_large_span(struct gc_thread *thread, size_t slices, size_t size)
{
    thread_enter(thread);
    struct span *span = span_allocate(slices, 1, DENSE);
    thread_leave(thread);
    if (span && !(span->flags & FH_SPAN_ZERO))
        memset(span_start(span), 0, base_round_up(size, GC_GRANULE));
    return span;
}

/* The object, which the caller's frame holds before the thread can be stopped; NULL. */
static void *gc_large_finish(struct gc_heap *heap, struct gc_thread *thread, struct span *span,
                             size_t size, uint32_t id)
{
    void *p = span_start(span);
    thread_enter(thread);
    if (gc_large_enter(heap, (struct gc_block *)span, size, id)) {
        span_mark_body(span);
    } else {
        span_free(span);
        p = NULL;
    }
    __asm__ volatile("" : "+r"(p)); /* not the span, from which it could be computed later */
    thread_leave(thread);
    return p;
}

void *gc_large_allocate(struct gc_heap *heap, struct gc_thread *thread, size_t size, uint32_t id)
{
    size_t slices = gc_large_slices(heap, size);
    if (!room_reserve(heap, thread, slices)) return NULL;
    struct span *span = gc_large_span(thread, slices, size);
    void *p = span ? gc_large_finish(heap, thread, span, size, id) : NULL;
    gc_local.refused = p == NULL;
    if (p == NULL)
        room_return(heap, thread, slices);
    else
        atomic_fetch_add_explicit(&heap->allocated, size, memory_order_relaxed);
    return p;
}

/* Room that others had reserved is nobody's. */
void gc_large_fork_child(struct gc_heap *heap)
{
    size_t slices = 0;
    for (size_t i = 0; i < heap->large.count; i++)
        slices += LOAD(&gc_block_at(*(uint32_t *)vector_at(&heap->large, i))->slices);
    heap->large_bytes = slices << SLICE_SHIFT;
}

void gc_large_find_dead(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->large.count;) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        uint8_t *meta = meta_of(gc_block_start(block));
        if ((meta_load(meta) & META_STATE) == heap->mark) {
            if (block->young && heap->options.policy == FH_GC_GENERATIONAL)
                log_fill(gc_block_start(block), LOAD(&block->bytes), true);
            block->young = false;
            block->position = (uint32_t)i++;
            continue;
        }
        vector_remove(&heap->large, i);
        meta_store(meta, 0);
        block->next = heap->dead_large;
        heap->dead_large = gc_block_index(block);
        heap->large_bytes -= (size_t)LOAD(&block->slices) << SLICE_SHIFT;
    }
}

static void gc_large_destroy(struct gc_block *block)
{
    meta_store(meta_of(gc_block_start(block)), 0);
    meta_store(meta_of(gc_block_start(block)) + 1, 0);
    log_fill(gc_block_start(block), (size_t)LOAD(&block->slices) << SLICE_SHIFT, false);
    block->position = block->next = 0;
    STORE(&block->owner, NULL);
    STORE(&block->kind, FH_SPAN_NONE);
    span_free((struct span *)block);
}

void gc_large_free_dead(struct gc_heap *heap)
{
    gc_lock_take(&heap->lock);
    uint32_t index = heap->dead_large;
    heap->dead_large = 0;
    lock_give(&heap->lock);
    while (index) {
        struct gc_block *block = gc_block_at(index);
        index = block->next;
        gc_large_destroy(block);
    }
}

void gc_large_free(struct gc_heap *heap, struct gc_block *block)
{
    gc_lock_take(&heap->lock);
    vector_remove(&heap->large, block->position);
    if (block->position < heap->large.count)
        gc_block_at(*(uint32_t *)vector_at(&heap->large, block->position))->position =
            block->position;
    heap->large_bytes -= (size_t)LOAD(&block->slices) << SLICE_SHIFT;
    lock_give(&heap->lock);
    gc_large_destroy(block);
}

void heap_large_finish(struct gc_heap *heap)
{
    gc_large_free_dead(heap);
    for (size_t i = 0; i < heap->large.count; i++)
        gc_large_destroy(gc_block_at(*(uint32_t *)vector_at(&heap->large, i)));
    vector_finish(&heap->large);
    heap->large_bytes = 0;
}
