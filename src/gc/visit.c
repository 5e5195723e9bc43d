/*
 * Visiting: the references of an object for whoever asks, and the functions that trace functions of
 * programs call. Slower than the tracer and knows nothing of marks; walks, verification, evacuation
 * and transformation stand on it.
 */
#include "gc/call.h"
#include "gc/object.h"
#include "gc/thread.h"
#include "gc/type.h"
#include "gc/visit.h"
#include "gc/weak.h"

GC_PUBLIC void fh_gc_visit(struct fh_gc_visitor *visitor, void *slot)
{
    visitor->slot(visitor, slot);
}

GC_PUBLIC void fh_gc_visit_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    visitor->tagged(visitor, slot, mask);
}

GC_PUBLIC void fh_gc_visit_range(struct fh_gc_visitor *visitor, const void *start, size_t size)
{
    uintptr_t at = base_round_up((uintptr_t)start, sizeof(void *));
    uintptr_t end = ((uintptr_t)start + size) & ~(uintptr_t)(sizeof(void *) - 1);
    if (end > at) visitor->range(visitor, (uintptr_t *)at, (end - at) / sizeof(void *));
}

void slot_ignore(struct fh_gc_visitor *visitor, void **slot)
{
    (void)visitor;
    (void)slot;
}

void tagged_ignore(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    (void)visitor;
    (void)slot;
    (void)mask;
}

void range_ignore(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    (void)visitor;
    (void)start;
    (void)words;
}

static void scan_fields(struct fh_gc_visitor *visitor, uintptr_t at,
                        const struct fh_gc_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < fields[i].count; k++)
            visitor->slot(visitor, (void **)(at + fields[i].offset) + k);
}

void object_scan(struct fh_gc_visitor *visitor, const uint8_t *meta)
{
    const struct type *type = type_at(meta);
    uintptr_t p = (uintptr_t)meta_address(meta), end = p + object_size(meta);
    visitor->from = (void *)p;
    switch ((enum type_scan)type->scan) {
    case SCAN_NOTHING: return;
    case SCAN_WORDS: visitor->range(visitor, (uintptr_t *)p, (end - p) / sizeof(void *)); return;
    case SCAN_TRACE: {
        bool before = gc_local.tracing;
        gc_local.tracing = true;
        type->trace((void *)p, end - p, visitor);
        gc_local.tracing = before;
        return;
    }
    case SCAN_EPHEMERON: return;
    case SCAN_BITMAP:
    case SCAN_FIELDS:
        scan_fields(visitor, p, type->copy->fields, type->copy->field_count);
        for (p += type->size; type->element && p + type->element <= end; p += type->element)
            scan_fields(visitor, p, type->copy->element_fields, type->copy->element_field_count);
    }
}

void object_scan_all(struct fh_gc_visitor *visitor, const uint8_t *meta)
{
    void *object = meta_address(meta), *key;
    if (type_at(meta)->scan != SCAN_EPHEMERON) {
        object_scan(visitor, meta);
        return;
    }
    void **slot = ephemeron_slot(object, &key);
    visitor->from = object;
    if (slot) visitor->slot(visitor, slot);
}
