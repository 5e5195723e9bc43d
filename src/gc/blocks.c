/*
 * All blocks of a heap, as a collection turns them: what was marked is to be swept, what was young
 * is old, and slots of what is old are to be remembered again. And all at once in the child of a
 * fork, and at the end of the heap.
 */
#include <string.h>

#include "gc/block.h"
#include "gc/heap.h"

/* Blocks that were given back leave the list, if they are an eighth of it: all others' numbers are
 * rewritten, while who allocates may wait for the lock. */
static void blocks_compact(struct gc_heap *heap)
{
    if (heap->blocks.count - heap->block_count <= heap->blocks.count / 8) return;
    uint32_t *index = (uint32_t *)heap->blocks.base;
    size_t count = 0;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        if (index[i] == 0) continue;
        gc_block_at(index[i])->position = (uint32_t)count;
        index[count++] = index[i];
    }
    heap->blocks.count = count;
}

/* Blocks that wait to be swept leave the lists of those with holes. */
static void list_drop_unswept(struct gc_heap *heap, uint32_t *link)
{
    while (*link) {
        struct gc_block *block = gc_block_at(*link);
        if (LOAD(&block->cycle) == LOAD(&heap->cycle))
            link = &block->next;
        else
            *link = block->next;
    }
}

/* After a minor collection only young blocks hold dead objects, and of the others even the list of
 * those with holes stays. Their own number is set back, and the heap's does not rise. */
static void unsweep_young(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->young.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->young, i));
        if (LOAD(&block->owner) != heap) continue; /* given back meanwhile */
        STORE(&block->cycle, LOAD(&heap->cycle) - 1);
    }
    for (unsigned i = 0; i < HOLE_CLASSES; i++) list_drop_unswept(heap, &heap->partial_first[i]);
}

void partial_forget(struct gc_heap *heap)
{
    memset(heap->partial_first, 0, sizeof heap->partial_first);
}

void heap_unsweep(struct gc_heap *heap, bool young)
{
    blocks_compact(heap);
    if (young) {
        unsweep_young(heap);
    } else {
        atomic_fetch_add(&heap->cycle, 1);
        partial_forget(heap);
    }
    heap->keeps_holes = false;
    heap->sweep_end = heap->blocks.count;
    heap->sweep_next = 0;
    heap->sweep_goes_on = true;
    heap->swept_bytes = 0;
}

static void block_arm(struct gc_block *block)
{
    char *start = gc_block_start(block);
    log_fill(start, BLOCK_SIZE, true);
    size_t busy = (size_t)(block->busy_to - block->busy_from) << GC_SHIFT;
    if (busy) log_fill(start + ((size_t)block->busy_from << GC_SHIFT), busy, false);
}

void heap_arm_young(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->young.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->young, i));
        if (LOAD(&block->owner) == heap) block_arm(block);
    }
    heap->young.count = 0;
}

void heap_arm_all(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index) block_arm(gc_block_at(index));
    }
    for (size_t i = 0; i < heap->large.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        log_fill(gc_block_start(block), LOAD(&block->bytes), true);
    }
    heap->young.count = 0;
    STORE(&heap->remembered_lost, false);
}

/* Blocks that somebody who is not there was sweeping, or about to take, are swept again. */
void blocks_fork_child(struct gc_heap *heap)
{
    const struct mutator *own = gc_local.thread ? mutator_of(gc_local.thread, heap) : NULL;
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index == 0 || (own && (index == own->block || index == own->medium_block))) continue;
        struct gc_block *block = gc_block_at(index);
        if (LOAD(&block->state) == BLOCK_CURRENT) STORE(&block->state, BLOCK_FULL);
    }
    STORE(&heap->sweeping, 0);
    heap->sweep_end = heap->blocks.count;
    heap->sweep_next = 0;
}

void heap_blocks_finish(struct gc_heap *heap)
{
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index) block_destroy(gc_block_at(index));
    }
    vector_finish(&heap->blocks);
    vector_finish(&heap->young);
    vector_finish(&heap->snapshots);
    vector_finish(&heap->remembered);
    heap->block_count = heap->free_count = 0;
    heap->free_first = 0;
    partial_forget(heap);
}
