/*
 * Looking at the whole heap while the program stands: walks over objects, references and roots, and the
 * path that keeps an object alive.
 */
#include <string.h>

#include "base/format.h"
#include "gc/mark.h"

/* ---- standing still -------------------------------------------------------------------------------------- */

/* Stops all others, everything swept: what has a state then is an object. */
void still_begin(struct gc_heap *heap)
{
    struct gc_thread *self = thread_self();
    self->busy++;
    world_take();
    roots_refresh(heap);
    heap_sweep_all(heap);
    thread_publish(self);
    world_stop(heap);
    while (LOAD_ACQUIRE(&heap->sweeping)) base_pause();
    gc_local.tracing = true;
    if (LOAD(&heap->phase) == PHASE_IDLE)
        for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_sweep_blocks(heap, t);
    mutators_note_holes(heap);
}

void still_end(struct gc_heap *heap)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    gc_local.tracing = false;
    world_go();
    world_give();
    thread_leave(thread_self());
}

GC_PUBLIC int fh_gc_verify(struct fh_gc_heap *public)
{
    struct gc_heap *heap = heap_of(public);
    char what[200];
    still_begin(heap);
    bool good = heap_check(heap, false, what, sizeof what);
    still_end(heap);
    if (!good) gc_say(what);
    return good ? 0 : -EINVAL;
}

/* ---- walks ------------------------------------------------------------------------------------------------- */

struct walk {
    fh_gc_walk_fn *function;
    void *data;
};

static bool walk_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct walk *walk = data;
    (void)heap;
    size_t size = granules << GC_SHIFT;
    if (size > OBJECT_MAX) size = object_size(meta);
    return walk->function(meta_address(meta), size, type_at(meta)->public, walk->data);
}

GC_PUBLIC int fh_gc_walk(struct fh_gc_heap *public, fh_gc_walk_fn *function, void *data)
{
    struct gc_heap *heap = heap_of(public);
    struct walk walk = {function, data};
    still_begin(heap);
    heap_each_object(heap, walk_object, &walk);
    still_end(heap);
    return 0;
}

struct edges {
    struct fh_gc_visitor visitor;
    fh_gc_edge_fn *function;
    void *data;
    bool roots; /* `from` is the slot */
    bool stopped;
};

static void edge(struct edges *edges, void *from, uintptr_t word)
{
    if (edges->stopped) return;
    uint8_t *meta = object_find(edges->visitor.heap, word);
    if (meta && !edges->function(from, meta_address(meta), edges->data)) edges->stopped = true;
}

static void edge_slot(struct fh_gc_visitor *visitor, void **slot)
{
    struct edges *edges = (struct edges *)visitor;
    edge(edges, edges->roots ? (void *)slot : visitor->from, (uintptr_t)*slot);
}

static void edge_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    struct edges *edges = (struct edges *)visitor;
    edge(edges, edges->roots ? (void *)slot : visitor->from, *slot & mask);
}

__attribute__((no_sanitize("address", "thread"))) static void edge_range(
    struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    struct edges *edges = (struct edges *)visitor;
    for (size_t i = 0; i < words; i++)
        if (side_holds(start[i]))
            edge(edges, edges->roots ? (void *)(start + i) : visitor->from, start[i]);
}

static struct edges edges_of(struct gc_heap *heap, fh_gc_edge_fn *function, void *data, bool roots)
{
    return (struct edges){
        {edge_slot, edge_tagged, edge_range, heap, NULL, NULL}, function, data, roots, false};
}

GC_PUBLIC int fh_gc_walk_references(struct fh_gc_heap *public, void *object,
                                    fh_gc_edge_fn *function, void *data)
{
    struct gc_heap *heap = heap_of(public);
    struct edges edges = edges_of(heap, function, data, false);
    still_begin(heap);
    uint8_t *meta = object_find(heap, (uintptr_t)object);
    if (meta) object_scan(&edges.visitor, meta);
    still_end(heap);
    return meta ? 0 : -EINVAL;
}

GC_PUBLIC int fh_gc_walk_roots(struct fh_gc_heap *public, fh_gc_edge_fn *function, void *data)
{
    struct gc_heap *heap = heap_of(public);
    struct edges edges = edges_of(heap, function, data, true);
    still_begin(heap);
    roots_visit(heap, &edges.visitor);
    still_end(heap);
    return 0;
}
