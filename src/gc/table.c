/*
 * The ephemeron table: open addressing over an array of ephemerons, hashed by the address of the
 * key.
 *
 * An entry whose key has died reads as having no key; it stays in its slot, so that searches go on
 * past it, until the next entry that hashes there takes the slot or the table is built anew. If
 * objects have moved since the last building, addresses say nothing any more and it is built anew
 * before a search; without memory for that, the search looks at every slot.
 *
 * With exact stacks an allocation may move what the variables here refer to: so they are in frames.
 */
#include "gc/call.h"
#include "gc/weak.h"

struct fh_gc_table {
    struct fh_gc_ephemeron **slots;
    size_t size; /* of slots, a power of two */
    size_t used; /* slots that are not NULL */
    struct fh_gc_location location;
};

FH_GC_TYPE_OF(table, struct fh_gc_table, slots)

enum { TABLE_FIRST = 8 };

static size_t key_hash(const void *key)
{
    return (uintptr_t)key * 0x9e3779b97f4a7c15ull >> 24;
}

static bool table_make(struct fh_gc_heap *heap, struct fh_gc_table *table, size_t size)
{
    FH_GC_FRAME(table);
    void **slots = fh_gc_new_pointers(heap, size);
    if (slots == NULL) return false;
    fh_gc_store(heap, &table->slots, (struct fh_gc_ephemeron **)slots);
    table->size = size;
    table->used = 0;
    fh_gc_location_reset(heap, &table->location);
    return true;
}

GC_PUBLIC struct fh_gc_table *fh_gc_table_new(struct fh_gc_heap *heap)
{
    struct fh_gc_table *table = fh_gc_new(heap, table);
    FH_GC_FRAME(table);
    if (table == NULL || !table_make(heap, table, TABLE_FIRST)) return NULL;
    return table;
}

static void table_put(struct fh_gc_heap *heap, struct fh_gc_table *table,
                      struct fh_gc_ephemeron *entry, const void *key)
{
    size_t mask = table->size - 1, at = key_hash(key) & mask;
    while (table->slots[at]) at = (at + 1) & mask;
    fh_gc_store(heap, &table->slots[at], entry);
    fh_gc_location_add(heap, &table->location, key);
    table->used++;
}

/* Anew, with room for twice the entries whose keys live. */
static bool table_rebuild(struct fh_gc_heap *heap, struct fh_gc_table *table)
{
    struct fh_gc_ephemeron **old = table->slots;
    size_t size = table->size, live = 0, want = TABLE_FIRST;
    FH_GC_FRAME(table, old);
    for (size_t i = 0; i < size; i++) live += old[i] && fh_gc_ephemeron_key(heap, old[i]);
    while (want < live * 2 + 2) want *= 2;
    if (!table_make(heap, table, want)) return false;
    for (size_t i = 0; i < size; i++) {
        void *key = old[i] ? fh_gc_ephemeron_key(heap, old[i]) : NULL;
        if (key) table_put(heap, table, old[i], key);
    }
    return true;
}

static struct fh_gc_ephemeron *table_search(struct fh_gc_heap *heap, struct fh_gc_table *table,
                                            const void *key)
{
    size_t mask = table->size - 1;
    for (size_t at = key_hash(key) & mask; table->slots[at]; at = (at + 1) & mask)
        if (fh_gc_ephemeron_key(heap, table->slots[at]) == key) return table->slots[at];
    return NULL;
}

/* Whatever the hashes say. */
static struct fh_gc_ephemeron *table_search_all(struct fh_gc_heap *heap, struct fh_gc_table *table,
                                                const void *key)
{
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i] && fh_gc_ephemeron_key(heap, table->slots[i]) == key)
            return table->slots[i];
    return NULL;
}

static FH_NOINLINE struct fh_gc_ephemeron *table_find_moved(struct fh_gc_heap *heap,
                                                            struct fh_gc_table *table,
                                                            const void *key)
{
    FH_GC_FRAME(table, key);
    bool anew = table_rebuild(heap, table);
    return anew ? table_search(heap, table, key) : table_search_all(heap, table, key);
}

static struct fh_gc_ephemeron *table_find(struct fh_gc_heap *heap, struct fh_gc_table *table,
                                          const void *key)
{
    if (UNLIKELY(fh_gc_location_stale(heap, &table->location, key)))
        return table_find_moved(heap, table, key);
    return table_search(heap, table, key);
}

GC_PUBLIC int fh_gc_table_set(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key,
                              void *value)
{
    if (key == NULL) return -EINVAL;
    FH_GC_FRAME(table, key, value);
    struct fh_gc_ephemeron *entry = table_find(heap, table, key);
    if (entry) {
        fh_gc_ephemeron_set_value(heap, entry, value);
        return 0;
    }
    if ((table->used + 1) * 4 > table->size * 3 && !table_rebuild(heap, table)) return -ENOMEM;
    entry = fh_gc_ephemeron_new(heap, key, value);
    if (entry == NULL) return -ENOMEM;
    table_put(heap, table, entry, key);
    return 0;
}

GC_PUBLIC void *fh_gc_table_get(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key,
                                void *missing)
{
    struct fh_gc_ephemeron *entry = key ? table_find(heap, table, key) : NULL;
    return entry ? fh_gc_ephemeron_value(heap, entry) : missing;
}

/* The slot keeps an entry without a key, or searches for others would end there. */
GC_PUBLIC bool fh_gc_table_remove(struct fh_gc_heap *heap, struct fh_gc_table *table, void *key)
{
    struct fh_gc_ephemeron *entry = key ? table_find(heap, table, key) : NULL;
    if (entry) ephemeron_drop(entry);
    return entry != NULL;
}

GC_PUBLIC size_t fh_gc_table_count(struct fh_gc_heap *heap, struct fh_gc_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->size; i++)
        count += table->slots[i] && fh_gc_ephemeron_key(heap, table->slots[i]);
    return count;
}

GC_PUBLIC bool fh_gc_table_next(struct fh_gc_heap *heap, struct fh_gc_table *table, size_t *at,
                                void **key, void **value)
{
    while (*at < table->size) {
        struct fh_gc_ephemeron *entry = table->slots[(*at)++];
        *key = entry ? fh_gc_ephemeron_key(heap, entry) : NULL;
        if (*key == NULL) continue;
        *value = fh_gc_ephemeron_value(heap, entry);
        return true;
    }
    return false;
}
