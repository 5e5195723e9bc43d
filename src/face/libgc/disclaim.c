/*
 * Disclaiming: the objects of a kind are shown to a procedure of the program's before they go, and it may keep them.
 * Objects with a finalizer in their first word are such a kind of our own.
 *
 * Sweeping looks at no object by itself, so the heap is walked when marking has ended, while threads stand, and only
 * if there is such a kind. What goes then is swept later.
 */
#include "face/libgc/libgc.h"
#include "gc/mark.h"

typedef int disclaim_fn(void *object);

struct GC_finalizer_closure {
    finalizer_fn *proc;
    void *cd;
};

/* By kind. */
static struct {
    disclaim_fn *function;
    bool marks_below; /* what such objects refer to is not collected before them */
} disclaims[KINDS];

static bool disclaims_any, disclaims_mark_below;
static unsigned finalized_kind;

enum { CLOSURE = 1 }; /* in the first word: there is one */

static unsigned object_disclaims(struct gc_heap *heap, const uint8_t *meta)
{
    if ((meta_load(meta) & META_STATE) == heap->mark || gc_is_freed(meta)) return 0;
    unsigned kind = kind_of_type(type_at(meta)->public);
    return disclaims[kind].function ? kind : 0;
}

static bool mark_below(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    (void)granules;
    (void)data;
    unsigned kind = object_disclaims(heap, meta);
    if (kind && disclaims[kind].marks_below)
        object_scan(&heap->marking_state->marker[0].visitor, meta);
    return true;
}

static bool disclaim(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    (void)granules;
    (void)data;
    unsigned kind = object_disclaims(heap, meta);
    if (kind == 0) return true;
    called_begin("a procedure that disclaims", (uintptr_t)disclaims[kind].function,
                 meta_address(meta));
    gc_local.tracing = true; /* no call that collects, or waits for who does */
    int keep = disclaims[kind].function(meta_address(meta));
    gc_local.tracing = false;
    called_end();
    if (keep) marker_keep(&heap->marking_state->marker[0], meta_address(meta));
    return true;
}

void disclaim_dead(struct gc_heap *heap)
{
    if (!disclaims_any) return;
    heap->marking_state->marker[0].repairs = true;
    if (disclaims_mark_below) heap_each_object(heap, mark_below, NULL);
    heap->marking_state->marker[0].repairs = false;
    marking_drain(heap);
    heap_each_object(heap, disclaim, NULL);
    marking_drain(heap);
}

GC_API void GC_register_disclaim_proc(int kind, disclaim_fn *function, int marks_below)
{
    if (kind <= KIND_ATOMIC || kind >= KINDS || kind == KIND_NORMAL)
        libgc_stop(
            "GC_register_disclaim_proc: a kind whose objects cannot be disclaimed; stopping");
    disclaims[kind].function = function;
    disclaims[kind].marks_below = marks_below;
    disclaims_any = true;
    disclaims_mark_below |= marks_below;
}

static int finalized_disclaim(void *object)
{
    GC_word word = *(GC_word *)object;
    if (!(word & CLOSURE)) return 0; /* not filled in yet */
    const struct GC_finalizer_closure *closure =
        (const struct GC_finalizer_closure *)(word & ~(GC_word)CLOSURE);
    closure->proc((GC_word *)object + 1, closure->cd);
    return 0;
}

GC_API void GC_init_finalized_malloc(void)
{
    if (finalized_kind) return;
    finalized_kind = GC_new_kind(NULL, 0, 1, 1);
    GC_register_disclaim_proc((int)finalized_kind, finalized_disclaim, 1);
}

GC_API void *GC_finalized_malloc(size_t size, const struct GC_finalizer_closure *closure)
{
    GC_word *object = GC_generic_malloc(size + sizeof *object, (int)finalized_kind);
    if (object == NULL) return NULL;
    *object = (GC_word)closure | CLOSURE;
    return object + 1;
}
