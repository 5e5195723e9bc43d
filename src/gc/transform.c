/*
 * Transform: every exact reference to an object becomes one to another, while the program stands.
 * First everything ambiguous is searched; a reference there cannot be told from a number, so then
 * nothing is changed at all.
 */
#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/walk.h"

struct transform {
    struct fh_gc_visitor visitor;
    void *const *from, *const *to;
    size_t count;
    bool ambiguous;
};

/* Where this reference shall point; 0 if it stays. */
static uintptr_t replacement(const struct transform *t, uintptr_t word)
{
    for (size_t i = 0; i < t->count; i++)
        if ((uintptr_t)t->from[i] == word) return (uintptr_t)t->to[i];
    return 0;
}

static void replace_slot(struct fh_gc_visitor *visitor, void **slot)
{
    uintptr_t to = replacement((struct transform *)visitor, (uintptr_t)*slot);
    if (to) *slot = (void *)to;
}

static void replace_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    uintptr_t to = replacement((struct transform *)visitor, *slot & mask);
    if (to) *slot = (*slot & ~mask) | to;
}

static NO_SANITIZE void search_range(struct fh_gc_visitor *visitor, const uintptr_t *start,
                                     size_t words)
{
    struct transform *t = (struct transform *)visitor;
    uintptr_t low = (uintptr_t)t->from, high = low + t->count * sizeof *t->from;
    for (size_t i = 0; i < words; i++) {
        if (!side_holds(start[i])) continue;
        if ((uintptr_t)(start + i) >= low && (uintptr_t)(start + i) < high) continue;
        uint8_t *meta = object_find(visitor->heap, start[i]);
        if (meta && replacement(t, (uintptr_t)meta_address(meta))) t->ambiguous = true;
    }
}

static bool transform_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    (void)heap;
    (void)granules;
    object_scan_all(data, meta);
    return true;
}

static void transform_all(struct gc_heap *heap, struct transform *t)
{
    roots_visit(heap, &t->visitor);
    heap_each_object(heap, transform_object, t);
}

static void transform_run(struct gc_heap *heap, void *data)
{
    struct transform *t = data;
    transform_all(heap, t);
    if (t->ambiguous) return;
    struct mutator *mutator = mutator_of(gc_local.thread, heap);
    t->visitor =
        (struct fh_gc_visitor){replace_slot, replace_tagged, range_ignore, heap, NULL, NULL};
    transform_all(heap, t);
    /* Old objects may refer to young ones now; and a cycle that goes on has to know of both. */
    STORE(&heap->remembered_lost, heap->logs);
    for (size_t i = 0; i < t->count && LOAD(&heap->phase) != PHASE_IDLE; i++) {
        shade(heap, mutator, t->from[i]);
        shade(heap, mutator, t->to[i]);
    }
}

GC_PUBLIC int fh_gc_transform(struct fh_gc_heap *public, void *const *from, void *const *to,
                              size_t count)
{
    struct gc_heap *heap = heap_of(public);
    for (size_t i = 0; i < count; i++)
        if (fh_gc_base(public, from[i]) != from[i] || fh_gc_base(public, to[i]) != to[i])
            return -EINVAL;
    struct transform t = {
        {slot_ignore, tagged_ignore, search_range, heap, NULL, NULL}, from, to, count, false};
    still_run(heap, transform_run, &t);
    return t.ambiguous ? -EBUSY : 0;
}
