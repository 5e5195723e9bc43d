/*
 * Toggle references: objects of which the program says anew at each collection whether they are to be kept (strong),
 * not (weak), or to be forgotten. It is asked while threads stand, before roots are visited; weak ones that are
 * collected leave the list.
 */
#include "face/libgc/libgc.h"
#include "gc/mark.h"

enum toggle { TOGGLE_DROP, TOGGLE_STRONG, TOGGLE_WEAK };

struct toggleref {
    void *object;
    bool strong;
};

typedef enum toggle toggle_fn(void *object);

static struct vector togglerefs = {.item = sizeof(struct toggleref)};
static toggle_fn *toggle_ask;

void togglerefs_ask(void)
{
    for (size_t i = togglerefs.count; toggle_ask && i-- > 0;) {
        struct toggleref *reference = vector_at(&togglerefs, i);
        enum toggle answer = toggle_ask(reference->object);
        reference->strong = answer == TOGGLE_STRONG;
        if (answer == TOGGLE_DROP) vector_remove(&togglerefs, i);
    }
}

void togglerefs_visit(struct fh_gc_visitor *visitor)
{
    for (size_t i = 0; i < togglerefs.count; i++) {
        struct toggleref *reference = vector_at(&togglerefs, i);
        if (reference->strong) visitor->slot(visitor, &reference->object);
    }
}

void togglerefs_drop(struct gc_heap *heap)
{
    for (size_t i = togglerefs.count; i-- > 0;) {
        const struct toggleref *reference = vector_at(&togglerefs, i);
        if (!mark_is_set(heap, (uintptr_t)reference->object)) vector_remove(&togglerefs, i);
    }
}

GC_API void GC_set_toggleref_func(toggle_fn *function)
{
    toggle_ask = function;
}

GC_API toggle_fn *GC_get_toggleref_func(void)
{
    return toggle_ask;
}

GC_API int GC_toggleref_add(void *object, int strong)
{
    struct gc_thread *thread = libgc_lock();
    struct toggleref *reference = vector_add(&togglerefs);
    if (reference) *reference = (struct toggleref){object, strong};
    libgc_unlock(thread);
    return reference ? GC_SUCCESS : GC_NO_MEMORY;
}
