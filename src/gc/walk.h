/*
 * walk: the whole heap, looked at while the program stands.
 */
#ifndef GC_WALK_H
#define GC_WALK_H

#include "base/base.h"

struct gc_heap;

/* Calls the function while everything stands, is swept, and threads' holes are known. */
typedef void still_fn(struct gc_heap *heap, void *data);
void still_run(struct gc_heap *heap, still_fn *function, void *data);

#endif
