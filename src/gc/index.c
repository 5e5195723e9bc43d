/* The index of a vector by address. See gc/index.h. */
#include "gc/index.h"

#include <string.h>

#define REMOVED UINT32_MAX /* a slot that was in use: searches go on */
#define MOVES                                                                                      \
    16 /* slots of the old table for each addition: it is empty before the new one is full */

static uint32_t *index_table(const struct vector *slots)
{
    return (uint32_t *)slots->base;
}

/* The key of an item is its first word. */
static void index_put(struct index *index, const struct vector *items, size_t position)
{
    uint32_t *slots = index_table(&index->slots);
    size_t mask = index->slots.count - 1;
    size_t at = address_hash(*(void **)vector_at(items, position)) & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = (uint32_t)position + 1;
}

static void index_move(struct index *index, const struct vector *items, size_t most)
{
    uint32_t *old = index_table(&index->old);
    for (; most > 0 && index->moved < index->old.count; most--, index->moved++) {
        uint32_t entry = old[index->moved];
        if (entry == 0 || entry == REMOVED) continue;
        index_put(index, items, entry - 1);
        old[index->moved] = REMOVED;
    }
    if (index->moved == index->old.count && index->old.base) vector_finish(&index->old);
}

/* A new table with room for twice as many. False when memory is out: it is then as it was. */
static bool index_grow(struct index *index, const struct vector *items)
{
    struct vector fresh = {.item = sizeof(uint32_t)};
    size_t size = 64;
    while (size < items->count * 4 + 4) size *= 2;
    index_move(index, items, SIZE_MAX);
    if (!vector_reserve(&fresh, size)) { /* its memory reads as zeros */
        vector_finish(&fresh);
        return false;
    }
    fresh.count = size;
    index->old = index->slots;
    index->slots = fresh;
    index->moved = 0;
    index->used = items->count;
    return true;
}

static uint32_t *slot_find(const struct vector *slots, const struct vector *items, const void *key)
{
    if (slots->count == 0) return NULL;
    uint32_t *slot = index_table(slots);
    size_t mask = slots->count - 1;
    for (size_t at = address_hash(key) & mask; slot[at]; at = (at + 1) & mask) {
        size_t position = slot[at] - 1;
        if (position < items->count && *(void **)vector_at(items, position) == key)
            return &slot[at];
    }
    return NULL;
}

static uint32_t *index_slot(const struct index *index, const struct vector *items, const void *key)
{
    uint32_t *slot = slot_find(&index->slots, items, key);
    return slot ? slot : slot_find(&index->old, items, key);
}

void *index_find(const struct index *index, const struct vector *items, const void *key)
{
    uint32_t *slot = index_slot(index, items, key);
    return slot ? vector_at(items, *slot - 1) : NULL;
}

void *index_add(struct index *index, struct vector *items, void *key)
{
    if (index->used * 2 + 4 > index->slots.count && !index_grow(index, items)) return NULL;
    index_move(index, items, MOVES);
    void **item = vector_add(items);
    if (item == NULL) return NULL;
    *item = key;
    index_put(index, items, items->count - 1);
    index->used++;
    return item;
}

bool index_remove(struct index *index, struct vector *items, const void *key)
{
    uint32_t *slot = index_slot(index, items, key);
    if (slot == NULL) return false;
    size_t position = *slot - 1;
    uint32_t *last = index_slot(index, items, *(void **)vector_at(items, items->count - 1));
    *last = *slot;
    *slot = REMOVED;
    vector_remove(items, position);
    return true;
}

void index_rehash(struct index *index, const struct vector *items)
{
    if (index->slots.count == 0) return;
    vector_finish(&index->old);
    memset(index->slots.base, 0, index->slots.count * sizeof(uint32_t));
    index->moved = 0;
    index->used = items->count;
    for (size_t i = 0; i < items->count; i++) index_put(index, items, i);
}

void index_init(struct index *index)
{
    index->slots.item = index->old.item = sizeof(uint32_t);
}

void index_finish(struct index *index)
{
    vector_finish(&index->slots);
    vector_finish(&index->old);
    index->used = index->moved = 0;
}
