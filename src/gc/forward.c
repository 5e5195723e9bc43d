/*
 * References to objects that have moved. The first word of the old object is where the new one is,
 * and old mark bytes are still there: so an address is old if its block is being emptied, and its
 * object is found from its inside too.
 *
 * Ambiguous words need no look: what they refer to has stayed.
 */
#include "gc/compact.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "gc/weak.h"

static FH_NOINLINE uintptr_t forward_leaving(const struct compaction *c, uintptr_t word)
{
    uint8_t *meta = object_find(c->visitor.heap, word);
    if (meta == NULL || object_stays(c, meta)) return word;
    uintptr_t old = (uintptr_t)meta_address(meta);
    return *(uintptr_t *)old + (word - old);
}

/* Where what a word refers to is now. */
FH_INLINE uintptr_t forward(const struct compaction *c, uintptr_t word)
{
    if (!side_holds(word)) return word;
    struct gc_block *block = gc_block_of((void *)word);
    if (LIKELY(LOAD(&block->state) != BLOCK_LEAVING || LOAD(&block->kind) != FH_SPAN_GC_BLOCK))
        return word;
    return forward_leaving(c, word);
}

uintptr_t compact_forward(const struct compaction *c, uintptr_t word)
{
    return forward(c, word);
}

FH_INLINE void slot_forward(const struct compaction *c, uintptr_t *slot)
{
    uintptr_t word = *slot, to = forward(c, word);
    if (to != word) *slot = to;
}

static void update_slot(struct fh_gc_visitor *visitor, void **slot)
{
    slot_forward((struct compaction *)visitor, (uintptr_t *)slot);
}

static void update_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    uintptr_t word = *slot & mask, to = forward((struct compaction *)visitor, word);
    if (to != word) *slot = (*slot & ~mask) | (to & mask);
}

static bool update_object(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    struct compaction *c = data;
    const struct type *type = type_at(meta);
    (void)heap;
    (void)granules;
    if (type->scan == SCAN_NOTHING || type->scan == SCAN_WORDS) return true;
    char *p = meta_address(meta);
    if (LOAD(&gc_block_of(p)->state) == BLOCK_LEAVING && !object_stays(c, meta)) return true;
    if (type->scan == SCAN_EPHEMERON)
        ephemeron_forward(c, (void *)p);
    else if (type->scan == SCAN_BITMAP)
        for (uint64_t bits = type->bitmap; bits; bits &= bits - 1)
            slot_forward(c, (uintptr_t *)p + base_ctz(bits));
    else
        object_scan(&c->visitor, meta);
    return true;
}

void forward_all(struct compaction *c)
{
    struct gc_heap *heap = c->visitor.heap;
    c->visitor.slot = update_slot;
    c->visitor.tagged = update_tagged;
    c->visitor.range = range_ignore; /* what ambiguous words point into has stayed */
    roots_visit(heap, &c->visitor);
    heap_each_object(heap, update_object, c);
    weak_forward(heap, c);
}
