/*
 * Roots: ranges that the program names, static data of the program and its libraries, what the program pushes itself,
 * and the tables of this library. All of it is one root function of the heap; stacks are gc/'s.
 *
 * Static data is looked up anew at each collection, under the linker's lock (gc/modules.c), so what dlclose has
 * unmapped is not there. Parts that the linker made read-only after relocation hold no reference to an object, nor
 * does the data of this library, whose tables are followed as what they are.
 */
#include <link.h>

#include "face/libgc/libgc.h"
#include "gc/mark.h"
#include "gc/roots.h"

struct range {
    uintptr_t start, end;
    bool module; /* in a segment of a module: it goes when that is unloaded */
};

typedef int static_roots_fn(const char *name, void *start, size_t size);

static struct vector ranges = {.item = sizeof(struct range)};
static struct vector excluded = {.item = sizeof(struct range)};
static bool cleared; /* the program's own static data is no root, if no_dls is set */
static static_roots_fn *static_roots;
static struct fh_gc_visitor *pushing; /* while roots are visited */

/* ---- static data ------------------------------------------------------------------------------------------ */

/* The part of start..end before the first excluded range in it; *next is where it goes on. */
static uintptr_t range_allowed(uintptr_t start, uintptr_t end, struct range relro, uintptr_t *next)
{
    uintptr_t stop = end;
    *next = end;
    for (size_t i = 0; i <= excluded.count; i++) {
        const struct range *e = i ? vector_at(&excluded, i - 1) : &relro;
        if (e->end <= start || e->start >= stop) continue;
        stop = base_max(e->start, start);
        *next = e->end;
    }
    return stop;
}

static void range_visit(uintptr_t start, uintptr_t end, struct range relro)
{
    for (uintptr_t next; start < end; start = next)
        visit_words(pushing, start, range_allowed(start, end, relro, &next));
}

static bool segment_is_root(const struct dl_phdr_info *info, uintptr_t start, uintptr_t end)
{
    uintptr_t own = (uintptr_t)&libgc;
    if (start <= own && own < end) return false;
    return static_roots == NULL || static_roots(info->dlpi_name, (void *)start, end - start);
}

static struct range module_relro(const struct dl_phdr_info *info)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_GNU_RELRO)
            return (struct range){start, start + header->p_memsz, true};
    }
    return (struct range){0};
}

static int module_visit(struct dl_phdr_info *info, size_t size, void *data)
{
    struct range relro = module_relro(info);
    (void)size;
    (void)data;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_W)) continue;
        uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;
        if (segment_is_root(info, start, end)) range_visit(start, end, relro);
    }
    return GC_no_dls; /* the first is the program */
}

/* ---- ranges in modules ----------------------------------------------------------------------------------------- */

static int segment_find(struct dl_phdr_info *info, size_t size, void *data)
{
    const struct range *range = data;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && start <= range->start &&
            range->end <= start + header->p_memsz)
            return 1;
    }
    return 0;
}

static int subs_read(struct dl_phdr_info *info, size_t size, void *subs)
{
    (void)size;
    *(unsigned long long *)subs = info->dlpi_subs;
    return 1;
}

/* Ranges that a module has named and not taken back before it was unloaded: nothing is mapped there, or something
 * else. Threads stand, and the caller has the linker's lock. */
static void ranges_drop_unloaded(void)
{
    static unsigned long long seen;
    unsigned long long subs = 0;
    dl_iterate_phdr(subs_read, &subs);
    if (subs == seen) return;
    seen = subs;
    for (size_t i = ranges.count; i-- > 0;) {
        struct range *range = vector_at(&ranges, i);
        if (!range->module || dl_iterate_phdr(segment_find, range)) continue;
        libgc_say("roots that a module has added were still there when it was unloaded; they are "
                  "forgotten (GC_remove_roots)");
        vector_remove(&ranges, i);
    }
}

/* ---- a collection -------------------------------------------------------------------------------------------- */

static void roots_trace(void *unused, size_t size, struct fh_gc_visitor *visitor)
{
    (void)unused;
    (void)size;
    pushing = visitor;
    ranges_drop_unloaded();
    for (size_t i = 0; i < ranges.count; i++) {
        const struct range *range = vector_at(&ranges, i);
        range_visit(range->start, range->end, (struct range){0});
    }
    if (!GC_no_dls || !cleared) dl_iterate_phdr(module_visit, NULL);
    uncollectable_visit(visitor);
    finalizers_visit(visitor);
    togglerefs_visit(visitor);
    leaks_visit(visitor);
    if (GC_push_other_roots) {
        called_begin("GC_push_other_roots", (uintptr_t)GC_push_other_roots, NULL);
        gc_local.tracing = true; /* no call that collects, or waits for who does */
        GC_push_other_roots();
        gc_local.tracing = false;
        called_end();
    }
    pushing = NULL;
}

void roots_start(struct gc_heap *heap)
{
    if (fh_gc_root_function(&heap->public, roots_trace, &ranges) != 0)
        libgc_stop("no memory for the list of roots; stopping");
}

/* ---- for GC_push_other_roots ------------------------------------------------------------------------------------ */

GC_API void GC_push_all(void *start, void *end)
{
    if (pushing == NULL) {
        twins_look(); /* of one that was loaded later calls end here */
        libgc_stop("GC_push_all outside of GC_push_other_roots; stopping");
    }
    visit_words(pushing, (uintptr_t)start, (uintptr_t)end);
}

GC_API void GC_push_all_eager(void *start, void *end)
{
    GC_push_all(start, end);
}

GC_API void GC_push_conditional(void *start, void *end, int all)
{
    (void)all;
    GC_push_all(start, end);
}

GC_API void GC_push_finalizer_structures(void)
{
    if (pushing) finalizers_visit(pushing);
}

/* While roots are pushed: the object is kept, and what it refers to as well. */
GC_API void GC_set_mark_bit(const void *object)
{
    if (pushing) pushing->slot(pushing, (void **)&object);
}

GC_API void GC_clear_mark_bit(const void *object)
{
    (void)object;
}

GC_API int GC_is_marked(const void *object)
{
    const uint8_t *meta = libgc.heap ? object_find(libgc.heap, (uintptr_t)object) : NULL;
    return meta && (meta_load(meta) & META_STATE) == libgc.heap->mark;
}

GC_API int GC_is_tmp_root(void *p)
{
    (void)p; /* there are none: static data is looked up anew each time */
    return 0;
}

/* ---- the door ------------------------------------------------------------------------------------------------------ */

static void range_add(struct vector *list, void *start, void *end)
{
    struct range added = {base_round_up((uintptr_t)start, sizeof(void *)),
                          base_round_down((uintptr_t)end, sizeof(void *)), false};
    if (added.start >= added.end) return;
    modules_enter();
    added.module = dl_iterate_phdr(segment_find, &added);
    modules_leave();
    struct gc_thread *thread = libgc_lock();
    struct range *entry = vector_add(list);
    if (entry) *entry = added;
    libgc_unlock(thread);
    if (entry == NULL) libgc_stop("no memory for the list of roots; stopping");
}

GC_API void GC_add_roots(void *start, void *end)
{
    range_add(&ranges, start, end);
}

static void range_cut(size_t at, struct range cut)
{
    struct range *range = vector_at(&ranges, at), had = *range;
    if (had.start >= cut.end || had.end <= cut.start) return;
    *range = (struct range){had.start, base_max(cut.start, had.start), had.module};
    if (had.end > cut.end) {
        struct range *rest = vector_add(&ranges);
        if (rest) *rest = (struct range){cut.end, had.end, had.module};
    }
    range = vector_at(&ranges, at);
    if (range->start == range->end) vector_remove(&ranges, at);
}

GC_API void GC_remove_roots(void *start, void *end)
{
    struct gc_thread *thread = libgc_lock();
    for (size_t i = ranges.count; i-- > 0;)
        range_cut(i, (struct range){(uintptr_t)start, (uintptr_t)end, false});
    libgc_unlock(thread);
}

GC_API void GC_clear_roots(void)
{
    struct gc_thread *thread = libgc_lock();
    ranges.count = 0;
    cleared = true;
    libgc_unlock(thread);
}

GC_API void GC_exclude_static_roots(void *start, void *end)
{
    range_add(&excluded, start, end);
}

GC_API void GC_clear_exclusion_table(void)
{
    struct gc_thread *thread = libgc_lock();
    excluded.count = 0;
    libgc_unlock(thread);
}

GC_API void GC_register_has_static_roots_callback(static_roots_fn *function)
{
    static_roots = function;
}

/* References to the inside of an object keep it wherever they point. */
GC_API void GC_register_displacement(size_t offset)
{
    (void)offset;
}

GC_API void GC_debug_register_displacement(size_t offset)
{
    (void)offset;
}
