/* Slabs: their states, queues, and carving. See heap/heap.h. */
#include "heap/slab.h"

#include "event/counter.h"
#include "os/os.h"
#include "span/purger.h"

/* ---- states and queues ----------------------------------------------------------------------- */

static void slab_set_counts(struct span *slab, uint32_t countdown, int16_t rest)
{
    __atomic_store_n(&slab->countdown, countdown, __ATOMIC_RELAXED);
    __atomic_store_n(&slab->rest, rest, __ATOMIC_RELAXED);
}

void slab_set_current(struct span *slab, uint32_t used)
{
    /* One more than there can be frees: a current slab is looked at when its list runs dry. */
    slab_set_counts(slab, used + 1, -1);
    STORE(&slab->state, FH_SLAB_CURRENT);
}

void slab_set_partial(struct span *slab, uint32_t used)
{
    ASSERT(used > 0);
    slab_set_counts(slab, used, 0); /* zero: empty */
    STORE(&slab->state, FH_SLAB_PARTIAL);
}

void slab_set_full(struct span *slab, uint32_t used)
{
    uint32_t free_blocks = slab->carved - used, wake = class_facts[slab->size_class].wake;
    ASSERT(used > 0);
    uint32_t wait = free_blocks < wake ? wake - free_blocks : 1;
    if (wait > used) wait = used;
    slab_set_counts(slab, wait, (int16_t)(used - wait));
    STORE(&slab->state, FH_SLAB_FULL);
}

void bin_push_front(struct bin *bin, struct span *slab)
{
    uint32_t index = span_index(slab);
    slab->prev = 0;
    slab->next = bin->first;
    if (bin->first)
        span_at(bin->first)->prev = index;
    else
        bin->last = index;
    bin->first = index;
}

void bin_push_back(struct bin *bin, struct span *slab)
{
    uint32_t index = span_index(slab);
    slab->next = 0;
    slab->prev = bin->last;
    if (bin->last)
        span_at(bin->last)->next = index;
    else
        bin->first = index;
    bin->last = index;
}

void bin_unlink(struct bin *bin, struct span *slab)
{
    if (slab->prev)
        span_at(slab->prev)->next = slab->next;
    else
        bin->first = slab->next;
    if (slab->next)
        span_at(slab->next)->prev = slab->prev;
    else
        bin->last = slab->prev;
}

static void slab_disown(struct span *slab)
{
    struct heap *owner = LOAD(&slab->owner);
    bin_count(&owner->bin[slab->size_class], -1);
    STORE(&slab->owner, NULL);
    STORE(&slab->state, FH_SLAB_NONE);
    counter_add(&fh_registry.slabs, -1);
}

void slab_release(struct span *slab)
{
    slab_disown(slab);
    span_free(slab);
}

void slab_release_held(struct span *slab)
{
    slab_disown(slab);
    span_free_held(slab);
}

bool slab_settle(struct heap *heap, struct span *slab, uint32_t used)
{
    struct bin *bin = &heap->bin[slab->size_class];
    uint8_t state = LOAD(&slab->state);
    if (state == FH_SLAB_CURRENT) {
        slab_set_current(slab, used);
        return true;
    }
    if (used == 0) {
        if (state == FH_SLAB_PARTIAL) bin_unlink(bin, slab);
        slab_release(slab);
        return false;
    }
    if (state == FH_SLAB_PARTIAL) {
        slab_set_partial(slab, used);
    } else if (slab->carved - used >= class_facts[slab->size_class].wake) {
        slab_set_partial(slab, used);
        bin_push_front(bin, slab);
    } else {
        slab_set_full(slab, used);
    }
    return true;
}

/* ---- carving --------------------------------------------------------------------------------- */

/* Links blocks [from, to) in address order, `rest` behind them; returns the first. */
static struct block *slab_link(struct span *slab, unsigned from, unsigned to, struct block *rest)
{
    if (from == to) return rest;
    slab->carved += to - from;
    size_t size = class_facts[slab->size_class].size;
    char *start = span_start(slab) + from * size;
    struct block *first = (struct block *)start, *block = first;
    for (unsigned i = from + 1; i < to; i++) {
        struct block *next = (struct block *)((char *)block + size);
        STORE(&block->next, next);
        block_mark(block);
        block = next;
    }
    STORE(&block->next, rest);
    block_mark(block);
    return first;
}

/* First block that starts at or after `offset`. */
static unsigned slab_first_from(const struct span *slab, size_t offset)
{
    const struct class_facts *facts = &class_facts[slab->size_class];
    unsigned index = block_index(slab->size_class, offset + facts->size - 1);
    return index < facts->blocks ? index : facts->blocks;
}

/* The same, but for the lone block, which exists already. */
static struct block *slab_link_new(struct span *slab, unsigned from, unsigned to,
                                   struct block *rest)
{
    unsigned lone = (slab_lone(slab) & ~LONE_LISTED) - 1;
    if (LIKELY(lone < from || lone >= to)) return slab_link(slab, from, to, rest);
    slab_set_lone(slab, 0);
    return slab_link(slab, from, lone, slab_link(slab, lone + 1, to, rest));
}

/* How many 4 KiB pieces to carve at once. Of a slab whose pages are fresh only one, since each costs
 * memory, unless the class holds so many that four pages are few beside them; a page that is resident
 * anyway costs none. */
static unsigned slab_carve_pieces(const struct heap *heap, const struct span *slab, unsigned piece)
{
    enum { MANY = 4 };
    bool fresh = slab->clean >> piece & 1;
    return fresh && heap->bin[slab->size_class].slabs < MANY ? 1 : 4;
}

/* Four page faults cost half as much again as one call that brings four pages. */
static void slab_populate(struct span *slab, unsigned piece, unsigned end)
{
    size_t size = (size_t)(end - piece) << CARVE_SHIFT;
    if (end - piece > 1 && slab->clean >> piece & 1 && size >= os_page_size())
        os_vm_populate(span_start(slab) + ((size_t)piece << CARVE_SHIFT), size);
}

struct block *slab_carve(struct heap *heap, struct span *slab, struct block *rest)
{
    while (slab->uncarved) {
        unsigned piece = base_ctz(slab->uncarved), end = piece;
        unsigned limit = slab_carve_pieces(heap, slab, piece);
        while (end < CARVES && end - piece < limit && slab->uncarved >> end & 1) end++;
        uint16_t mask = (uint16_t)((1u << end) - (1u << piece));
        unsigned from = slab_first_from(slab, piece << CARVE_SHIFT);
        unsigned to = slab_first_from(slab, end << CARVE_SHIFT);
        slab_set_uncarved(slab, slab->uncarved & ~(unsigned)mask);
        slab_populate(slab, piece, end);
        if (from == to) continue; /* inside a block that started before, or past the last one */
        size_t last_byte = (size_t)to * class_facts[slab->size_class].size - 1;
        unsigned last_piece = (unsigned)(last_byte >> CARVE_SHIFT);
        slab->clean &= (uint16_t) ~((2u << last_piece) - (1u << piece));
        struct block *list = slab_link_new(slab, from, to, rest);
        if (list != rest) return list;
    }
    return rest;
}

/* ---- the owner's free that found something to do ------------------------------------------------ */

void heap_free_slow(struct heap *heap, struct span *slab, void *p)
{
    lock_take(&heap->lock);
    slab_push(slab, p, arena.base);
    slab_settle(heap, slab, slab_used(slab));
    lock_give(&heap->lock);
    if (__atomic_load_n(&fh_registry.slabs, __ATOMIC_RELAXED) >= HEAP_WORTH_SWEEPING) purger_note();
}
