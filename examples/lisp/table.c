/*
 * Hash tables. Strong ones are open addressing over one array of keys and values; an entry that was
 * deleted leaves a mark. Keys are compared by eq? or equal?.
 *
 * What has no contents to hash is hashed by its address. The collector may move objects: a lookup that
 * fails asks whether addresses have gone stale since the table was built, and if so the table is built
 * anew and the lookup tried again.
 *
 * Weak tables are the collector's own, of ephemerons: an entry goes when nothing else has its key, even
 * if its value refers to the key.
 */
#include "args.h"
#include "stack.h"
#include "text.h"

enum mode { MODE_EQUAL, MODE_EQ, MODE_WEAK };
enum { CAPACITY_FIRST = 8 };

#define EMPTY ((value)0)
#define DELETED UNDEFINED

struct table {
    struct object head; /* count: enum mode */
    size_t live;        /* entries */
    size_t used;        /* the same and marks of deleted ones */
    size_t capacity;    /* a power of two */
    value *entries;     /* key, value, key, value... */
    struct fh_gc_table *weak;
    struct fh_gc_location location;
};

FH_GC_TYPE(table, entries, weak)

static struct table *arg_table(value v)
{
    arg_kind(v, KIND_TABLE, "not a hash table");
    return (struct table *)v;
}

/* ---- hashing --------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 32;
}

/* Of equal things the same; looks at no more than `budget` of a structure. */
static uint64_t hash_equal(value v, uint64_t hash, int *budget)
{
    for (; is_pair(v) && *budget > 0; v = cdr(v)) {
        --*budget;
        hash = mix(hash_equal(car(v), hash, budget), 1);
    }
    if (is_pair(v)) return hash;
    if (is_kind(v, KIND_STRING)) return mix(hash, string_hash(v));
    if (is_kind(v, KIND_VECTOR)) return mix(hash, vector_of(v)->head.count);
    if (!is_kind(v, KIND_FLONUM)) return mix(hash, v);
    double number = flonum_get(v);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return mix(hash, bits);
}

static size_t hash_of(const struct table *table, value key)
{
    int budget = 32;
    return table->head.count == MODE_EQ ? mix(0, key) : hash_equal(key, 0, &budget);
}

static bool is_same(const struct table *table, value a, value b)
{
    return a == b || (table->head.count == MODE_EQUAL && is_equal(a, b));
}

/* ---- strong tables ----------------------------------------------------------------------------------------- */

static void entries_make(struct table *table, size_t capacity)
{
    store_object(&table->entries, allocated(fh_gc_new_pointers(lisp.heap, capacity * 2)));
    table->capacity = capacity;
    table->live = table->used = 0;
    fh_gc_location_reset(lisp.heap, &table->location);
}

/* A new key. */
static void entry_add(struct table *table, value key, value v)
{
    size_t mask = table->capacity - 1, at = hash_of(table, key) & mask;
    while (table->entries[at * 2] != EMPTY) at = (at + 1) & mask;
    store(&table->entries[at * 2], key);
    store(&table->entries[at * 2 + 1], v);
    if (is_pair(key) || is_object(key))
        fh_gc_location_add(lisp.heap, &table->location, (void *)key);
    table->live++;
    table->used++;
}

static bool is_live(value key)
{
    return key != EMPTY && key != DELETED;
}

/* Anew, with room for twice the entries that live. */
static void table_rebuild(struct table *table)
{
    value *old = table->entries;
    size_t size = table->capacity * 2, capacity = CAPACITY_FIRST;
    while (capacity < (table->live + 1) * 2) capacity *= 2;
    entries_make(table, capacity);
    for (size_t i = 0; i < size; i += 2)
        if (is_live(old[i])) entry_add(table, old[i], old[i + 1]);
}

static value *entry_search(struct table *table, value key)
{
    size_t mask = table->capacity - 1;
    for (size_t at = hash_of(table, key) & mask;; at = (at + 1) & mask) {
        value *entry = &table->entries[at * 2];
        if (entry[0] == EMPTY) return NULL;
        if (entry[0] != DELETED && is_same(table, entry[0], key)) return entry;
    }
}

static value *entry_find(struct table *table, value key)
{
    value *entry = entry_search(table, key);
    if (entry || !fh_gc_location_stale(lisp.heap, &table->location, (void *)key)) return entry;
    table_rebuild(table);
    return entry_search(table, key);
}

static void table_set(struct table *table, value key, value v)
{
    value *entry = entry_find(table, key);
    if (entry) {
        store(&entry[1], v);
        return;
    }
    if ((table->used + 1) * 4 > table->capacity * 3) table_rebuild(table);
    entry_add(table, key, v);
}

static bool table_delete(struct table *table, value key)
{
    value *entry = entry_find(table, key);
    if (entry == NULL) return false;
    store(&entry[0], DELETED);
    store(&entry[1], FALSE);
    table->live--;
    return true;
}

/* ---- weak tables --------------------------------------------------------------------------------------------- */

/* The object of a key, which the collector knows by its first byte. */
static void *weak_key(value key)
{
    if (is_pair(key)) return pair_of(key);
    if (!is_object(key)) fail("only objects can be weak keys", key);
    return (void *)key;
}

static value weak_key_value(void *object)
{
    bool pair = fh_gc_type_of(lisp.heap, object)->id == fh_gc_type_pair.id;
    return pair ? pair_value(object) : (value)object;
}

static void weak_set(struct table *table, value key, value v)
{
    if (fh_gc_table_set(lisp.heap, table->weak, weak_key(key), (void *)v)) fail_memory();
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

static value lookup(struct table *table, value key, value missing)
{
    if (table->head.count == MODE_WEAK)
        return (value)fh_gc_table_get(lisp.heap, table->weak, weak_key(key), (void *)missing);
    value *entry = entry_find(table, key);
    return entry ? entry[1] : missing;
}

static void set(struct table *table, value key, value v)
{
    if (table->head.count == MODE_WEAK)
        weak_set(table, key, v);
    else
        table_set(table, key, v);
}

/* What the function makes of each entry. */
static value collect(struct table *table, value (*function)(value key, value v))
{
    value list = NIL;
    void *key, *v;
    size_t at = 0;
    if (table->head.count == MODE_WEAK) {
        while (fh_gc_table_next(lisp.heap, table->weak, &at, &key, &v))
            list = cons(function(weak_key_value(key), (value)v), list);
        return list;
    }
    for (; at < table->capacity; at++)
        if (is_live(table->entries[at * 2]))
            list = cons(function(table->entries[at * 2], table->entries[at * 2 + 1]), list);
    return list;
}

static value table_new(enum mode mode)
{
    struct table *table = allocated(fh_gc_new(lisp.heap, table));
    table->head = (struct object){KIND_TABLE, mode};
    if (mode == MODE_WEAK)
        store_object(&table->weak, allocated(fh_gc_table_new(lisp.heap)));
    else
        entries_make(table, CAPACITY_FIRST);
    return (value)table;
}

/* ---- builtins ---------------------------------------------------------------------------------------------------- */

static value builtin_make(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return table_new(MODE_EQUAL);
}

static value builtin_make_eq(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return table_new(MODE_EQ);
}

static value builtin_make_weak(unsigned argc, value *argv)
{
    (void)argc;
    (void)argv;
    return table_new(MODE_WEAK);
}

static value builtin_is_table(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(is_kind(argv[0], KIND_TABLE));
}

static value builtin_set(unsigned argc, value *argv)
{
    (void)argc;
    set(arg_table(argv[0]), argv[1], argv[2]);
    return UNSPECIFIED;
}

static value builtin_ref_default(unsigned argc, value *argv)
{
    (void)argc;
    return lookup(arg_table(argv[0]), argv[1], argv[2]);
}

/* (hash-table-ref table key [thunk]) */
static value builtin_ref(unsigned argc, value *argv)
{
    value found = lookup(arg_table(argv[0]), argv[1], UNDEFINED);
    if (found != UNDEFINED) return found;
    if (argc < 3) fail("no such key", argv[1]);
    return call_procedure(argv[2], 0, NULL);
}

static value builtin_contains(unsigned argc, value *argv)
{
    (void)argc;
    return boolean(lookup(arg_table(argv[0]), argv[1], UNDEFINED) != UNDEFINED);
}

static value builtin_delete(unsigned argc, value *argv)
{
    struct table *table = arg_table(argv[0]);
    (void)argc;
    if (table->head.count != MODE_WEAK) return boolean(table_delete(table, argv[1]));
    return boolean(fh_gc_table_remove(lisp.heap, table->weak, weak_key(argv[1])));
}

static value builtin_count(unsigned argc, value *argv)
{
    struct table *table = arg_table(argv[0]);
    (void)argc;
    if (table->head.count != MODE_WEAK) return fixnum((int64_t)table->live);
    return fixnum((int64_t)fh_gc_table_count(lisp.heap, table->weak));
}

static value builtin_clear(unsigned argc, value *argv)
{
    struct table *table = arg_table(argv[0]);
    (void)argc;
    if (table->head.count == MODE_WEAK)
        store_object(&table->weak, allocated(fh_gc_table_new(lisp.heap)));
    else
        entries_make(table, CAPACITY_FIRST);
    return UNSPECIFIED;
}

/* (hash-table-update! table key procedure [thunk]), (hash-table-update!/default ... value) */
static value update(value *argv, value old)
{
    value new = call_procedure(argv[2], 1, &old);
    set(arg_table(argv[0]), argv[1], new);
    return UNSPECIFIED;
}

static value builtin_update(unsigned argc, value *argv)
{
    value old = lookup(arg_table(argv[0]), argv[1], UNDEFINED);
    if (old == UNDEFINED && argc < 4) fail("no such key", argv[1]);
    return update(argv, old == UNDEFINED ? call_procedure(argv[3], 0, NULL) : old);
}

static value builtin_update_default(unsigned argc, value *argv)
{
    (void)argc;
    return update(argv, lookup(arg_table(argv[0]), argv[1], argv[3]));
}

static value entry_key(value key, value v)
{
    (void)v;
    return key;
}

static value entry_value(value key, value v)
{
    (void)key;
    return v;
}

static value builtin_keys(unsigned argc, value *argv)
{
    (void)argc;
    return collect(arg_table(argv[0]), entry_key);
}

static value builtin_values(unsigned argc, value *argv)
{
    (void)argc;
    return collect(arg_table(argv[0]), entry_value);
}

static value builtin_to_alist(unsigned argc, value *argv)
{
    (void)argc;
    return collect(arg_table(argv[0]), cons);
}

/* The entries as they are now: the procedure may change the table. */
static value builtin_walk(unsigned argc, value *argv)
{
    (void)argc;
    for (value l = collect(arg_table(argv[0]), cons); l != NIL; l = cdr(l))
        call_procedure(argv[1], 2, (value[]){car(car(l)), cdr(car(l))});
    return UNSPECIFIED;
}

static const struct builtin_row rows[] = {
    {"make-hash-table", builtin_make, 0, 0},
    {"make-eq-hash-table", builtin_make_eq, 0, 0},
    {"make-weak-hash-table", builtin_make_weak, 0, 0},
    {"hash-table?", builtin_is_table, 1, 1},
    {"hash-table-set!", builtin_set, 3, 3},
    {"hash-table-ref", builtin_ref, 2, 3},
    {"hash-table-ref/default", builtin_ref_default, 3, 3},
    {"hash-table-contains?", builtin_contains, 2, 2},
    {"hash-table-delete!", builtin_delete, 2, 2},
    {"hash-table-count", builtin_count, 1, 1},
    {"hash-table-clear!", builtin_clear, 1, 1},
    {"hash-table-update!", builtin_update, 3, 4},
    {"hash-table-update!/default", builtin_update_default, 4, 4},
    {"hash-table-keys", builtin_keys, 1, 1},
    {"hash-table-values", builtin_values, 1, 1},
    {"hash-table->alist", builtin_to_alist, 1, 1},
    {"hash-table-walk", builtin_walk, 2, 2},
};

void table_define(void)
{
    BUILTINS_DEFINE(rows);
}
