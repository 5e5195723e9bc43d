// What Whippet is told about our objects and roots; it compiles this into itself.
#include "backends/tagged.h"

#include <stdatomic.h>
#include <sys/types.h>

#include "gc-atomics.h"
#include "gc-config.h"
#include "gc-embedder-api.h"

struct whippet_header {
    uintptr_t tag;
};
#define GC_EMBEDDER_EPHEMERON_HEADER struct whippet_header header;
#define GC_EMBEDDER_FINALIZER_HEADER struct whippet_header header;

#include "gc-ephemeron.h"
#include "gc-finalizer.h"

typedef void edge_visit(struct gc_edge edge, struct gc_heap *heap, void *data);
typedef void pinned_visit(struct gc_ref ref, struct gc_heap *heap, void *data);
typedef void range_visit(uintptr_t start, uintptr_t end, int interior, struct gc_heap *heap,
                         void *data);

struct gc_heap_roots {
    void **slots;
    size_t count;
};

struct gc_mutator_roots {
    char none;
};

static inline uintptr_t *whippet_tag(struct gc_ref ref)
{
    return gc_ref_heap_object(ref);
}

static inline size_t gc_finalizer_priority_count(void)
{
    return 1;
}

// A compiler may keep no more of an array than the address of one of its slots.
static inline int gc_is_valid_conservative_ref_displacement(uintptr_t displacement)
{
    (void)displacement;
    return 1;
}

static inline int gc_extern_space_visit(struct gc_extern_space *space, struct gc_ref ref)
{
    (void)space, (void)ref;
    GC_CRASH();
}

static inline void gc_extern_space_start_gc(struct gc_extern_space *space, int is_minor)
{
    (void)space, (void)is_minor;
}

static inline void gc_extern_space_finish_gc(struct gc_extern_space *space, int is_minor)
{
    (void)space, (void)is_minor;
}

static inline size_t gc_trace_object(struct gc_ref ref, edge_visit *visit, struct gc_heap *heap,
                                     void *data)
{
    uintptr_t tag = *whippet_tag(ref);
    void **slots = (void **)whippet_tag(ref) + 1;
    size_t count = visit ? tag_references(tag) : 0;
    for (size_t i = 0; i < count; i++) visit(gc_edge(&slots[i]), heap, data);
    if (visit && tag_kind(tag) == EPHEMERON)
        gc_trace_ephemeron(gc_ref_heap_object(ref), visit, heap, data);
    if (visit && tag_kind(tag) == FINALIZER)
        gc_trace_finalizer(gc_ref_heap_object(ref), visit, heap, data);
    return tag_size(tag);
}

static inline void gc_trace_mutator_roots(struct gc_mutator_roots *roots, edge_visit *visit,
                                          struct gc_heap *heap, void *data)
{
    (void)roots, (void)visit, (void)heap, (void)data;
}

static inline void gc_trace_heap_roots(struct gc_heap_roots *roots, edge_visit *visit,
                                       struct gc_heap *heap, void *data)
{
    for (size_t i = 0; roots && i < roots->count; i++)
        if (roots->slots[i]) visit(gc_edge(&roots->slots[i]), heap, data);
}

static inline void gc_trace_mutator_pinned_roots(struct gc_mutator_roots *roots,
                                                 pinned_visit *pinned, range_visit *range,
                                                 struct gc_heap *heap, void *data)
{
    (void)roots, (void)pinned, (void)range, (void)heap, (void)data;
}

static inline void gc_trace_heap_pinned_roots(struct gc_heap_roots *roots, pinned_visit *pinned,
                                              range_visit *range, struct gc_heap *heap, void *data)
{
    (void)roots, (void)pinned, (void)range, (void)heap, (void)data;
}

// --- moving --------------------------------------------------------------------------------------

// The tag is 0 while somebody moves the object, and even once it has moved.
static inline enum gc_forwarding_state whippet_state(uintptr_t tag)
{
    if (tag == 0) return GC_FORWARDING_STATE_BUSY;
    return tag & 1 ? GC_FORWARDING_STATE_NOT_FORWARDED : GC_FORWARDING_STATE_FORWARDED;
}

static inline uintptr_t gc_object_forwarded_nonatomic(struct gc_ref ref)
{
    uintptr_t tag = *whippet_tag(ref);
    return tag & 1 ? 0 : tag;
}

static inline void gc_object_forward_nonatomic(struct gc_ref ref, struct gc_ref to)
{
    *whippet_tag(ref) = gc_ref_value(to);
}

static inline struct gc_atomic_forward gc_atomic_forward_begin(struct gc_ref ref)
{
    uintptr_t tag = gc_atomic_load(whippet_tag(ref));
    return (struct gc_atomic_forward){ref, tag, whippet_state(tag)};
}

static inline int gc_atomic_forward_retry_busy(struct gc_atomic_forward *forward)
{
    uintptr_t tag = gc_atomic_load(whippet_tag(forward->ref));
    if (tag == 0) return 0;
    forward->data = tag;
    forward->state = whippet_state(tag);
    return 1;
}

static inline void gc_atomic_forward_acquire(struct gc_atomic_forward *forward)
{
    if (gc_atomic_cmpxchg_strong(whippet_tag(forward->ref), &forward->data, 0))
        forward->state = GC_FORWARDING_STATE_ACQUIRED;
    else
        forward->state = whippet_state(forward->data);
}

static inline void gc_atomic_forward_abort(struct gc_atomic_forward *forward)
{
    gc_atomic_store(whippet_tag(forward->ref), forward->data);
    forward->state = GC_FORWARDING_STATE_NOT_FORWARDED;
}

static inline size_t gc_atomic_forward_object_size(struct gc_atomic_forward *forward)
{
    return tag_size(forward->data);
}

static inline void gc_atomic_forward_commit(struct gc_atomic_forward *forward, struct gc_ref to)
{
    *whippet_tag(to) = forward->data;
    gc_atomic_store(whippet_tag(forward->ref), gc_ref_value(to));
    forward->state = GC_FORWARDING_STATE_FORWARDED;
}

static inline uintptr_t gc_atomic_forward_address(struct gc_atomic_forward *forward)
{
    return forward->data;
}
