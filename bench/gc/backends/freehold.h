// Freehold. BACKEND_POLICY (an fh_gc_policy) is the program's: freehold-mark, -generational and
// -concurrent are the same sources. Types are exact, stores go through the barrier under every policy,
// and the heap collects when it is at its limit, or as early before as the policy sees fit.
#include <freehold/gc.h>

#define BACKEND_BY_HAND 0
#define BACKEND_EPHEMERONS TRUE_EPHEMERONS
#define BACKEND_FINALIZERS 1

extern struct fh_gc_heap *heap;

#define STORE(object, slot, value) fh_gc_store(heap, slot, value)
#define INIT(object, slot, value) fh_gc_init(heap, slot, value)
#define ROOT_STORE(index, value) fh_gc_store(heap, &roots[index], (void *)(value))

FH_GC_TYPE(node, left, right)
FH_GC_TYPE(tree, left, right, blob)
FH_GC_TYPE(quad, kids)
FH_GC_TRAILING(array, struct array, slots)

static inline void mutator_wait_begin(void)
{
    fh_gc_blocking_begin();
}

static inline void mutator_wait_end(void)
{
    fh_gc_blocking_end();
}

static inline void mutator_poll(void) {}

static inline void *object_made(void *object, size_t size)
{
    if (__builtin_expect(!object, 0)) heap_exhausted(size);
    return object;
}

static inline struct node *node_new(void)
{
    return object_made(fh_gc_new(heap, node), sizeof(struct node));
}

static inline struct tree *tree_new(void)
{
    return object_made(fh_gc_new(heap, tree), sizeof(struct tree));
}

static inline struct quad *quad_new(void)
{
    return object_made(fh_gc_new(heap, quad), sizeof(struct quad));
}

static inline struct array *array_new(size_t count)
{
    return object_made(fh_gc_new_trailing(heap, array, count), count * sizeof(void *));
}

static inline struct bytes *bytes_new(size_t size)
{
    return object_made(fh_gc_new_bytes(heap, sizeof(struct bytes) + size), size);
}

static inline void object_free(void *object)
{
    (void)object;
}

static inline struct ephemeron *ephemeron_new(struct node *key, struct node *value)
{
    return object_made(fh_gc_ephemeron_new(heap, key, value), 2 * sizeof(void *));
}

static inline struct node *ephemeron_key(struct ephemeron *ephemeron)
{
    return fh_gc_ephemeron_key(heap, (struct fh_gc_ephemeron *)ephemeron);
}

static inline struct node *ephemeron_value(struct ephemeron *ephemeron)
{
    return fh_gc_ephemeron_value(heap, (struct fh_gc_ephemeron *)ephemeron);
}

void freehold_finalize(void *object, void *function);

static inline void finalizer_add(struct node *object, finalizer *function)
{
    if (fh_gc_finalizer_add(heap, object, freehold_finalize, (void *)function, FH_GC_UNORDERED))
        fail("no finalizer");
}
