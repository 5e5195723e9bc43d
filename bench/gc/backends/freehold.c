#include "kit/heap.h"

#include <string.h>

struct fh_gc_heap *heap;

void heap_open(size_t limit)
{
    struct fh_gc_options options = {
        .policy = BACKEND_POLICY, .sizing = FH_GC_FIXED, .limit = limit};
    heap = fh_gc_create(&options);
    if (!heap) fail("no heap: %s", strerror(errno));
    if (fh_gc_root_add(heap, roots, ROOTS)) fail("no roots");
}

void heap_collect(void)
{
    fh_gc_collect(heap, FH_GC_FULL);
}

unsigned long heap_collections(void)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(heap, &stats);
    return stats.collections;
}

void mutator_enter(void)
{
    fh_gc_thread_attach();
}

void mutator_leave(void)
{
    fh_gc_thread_detach();
}

void freehold_finalize(void *object, void *function)
{
    ((finalizer *)function)(object);
}

size_t finalizers_run(void)
{
    return fh_gc_finalize(heap, 0);
}
