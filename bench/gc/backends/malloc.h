// malloc and free by hand: what the same program costs without a collector. The heap's limit is not
// kept, and there is nothing weak: the program knows when an object dies.
#include "backends/no_ephemerons.h"
#include "backends/plain.h"

#include <stdlib.h>
#include <string.h>

#define BACKEND_BY_HAND 1
#define BACKEND_FINALIZERS 0

static inline void *object_made(void *object, size_t size)
{
    if (!object) heap_exhausted(size);
    return object;
}

static inline struct node *node_new(void)
{
    struct node *node = object_made(malloc(sizeof *node), sizeof *node);
    *node = (struct node){.value = 0};
    return node;
}

static inline struct tree *tree_new(void)
{
    struct tree *tree = object_made(malloc(sizeof *tree), sizeof *tree);
    *tree = (struct tree){.blob = NULL};
    return tree;
}

static inline struct quad *quad_new(void)
{
    struct quad *quad = object_made(malloc(sizeof *quad), sizeof *quad);
    memset(quad, 0, sizeof *quad);
    return quad;
}

static inline struct array *array_new(size_t count)
{
    size_t size = sizeof(struct array) + count * sizeof(void *);
    return object_made(calloc(1, size), size);
}

static inline struct bytes *bytes_new(size_t size)
{
    return object_made(calloc(1, sizeof(struct bytes) + size), size);
}

static inline void object_free(void *object)
{
    free(object);
}

static inline void finalizer_add(struct node *object, finalizer *function)
{
    (void)object, (void)function;
}
