/*
 * Verification: the whole heap read while the program stands, every invariant of the mark bytes,
 * and every exact reference followed. What it finds ends the program if a collection asked, since
 * nothing that follows could be trusted.
 */
#include <string.h>

#include "base/format.h"
#include "gc/event.h"
#include "gc/fence.h"
#include "gc/mark.h"
#include "gc/object.h"
#include "gc/type.h"
#include "gc/verify.h"

struct verification {
    struct fh_gc_visitor visitor;
    struct text what;
    bool wrong;
    bool marked; /* a collection has just ended: what is marked refers to what is marked */
    bool
        ambiguous; /* also by a word that may be anything; in a cycle with a snapshot it may be younger */
};

static void wrong(struct verification *v, const void *object, const char *what, const void *other)
{
    if (v->wrong) return;
    v->wrong = true;
    text_str(&v->what, "object ");
    text_hex(&v->what, (uintptr_t)object);
    text_char(&v->what, ' ');
    text_str(&v->what, what);
    if (other) text_hex(&v->what, (uintptr_t)other);
    text_end(&v->what);
}

/* A reference to an address in a block of the heap at which no object is: it was freed, or never
 * made. */
static void verify_slot(struct fh_gc_visitor *visitor, void **slot)
{
    struct verification *v = (struct verification *)visitor;
    struct gc_heap *heap = visitor->heap;
    uintptr_t p = (uintptr_t)*slot;
    if (!side_holds(p)) return;
    struct gc_block *block = gc_block_of((void *)p);
    if (LOAD(&block->kind) != FH_SPAN_GC_BLOCK || LOAD(&block->owner) != heap) return;
    uint8_t *meta = object_find(heap, p);
    if (meta == NULL) {
        wrong(v, visitor->from, "refers to memory that was freed: ", (void *)p);
        return;
    }
    const uint8_t *from = meta_of(visitor->from);
    bool from_marked = (meta_load(from) & META_STATE) == heap->mark;
    if (v->marked && from_marked && !mark_is_set(heap, p))
        wrong(v, visitor->from, "is marked and refers to one that is not: ", (void *)p);
}

static void verify_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    void *p = (void *)(*slot & mask);
    verify_slot(visitor, &p);
}

static void verify_range(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    struct verification *v = (struct verification *)visitor;
    for (size_t i = 0; v->ambiguous && i < words; i++)
        if (!mark_is_set(visitor->heap, start[i]))
            wrong(v, visitor->from,
                  "is marked and may refer to one that is not: ", (void *)start[i]);
}

static bool verify_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct verification *v = data;
    const struct type *type = type_at(meta);
    if (type->public == NULL)
        wrong(v, meta_address(meta), "has a type that was never registered", NULL);
    else if (type_granules(type) &&
             type_granules(type) != granules - (fence_size(heap) >> GC_SHIFT))
        wrong(v, meta_address(meta), "is not as long as its type", NULL);
    else if (type->scan != SCAN_EPHEMERON) {
        v->ambiguous = v->marked && heap->options.policy != FH_GC_CONCURRENT &&
                       (meta_load(meta) & META_STATE) == heap->mark;
        object_scan(&v->visitor, meta);
    }
    return !v->wrong;
}

static bool verify_fence(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct verification *v = data;
    const struct fh_gc_type *type = type_at(meta)->copy;
    size_t size;
    (void)granules;
    if (fence_check(heap, meta, &size)) return true;
    v->wrong = true;
    text_str(&v->what, "object ");
    text_hex(&v->what, (uintptr_t)meta_address(meta));
    text_str(&v->what, " of type ");
    text_str(&v->what, type && type->name ? type->name : "?");
    text_str(&v->what, ", ");
    text_dec(&v->what, size);
    text_str(&v->what, " bytes, was written beyond its end");
    text_end(&v->what);
    return false;
}

/* In a block that is swept, every byte with a state begins an object that ends before the next. */
static void verify_block(struct gc_heap *heap, struct gc_block *block, struct verification *v)
{
    uint8_t *start = meta_of(gc_block_start(block)), *end = start + BLOCK_GRANULES;
    (void)heap;
    for (uint8_t *meta = start; meta < end;) {
        size_t granule = (size_t)(meta - start);
        if (block->busy_from <= granule && granule < block->busy_to) {
            meta = start + block->busy_to;
            continue;
        }
        if (!(meta_load(meta) & META_STATE)) {
            if (meta_load(meta)) wrong(v, meta_address(meta), "is no object, but has a type", NULL);
            meta++;
            continue;
        }
        size_t granules = 1;
        while (meta + granules <= end && !(meta_load(meta + granules - 1) & META_END)) {
            if (granules > 1 && meta_load(meta + granules - 1) & META_STATE) break;
            granules++;
        }
        if (meta + granules > end || !(meta_load(meta + granules - 1) & META_END)) {
            wrong(v, meta_address(meta), "has no end", NULL);
            return;
        }
        meta += granules;
    }
}

bool heap_check(struct gc_heap *heap, bool marked, char *what, size_t capacity)
{
    struct verification v = {
        .visitor = {verify_slot, verify_tagged, verify_range, heap, NULL, NULL},
        .what = {what, 0, capacity},
        .marked = marked,
    };
    for (size_t i = 0; i < heap->blocks.count && !v.wrong; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index) verify_block(heap, gc_block_at(index), &v);
    }
    if (!v.wrong && heap->fenced) heap_each_object(heap, verify_fence, &v);
    if (!v.wrong) heap_each_object(heap, verify_object, &v);
    return !v.wrong;
}

static FH_COLD void verify_failed(const char *what, const char *when)
{
    char line[300];
    struct text t = TEXT(line);
    text_str(&t, what);
    text_str(&t, " (found ");
    text_str(&t, when);
    text_str(&t, "); stopping");
    text_end(&t);
    gc_say(line);
    base_abort();
}

void heap_verify(struct gc_heap *heap, bool marked, const char *when)
{
    char what[200];
    if (!heap_check(heap, marked, what, sizeof what)) verify_failed(what, when);
}

void fences_verify(struct gc_heap *heap, const char *when)
{
    char what[200];
    struct verification v = {.what = TEXT(what)};
    heap_each_object(heap, verify_fence, &v);
    if (v.wrong) verify_failed(what, when);
}
