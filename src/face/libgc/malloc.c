/*
 * Objects: allocated, freed, resized, and what a pointer is.
 *
 * The fast path takes the next granules of the thread's hole, as fh_gc_new does. When the hole has no room the
 * thread's own freed objects come first, then gc/ finds another hole or collects. While GC_all_interior_pointers is
 * set, which is the standard, each object has a byte more than was asked for, so that a pointer just beyond its end
 * keeps it and not its neighbour.
 *
 * Uncollectable objects are in a table, which is a root.
 */
#include <errno.h>
#include <string.h>

#include "face/libgc/libgc.h"
#include "gc/mark.h"
#include "os/os.h"

enum { FAST_GRANULES = 128 };

/* ---- allocation --------------------------------------------------------------------------------------------- */

/* The order of the stores is that of fh_gc_new_inline (freehold/gc.h). No code is shared: there the context is in
 * the address space of %fs, and the stamp is the type's own, since its size is; here one type has objects of any. */
FH_INLINE void *allocate_fast(size_t granules, uint32_t id)
{
    struct fh_gc_context *context = &gc_local.contexts[0];
    uintptr_t p = context->cursor, next = p + (granules << GC_SHIFT);
    if (UNLIKELY(granules > FAST_GRANULES || next > context->limit)) return NULL;
    uint8_t *meta = meta_of((void *)p);
    if (granules == 1) {
        context->cursor = next;
        *meta = (uint8_t)FH_GC_STAMP(id >> 16, 16);
    } else if (granules == 2) {
        context->cursor = next;
        *(fh_gc_stamp *)meta = FH_GC_STAMP(id & 0xffff, 32);
    } else {
        *(volatile uint8_t *)(meta + granules - 1) = FH_GC_END;
        *(volatile fh_gc_stamp *)meta = FH_GC_STAMP(id & 0xffff, 48);
        *(volatile uintptr_t *)&context->cursor = next;
    }
    return (void *)p;
}

static FH_NOINLINE void *allocate_slow(size_t bytes, struct fh_gc_type *type)
{
    struct gc_heap *heap = libgc_heap();
    size_t granules = ((bytes - 1) >> GC_SHIFT) + 1;
    void *p = gc_freed_take(heap, &libgc_local.freed, granules, type->id);
    if (p) return p;
    collect_sync(heap);
    p = gc_allocate(heap, bytes, type->id);
    libgc_poll();
    return p ? p : libgc_out_of_memory(bytes);
}

FH_INLINE void *allocate(size_t size, struct fh_gc_type *type)
{
    size_t bytes = size + (GC_all_interior_pointers != 0);
    bytes += bytes == 0;
    if (UNLIKELY(bytes < size)) return libgc_out_of_memory(size);
    void *p = allocate_fast(((bytes - 1) >> GC_SHIFT) + 1, type->id);
    return LIKELY(p != NULL) ? p : allocate_slow(bytes, type);
}

void *libgc_allocate(size_t size, struct fh_gc_type *type)
{
    return allocate(size, type);
}

GC_API void *GC_malloc(size_t size)
{
    return allocate(size, &fh_gc_type_words);
}

GC_API void *GC_malloc_atomic(size_t size)
{
    return allocate(size, &fh_gc_type_bytes);
}

/* Pointers to anywhere in an object keep it, also if the program would make do with those to its first page. */
GC_API void *GC_malloc_ignore_off_page(size_t size)
{
    return GC_malloc(size);
}

GC_API void *GC_malloc_atomic_ignore_off_page(size_t size)
{
    return GC_malloc_atomic(size);
}

GC_API void *GC_malloc_stubborn(size_t size)
{
    return GC_malloc(size);
}

GC_API void GC_change_stubborn(const void *p)
{
    (void)p;
}

/* ---- uncollectable -------------------------------------------------------------------------------------------- */

static struct vector uncollectable; /* of addresses */
static struct index uncollectable_index;

void uncollectable_init(void)
{
    uncollectable.item = sizeof(void *);
    index_init(&uncollectable_index);
}

void uncollectable_visit(struct fh_gc_visitor *visitor)
{
    for (size_t i = 0; i < uncollectable.count; i++)
        visitor->slot(visitor, vector_at(&uncollectable, i));
}

static void *allocate_uncollectable(size_t size, unsigned kind)
{
    libgc_heap();
    void *p = libgc_allocate(size, kind_type(kind));
    if (p == NULL) return NULL;
    struct gc_thread *thread = libgc_lock();
    void *item = index_add(&uncollectable_index, &uncollectable, p);
    libgc_unlock(thread);
    return item ? p : libgc_out_of_memory(size);
}

static void uncollectable_forget(void *p)
{
    struct gc_thread *thread = libgc_lock();
    index_remove(&uncollectable_index, &uncollectable, p);
    libgc_unlock(thread);
}

GC_API void *GC_malloc_uncollectable(size_t size)
{
    return allocate_uncollectable(size, KIND_UNCOLLECTABLE);
}

GC_API void *GC_malloc_atomic_uncollectable(size_t size)
{
    return allocate_uncollectable(size, KIND_ATOMIC_UNCOLLECTABLE);
}

/* ---- by kind ---------------------------------------------------------------------------------------------------- */

static struct fh_gc_type *kind_type_checked(int kind)
{
    libgc_heap();
    struct fh_gc_type *type = kind_type((unsigned)kind);
    if (type == NULL) libgc_stop("an object of a kind that there is not; stopping");
    return type;
}

GC_API void *GC_generic_malloc(size_t size, int kind)
{
    struct fh_gc_type *type = kind_type_checked(kind);
    if (type_is_uncollectable(type)) return allocate_uncollectable(size, (unsigned)kind);
    return libgc_allocate(size, type);
}

GC_API void *GC_malloc_kind(size_t size, int kind)
{
    return GC_generic_malloc(size, kind);
}

GC_API void *GC_malloc_kind_global(size_t size, int kind)
{
    return GC_generic_malloc(size, kind);
}

GC_API void *GC_generic_malloc_ignore_off_page(size_t size, int kind)
{
    return GC_generic_malloc(size, kind);
}

GC_API void *GC_generic_or_special_malloc(size_t size, int kind)
{
    return GC_generic_malloc(size, kind);
}

GC_API void *GC_generic_malloc_uncollectable(size_t size, int kind)
{
    return allocate_uncollectable(size, kind == KIND_ATOMIC || kind == KIND_ATOMIC_UNCOLLECTABLE
                                            ? KIND_ATOMIC_UNCOLLECTABLE
                                            : KIND_UNCOLLECTABLE);
}

/* The mark bytes of an object, in allocate_fast's order. */
FH_INLINE void describe(uint8_t *meta, size_t granules, uint32_t id)
{
    if (granules == 1) {
        meta_store(meta, (uint8_t)FH_GC_STAMP(id >> 16, 16));
        return;
    }
    if (granules > 2) meta_store(meta + granules - 1, FH_GC_END);
    *(volatile fh_gc_stamp *)meta = FH_GC_STAMP(id & 0xffff, granules == 2 ? 32 : 48);
}

/* What is left of the window of the thread's hole, up to `most` objects: each refers to the next by its first word.
 * Busy: nobody looks at the hole meanwhile. */
static void *window_take(size_t granules, uint32_t id, size_t most)
{
    struct fh_gc_context *context = &gc_local.contexts[0];
    size_t size = granules << GC_SHIFT;
    uintptr_t start = context->cursor, limit = base_max(context->limit, start);
    uintptr_t end = start + base_min((limit - start) / size, most) * size;
    if (end == start) return NULL;
    for (uintptr_t p = start; p < end; p += size) {
        describe(meta_of((void *)p), granules, id);
        *(uintptr_t *)p = p + size < end ? p + size : 0;
    }
    context->cursor = end;
    return (void *)start;
}

/* Some objects at once, linked by their first words: one that may have made room for others, and as many of these as
 * there is room for. The program has them before the thread can be stopped, since links in objects without references keep
 * nothing, and it may drop its lists when a collection begins, as Guile does. */
GC_API void GC_generic_malloc_many(size_t size, int kind, void **result)
{
    enum { BYTES = 4096 };
    struct fh_gc_type *type = kind_type_checked(kind);
    void **first = allocate(size, type);
    size_t bytes = size + (GC_all_interior_pointers != 0);
    size_t granules = (base_max(bytes, 1) - 1) / GC_GRANULE + 1;
    struct gc_thread *thread = thread_self();
    if (first == NULL || granules > FAST_GRANULES) {
        *result = first;
        return;
    }
    thread_enter(thread);
    *first = window_take(granules, type->id, BYTES / (granules << GC_SHIFT));
    *result = first;
    thread_leave(thread);
}

GC_API void *GC_malloc_many(size_t size)
{
    void *list;
    GC_generic_malloc_many(size, KIND_NORMAL, &list);
    return list;
}

/* ---- aligned, copies ---------------------------------------------------------------------------------------------- */

/* A large object begins at a multiple of 64 KiB. */
GC_API void *GC_memalign(size_t alignment, size_t size)
{
    struct gc_heap *heap = libgc_heap();
    size_t bytes = size + (GC_all_interior_pointers != 0);
    if (alignment <= GC_GRANULE) return GC_malloc(size);
    if (!base_is_pow2(alignment) || alignment > BLOCK_SIZE || bytes < size)
        return libgc_out_of_memory(size);
    if (alignment > 4096) bytes = base_max(bytes, OBJECT_MAX + 1);
    void *p = gc_allocate_aligned(heap, base_max(bytes, 1), fh_gc_type_words.id, alignment);
    return p ? p : libgc_out_of_memory(size);
}

GC_API int GC_posix_memalign(void **result, size_t alignment, size_t size)
{
    if (!base_is_pow2(alignment) || alignment < sizeof(void *)) return EINVAL;
    void *p = GC_memalign(alignment, size);
    if (p) *result = p;
    return p ? 0 : ENOMEM;
}

static char *copy(const char *text, size_t length)
{
    char *p = GC_malloc_atomic(length + 1);
    if (p == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(p, text, length);
    p[length] = 0;
    return p;
}

GC_API char *GC_strdup(const char *text)
{
    return text ? copy(text, strlen(text)) : NULL;
}

GC_API char *GC_strndup(const char *text, size_t most)
{
    return copy(text, strnlen(text, most));
}

/* ---- what a pointer is ---------------------------------------------------------------------------------------------- */

uint8_t *libgc_object(struct gc_heap *heap, const void *p)
{
    uint8_t *meta = object_find(heap, (uintptr_t)p);
    if (meta == NULL || !object_is_live(heap, meta) || gc_is_freed(meta)) return NULL;
    return meta;
}

/* Its start, size and type; false if p is in none. The object stays while the caller holds p. */
static bool object_look(const void *p, void **start, size_t *size, const struct fh_gc_type **type)
{
    struct gc_heap *heap = __atomic_load_n(&libgc.heap, __ATOMIC_ACQUIRE);
    if (heap == NULL || !side_holds((uintptr_t)p)) return false;
    struct gc_thread *thread = libgc_enter();
    uint8_t *meta = libgc_object(heap, p);
    if (meta) {
        *start = meta_address(meta);
        *size = object_size(meta);
        *type = type_at(meta)->public;
    }
    libgc_leave(thread);
    return meta != NULL;
}

GC_API void *GC_base(void *p)
{
    void *start;
    size_t size;
    const struct fh_gc_type *type;
    return object_look(p, &start, &size, &type) ? start : NULL;
}

GC_API size_t GC_size(const void *p)
{
    void *start;
    size_t size;
    const struct fh_gc_type *type;
    return object_look(p, &start, &size, &type) ? size : 0;
}

GC_API int GC_get_kind_and_size(const void *p, size_t *result)
{
    void *start;
    size_t size;
    const struct fh_gc_type *type;
    if (!object_look(p, &start, &size, &type)) return -1;
    if (result) *result = size;
    return (int)kind_of_type(type);
}

GC_API int GC_is_heap_ptr(const void *p)
{
    if (!side_holds((uintptr_t)p)) return 0;
    const struct gc_block *block = (const struct gc_block *)span_find(p);
    uint8_t kind = block ? LOAD(&block->kind) : FH_SPAN_NONE;
    return kind == FH_SPAN_GC_BLOCK || kind == FH_SPAN_GC_LARGE;
}

/* ---- freed and resized ------------------------------------------------------------------------------------------------ */

static struct fh_gc_type *object_type(void *p, size_t *size, const char *otherwise)
{
    void *start;
    const struct fh_gc_type *type;
    if (!object_look(p, &start, size, &type) || start != p) libgc_stop(otherwise);
    return (struct fh_gc_type *)type;
}

enum { FREED_TOLD = 64 << 10 }; /* a thread tells of so many bytes at a time */

static _Atomic size_t freed_told;

static void freed_count(size_t size)
{
    struct libgc_local *local = &libgc_local;
    uint32_t cycle = LOAD(&libgc.heap->cycle);
    if (local->freed_cycle != cycle) local->freed_bytes = 0;
    local->freed_cycle = cycle;
    local->freed_bytes += size;
    if (local->freed_bytes < FREED_TOLD) return;
    atomic_fetch_add_explicit(&freed_told, local->freed_bytes, memory_order_relaxed);
    local->freed_bytes = 0;
}

size_t freed_since_collection(void)
{
    bool ours = libgc_local.freed_cycle == LOAD(&libgc.heap->cycle);
    return LOAD(&freed_told) + (ours ? libgc_local.freed_bytes : 0);
}

/* A collection has ended. */
void freed_forget(void)
{
    STORE(&freed_told, 0);
}

GC_API void GC_free(void *p)
{
    size_t size;
    if (p == NULL) return;
    const struct fh_gc_type *type =
        object_type(p, &size, "GC_free: not the start of an object, or freed before; stopping");
    if (type_is_uncollectable(type)) uncollectable_forget(p);
    if (UNLIKELY(GC_find_leak))
        leaks_free(p);
    else
        gc_free(libgc.heap, &libgc_local.freed, p);
    freed_count(size);
}

static void *allocate_like(size_t size, struct fh_gc_type *type)
{
    if (type_is_uncollectable(type)) return allocate_uncollectable(size, kind_of_type(type));
    return libgc_allocate(size, type);
}

/* In place while it fits and half of it is used; of the rest what was beyond its end reads as zeros. */
GC_API void *GC_realloc(void *old, size_t size)
{
    size_t had;
    if (old == NULL) return GC_malloc(size);
    if (size == 0) {
        GC_free(old);
        return NULL;
    }
    struct fh_gc_type *type =
        object_type(old, &had, "GC_realloc: not the start of an object; stopping");
    size_t bytes = size + (GC_all_interior_pointers != 0);
    if (bytes <= had && bytes >= had / 2) {
        if (type != &fh_gc_type_bytes) memset((char *)old + size, 0, had - size);
        return old;
    }
    void *p = allocate_like(size, type);
    if (p == NULL) return NULL;
    memcpy(p, old, base_min(size, had));
    GC_free(old);
    return p;
}

GC_API void GC_incr_bytes_allocd(size_t bytes)
{
    atomic_fetch_add_explicit(&libgc_heap()->allocated, bytes, memory_order_relaxed);
}

GC_API void GC_incr_bytes_freed(size_t bytes)
{
    (void)bytes; /* memory that is not ours: nothing counts it */
}
