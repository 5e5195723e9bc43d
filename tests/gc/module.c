/* Static data and types that come and go: dlopen_test.c loads and unloads it. */
#include <freehold/gc.h>

void *module_data[1 << 19];

struct visitor {
    void *pad[80]; /* more than a bitmap names */
    struct visitor *next;
};
FH_GC_TYPE(visitor, next)

void *module_objects(struct fh_gc_heap *heap, int count);

void *module_objects(struct fh_gc_heap *heap, int count)
{
    struct visitor *array = fh_gc_new_array(heap, visitor, 2), *last = NULL;
    for (; count > 0 && array; count--) {
        struct visitor *object = fh_gc_new(heap, visitor);
        if (object) fh_gc_store(heap, &object->next, last);
        last = object;
    }
    return last;
}
