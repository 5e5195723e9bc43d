/*
 * visit: the references of an object, for whoever asks. A visitor is shown slots, whose references
 * are exact, and ranges of words, any of which may be one.
 */
#ifndef GC_VISIT_H
#define GC_VISIT_H

#include "base/base.h"

struct gc_heap;

/* For who searches memory that others write to, and no object of C's. */
#define NO_SANITIZE __attribute__((no_sanitize("address", "thread")))

struct fh_gc_visitor {
    void (*slot)(struct fh_gc_visitor *visitor, void **slot);
    void (*tagged)(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask);
    void (*range)(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words);
    struct gc_heap *heap;
    void *from; /* the object that is being scanned, or NULL */
    void *data;
};

/* Calls the visitor for each reference of an object, but for those of ephemerons. */
void object_scan(struct fh_gc_visitor *visitor, const uint8_t *meta);

/* The same, and for an ephemeron's value as long as it is not broken. */
void object_scan_all(struct fh_gc_visitor *visitor, const uint8_t *meta);

/* Of a visitor that passes over slots, or over ranges. */
void slot_ignore(struct fh_gc_visitor *visitor, void **slot);
void tagged_ignore(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask);
void range_ignore(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words);

/* Each aligned word of a range that may be changing. */
FH_INLINE void visit_words(struct fh_gc_visitor *visitor, uintptr_t start, uintptr_t end)
{
    start = base_round_up(start, sizeof(void *));
    if (end > start)
        visitor->range(visitor, (const uintptr_t *)start, (end - start) / sizeof(void *));
}

#endif
