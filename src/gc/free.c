/*
 * Objects that the program frees itself, as allocators are used: known to be garbage before any
 * collection.
 *
 * A small one becomes an object of a type of its own, without references, in a list of its thread's
 * by size, and the next allocation of that size takes it from there. To everybody else it is an
 * object still: so no sweep and no search of a block gives its granules away a second time. A
 * collection forgets the lists and finds such objects dead like others; that it was one is told by
 * heap->cycle, which rises while threads stand.
 *
 * Whoever writes to the bytes of an object in a block that waits to be swept races with the sweep,
 * which writes eight at a time: so the block is swept first; and if somebody is at it just then,
 * the object is left to the next collection.
 *
 * Rejected: clearing the bytes of small ones too (the granules come back only when their block is
 * taken or swept next); lists that live on through collections (they would have to be marked, or
 * blocks to know of them).
 */
#include <string.h>

#include "gc/free.h"
#include "gc/large.h"
#include "gc/object.h"

/* The first bytes of an object tell its type; that of its end stays. */
static void object_retype(uint8_t *meta, size_t granules, unsigned number)
{
    uint16_t stamp = FH_GC_STAMP(number, granules << GC_SHIFT);
    if (granules > 1) meta_store(meta + 1, (uint8_t)(stamp >> 8));
    meta_store(meta, (uint8_t)stamp);
}

static void freed_renew(const struct gc_heap *heap, struct gc_freed *freed)
{
    uint32_t cycle = LOAD(&heap->cycle);
    if (LIKELY(freed->cycle == cycle)) return;
    memset(freed, 0, sizeof *freed);
    freed->cycle = cycle;
}

static void freed_put(const struct gc_heap *heap, struct gc_freed *freed, uint8_t *meta,
                      size_t granules)
{
    void *p = meta_address(meta);
    freed_renew(heap, freed);
    object_retype(meta, granules, TYPE_FREED);
    *(void **)p = freed->first[granules];
    freed->first[granules] = p;
}

/* The bytes go: whoever maps the block next finds a hole. A mapper holds the lock too. */
static void bytes_clear(struct gc_heap *heap, uint8_t *meta, size_t granules)
{
    gc_lock_take(&heap->lock);
    memset(meta, 0, granules);
    lock_give(&heap->lock);
}

static void object_free(struct gc_heap *heap, struct gc_freed *freed, uint8_t *meta)
{
    struct gc_block *block = gc_block_of(meta_address(meta));
    if (LOAD(&block->kind) == FH_SPAN_GC_LARGE) {
        gc_large_free(heap, block);
        return;
    }
    if (LOAD(&block->cycle) != LOAD(&heap->cycle) && !block_sweep_now(heap, block)) return;
    size_t granules = meta_granules(meta);
    if (granules <= FREED_SIZES)
        freed_put(heap, freed, meta, granules);
    else
        bytes_clear(heap, meta, granules);
}

bool gc_free(struct gc_heap *heap, struct gc_freed *freed, void *p)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    uint8_t *meta = object_find(heap, (uintptr_t)p);
    bool found =
        meta && meta_address(meta) == p && object_is_live(heap, meta) && !gc_is_freed(meta);
    /* A marker may be looking at it: then it is garbage like any other. */
    if (found && LOAD(&heap->phase) == PHASE_IDLE) object_free(heap, freed, meta);
    thread_leave(thread);
    return found;
}

void *gc_freed_take(struct gc_heap *heap, struct gc_freed *freed, size_t granules, uint32_t id)
{
    struct gc_thread *thread = thread_self();
    if (granules > FREED_SIZES) return NULL;
    thread_enter(thread);
    freed_renew(heap, freed);
    void *p = LOAD(&heap->phase) == PHASE_IDLE ? freed->first[granules] : NULL;
    if (p) {
        freed->first[granules] = *(void **)p;
        memset(p, 0, granules << GC_SHIFT);
        object_retype(meta_of(p), granules, granules == 1 ? id >> 16 : id & 0xffff);
    }
    thread_leave(thread);
    return p;
}
