/*
 * A thread's part of a heap, as collections see it: what it has made, which blocks it holds, when
 * it begins and ends.
 *
 * The granules that a thread may still allocate in are told to the block (`busy`) while somebody
 * looks: so a sweep or a walk passes over them. They begin at `mutator_made`, which is not always
 * the cursor, as a thread may stand in the middle of the inline path.
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/hole.h"
#include "gc/mutator.h"

void mutator_retire(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    hole_count(heap, mutator, context->cursor);
    block_leave(heap, mutator);
    medium_leave(heap, mutator);
    hole_set(heap, mutator, context, 0, 0, false);
}

void mutator_tell(struct gc_heap *heap, struct gc_thread *thread)
{
    hole_count(heap, mutator_of(thread, heap), context_of(thread, heap)->cursor);
}

static void busy_set(struct gc_block *block, uintptr_t from, uintptr_t to)
{
    uintptr_t start = (uintptr_t)gc_block_start(block);
    block->busy_from = (uint16_t)((from - start) >> GC_SHIFT);
    block->busy_to = (uint16_t)((to - start) >> GC_SHIFT);
}

/* A thread may stand with the bytes of an object at its cursor written, and the step of the cursor
 * to come: freehold/gc.h. Then the object is made. */
uintptr_t mutator_made(const struct mutator *mutator, const struct fh_gc_context *context)
{
    uintptr_t cursor = context->cursor;
    if (cursor == mutator->hole_end) return cursor;
    const uint8_t *meta = meta_of((void *)cursor);
    return meta_load(meta) & META_STATE ? cursor + (meta_granules(meta) << GC_SHIFT) : cursor;
}

void mutator_note_hole(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    if (mutator->block) {
        uintptr_t made = mutator_made(mutator, context);
        hole_count(heap, mutator, made);
        busy_set(gc_block_at(mutator->block), made, mutator->hole_end);
    }
    if (mutator->medium_block)
        busy_set(gc_block_at(mutator->medium_block), mutator->medium, mutator->medium_end);
}

void mutators_note_holes(struct gc_heap *heap)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_note_hole(heap, t);
}

void mutator_unnote_hole(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t block[] = {mutator->block, mutator->medium_block};
    for (unsigned i = 0; i < 2; i++)
        if (block[i]) gc_block_at(block[i])->busy_from = gc_block_at(block[i])->busy_to = 0;
}

/* Its own map stays: what was in use when it took the block is spared, though some of it was
 * freed. */
void mutator_sweep_blocks(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t block[] = {mutator->block, mutator->medium_block};
    uint64_t map[MAP_WORDS];
    mutator_note_hole(heap, thread);
    for (unsigned i = 0; i < 2; i++)
        if (block[i] && LOAD(&gc_block_at(block[i])->cycle) != LOAD(&heap->cycle))
            block_sweep(heap, gc_block_at(block[i]), map);
    mutator_unnote_hole(heap, thread);
}

void mutators_sweep_blocks(struct gc_heap *heap)
{
    uint64_t map[MAP_WORDS];
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        struct mutator *mutator = mutator_of(t, heap);
        uint32_t block[] = {mutator->block, mutator->medium_block};
        for (unsigned i = 0; i < 2; i++) {
            if (block[i] == 0) continue;
            block_sweep(heap, gc_block_at(block[i]), i ? map : mutator->map);
            uint32_t *young = heap->logs ? vector_add(&heap->young) : NULL;
            if (young) *young = block[i];
            if (heap->logs && !young) STORE(&heap->remembered_lost, true);
        }
    }
}

void thread_join_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    memset(mutator, 0, offsetof(struct mutator, log));
    *context_of(thread, heap) = (struct fh_gc_context){.barrier = FH_GC_BARRIER_OFF};
    if (heap->options.policy == FH_GC_GENERATIONAL)
        context_of(thread, heap)->barrier = FH_GC_BARRIER_LOG;
    uint32_t phase = LOAD(&heap->phase); /* the world lock: no handshake goes on */
    if (heap->options.policy != FH_GC_CONCURRENT) return;
    if (phase == PHASE_ARMED) {
        context_of(thread, heap)->barrier = FH_GC_BARRIER_SNOOP;
    } else if (phase != PHASE_IDLE) {
        context_of(thread, heap)->barrier = FH_GC_BARRIER_LOG;
        mutator->black = true;
    }
}

/* Its blocks may hold an object half made, its log an entry half written, or one less than log bits
 * are clear. */
void thread_forget_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    STORE(&heap->remembered_lost, heap->logs);
    if (mutator->block) block_mend(gc_block_at(mutator->block));
    if (mutator->medium_block) block_mend(gc_block_at(mutator->medium_block));
    block_leave(heap, mutator);
    medium_leave(heap, mutator);
}

void thread_leave_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    mutator_flush_log(heap, mutator_of(thread, heap));
    mutator_retire(thread, heap);
}
