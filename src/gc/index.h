/*
 * index: finds items of a vector by their first word. A hash table of positions, open addressing; a slot has the hash
 * beside the position, so that a search looks at no item but the one it finds, nor does who moves slots.
 *
 * It grows without a long moment: the old table stays beside the new one, each later addition moves
 * a few of its entries, and a search looks into both. So with a million entries no call takes more
 * than a few microseconds. An item is in one of the two tables.
 */
#ifndef GC_INDEX_H
#define GC_INDEX_H

#include "gc/vector.h"

struct index {
    struct vector slots; /* uint64_t: position + 1, above it the hash; 0: free */
    struct vector old;   /* slots from `moved` on are still to be moved from here */
    size_t moved;
};

void index_init(struct index *index);
void index_finish(struct index *index);

/* The item with this key, or NULL. */
void *index_find(const struct index *index, const struct vector *items, const void *key);

/* An item more, found by its key from now on; NULL when memory is out. */
void *index_add(struct index *index, struct vector *items, void *key);

/* The last item takes its place. */
bool index_remove(struct index *index, struct vector *items, const void *key);

/* Keys have changed. Needs no memory. */
void index_rehash(struct index *index, const struct vector *items);

/* Also for other tables by address. */
FH_INLINE size_t address_hash(const void *p)
{
    return (uintptr_t)p * 0x9e3779b97f4a7c15ull >> 20;
}

#endif
