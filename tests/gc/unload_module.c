/* Modules that are unloaded while their objects live on (unload_test.c), one for each MODULE_ word. */
#include <freehold/gc.h>

struct object {
    struct object *first;
    uint64_t value[2];
    struct object *last;
};

#if defined MODULE_FIRST
FH_GC_TYPE(object, first)
#elif defined MODULE_LAST
FH_GC_TYPE(object, last)
#else
static void trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    (void)size;
    fh_gc_visit(visitor, &((struct object *)object)->first);
}
FH_GC_TRACED(object, struct object, trace)
#endif

static uint64_t finalized;

static void finalize(void *object, void *data)
{
    (void)data;
    finalized += ((struct object *)object)->value[0];
}

/* So far, from wherever the module is. */
uint64_t *module_finalized(void);
uint64_t *module_finalized(void)
{
    return &finalized;
}

/* An object that refers to another one, with value 42, in the field that the type names. */
void *module_make(struct fh_gc_heap *heap);
void *module_make(struct fh_gc_heap *heap)
{
    struct object *object = fh_gc_new(heap, object), *other = fh_gc_new(heap, object);
#ifdef MODULE_LAST
    fh_gc_store(heap, &object->last, other);
#else
    fh_gc_store(heap, &object->first, other);
#endif
    other->value[0] = 42;
    return object;
}

void module_doom(struct fh_gc_heap *heap);
void module_doom(struct fh_gc_heap *heap)
{
    struct object *object = fh_gc_new(heap, object);
    object->value[0] = 1;
    fh_gc_finalizer_add(heap, object, finalize, NULL, 0);
}
