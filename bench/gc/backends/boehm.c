#include "kit/heap.h"

#include <stdio.h>
#include <stdlib.h>

// The heap is all there from the start and used to its end before anything is collected: with the
// collector's own sizing it is five times slower. It has to be said before the collector starts.
void heap_open(size_t limit)
{
    char size[32];
    snprintf(size, sizeof size, "%zu", limit);
    setenv("GC_INITIAL_HEAP_SIZE", size, 1);
    setenv("GC_USE_ENTIRE_HEAP", "1", 1);
    GC_set_all_interior_pointers(0);
    GC_set_finalize_on_demand(1);
    GC_set_free_space_divisor(1);
    GC_set_max_heap_size(limit);
    // Without these it gives up at the first request that neither fits nor may make the heap grow.
    GC_set_dont_expand(1);
    GC_set_max_retries(8);
    GC_INIT();
    GC_allow_register_threads();
    GC_start_mark_threads();
    GC_set_warn_proc(GC_ignore_warn_proc);
    GC_add_roots(roots, roots + ROOTS);
}

void heap_collect(void)
{
    GC_gcollect();
}

unsigned long heap_collections(void)
{
    return (unsigned long)GC_get_gc_no();
}

void mutator_enter(void)
{
    struct GC_stack_base base;
    if (GC_get_stack_base(&base) != GC_SUCCESS || GC_register_my_thread(&base) != GC_SUCCESS)
        fail("the thread is not registered");
}

void mutator_leave(void)
{
    GC_unregister_my_thread();
}

// --- weakness ------------------------------------------------------------------------------------

struct ephemeron *boehm_ephemeron_new(struct node *key, struct node *value)
{
    struct ephemeron *ephemeron = object_made(GC_malloc(sizeof *ephemeron), sizeof *ephemeron);
    ephemeron->key = (void *)GC_HIDE_POINTER(key);
    ephemeron->value = value;
    if (GC_general_register_disappearing_link(&ephemeron->key, key) == GC_NO_MEMORY)
        heap_exhausted(sizeof *ephemeron);
    return ephemeron;
}

// Under the allocation lock, or the key could be collected between being read and being revealed.
static void *key_reveal(void *ephemeron)
{
    void *hidden = ((struct ephemeron *)ephemeron)->key;
    return hidden ? GC_REVEAL_POINTER(hidden) : NULL;
}

struct node *boehm_ephemeron_key(struct ephemeron *ephemeron)
{
    return GC_call_with_alloc_lock(key_reveal, ephemeron);
}

void boehm_finalize(void *object, void *function)
{
    ((finalizer *)function)(object);
}

size_t finalizers_run(void)
{
    return GC_should_invoke_finalizers() ? (size_t)GC_invoke_finalizers() : 0;
}
