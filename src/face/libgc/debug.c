/*
 * Debug allocation: objects with a header that says where they were made, and words on both sides of them that must
 * not change. What the program has is a pointer behind the header; GC_base of it is the header.
 *
 *      | file | line, kind | size | GUARD ^ base | the program's ...... | GUARD ^ base |
 *
 * An object is checked when it is freed or resized, and by each collection, which finds it by the first guard: who wrote
 * over that is found when the object is freed. Finalizers get what the program has.
 */
#include <errno.h>
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "os/os.h"

#define GUARD ((GC_word)0x9ea7c0de5afe60a2)

struct header {
    const char *file;
    int line;
    int kind;
    size_t size;
    GC_word guard;
};

GC_API const size_t GC_debug_header_size = sizeof(struct header);

GC_API size_t GC_get_debug_header_size(void)
{
    return sizeof(struct header);
}

static GC_word guard_of(const struct header *header)
{
    return GUARD ^ (GC_word)header;
}

static _Atomic bool debug_used;

static void *debug_make(size_t size, int kind, const char *file, int line)
{
    size_t bytes;
    if (__builtin_add_overflow(size, sizeof(struct header) + sizeof(GC_word), &bytes))
        return libgc_out_of_memory(size);
    struct header *header = GC_generic_malloc(bytes, kind);
    if (header == NULL) return NULL;
    STORE(&debug_used, true);
    *header = (struct header){file, line, kind, size, guard_of(header)};
    GC_word end = guard_of(header);
    memcpy((char *)(header + 1) + size, &end, sizeof end);
    return header + 1;
}

static FH_COLD void debug_complain(const struct header *header, const char *what)
{
    char line[300];
    struct text t = TEXT(line);
    text_str(&t, what);
    text_str(&t, " of an object of ");
    text_dec(&t, header->size);
    text_str(&t, " bytes made at ");
    text_str(&t, header->file ? header->file : "?");
    text_char(&t, ':');
    text_dec(&t, (uint64_t)header->line);
    text_end(&t);
    libgc_say(line);
}

bool debug_print(void *object, const char *kind)
{
    const struct header *header = object;
    char line[400];
    struct text t = TEXT(line);
    if (GC_size(object) < sizeof *header || header->guard != guard_of(header)) return false;
    text_hex(&t, (uintptr_t)(header + 1));
    text_str(&t, " (");
    text_str(&t, header->file ? header->file : "?");
    text_char(&t, ':');
    text_dec(&t, (uint64_t)header->line);
    text_str(&t, ", sz= ");
    text_dec(&t, header->size);
    text_str(&t, ", ");
    text_str(&t, kind);
    text_str(&t, ")\n");
    os_write(log_settings.error, line, t.length);
    return true;
}

/* It is said once: the guard is put right again. */
static void debug_check_end(struct header *header)
{
    GC_word end, guard = guard_of(header);
    char *at = (char *)(header + 1) + header->size;
    memcpy(&end, at, sizeof end);
    if (end == guard) return;
    debug_complain(header, "the program wrote beyond the end");
    memcpy(at, &guard, sizeof guard);
}

/* The header of an object that was made here; NULL: it was not. Says what was written over. */
static struct header *debug_header(void *p)
{
    struct header *header = GC_base(p);
    if (header == NULL || (void *)(header + 1) != p) return NULL;
    if (header->guard != guard_of(header)) {
        libgc_say("an object's header was overwritten, or the object is none of GC_debug_malloc");
        return NULL;
    }
    debug_check_end(header);
    return header;
}

static bool debug_check(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct header *header = (void *)meta_address(meta);
    size_t size = granules << GC_SHIFT, around = sizeof *header + sizeof(GC_word);
    (void)heap;
    (void)data;
    if (size < around || gc_is_freed(meta) || header->guard != guard_of(header)) return true;
    if (header->size <= size - around) debug_check_end(header);
    return true;
}

void debug_check_all(struct gc_heap *heap)
{
    if (LOAD(&debug_used)) heap_each_object(heap, debug_check, NULL);
}

#define DEBUG_MALLOC(name, kind)                                                                   \
    GC_API void *name(size_t size, const char *file, int line)                                     \
    {                                                                                              \
        return debug_make(size, kind, file, line);                                                 \
    }

DEBUG_MALLOC(GC_debug_malloc, KIND_NORMAL)
DEBUG_MALLOC(GC_debug_malloc_atomic, KIND_ATOMIC)
DEBUG_MALLOC(GC_debug_malloc_uncollectable, KIND_UNCOLLECTABLE)
DEBUG_MALLOC(GC_debug_malloc_atomic_uncollectable, KIND_ATOMIC_UNCOLLECTABLE)
DEBUG_MALLOC(GC_debug_malloc_ignore_off_page, KIND_NORMAL)
DEBUG_MALLOC(GC_debug_malloc_atomic_ignore_off_page, KIND_ATOMIC)
DEBUG_MALLOC(GC_debug_malloc_stubborn, KIND_NORMAL)

GC_API void *GC_debug_generic_or_special_malloc(size_t size, int kind, const char *file, int line)
{
    return debug_make(size, kind, file, line);
}

GC_API void *GC_debug_malloc_replacement(size_t size)
{
    return debug_make(size, KIND_NORMAL, "?", 0);
}

static char *debug_copy(const char *text, size_t length, const char *file, int line)
{
    char *p = debug_make(length + 1, KIND_ATOMIC, file, line);
    if (p == NULL) errno = ENOMEM;
    if (p) memcpy(p, text, length);
    return p;
}

GC_API char *GC_debug_strdup(const char *text, const char *file, int line)
{
    return text ? debug_copy(text, strlen(text), file, line) : NULL;
}

GC_API char *GC_debug_strndup(const char *text, size_t most, const char *file, int line)
{
    return debug_copy(text, strnlen(text, most), file, line);
}

GC_API void GC_debug_free(void *p)
{
    if (p == NULL) return;
    struct header *header = debug_header(p);
    if (header == NULL)
        libgc_stop("GC_debug_free: none of GC_debug_malloc, or freed before; stopping");
    header->guard = 0;
    GC_free(header);
}

GC_API void *GC_debug_realloc(void *old, size_t size, const char *file, int line)
{
    if (old == NULL) return GC_debug_malloc(size, file, line);
    const struct header *header = debug_header(old);
    if (header == NULL) libgc_stop("GC_debug_realloc: none of GC_debug_malloc; stopping");
    if (size == 0) {
        GC_debug_free(old);
        return NULL;
    }
    void *p = debug_make(size, header->kind, file, line);
    if (p == NULL) return NULL;
    memcpy(p, old, base_min(size, header->size));
    GC_debug_free(old);
    return p;
}

GC_API void *GC_debug_realloc_replacement(void *old, size_t size)
{
    return GC_debug_realloc(old, size, "?", 0);
}

/* ---- finalizers ------------------------------------------------------------------------------------------------- */

struct closure {
    finalizer_fn *function;
    void *data;
};

static void closure_run(void *object, void *data)
{
    const struct closure *closure = data;
    closure->function((struct header *)object + 1, closure->data);
}

static void debug_finalizer_set(void *p, finalizer_fn *function, void *data, finalizer_fn **old,
                                void **old_data, enum finalizer_order order)
{
    struct header *header = GC_base(p);
    struct closure *closure = NULL;
    finalizer_fn *was = NULL;
    void *was_data = NULL;
    if (old) *old = NULL;
    if (old_data) *old_data = NULL;
    if (header == NULL || GC_find_leak) return;
    if ((void *)(header + 1) != p)
        libgc_stop("a debug finalizer for what is no object of GC_debug_malloc; stopping");
    if (function) closure = GC_malloc(sizeof *closure);
    if (function && closure == NULL) return;
    if (closure) *closure = (struct closure){function, data};
    finalizer_set(header, function ? closure_run : NULL, closure, &was, &was_data, order);
    bool ours = was == closure_run;
    if (old) *old = ours ? ((struct closure *)was_data)->function : was;
    if (old_data) *old_data = ours ? ((struct closure *)was_data)->data : was_data;
}

#define DEBUG_REGISTER(name, order)                                                                \
    GC_API void name(void *object, finalizer_fn *function, void *data, finalizer_fn **old,         \
                     void **old_data)                                                              \
    {                                                                                              \
        debug_finalizer_set(object, function, data, old, old_data, order);                         \
    }

DEBUG_REGISTER(GC_debug_register_finalizer, ORDER_NORMAL)
DEBUG_REGISTER(GC_debug_register_finalizer_ignore_self, ORDER_IGNORE_SELF)
DEBUG_REGISTER(GC_debug_register_finalizer_no_order, ORDER_NONE)
DEBUG_REGISTER(GC_debug_register_finalizer_unreachable, ORDER_UNREACHABLE)

/* ---- stores: there is no barrier ----------------------------------------------------------------------------------- */

GC_API void GC_debug_change_stubborn(const void *p)
{
    (void)p;
}

GC_API void GC_debug_end_stubborn_change(const void *p)
{
    (void)p;
}

GC_API void GC_end_stubborn_change(const void *p)
{
    (void)p;
}

GC_API void GC_ptr_store_and_dirty(void *slot, const void *value)
{
    *(const void **)slot = value;
}

GC_API void GC_debug_ptr_store_and_dirty(void *slot, const void *value)
{
    *(const void **)slot = value;
}
