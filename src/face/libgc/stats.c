/*
 * Numbers. What a thread has allocated of its hole is told when it leaves it, so sums lag behind by at most one hole
 * of each other thread; the caller's own are told first.
 */
#include <string.h>

#include "face/libgc/libgc.h"

struct prof_stats {
    GC_word heap_size, free_bytes, unmapped_bytes, bytes_since_gc, bytes_before_gc, non_gc_bytes,
        gc_no, markers_m1, reclaimed_since_gc, reclaimed_before_gc, freed_since_gc,
        obtained_from_os;
};

size_t libgc_used(const struct gc_heap *heap)
{
    return heap->live + (LOAD(&heap->allocated) - heap->snapshot_allocated);
}

/* With what the caller has allocated; NULL before there is a heap. */
static struct gc_heap *heap_told(void)
{
    struct gc_heap *heap = __atomic_load_n(&libgc.heap, __ATOMIC_ACQUIRE);
    if (heap == NULL) return NULL;
    struct gc_thread *thread = libgc_enter();
    if (thread) mutator_tell(heap, thread);
    libgc_leave(thread);
    return heap;
}

GC_API size_t GC_get_heap_size(void)
{
    const struct gc_heap *heap = heap_told();
    return heap ? heap_bytes(heap) : 0;
}

GC_API size_t GC_get_free_bytes(void)
{
    const struct gc_heap *heap = heap_told();
    size_t size = heap ? heap_bytes(heap) : 0;
    return heap ? size - base_min(libgc_used(heap), size) : 0;
}

GC_API size_t GC_get_unmapped_bytes(void)
{
    return 0; /* what is given back is not in the heap's size */
}

GC_API size_t GC_get_bytes_since_gc(void)
{
    const struct gc_heap *heap = heap_told();
    return heap ? LOAD(&heap->allocated) - heap->snapshot_allocated : 0;
}

GC_API size_t GC_get_expl_freed_bytes_since_gc(void)
{
    return heap_told() ? freed_since_collection() : 0;
}

GC_API size_t GC_get_total_bytes(void)
{
    const struct gc_heap *heap = heap_told();
    return heap ? LOAD(&heap->allocated) : 0;
}

GC_API size_t GC_get_obtained_from_os_bytes(void)
{
    return __atomic_load_n(&fh_registry.committed, __ATOMIC_RELAXED);
}

GC_API size_t GC_get_memory_use(void)
{
    const struct gc_heap *heap = heap_told();
    return heap ? libgc_used(heap) : 0;
}

GC_API GC_word GC_get_gc_no(void)
{
    return GC_gc_no;
}

GC_API int GC_get_parallel(void)
{
    return GC_parallel;
}

GC_API size_t GC_get_size_map_at(int granules)
{
    return granules < 0 ? (size_t)-1 : base_max((size_t)granules, 1);
}

GC_API void GC_get_heap_usage_safe(GC_word *size, GC_word *free_bytes, GC_word *unmapped,
                                   GC_word *since, GC_word *total)
{
    if (size) *size = GC_get_heap_size();
    if (free_bytes) *free_bytes = GC_get_free_bytes();
    if (unmapped) *unmapped = 0;
    if (since) *since = GC_get_bytes_since_gc();
    if (total) *total = GC_get_total_bytes();
}

GC_API size_t GC_get_prof_stats(struct prof_stats *result, size_t size)
{
    const struct gc_heap *heap = heap_told();
    struct prof_stats stats = {0};
    if (heap) {
        stats.heap_size = heap_bytes(heap);
        stats.free_bytes = stats.heap_size - base_min(libgc_used(heap), stats.heap_size);
        stats.bytes_since_gc = LOAD(&heap->allocated) - heap->snapshot_allocated;
        stats.bytes_before_gc = heap->snapshot_allocated;
        stats.non_gc_bytes = GC_non_gc_bytes;
        stats.gc_no = GC_gc_no;
        stats.reclaimed_before_gc =
            heap->snapshot_allocated - base_min(heap->live, heap->snapshot_allocated);
        stats.freed_since_gc = freed_since_collection();
        stats.obtained_from_os = GC_get_obtained_from_os_bytes();
    }
    if (size > sizeof stats) memset((char *)result + sizeof stats, 0xff, size - sizeof stats);
    size = base_min(size, sizeof stats);
    memcpy(result, &stats, size);
    return size;
}

GC_API size_t GC_get_prof_stats_unsafe(struct prof_stats *result, size_t size)
{
    return GC_get_prof_stats(result, size);
}

GC_API void GC_start_performance_measurement(void) {}

GC_API unsigned long GC_get_full_gc_total_time(void)
{
    enum { NS_PER_MS = 1000000 };
    const struct gc_heap *heap = heap_told();
    return heap ? heap->stats.stop_ns / NS_PER_MS : 0;
}

/* ---- every object ---------------------------------------------------------------------------------------------- */

typedef void reachable_fn(void *object, size_t size, void *data);

struct reachable_walk {
    reachable_fn *function;
    void *data;
};

static bool reachable_visit(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    const struct reachable_walk *walk = data;
    (void)heap;
    if ((meta_load(meta) & META_STATE) == heap->mark && !gc_is_freed(meta))
        walk->function(meta_address(meta), granules << GC_SHIFT, walk->data);
    return true;
}

/* The same as fh_gc_walk's, but for the linker's lock: the caller is busy, as he has ours, and who has the linker's may
 * wait for him to stand; and a walk looks at no module. */
static void walk_stopped(struct gc_heap *heap, struct reachable_walk *walk)
{
    world_take();
    heap_sweep_all(heap);
    world_stop(heap);
    while (LOAD_ACQUIRE(&heap->sweeping)) base_pause();
    if (LOAD(&heap->phase) == PHASE_IDLE)
        for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_sweep_blocks(heap, t);
    mutators_note_holes(heap);
    gc_local.tracing = true;
    heap_each_object(heap, reachable_visit, walk);
    gc_local.tracing = false;
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    world_go();
    world_give();
}

/* Those that the last collection reached, while other threads stand. The caller has the lock. */
GC_API void GC_enumerate_reachable_objects_inner(reachable_fn *function, void *data)
{
    struct reachable_walk walk = {function, data};
    struct gc_heap *heap = libgc_heap();
    struct gc_thread *self = thread_self();
    thread_enter(self);
    walk_stopped(heap, &walk);
    thread_leave(self);
}
