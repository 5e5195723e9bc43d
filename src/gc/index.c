/* The index of a vector by address. See gc/index.h. */
#include "gc/index.h"
#include "gc/meta.h"

#include <string.h>

#define MOVED ((uint64_t)UINT32_MAX) /* a slot of the old table that was in use: searches go on */
#define MOVES                                                                                      \
    16 /* slots of the old table for each addition: it is empty before the new one is full */

static uint64_t *index_table(const struct vector *slots)
{
    return (uint64_t *)slots->base;
}

/* Neighbours of 512 bytes go to four cache lines of slots: what is made in a row, or dies together, is found there together.
 * Not more of them: where runs met, searches would be long. */
static uint32_t index_hash(const void *key)
{
    uintptr_t p = (uintptr_t)key;
    return ((uint32_t)address_hash((void *)(p >> 9)) & ~31u) | (p >> GC_SHIFT & 31);
}

static uint32_t slot_hash(uint64_t slot)
{
    return (uint32_t)(slot >> 32);
}

static size_t slot_position(uint64_t slot)
{
    return (uint32_t)slot - (size_t)1;
}

static uint64_t slot_make(uint32_t hash, size_t position)
{
    return (uint64_t)hash << 32 | (uint32_t)(position + 1);
}

static void index_put(struct index *index, uint64_t slot)
{
    uint64_t *slots = index_table(&index->slots);
    size_t mask = index->slots.count - 1, at = slot_hash(slot) & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = slot;
}

static void index_move(struct index *index, size_t most)
{
    uint64_t *old = index_table(&index->old);
    for (; most > 0 && index->moved < index->old.count; most--, index->moved++) {
        uint64_t slot = old[index->moved];
        if (slot == 0 || slot == MOVED) continue;
        index_put(index, slot);
        old[index->moved] = MOVED;
    }
    if (index->moved == index->old.count && index->old.base) vector_finish(&index->old);
}

/* A new table with room for twice as many. False when memory is out: it is then as it was. */
static bool index_grow(struct index *index, const struct vector *items)
{
    struct vector fresh = {.item = sizeof(uint64_t)};
    size_t size = 64;
    while (size < items->count * 4 + 4) size *= 2;
    index_move(index, SIZE_MAX);
    if (!vector_reserve(&fresh, size)) { /* its memory reads as zeros */
        vector_finish(&fresh);
        return false;
    }
    fresh.count = size;
    index->old = index->slots;
    index->slots = fresh;
    index->moved = 0;
    return true;
}

/* An item is looked at only where the hash is the same. */
static uint64_t *slot_find(const struct vector *slots, const struct vector *items, const void *key)
{
    if (slots->count == 0) return NULL;
    uint64_t *slot = index_table(slots);
    uint32_t hash = index_hash(key);
    size_t mask = slots->count - 1;
    for (size_t at = hash & mask; slot[at]; at = (at + 1) & mask) {
        if (slot_hash(slot[at]) != hash || slot[at] == MOVED) continue;
        if (*(void **)vector_at(items, slot_position(slot[at])) == key) return &slot[at];
    }
    return NULL;
}

static uint64_t *index_slot(const struct index *index, const struct vector *items, const void *key)
{
    uint64_t *slot = slot_find(&index->slots, items, key);
    return slot ? slot : slot_find(&index->old, items, key);
}

/* Those behind it that would not be found any more move up. Not in the old table, where what moves down could pass
 * by who moves it to the new one. */
static void slot_remove(struct index *index, uint64_t *slot)
{
    uint64_t *slots = index_table(&index->slots);
    size_t mask = index->slots.count - 1, hole = (size_t)(slot - slots);
    if (hole >= index->slots.count) {
        *slot = MOVED;
        return;
    }
    for (size_t at = (hole + 1) & mask; slots[at]; at = (at + 1) & mask) {
        size_t home = slot_hash(slots[at]) & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue;
        slots[hole] = slots[at];
        hole = at;
    }
    slots[hole] = 0;
}

void *index_find(const struct index *index, const struct vector *items, const void *key)
{
    uint64_t *slot = index_slot(index, items, key);
    return slot ? vector_at(items, slot_position(*slot)) : NULL;
}

void *index_add(struct index *index, struct vector *items, void *key)
{
    if (items->count * 2 + 4 > index->slots.count && !index_grow(index, items)) return NULL;
    index_move(index, MOVES);
    void **item = vector_add(items);
    if (item == NULL) return NULL;
    *item = key;
    index_put(index, slot_make(index_hash(key), items->count - 1));
    return item;
}

bool index_remove(struct index *index, struct vector *items, const void *key)
{
    uint64_t *slot = index_slot(index, items, key);
    if (slot == NULL) return false;
    size_t position = slot_position(*slot), last = items->count - 1;
    if (position != last) {
        uint64_t *other = index_slot(index, items, *(void **)vector_at(items, last));
        *other = slot_make(slot_hash(*other), position);
    }
    slot_remove(index, slot);
    vector_remove(items, position);
    return true;
}

void index_rehash(struct index *index, const struct vector *items)
{
    if (index->slots.count == 0) return;
    vector_finish(&index->old);
    memset(index->slots.base, 0, index->slots.count * sizeof(uint64_t));
    index->moved = 0;
    for (size_t i = 0; i < items->count; i++)
        index_put(index, slot_make(index_hash(*(void **)vector_at(items, i)), i));
}

void index_init(struct index *index)
{
    index->slots.item = index->old.item = sizeof(uint64_t);
}

void index_finish(struct index *index)
{
    vector_finish(&index->slots);
    vector_finish(&index->old);
    index->moved = 0;
}
