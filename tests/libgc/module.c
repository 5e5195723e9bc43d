/* A module that adds roots and does not take them back, and has a mark procedure. */
#include <gc/gc.h>
#include <gc/gc_mark.h>

static void *slots[4096];

__attribute__((visibility("default"))) void **module_add_roots(void)
{
    GC_add_roots(slots, slots + 4096);
    return slots;
}

__attribute__((visibility("default"))) struct GC_ms_entry *module_mark(GC_word *object,
                                                                       struct GC_ms_entry *top,
                                                                       struct GC_ms_entry *limit,
                                                                       GC_word environment)
{
    (void)environment;
    return GC_MARK_AND_PUSH((void *)object[1], top, limit, (void **)object);
}
