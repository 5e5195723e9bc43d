/* Where the bytes of all heaps are: a walk over every span while the program goes on. */
#include "base/lanes.h"
#include "heap/slab.h"

/* A thread's list, which its thread may be changing: every step is checked to be a free block of a
 * slab, so that one that was handed out meanwhile ends the walk, whatever is in it. Blocks are counted
 * by the class of their slab, which may have been borrowed. */
static void list_count(struct heap *heap, unsigned list, uint64_t blocks[CLASSES])
{
    struct block *block = LOAD(&heap->head[list]);
    for (unsigned n = 0; block && n < SLICE_SIZE / 16; n++) {
        struct span *slab = arena_holds(block) ? span_find(block) : NULL;
        if (slab == NULL || LOAD(&slab->kind) != FH_SPAN_SLAB || (uintptr_t)block % 16) break;
        if (!slab_block_is_free(slab, block)) break;
        blocks[slab->size_class]++;
        block = LOAD(&block->next);
    }
}

void heap_listed(struct heap *heap, uint64_t blocks[CLASSES])
{
    for (unsigned c = 0; c < CLASSES; c++) blocks[c] = 0;
    for (unsigned c = 1; c < CLASSES; c++) list_count(heap, c, blocks);
}

void heap_allocated(struct heap *heap, uint64_t blocks[CLASSES])
{
    uint64_t listed[CLASSES];
    heap_listed(heap, listed);
    for (unsigned c = 0; c < CLASSES; c++) {
        uint64_t taken = __atomic_load_n(&heap->allocated[c], __ATOMIC_RELAXED);
        blocks[c] = taken - base_min(taken, listed[c]);
    }
}

static void span_add(struct span *span, void *context)
{
    struct fh_usage *usage = context;
    if (LOAD(&span->kind) == FH_SPAN_LARGE) {
        usage->live += LOAD(&span->bytes);
        return;
    }
    uint64_t touched = (CARVES - (unsigned)__builtin_popcount(span->clean)) * CARVE_SIZE;
    if (LOAD(&span->kind) == FH_SPAN_RUNS) {
        uint64_t live = (64 - lanes_count(LOAD(&span->bytes))) << FH_GRANULE_SHIFT;
        usage->live += live;
        if (touched > live) usage->free_in_slabs += touched - live;
        return;
    }
    uint64_t size = class_facts[span->size_class].size;
    uint64_t used = slab_used(span) * size, remote = (LOAD(&span->remote) >> 16) * size;
    usage->live += used - base_min(remote, used);
    usage->remote += remote;
    if (touched > used) usage->free_in_slabs += touched - used;
}

static void heap_add(struct heap *heap, struct fh_usage *usage)
{
    uint64_t listed[CLASSES];
    heap_listed(heap, listed);
    for (unsigned c = 1; c < CLASSES; c++) usage->thread_lists += listed[c] * class_facts[c].size;
    for (int i = 0; i < REMOTE_SETS; i++) {
        struct remote_set *set = &heap->remote[i];
        uint32_t slab = __atomic_load_n(&set->slab, __ATOMIC_RELAXED);
        uint64_t count = __atomic_load_n(&set->count, __ATOMIC_RELAXED);
        if (slab) usage->remote += count * class_facts[span_at(slab)->size_class].size;
    }
}

void heap_usage(struct fh_usage *usage)
{
    *usage = (struct fh_usage){0};
    span_each(span_add, usage);
    uint64_t counted_live = usage->remote; /* a thread's table is still counted as in use */
    for (uint32_t i = 0; i < heap_count(); i++) heap_add(heap_at(i), usage);
    uint64_t not_live = usage->thread_lists + usage->remote - counted_live;
    usage->live -= base_min(not_live, usage->live);
    usage->dirty = __atomic_load_n(&fh_registry.dirty_slices, __ATOMIC_RELAXED) << SLICE_SHIFT;
    usage->metadata =
        heap_count() * sizeof(struct heap) + (fh_registry.high - arena.first) * sizeof(struct span);
}
