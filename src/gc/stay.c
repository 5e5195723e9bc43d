/*
 * What stays where it is when objects move: whatever a word may refer to that cannot be changed,
 * since it may be a number.
 *
 * Such words are on stacks, in registers, in static data and registered ranges, and in objects that
 * are searched conservatively. They keep what they point into, and also what ends where they point,
 * since a compiler may keep no more of an array than its end. Pins and types that ask for it keep
 * too.
 */
#include "gc/compact.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/type.h"

static void word_keep(struct compaction *c, uintptr_t word)
{
    uint8_t *meta = object_find(c->visitor.heap, word);
    if (meta) object_keep(c, meta);
}

static NO_SANITIZE void keep_range(struct fh_gc_visitor *visitor, const uintptr_t *start,
                                   size_t words)
{
    struct compaction *c = (struct compaction *)visitor;
    for (size_t i = 0; i < words; i++) {
        uintptr_t word = word_load(start + i);
        if (!side_holds(word)) continue;
        word_keep(c, word);
        word_keep(c, word - 1);
    }
}

/* An object may hold ambiguous words, and may be one of those that never move. */
static bool keep_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct compaction *c = data;
    const struct type *type = type_at(meta);
    (void)heap;
    (void)granules;
    if (UNLIKELY(type_stays(type))) object_keep(c, meta);
    if (type->scan == SCAN_WORDS || type->scan == SCAN_TRACE) object_scan(&c->visitor, meta);
    return true;
}

void stay_find(struct compaction *c)
{
    struct gc_heap *heap = c->visitor.heap;
    c->visitor.slot = slot_ignore;
    c->visitor.tagged = tagged_ignore;
    c->visitor.range = keep_range;
    roots_visit(heap, &c->visitor);
    heap_each_object(heap, keep_object, c);
}
