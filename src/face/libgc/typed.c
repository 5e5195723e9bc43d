/*
 * Objects with exact layouts. A descriptor made of a bitmap is a word (the form of gc_mark.h), and each is a type of
 * gc/ from the first object on, so that the marker reads the fields itself. Long bitmaps are kept in a table, and
 * the word names a procedure of ours and the place there.
 *
 * A type is for a descriptor, or for arrays of elements with one. Beyond TYPES_MOST objects are conservative, which
 * the ABI allows.
 */
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "gc/mark.h"

enum { BITMAP_WORDS = 62, LONG_PROC = 1, LONG_SHIFT = 8 };
enum { TYPES_MOST = 512 }; /* the program may have types of its own */

struct typed {
    GC_word descriptor;
    size_t element; /* bytes, 0: no array */
    struct typed *next;
    struct fh_gc_type type;
    char name[40];
    struct fh_gc_field fields[BITMAP_WORDS];
};

/* By hash; the tables' lock. */
static struct typed *chains[256];
static unsigned typed_count;

/* Long bitmaps: a count of words of bits, then these. */
static struct vector long_bits = {.item = sizeof(GC_word)};

/* ---- descriptors ---------------------------------------------------------------------------------------------- */

static bool bit_is_set(const GC_word *bits, size_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static GC_word descriptor_short(const GC_word *bits, size_t count)
{
    GC_word descriptor = 0;
    for (size_t i = 0; i < count; i++)
        if (bit_is_set(bits, i)) descriptor |= (GC_word)1 << (63 - i);
    return descriptor | DS_BITMAP;
}

/* Without memory for the bits every word may be a reference. */
static GC_word descriptor_long(const GC_word *bits, size_t count)
{
    size_t words = (count + 63) / 64;
    struct gc_thread *thread = libgc_lock();
    size_t at = long_bits.count;
    bool room = vector_reserve(&long_bits, at + words + 1);
    if (room) {
        GC_word *to = vector_at(&long_bits, at);
        to[0] = words;
        memcpy(to + 1, bits, words * sizeof *bits);
        if (count % 64) to[words] &= ~(GC_word)0 >> (64 - count % 64);
        long_bits.count += words + 1;
    }
    libgc_unlock(thread);
    return room ? at << LONG_SHIFT | LONG_PROC << 2 | DS_PROC : count * sizeof(void *);
}

static void long_visit(GC_word descriptor, uintptr_t *object, struct fh_gc_visitor *visitor)
{
    const GC_word *words = vector_at(&long_bits, descriptor >> LONG_SHIFT);
    for (size_t w = 0; w < words[0]; w++)
        for (GC_word bits = words[w + 1]; bits; bits &= bits - 1)
            visitor->slot(visitor, (void **)(object + w * 64 + base_ctz(bits)));
}

static bool descriptor_is_long(GC_word descriptor)
{
    return (descriptor & ((1 << LONG_SHIFT) - 1)) == (LONG_PROC << 2 | DS_PROC);
}

GC_API GC_word GC_make_descriptor(const GC_word *bits, size_t count)
{
    while (count > 0 && !bit_is_set(bits, count - 1)) count--;
    size_t first = 0;
    while (first < count && bit_is_set(bits, first)) first++;
    if (first == count) return count * sizeof(void *); /* all of them, or none */
    return count <= BITMAP_WORDS ? descriptor_short(bits, count) : descriptor_long(bits, count);
}

/* ---- types ---------------------------------------------------------------------------------------------------------- */

static void typed_trace(void *object, size_t size, struct fh_gc_visitor *visitor)
{
    const struct fh_gc_type *type = type_at(meta_of(object))->public;
    const struct typed *typed =
        (const struct typed *)((const char *)type - offsetof(struct typed, type));
    if (descriptor_is_long(typed->descriptor))
        long_visit(typed->descriptor, object, visitor);
    else
        descriptor_visit(typed->descriptor, object, size, visitor);
}

/* One field for each run of references; returns how many bytes they reach over. */
static size_t fields_of_bitmap(struct typed *typed, uint32_t *count)
{
    GC_word bits = typed->descriptor & ~(GC_word)DS_TAGS;
    struct fh_gc_field *fields = typed->fields;
    size_t end = 0;
    *count = 0;
    for (uint32_t word = 0; bits; bits <<= 1, word++) {
        if (!(bits >> 63)) continue;
        bool goes_on = *count && end == word * sizeof(void *);
        if (!goes_on) fields[(*count)++] = (struct fh_gc_field){word * (uint32_t)sizeof(void *), 0};
        fields[*count - 1].count++;
        end = (word + 1) * sizeof(void *);
    }
    return end;
}

static size_t fields_of_length(struct typed *typed, uint32_t *count)
{
    typed->fields[0] = (struct fh_gc_field){0, (uint32_t)(typed->descriptor / sizeof(void *))};
    *count = typed->descriptor > 0;
    return typed->descriptor;
}

static void typed_fill(struct typed *typed)
{
    struct fh_gc_type *type = &typed->type;
    struct text t = TEXT(typed->name);
    GC_word tag = typed->descriptor & DS_TAGS;
    uint32_t count = 0;
    text_str(&t, "typed ");
    text_hex(&t, typed->descriptor);
    text_end(&t);
    type->name = typed->name;
    type->element = 1;
    if (tag == DS_PROC || (tag == DS_LENGTH && typed->descriptor > UINT32_MAX / 2)) {
        type->trace = typed_trace;
        return;
    }
    size_t end =
        tag == DS_LENGTH ? fields_of_length(typed, &count) : fields_of_bitmap(typed, &count);
    if (typed->element) {
        type->element = (uint32_t)typed->element;
        type->element_fields = typed->fields;
        type->element_field_count = count;
    } else {
        type->size = (uint32_t)end;
        type->fields = typed->fields;
        type->field_count = count;
    }
}

static struct typed *typed_find(GC_word descriptor, size_t element)
{
    size_t hash = address_hash((void *)(descriptor + element * 31)) % 256;
    for (struct typed *typed = chains[hash]; typed; typed = typed->next)
        if (typed->descriptor == descriptor && typed->element == element) return typed;
    if (typed_count == TYPES_MOST) return NULL;
    struct typed *typed = arena_record(RECORD_GC, sizeof *typed);
    if (typed == NULL) return NULL;
    typed_count++;
    memset(typed, 0, sizeof *typed);
    typed->descriptor = descriptor;
    typed->element = element;
    typed_fill(typed);
    fh_gc_type_register(&typed->type);
    typed->next = chains[hash];
    chains[hash] = typed;
    return typed;
}

static struct fh_gc_type *typed_type(GC_word descriptor, size_t element)
{
    struct gc_thread *thread = libgc_lock();
    struct typed *typed = typed_find(descriptor, element);
    libgc_unlock(thread);
    return typed ? &typed->type : &fh_gc_type_words;
}

/* An object has room for the bits of its descriptor, whatever the program says. */
static void *typed_allocate(size_t size, struct fh_gc_type *type)
{
    return libgc_allocate(base_max(size, type->size), type);
}

GC_API void *GC_malloc_explicitly_typed(size_t size, GC_word descriptor)
{
    if (descriptor == 0) return GC_malloc_atomic(size);
    return typed_allocate(size, typed_type(descriptor, 0));
}

GC_API void *GC_malloc_explicitly_typed_ignore_off_page(size_t size, GC_word descriptor)
{
    return GC_malloc_explicitly_typed(size, descriptor);
}

/* Elements that are no whole words, or have a procedure, cannot be followed one by one. */
GC_API void *GC_calloc_explicitly_typed(size_t count, size_t size, GC_word descriptor)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return libgc_out_of_memory(SIZE_MAX);
    if (descriptor == 0) return GC_malloc_atomic(bytes);
    bool plain = (descriptor & DS_TAGS) == DS_BITMAP ||
                 ((descriptor & DS_TAGS) == DS_LENGTH && descriptor <= size);
    if (!plain || size == 0 || size % sizeof(void *) || size > UINT32_MAX / 2)
        return GC_malloc(bytes);
    return libgc_allocate(bytes, typed_type(descriptor, size));
}
