/*
 * free: objects that the program frees itself, as allocators are used. See gc/free.c.
 */
#ifndef GC_FREE_H
#define GC_FREE_H

#include "gc/type.h"

struct gc_heap;

#define FREED_SIZES 64 /* granules: up to 1 KiB */

/* What a thread has freed of a heap, by granules, each linked by its first word; of this cycle. */
struct gc_freed {
    uint32_t cycle;
    void *first[FREED_SIZES + 1];
};

/* Frees an object; false if no live object starts at p. */
bool gc_free(struct gc_heap *heap, struct gc_freed *freed, void *p);

/* An object of so many granules of those that the thread has freed, zeroed, of the type with this
 * id; NULL. */
void *gc_freed_take(struct gc_heap *heap, struct gc_freed *freed, size_t granules, uint32_t id);

/* Whether the object was freed, and is one only for the collector's books. */
FH_INLINE bool gc_is_freed(const uint8_t *meta)
{
    const struct type *type = type_at(meta);
    return type == &type_small[TYPE_FREED] || type == &type_table[TYPE_FREED];
}

#endif
