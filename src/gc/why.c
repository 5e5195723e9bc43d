/*
 * Why is this object alive: a search through the heap, breadth first from the roots, that remembers
 * by which reference each object was met. It marks with the bits of a table of its own, one entry
 * for each object met, in memory that is given back afterwards; so it can be asked in any program
 * at any time.
 */
#include <string.h>

#include "base/format.h"
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "gc/walk.h"
#include "gc/weak.h"

/* An object that was met, in order; `by` is the position of the one that referred to it. */
struct met {
    uintptr_t object;
    uintptr_t slot; /* of a root; 0 */
    uint32_t by;    /* position + 1; 0: a root */
};

struct chain {
    struct fh_gc_visitor visitor;
    struct vector met;  /* struct met, and the queue */
    struct vector seen; /* hash: position + 1 */
    uint32_t by;
    uintptr_t hidden; /* what is looked for, complemented: this is on a stack that is searched */
    uint32_t found;   /* position + 1 */
    bool failed;
};

/* Where this object is in the table of what was met, or would be: 0 there. */
static uint32_t *seen_slot(const struct chain *s, uintptr_t object)
{
    uint32_t *slots = (uint32_t *)s->seen.base;
    size_t mask = s->seen.count - 1;
    size_t at = address_hash((void *)object) & mask;
    for (; slots[at]; at = (at + 1) & mask)
        if (((struct met *)vector_at(&s->met, slots[at] - 1))->object == object) break;
    return &slots[at];
}

static bool seen_add(struct chain *s, uintptr_t object)
{
    uint32_t *slot = seen_slot(s, object);
    if (*slot) return false;
    *slot = (uint32_t)s->met.count + 1;
    return true;
}

static bool seen_grow(struct chain *s)
{
    if (s->met.count * 2 < s->seen.count) return true;
    size_t size = base_max(s->seen.count * 4, 4096);
    if (!vector_reserve(&s->seen, size)) return false;
    s->seen.count = size;
    memset(s->seen.base, 0, size * sizeof(uint32_t));
    size_t count = s->met.count;
    for (s->met.count = 0; s->met.count < count; s->met.count++)
        seen_add(s, ((struct met *)vector_at(&s->met, s->met.count))->object);
    return true;
}

static void meet(struct chain *s, uintptr_t word, uintptr_t slot)
{
    if (s->found || s->failed) return;
    uint8_t *meta = object_find(s->visitor.heap, word);
    if (meta == NULL) return;
    uintptr_t object = (uintptr_t)meta_address(meta);
    if (!seen_grow(s) || !vector_reserve(&s->met, s->met.count + 1)) {
        s->failed = true;
        return;
    }
    if (!seen_add(s, object)) return;
    struct met *met = vector_add(&s->met);
    *met = (struct met){object, s->by ? 0 : slot, s->by};
    if (~object == s->hidden) s->found = (uint32_t)s->met.count;
}

static void meet_slot(struct fh_gc_visitor *visitor, void **slot)
{
    meet((struct chain *)visitor, (uintptr_t)*slot, (uintptr_t)slot);
}

static void meet_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    meet((struct chain *)visitor, *slot & mask, (uintptr_t)slot);
}

static NO_SANITIZE void meet_range(struct fh_gc_visitor *visitor, const uintptr_t *start,
                                   size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (side_holds(start[i])) meet((struct chain *)visitor, start[i], (uintptr_t)(start + i));
}

/* What kind of root a word at this address is. */
static void root_name(struct text *t, struct gc_heap *heap, uintptr_t slot)
{
    for (struct gc_thread *thread = gc_threads; thread; thread = thread->next) {
        uintptr_t record = (uintptr_t)thread;
        bool stack = slot >= thread->stack_low && slot < thread->stack_high;
        bool registers = slot >= record && slot < record + sizeof *thread;
        bool variable = slot >= thread->tls_low && slot < thread->tls_high;
        if (!stack && !registers && !variable) continue;
        text_str(t, stack       ? "the stack of thread "
                    : registers ? "a register of thread "
                                : "a variable of thread ");
        text_dec(t, thread->id);
        return;
    }
    const struct vector *handles = &heap->handles;
    if (slot - (uintptr_t)handles->base < handles->committed)
        text_str(t, "a handle");
    else
        text_str(t, "a static variable or registered root");
    text_str(t, " at ");
    text_hex(t, slot);
}

static void path_write(struct chain *s, struct text *t)
{
    uint32_t path[64];
    unsigned length = 0;
    uint32_t at = s->found;
    for (; at; at = ((struct met *)vector_at(&s->met, at - 1))->by) path[length++ % 64] = at;
    struct met *first = vector_at(&s->met, path[(length - 1) % 64] - 1);
    root_name(t, s->visitor.heap, first->slot);
    text_char(t, '\n');
    for (unsigned i = length; i-- > 0;) {
        if (length > 64 && i == 62) text_str(t, "  ...\n");
        if (length > 64 && i < length - 1 && i > 62) continue;
        struct met *met = vector_at(&s->met, path[i % 64] - 1);
        const struct fh_gc_type *type = type_at(meta_of((void *)met->object))->copy;
        text_str(t, "  -> ");
        text_str(t, type && type->name ? type->name : "object");
        text_str(t, " at ");
        text_hex(t, met->object);
        text_char(t, '\n');
    }
}

struct why {
    struct chain search;
    struct text text;
};

static bool search_goes_on(const struct chain *s)
{
    return !s->found && !s->failed;
}

static uint8_t *met_meta(const struct chain *s, size_t position)
{
    return meta_of((void *)((struct met *)vector_at(&s->met, position))->object);
}

/* Whether the object that holds this address was met; what is no object counts as alive. */
static bool is_met(const struct chain *s, const void *p)
{
    const uint8_t *meta = object_find(s->visitor.heap, (uintptr_t)p);
    return meta == NULL || *seen_slot(s, (uintptr_t)meta_address(meta));
}

/* What ephemerons refer to whose keys were met; true if something new was. */
static bool search_ephemerons(struct chain *s)
{
    size_t count = s->met.count;
    for (size_t i = 0; i < count && search_goes_on(s); i++) {
        uint8_t *meta = met_meta(s, i);
        void *key;
        if (type_at(meta)->scan != SCAN_EPHEMERON) continue;
        s->by = (uint32_t)i + 1;
        if (ephemeron_slot(meta_address(meta), &key) && is_met(s, key))
            object_scan_all(&s->visitor, meta);
    }
    return s->met.count > count;
}

static void search_run(struct chain *s)
{
    size_t next = 0;
    roots_visit(s->visitor.heap, &s->visitor);
    do {
        for (; next < s->met.count && search_goes_on(s); next++) {
            s->by = (uint32_t)next + 1;
            object_scan(&s->visitor, met_meta(s, next));
        }
    } while (search_goes_on(s) && search_ephemerons(s));
}

static void why_run(struct gc_heap *heap, void *data)
{
    struct why *why = data;
    struct chain *s = &why->search;
    uint8_t *meta = object_find(heap, ~s->hidden);
    if (meta == NULL) return;
    s->hidden = ~(uintptr_t)meta_address(meta);
    search_run(s);
    if (s->found) path_write(s, &why->text);
}

GC_PUBLIC size_t fh_gc_why_alive(struct fh_gc_heap *public, const void *p, char *text,
                                 size_t capacity)
{
    struct gc_heap *heap = heap_of(public);
    if (capacity == 0) return 0;
    struct why why = {{.visitor = {meet_slot, meet_tagged, meet_range, heap, NULL, NULL},
                       .met.item = sizeof(struct met),
                       .seen.item = sizeof(uint32_t),
                       .hidden = ~(uintptr_t)p},
                      {text, 0, capacity - 1}};
    still_run(heap, why_run, &why);
    vector_finish(&why.search.met);
    vector_finish(&why.search.seen);
    why.text.at[why.text.length] = 0;
    return why.text.length;
}
