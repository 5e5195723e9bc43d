// The Memory Pool System: AMC pools, the references exact, stacks ambiguous roots, write barriers by
// mprotect as the arena sees fit. Objects are 16-byte aligned so that whatever is left of a segment can
// hold a padding object.
#include "backends/no_ephemerons.h"
#include "backends/plain.h"
#include "backends/tagged.h"

#include <mps.h>
#include <string.h>

#define BACKEND_BY_HAND 0
#define BACKEND_FINALIZERS 1

extern _Thread_local mps_ap_t mps_scanned, mps_leaf; // the thread's allocation points

// Memory was refused: a full collection and another try; in the end heap_exhausted().
void mps_refused(mps_res_t result, size_t size, unsigned *tries);

static inline void *mps_make(mps_ap_t point, enum kind kind, size_t size)
{
    mps_addr_t address;
    unsigned tries = 0;
    size = (size + 15) & ~(size_t)15;
    do {
        mps_res_t result;
        while ((result = mps_reserve(&address, point, size)) != MPS_RES_OK)
            mps_refused(result, size, &tries);
        memset(address, 0, size);
        *(uintptr_t *)address = tag_make(kind, size);
    } while (!mps_commit(point, address, size));
    return address;
}

static inline struct node *node_new(void)
{
    return mps_make(mps_scanned, NODE, sizeof(struct node));
}

static inline struct tree *tree_new(void)
{
    return mps_make(mps_scanned, TREE, sizeof(struct tree));
}

static inline struct quad *quad_new(void)
{
    return mps_make(mps_scanned, QUAD, sizeof(struct quad));
}

static inline struct array *array_new(size_t count)
{
    return mps_make(mps_scanned, ARRAY, sizeof(struct array) + count * sizeof(void *));
}

static inline struct bytes *bytes_new(size_t size)
{
    return mps_make(mps_leaf, BYTES, sizeof(struct bytes) + size);
}

static inline void object_free(void *object)
{
    (void)object;
}

void mps_finalizer_add(struct node *object, finalizer *function);

static inline void finalizer_add(struct node *object, finalizer *function)
{
    mps_finalizer_add(object, function);
}
