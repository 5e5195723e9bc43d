/*
 * type: what the collector knows of a type of objects. A number for each, which an object's mark
 * bytes carry; at that place in one of two tables, a line of what the marker has to know. See
 * gc/type.c.
 *
 *      mark bytes of an object ---> number ---> type_small[number]   objects of one granule
 *                                               type_table[number]   others
 */
#ifndef GC_TYPE_H
#define GC_TYPE_H

#include "gc/meta.h"

#define TYPES_SMALL 32 /* of one granule */
#define TYPES 1024

enum {
    TYPE_BYTES = 1,
    TYPE_WORDS,
    TYPE_POINTERS,
    TYPE_WEAK,
    TYPE_EPHEMERON,
    TYPE_FREED,
    TYPE_FIRST
};
static_assert(TYPE_WORDS == FH_GC_TYPE_WORDS, "the header's constant");

/* A type as the marker wants it. */
struct type {
    uint64_t bitmap;         /* references in the first 64 words; 0 if it has none */
    uint32_t granules;       /* of each of its objects; 0: they differ, look for the end */
    uint8_t scan;            /* enum type_scan */
    bool pinned;             /* its objects do not move */
    uint32_t size;           /* fixed part */
    uint32_t element;        /* bytes of an element; 0 none */
    uint64_t element_bitmap; /* if element is at most 64 words */
    fh_gc_trace_fn *trace;
    struct fh_gc_type *public; /* what programs are told: an instance of theirs, or the copy */
    struct fh_gc_type *copy;   /* of it, its name and fields: these go when a library is unloaded */
} __attribute__((aligned(64)));
static_assert(sizeof(struct type) == 64, "the marker reads one line");

enum type_scan { SCAN_NOTHING, SCAN_BITMAP, SCAN_FIELDS, SCAN_WORDS, SCAN_TRACE, SCAN_EPHEMERON };

/* Types of objects of one granule, and of others. */
extern struct type type_tables[TYPES_SMALL + TYPES];
#define type_small type_tables
#define type_table (type_tables + TYPES_SMALL)

void types_init(void);

/* An object of this type is about to be made, of more bytes than the type has. */
void type_note_size(uint32_t id, size_t size);

/* Of its objects; 0: they differ. A plain load: it is in the loop of marking. */
FH_RACY uint32_t type_granules(const struct type *type)
{
    return type->granules;
}

/* Whether objects of this type never move. */
bool type_stays(const struct type *type);

/* Of an object whose first two bytes these are, the first one lowest. */
FH_INLINE const struct type *type_of_bytes(unsigned bytes)
{
    unsigned low = bytes >> 2 & 31, high = bytes >> 10 & 31;
    return &type_tables[bytes & META_END ? low : TYPES_SMALL + (low | high << 5)];
}

FH_INLINE const struct type *type_at(const uint8_t *meta)
{
    return type_of_bytes(meta_load2(meta));
}

void types_fork_prepare(void);
void types_fork_end(void);

#endif
