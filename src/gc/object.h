/*
 * object: from an address to its object, by mark bytes: which it is, how long, whether it lives;
 * and all of them in turn.
 */
#ifndef GC_OBJECT_H
#define GC_OBJECT_H

#include "base/base.h"

struct gc_block;
struct gc_heap;

/* The first byte of the object of this heap that holds p, or NULL. */
uint8_t *object_find(const struct gc_heap *heap, uintptr_t p);

/* Bytes of an object, without its fence. */
size_t object_size(const uint8_t *meta);

/* Whether it is younger than the snapshot of the cycle that goes on, or of one that has ended
 * without its block being swept. */
bool object_is_new(const uint8_t *meta);

/* Whether the last collection left it, or it is younger. */
bool object_is_live(const struct gc_heap *heap, const uint8_t *meta);

/* Calls visit for each object of a block: its first byte and granules. Outside of holes of
 * threads. */
typedef bool object_fn(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data);
bool block_each_object(struct gc_heap *heap, struct gc_block *block, object_fn *visit, void *data);
bool heap_each_object(struct gc_heap *heap, object_fn *visit, void *data);

#endif
