#include "kit/heap.h"

#include "backends/whippet-embedder.h"
#include "gc-basic-stats.h"

static struct gc_heap *heap;
static struct gc_basic_stats stats;
static struct gc_heap_roots heap_roots = {roots, ROOTS};
static finalizer *finalize; // of all objects: no workload has two

_Thread_local struct gc_mutator *mutator;

static void *refuse(struct gc_heap *exhausted, size_t size)
{
    (void)exhausted;
    heap_exhausted(size);
}

void heap_open(size_t limit)
{
    struct gc_options *options = gc_allocate_options();
    gc_options_set_int(options, GC_OPTION_HEAP_SIZE_POLICY, GC_HEAP_SIZE_FIXED);
    gc_options_set_size(options, GC_OPTION_HEAP_SIZE, limit);
    if (!gc_init(options, gc_empty_stack_addr(), &heap, &mutator, GC_BASIC_STATS, &stats))
        fail("no heap");
    gc_heap_set_roots(heap, &heap_roots);
    gc_heap_set_allocation_failure_handler(heap, refuse);
}

void heap_collect(void)
{
    gc_collect(mutator, GC_COLLECTION_MAJOR);
}

unsigned long heap_collections(void)
{
    return (unsigned long)(stats.major_collection_count + stats.minor_collection_count);
}

void mutator_enter(void)
{
    mutator = gc_init_for_thread(gc_empty_stack_addr(), heap);
}

void mutator_leave(void)
{
    gc_finish_for_thread(mutator);
}

// A finalizer's closure must be an object: one that is made for the purpose, in a root of its own.
void whippet_finalizer_add(struct node *object, finalizer *function)
{
    if (!roots[ROOTS - 1]) roots[ROOTS - 1] = node_new();
    struct gc_finalizer *made = gc_allocate_finalizer(mutator);
    *(uintptr_t *)made = tag_make(FINALIZER, gc_finalizer_size());
    finalize = function;
    gc_finalizer_attach(mutator, made, 0, gc_ref_from_heap_object(object),
                        gc_ref_from_heap_object(roots[ROOTS - 1]));
}

size_t finalizers_run(void)
{
    size_t count = 0;
    struct gc_finalizer *due;
    for (; (due = gc_pop_finalizable(mutator)); count++)
        finalize(gc_ref_heap_object(gc_finalizer_object(due)));
    return count;
}
