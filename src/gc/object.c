/*
 * Objects by their mark bytes: which object an address is in, how long it is, whether it lives; and
 * all of them in turn. An address in a block is looked up by going back to the first byte with a
 * state; one in a large object by the span.
 */
#include "gc/fence.h"
#include "gc/object.h"

/* Goes back from p's byte to the first byte of its object. */
static uint8_t *block_find(struct gc_block *block, uint8_t *meta)
{
    uint8_t *first = meta_of(gc_block_start(block));
    if (meta_load(meta) & META_STATE) return meta;
    while (meta > first) {
        uint8_t byte = meta_load(--meta);
        if (byte & META_END) return NULL;
        if (byte & META_STATE) return meta;
    }
    return NULL;
}

uint8_t *object_find(const struct gc_heap *heap, uintptr_t p)
{
    if (!side_holds(p)) return NULL;
    struct gc_block *block = gc_block_of((void *)p);
    uint8_t kind = LOAD_ACQUIRE(&block->kind);
    if (kind == FH_SPAN_GC_BLOCK)
        return LOAD(&block->owner) == heap ? block_find(block, meta_of((void *)p)) : NULL;
    if (kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS) return NULL;
    block = (struct gc_block *)span_find((void *)p);
    if (!block || LOAD(&block->kind) != FH_SPAN_GC_LARGE || LOAD(&block->owner) != heap)
        return NULL;
    if (p - (uintptr_t)gc_block_start(block) >= LOAD(&block->bytes)) return NULL;
    uint8_t *meta = meta_of(gc_block_start(block));
    return meta_load(meta) & META_STATE ? meta : NULL;
}

size_t object_size(const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    if (LOAD(&block->kind) == FH_SPAN_GC_LARGE) return LOAD(&block->bytes);
    return (meta_granules(meta) << GC_SHIFT) - fence_size(LOAD(&block->owner));
}

/* Younger than the snapshot of the cycle that goes on, or has ended without this block being
 * swept. */
bool object_is_new(const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    const uint64_t *snapshot = LOAD_ACQUIRE(&block->snapshot);
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK || snapshot == NULL) return false;
    size_t granule = (size_t)(meta - meta_of(gc_block_start(block)));
    return !(snapshot[granule / 64] >> granule % 64 & 1);
}

bool object_is_live(const struct gc_heap *heap, const uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    unsigned state = meta_load(meta) & META_STATE;
    if (state == 0 || state == heap->mark) return state != 0;
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK) return true;
    return LOAD(&block->cycle) == LOAD(&heap->cycle) || object_is_new(meta);
}

bool block_each_object(struct gc_heap *heap, struct gc_block *block, object_fn *visit, void *data)
{
    uint8_t *start = meta_of(gc_block_start(block)), *end = start + BLOCK_GRANULES;
    for (uint8_t *meta = start; meta < end;) {
        size_t granule = (size_t)(meta - start);
        if (block->busy_from <= granule && granule < block->busy_to) {
            meta = start + block->busy_to;
        } else if (!(meta_load(meta) & META_STATE)) {
            meta++;
        } else {
            size_t granules = meta_granules(meta);
            if (object_is_live(heap, meta) && !visit(heap, meta, granules, data)) return false;
            meta += granules;
        }
    }
    return true;
}

bool heap_each_object(struct gc_heap *heap, object_fn *visit, void *data)
{
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index && !block_each_object(heap, gc_block_at(index), visit, data)) return false;
    }
    for (size_t i = 0; i < heap->large.count; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        uint8_t *meta = meta_of(gc_block_start(block));
        size_t granules = (LOAD(&block->bytes) + GC_GRANULE - 1) >> GC_SHIFT;
        if (object_is_live(heap, meta) && !visit(heap, meta, granules, data)) return false;
    }
    return true;
}
