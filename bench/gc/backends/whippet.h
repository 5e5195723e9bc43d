// Whippet's mark-region collector: parallel, stacks conservative, the heap exact; plain (whippet-mmc)
// and generational (whippet-gen-mmc). Its copying kinds want every local variable in a handle.
#include "backends/tagged.h"

#include <sys/types.h>

#include "gc-allocate.h"
#include "gc-api.h"
#include "gc-barrier.h"
#include "gc-ephemeron.h"
#include "gc-finalizer.h"
#include "gc-safepoint.h"

#define BACKEND_BY_HAND 0
#define BACKEND_EPHEMERONS TRUE_EPHEMERONS
#define BACKEND_FINALIZERS 1

extern _Thread_local struct gc_mutator *mutator;

// The barrier goes by the size of the object that is stored to.
#define WHIPPET_SIZE(object)                                                                       \
    _Generic((object), struct array * : tag_size((object)->head.word), default : sizeof *(object))

#define STORE(object, slot, value)                                                                 \
    do {                                                                                           \
        __typeof__(*(slot)) value_ = (value);                                                      \
        if (value_)                                                                                \
            gc_write_barrier(mutator, gc_ref_from_heap_object(object), WHIPPET_SIZE(object),       \
                             gc_edge(slot), gc_ref_from_heap_object(value_));                      \
        *(slot) = value_;                                                                          \
    } while (0)
#define INIT(object, slot, value) (*(slot) = (value))
#define ROOT_STORE(index, value) (roots[index] = (value))

static inline void mutator_wait_begin(void)
{
    gc_deactivate(mutator);
}

static inline void mutator_wait_end(void)
{
    gc_reactivate(mutator);
}

static inline void mutator_poll(void)
{
    gc_safepoint(mutator);
}

static inline void *whippet_make(enum kind kind, size_t size, enum gc_allocation_kind how)
{
    size = (size + 15) & ~(size_t)15;
    void *object = gc_allocate(mutator, size, how);
    if (GC_UNLIKELY(!object)) heap_exhausted(size);
    *(uintptr_t *)object = tag_make(kind, size);
    return object;
}

static inline struct node *node_new(void)
{
    return whippet_make(NODE, sizeof(struct node), GC_ALLOCATION_TAGGED);
}

static inline struct tree *tree_new(void)
{
    return whippet_make(TREE, sizeof(struct tree), GC_ALLOCATION_TAGGED);
}

static inline struct quad *quad_new(void)
{
    return whippet_make(QUAD, sizeof(struct quad), GC_ALLOCATION_TAGGED);
}

static inline struct array *array_new(size_t count)
{
    return whippet_make(ARRAY, sizeof(struct array) + count * sizeof(void *), GC_ALLOCATION_TAGGED);
}

static inline struct bytes *bytes_new(size_t size)
{
    return whippet_make(BYTES, sizeof(struct bytes) + size, GC_ALLOCATION_TAGGED_POINTERLESS);
}

static inline void object_free(void *object)
{
    (void)object;
}

static inline struct ephemeron *ephemeron_new(struct node *key, struct node *value)
{
    struct gc_ephemeron *made = gc_allocate_ephemeron(mutator);
    *(uintptr_t *)made = tag_make(EPHEMERON, gc_ephemeron_size());
    gc_ephemeron_init(mutator, made, gc_ref_from_heap_object(key), gc_ref_from_heap_object(value));
    return (struct ephemeron *)made;
}

static inline struct node *ephemeron_key(struct ephemeron *ephemeron)
{
    return (void *)gc_ref_value(gc_ephemeron_key((struct gc_ephemeron *)ephemeron));
}

static inline struct node *ephemeron_value(struct ephemeron *ephemeron)
{
    return (void *)gc_ref_value(gc_ephemeron_value((struct gc_ephemeron *)ephemeron));
}

void whippet_finalizer_add(struct node *object, finalizer *function);

static inline void finalizer_add(struct node *object, finalizer *function)
{
    whippet_finalizer_add(object, function);
}
