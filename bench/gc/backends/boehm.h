// The Boehm-Demers-Weiser collector, Debian's (boehm) or another build of it (boehm-new). Objects with
// references are searched conservatively: exact descriptors (GC_malloc_explicitly_typed) make a node
// 48 bytes and are slower. Interior pointers from objects are switched off, without which a node of
// 32 bytes takes 48 too; from stacks they count all the same.
#include "backends/plain.h"

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc.h>

#include <string.h>

#define BACKEND_BY_HAND 0
#define BACKEND_EPHEMERONS WEAK_KEYS
#define BACKEND_FINALIZERS 1

static inline void *object_made(void *object, size_t size)
{
    if (__builtin_expect(!object, 0)) heap_exhausted(size);
    return object;
}

static inline struct node *node_new(void)
{
    return object_made(GC_malloc(sizeof(struct node)), sizeof(struct node));
}

static inline struct tree *tree_new(void)
{
    return object_made(GC_malloc(sizeof(struct tree)), sizeof(struct tree));
}

static inline struct quad *quad_new(void)
{
    return object_made(GC_malloc(sizeof(struct quad)), sizeof(struct quad));
}

// The manual's advice for large objects: a pointer to their beginning is always kept.
enum { BOEHM_LARGE = 100 * 1024 };

static inline struct array *array_new(size_t count)
{
    size_t size = sizeof(struct array) + count * sizeof(void *);
    return object_made(size < BOEHM_LARGE ? GC_malloc(size) : GC_malloc_ignore_off_page(size),
                       size);
}

// GC_malloc_atomic does not clear.
static inline struct bytes *bytes_new(size_t size)
{
    size += sizeof(struct bytes);
    struct bytes *bytes = object_made(
        size < BOEHM_LARGE ? GC_malloc_atomic(size) : GC_malloc_atomic_ignore_off_page(size), size);
    return memset(bytes, 0, size);
}

static inline void object_free(void *object)
{
    (void)object;
}

// A key that is hidden from the collector and cleared by a disappearing link, and a value.
struct ephemeron {
    void *key;
    struct node *value;
};

struct ephemeron *boehm_ephemeron_new(struct node *key, struct node *value);
struct node *boehm_ephemeron_key(struct ephemeron *ephemeron);

static inline struct ephemeron *ephemeron_new(struct node *key, struct node *value)
{
    return boehm_ephemeron_new(key, value);
}

static inline struct node *ephemeron_key(struct ephemeron *ephemeron)
{
    return boehm_ephemeron_key(ephemeron);
}

static inline struct node *ephemeron_value(struct ephemeron *ephemeron)
{
    return ephemeron->value;
}

void boehm_finalize(void *object, void *function);

static inline void finalizer_add(struct node *object, finalizer *function)
{
    GC_register_finalizer_no_order(object, boehm_finalize, (void *)function, NULL, NULL);
}
