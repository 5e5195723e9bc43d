/*
 * Looking at the whole heap while the program stands: walks over objects, references and roots, and
 * the path that keeps an object alive.
 */
#include <string.h>

#include "base/format.h"
#include "gc/call.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "gc/verify.h"
#include "gc/walk.h"

struct still {
    struct gc_heap *heap;
    still_fn *function;
    void *data;
    struct stack_top top;
    uintptr_t limits[FH_GC_HEAPS];
};

/* Others stand, everything is swept: what has a state then is an object. */
static void still_begin(struct still *still)
{
    struct gc_heap *heap = still->heap;
    struct gc_thread *self = gc_local.thread;
    self->busy++;
    world_take();
    heap_sweep_all(heap);
    stack_top_publish(&still->top);
    world_stop(heap);
    while (LOAD_ACQUIRE(&heap->sweeping)) base_pause();
    gc_local.tracing = true;
    if (LOAD(&heap->phase) == PHASE_IDLE)
        for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_sweep_blocks(heap, t);
    mutators_note_holes(heap);
    contexts_close(still->limits);
}

static void still_end(const struct still *still)
{
    struct gc_heap *heap = still->heap;
    contexts_open(still->limits);
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    gc_local.tracing = false;
    world_go();
    world_give();
    thread_leave(gc_local.thread);
}

static void still_holding(void *data)
{
    struct still *still = data;
    still_begin(still);
    still->function(still->heap, still->data);
    still_end(still);
}

FH_NOINLINE void still_run(struct gc_heap *heap, still_fn *function, void *data)
{
    struct still still = {heap, function, data, {0}, {0}};
    struct gc_thread *self = thread_self();
    call_check();
    thread_has_stored(self);
    STACK_TOP(&still.top);
    modules_hold(still_holding, &still);
}

struct check {
    char what[200];
    bool good;
};

static void check_run(struct gc_heap *heap, void *data)
{
    struct check *check = data;
    check->good = heap_check(heap, false, check->what, sizeof check->what);
}

GC_PUBLIC int fh_gc_verify(struct fh_gc_heap *heap)
{
    struct check check;
    still_run(heap_of(heap), check_run, &check);
    if (!check.good) gc_say(check.what);
    return check.good ? 0 : -EINVAL;
}

struct walk {
    fh_gc_walk_fn *function;
    void *data;
};

static bool walk_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct walk *walk = data;
    (void)heap;
    (void)granules;
    return walk->function(meta_address(meta), object_size(meta), type_at(meta)->public, walk->data);
}

static void walk_run(struct gc_heap *heap, void *walk)
{
    heap_each_object(heap, walk_object, walk);
}

GC_PUBLIC int fh_gc_walk(struct fh_gc_heap *heap, fh_gc_walk_fn *function, void *data)
{
    struct walk walk = {function, data};
    still_run(heap_of(heap), walk_run, &walk);
    return 0;
}

struct edges {
    struct fh_gc_visitor visitor;
    fh_gc_edge_fn *function;
    void *data;
    void *object;
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

static NO_SANITIZE void edge_range(struct fh_gc_visitor *visitor, const uintptr_t *start,
                                   size_t words)
{
    struct edges *edges = (struct edges *)visitor;
    for (size_t i = 0; i < words; i++)
        if (side_holds(start[i]))
            edge(edges, edges->roots ? (void *)(start + i) : visitor->from, start[i]);
}

static struct edges edges_of(struct gc_heap *heap, fh_gc_edge_fn *function, void *data, bool roots)
{
    return (struct edges){
        {edge_slot, edge_tagged, edge_range, heap, NULL, NULL}, function, data, NULL, roots, false};
}

static void references_run(struct gc_heap *heap, void *data)
{
    struct edges *edges = data;
    uint8_t *meta = object_find(heap, (uintptr_t)edges->object);
    edges->object = meta;
    if (meta) object_scan_all(&edges->visitor, meta);
}

GC_PUBLIC int fh_gc_walk_references(struct fh_gc_heap *public, void *object,
                                    fh_gc_edge_fn *function, void *data)
{
    struct gc_heap *heap = heap_of(public);
    struct edges edges = edges_of(heap, function, data, false);
    edges.object = object;
    still_run(heap, references_run, &edges);
    return edges.object ? 0 : -EINVAL;
}

static void roots_run(struct gc_heap *heap, void *edges)
{
    roots_visit(heap, edges);
}

GC_PUBLIC int fh_gc_walk_roots(struct fh_gc_heap *public, fh_gc_edge_fn *function, void *data)
{
    struct gc_heap *heap = heap_of(public);
    struct edges edges = edges_of(heap, function, data, true);
    still_run(heap, roots_run, &edges);
    return 0;
}
