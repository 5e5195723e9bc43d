/*
 * Types: a number for each, from which the marker finds what it has to follow.
 *
 * What a program declares is copied, since it lies in a library that may be unloaded while objects
 * of the type are still there, garbage or not.
 *
 * Code cannot be copied: modules_keep. A type is known by its layout, not by its address.
 *
 * Objects of one granule have their own numbers, since their one byte has room for five bits. Types
 * of equal name and layout, from a header included twice or a library loaded again, share a number.
 * A number is never given back: an object may still carry it. When they run out a type keeps the
 * number of conservative objects, which is always right, if slower.
 */
#include <string.h>

#include "base/format.h"
#include "gc/block.h"
#include "gc/call.h"
#include "gc/event.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "gc/vector.h"

struct type type_tables[TYPES_SMALL + TYPES];

static struct lock type_lock;
static _Atomic bool words_pinned; /* a pinned type has got the number of conservative objects */
static unsigned type_small_count = TYPE_FIRST, type_count = TYPE_FIRST;
static struct vector type_memory = {.item = 1}; /* of copies; never given back */

static const struct fh_gc_field one_pointer = {0, 1};

#define READY(text, number, elem, efields, ecount, bits)                                           \
    {                                                                                              \
        text, 0, elem, NULL, efields, 0, ecount, NULL, bits, (number) << 16 | (number),            \
            FH_GC_STAMP(number, 48), 0                                                             \
    }
GC_PUBLIC struct fh_gc_type fh_gc_type_bytes = READY("bytes", TYPE_BYTES, 1, NULL, 0, FH_GC_LEAF);
GC_PUBLIC struct fh_gc_type fh_gc_type_words =
    READY("words", TYPE_WORDS, 1, NULL, 0, FH_GC_CONSERVATIVE);
GC_PUBLIC struct fh_gc_type fh_gc_type_pointers =
    READY("pointers", TYPE_POINTERS, sizeof(void *), &one_pointer, 1, 0);

static int type_wrong(const struct fh_gc_type *type, const char *what)
{
    char line[300];
    struct text t = TEXT(line);
    text_str(&t, "type '");
    text_str(&t, type->name ? type->name : "?");
    text_str(&t, "': ");
    text_str(&t, what);
    text_end(&t);
    gc_say(line);
    return -EINVAL;
}

static int fields_check(const struct fh_gc_type *type, const struct fh_gc_field *fields,
                        uint32_t count, uint32_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t end = (uint64_t)fields[i].offset + (uint64_t)fields[i].count * sizeof(void *);
        if (fields[i].count && fields[i].offset % sizeof(void *))
            return type_wrong(type, "a field is not at a multiple of 8");
        if (end > size) return type_wrong(type, "a field reaches outside of the object");
    }
    return 0;
}

static int type_check(const struct fh_gc_type *type)
{
    if (type->size == 0 && type->element == 0) return type_wrong(type, "its size is zero");
    if ((type->field_count && !type->fields) ||
        (type->element_field_count && !type->element_fields))
        return type_wrong(type, "it counts fields but names none");
    int error = fields_check(type, type->fields, type->field_count, type->size);
    if (error) return error;
    if (type->element_field_count && type->size % sizeof(void *))
        return type_wrong(type, "its elements do not begin at a multiple of 8");
    if (type->element_field_count && type->element % sizeof(void *))
        return type_wrong(type, "its elements are not a multiple of 8 long");
    return fields_check(type, type->element_fields, type->element_field_count, type->element);
}

static uint64_t fields_bitmap(const struct fh_gc_field *fields, uint32_t count)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < fields[i].count; k++)
            bits |= 1ull << (fields[i].offset / sizeof(void *) + k);
    return bits;
}

static uint8_t type_scan_of(const struct fh_gc_type *type)
{
    bool fields = type->field_count > 0, elements = type->element && type->element_field_count;
    if (type->trace) return SCAN_TRACE;
    if (type->flags & FH_GC_CONSERVATIVE) return SCAN_WORDS;
    if (type->flags & FH_GC_LEAF || (!fields && !elements)) return SCAN_NOTHING;
    bool small = type->size <= 64 * sizeof(void *);
    return small && !elements ? SCAN_BITMAP : SCAN_FIELDS;
}

static void type_fill(struct type *entry, struct fh_gc_type *type, struct fh_gc_type *copy)
{
    *entry = (struct type){.public = type,
                           .copy = copy,
                           .trace = type->trace,
                           .size = type->size,
                           .element = type->element,
                           .pinned = type->flags & FH_GC_PINNED,
                           .scan = type_scan_of(type)};
    if (type->element == 0 && type->size <= OBJECT_MAX)
        entry->granules = (uint32_t)((type->size + GC_GRANULE - 1) / GC_GRANULE);
    if (type->size <= 64 * sizeof(void *) && entry->scan != SCAN_NOTHING)
        entry->bitmap = fields_bitmap(type->fields, type->field_count);
    if (type->element <= 64 * sizeof(void *))
        entry->element_bitmap = fields_bitmap(type->element_fields, type->element_field_count);
}

static bool fields_equal(const struct fh_gc_field *a, const struct fh_gc_field *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

static bool type_equal(const struct fh_gc_type *a, const struct fh_gc_type *b)
{
    return a->size == b->size && a->element == b->element && a->field_count == b->field_count &&
           a->element_field_count == b->element_field_count && a->trace == b->trace &&
           a->flags == b->flags && strcmp(a->name ? a->name : "", b->name ? b->name : "") == 0 &&
           fields_equal(a->fields, b->fields, a->field_count) &&
           fields_equal(a->element_fields, b->element_fields, a->element_field_count);
}

static unsigned type_search(const struct type *table, unsigned count, const struct fh_gc_type *type)
{
    for (unsigned n = TYPE_FIRST; n < count; n++)
        if (type_equal(table[n].copy, type)) return n;
    return 0;
}

/* NULL stays NULL. */
static void *memory_copy(const void *from, size_t size)
{
    size_t at = base_round_up(type_memory.count, sizeof(void *));
    if (from == NULL) return NULL;
    if (!vector_reserve(&type_memory, at + size)) return NULL;
    type_memory.count = at + size;
    return memcpy(type_memory.base + at, from, size);
}

/* NULL when memory is out. */
static struct fh_gc_type *type_copy(const struct fh_gc_type *type)
{
    struct fh_gc_type *copy = memory_copy(type, sizeof *type);
    if (copy == NULL) return NULL;
    copy->name = memory_copy(type->name, type->name ? strlen(type->name) + 1 : 0);
    copy->fields = memory_copy(type->fields, type->field_count * sizeof *type->fields);
    copy->element_fields =
        memory_copy(type->element_fields, type->element_field_count * sizeof *type->fields);
    bool whole = !copy->name == !type->name && !copy->fields == !type->fields &&
                 !copy->element_fields == !type->element_fields;
    return whole ? copy : NULL;
}

/* The type's number in one of the tables, 0 if there are no more. */
static unsigned type_number(struct type *table, unsigned *count, unsigned most,
                            struct fh_gc_type *type)
{
    unsigned n = type_search(table, *count, type);
    if (n && table[n].public == table[n].copy) table[n].public = type; /* it has come back */
    if (n || *count == most) return n;
    struct fh_gc_type *copy = type_copy(type);
    if (copy) type_fill(&table[n = (*count)++], type, copy);
    return n;
}

/* An equal instance elsewhere is not found again, since nobody has a list of them. */
static void type_forget(struct type *entry, const struct fh_gc_type *type)
{
    if (entry->public == type) entry->public = entry->copy;
}

GC_PUBLIC void fh_gc_type_forget(struct fh_gc_type *type)
{
    uint32_t id = __atomic_load_n(&type->id, __ATOMIC_ACQUIRE);
    if (id == 0) return;
    lock_take(&type_lock);
    type_forget(&type_small[id >> 16], type);
    type_forget(&type_table[id & 0xffff], type);
    lock_give(&type_lock);
}

/* Holds: type_lock. */
static void types_fill(void)
{
    static struct fh_gc_type *const ready[] = {&fh_gc_type_bytes, &fh_gc_type_words,
                                               &fh_gc_type_pointers};
    if (type_table[TYPE_BYTES].public) return;
    for (unsigned i = 0; i < 3; i++) {
        type_fill(&type_small[TYPE_BYTES + i], ready[i], ready[i]);
        type_fill(&type_table[TYPE_BYTES + i], ready[i], ready[i]);
    }
    type_small[TYPE_FREED] = (struct type){.public = &fh_gc_type_bytes, .copy = &fh_gc_type_bytes};
    type_table[TYPE_FREED] = type_small[TYPE_FREED];
    type_table[TYPE_WEAK] =
        (struct type){.public = &fh_gc_type_bytes, .copy = &fh_gc_type_bytes, .granules = 2};
    type_table[TYPE_EPHEMERON] = (struct type){.public = &fh_gc_type_bytes,
                                               .copy = &fh_gc_type_bytes,
                                               .granules = 2,
                                               .scan = SCAN_EPHEMERON};
}

void types_init(void)
{
    lock_take(&type_lock);
    types_fill();
    lock_give(&type_lock);
}

/* Who asks for an object's type is told its number, also by the copy. */
static void type_number_note(struct type *table, unsigned n, const struct fh_gc_type *type)
{
    if (n < TYPE_FIRST) return;
    table[n].copy->stamp = type->stamp;
    table[n].copy->id = type->id;
}

/* Whether the numbers that a type says it has are its own: it may be in memory where another one
 * was. */
static bool type_is_known(const struct fh_gc_type *type)
{
    unsigned in_small = type->id >> 16 & (TYPES_SMALL - 1), in_table = type->id & (TYPES - 1);
    const struct type *entry =
        in_table == TYPE_WORDS ? &type_small[in_small] : &type_table[in_table];
    const struct fh_gc_type *copy = entry->copy;
    return type->id && copy && copy->id == type->id && type_equal(copy, type);
}

/* What was there before is told of no more. */
static void types_displace(const struct fh_gc_type *type)
{
    for (unsigned n = 0; n < TYPES_SMALL + type_count; n++) type_forget(&type_tables[n], type);
}

/* A type of variable size may have objects of one granule too, and one of one granule has fenced
 * objects: so it has a number in both tables, that of the small ones in the upper half of `id`.
 * True if one was missing. Holds: type_lock. */
static bool type_numbers_give(struct fh_gc_type *type)
{
    types_displace(type);
    bool small = type->size <= GC_GRANULE, large = type->element || type->size > GC_GRANULE;
    unsigned in_small = 0, in_table = 0;
    if (small) in_small = type_number(type_small, &type_small_count, TYPES_SMALL, type);
    in_table = type_number(type_table, &type_count, TYPES, type);
    bool none = (small && !in_small) || (large && !in_table);
    if (none && type->flags & FH_GC_PINNED) STORE(&words_pinned, true);
    if (in_small == 0) in_small = TYPE_WORDS;
    if (in_table == 0) in_table = TYPE_WORDS;
    type->stamp = FH_GC_STAMP(small ? in_small : in_table, type->size);
    __atomic_store_n(&type->id, in_small << 16 | in_table, __ATOMIC_RELEASE);
    type_number_note(type_small, in_small, type);
    type_number_note(type_table, in_table, type);
    return none;
}

GC_PUBLIC int fh_gc_type_register(struct fh_gc_type *type)
{
    int error = type_check(type);
    if (error) return error;
    if (type->trace) modules_keep((const void *)(uintptr_t)type->trace);
    lock_take(&type_lock);
    types_fill();
    bool none = !type_is_known(type) && type_numbers_give(type);
    lock_give(&type_lock);
    if (none && type->trace) type_wrong(type, "there are too many types for its trace function");
    return none ? -ENOSPC : 0;
}

/* Those of one granule are in the other table, and are as long as it says. */
void type_note_size(uint32_t id, size_t size)
{
    struct type *type = &type_table[id & 0xffff];
    uint32_t granules = type_granules(type);
    if (granules && size > (size_t)granules << GC_SHIFT)
        __atomic_store_n(&type->granules, 0, __ATOMIC_RELEASE); /* before there is such an object */
}

bool type_stays(const struct type *type)
{
    return type->pinned || (type->scan == SCAN_WORDS && LOAD(&words_pinned));
}

void types_fork_prepare(void)
{
    lock_take(&type_lock);
}

void types_fork_end(void)
{
    lock_give(&type_lock);
}
