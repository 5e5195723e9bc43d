/*
 * Objects of compiled Java: the first word points to a table whose second word is the object's descriptor, which may
 * name mark procedure 0. A kind like those that programs make.
 */
#include "face/libgc/libgc.h"

enum { DESCRIPTOR_OFFSET = sizeof(GC_word) };

GC_API int GC_gcj_kind;
GC_API int GC_gcj_debug_kind;

GC_API void GC_init_gcj_malloc(int index, void *proc)
{
    (void)index;
    kind_set_proc((unsigned)index, proc);
    if (GC_gcj_kind) return;
    if (environment_ignores_gcj) { /* every word may be a reference */
        GC_gcj_kind = GC_gcj_debug_kind = KIND_NORMAL;
        return;
    }
    GC_word descriptor = (GC_word)(-(intptr_t)DESCRIPTOR_OFFSET - INDIRECT_BIAS) | DS_PER_OBJECT;
    GC_gcj_kind = (int)GC_new_kind(NULL, descriptor, 0, 1);
    GC_gcj_debug_kind = GC_gcj_kind;
}

GC_API void *GC_gcj_malloc(size_t size, void *table)
{
    void **object = GC_generic_malloc(base_max(size, sizeof table), GC_gcj_kind);
    if (object) *object = table;
    return object;
}

GC_API void *GC_gcj_malloc_ignore_off_page(size_t size, void *table)
{
    return GC_gcj_malloc(size, table);
}

GC_API void *GC_debug_gcj_malloc(size_t size, void *table, const char *file, int line)
{
    (void)file; /* no header: the table's address must be the first word */
    (void)line;
    return GC_gcj_malloc(size, table);
}
