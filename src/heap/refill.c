/*
 * Refill: where a thread's empty list gets blocks from, the cheapest memory first; and which list.
 *
 * A class costs a heap a page at least, and as much again for its ups and downs; with 64 classes below
 * 1 KiB that is more than a small heap holds. So a class is served from a larger one that its neighbours
 * use too, its group, until the group holds much; then they part:
 *
 *     while the first page lasts      16 ... 64 -> 64   ... 256 -> 256   ... 1024 -> 1024
 *     while it has 8 slabs            two to a doubling:   96 128 192 256 384 512 768 1024 ...
 *     while it has 16                 four to a doubling:  ... 128 160 192 224 256 320 ...
 *     then                            its own
 *
 * A block is then larger than asked for, by an eighth in the mean where there are two to a doubling; the
 * pages saved are more. The groups' sizes keep the alignment that a class's size promises.
 */
#include "event/counter.h"
#include "heap/slab.h"

/* ---- the next slab ------------------------------------------------------------------------------- */

static struct span *slab_create(struct heap *heap, unsigned size_class)
{
    /* A class that never filled a slab will hardly fill this one. */
    bool dense = heap->allocated[size_class] >= class_facts[size_class].blocks;
    heap_make_room(heap);
    struct span *slab = span_allocate(1, 1, dense ? DENSE : SPARSE);
    if (slab == NULL) return NULL;
    STORE(&slab->remote, 0);
    slab->remote_tail = 0;
    STORE(&slab->free, NULL);
    slab->carved = 0;
    slab_set_uncarved(slab, UINT16_MAX);
    slab->clean = slab->flags & FH_SPAN_ZERO ? UINT16_MAX : 0;
    slab->size_class = (uint8_t)size_class;
    slab->pending_next = 0;
    slab_set_lone(slab, 0);
    STORE(&slab->note, 0);
    slab->reciprocal = class_facts[size_class].reciprocal;
    slab_set_current(slab, 0);
    STORE(&slab->owner, heap);
    bin_count(&heap->bin[size_class], 1);
    STORE_RELEASE(&slab->kind, FH_SPAN_SLAB);
    counter_add(&fh_registry.slabs, 1);
    return slab;
}

/* Takes over a partial slab of a heap whose thread ended. */
static struct span *slab_adopt(struct heap *heap, unsigned size_class)
{
    struct heap *idle = heap_lock_idle(size_class);
    if (idle == NULL) return NULL;
    heap_collect(idle);
    struct bin *bin = &idle->bin[size_class];
    struct span *slab = NULL;
    if (bin->first) {
        slab = span_at(bin->first);
        bin_unlink(bin, slab);
        STORE(&slab->owner, heap);
        bin_count(bin, -1);
        bin_count(&heap->bin[size_class], 1);
    }
    lock_give(&idle->lock);
    return slab;
}

/* The current slab has too few free blocks: it leaves its place. */
static void bin_retire_current(struct heap *heap, unsigned size_class)
{
    struct bin *bin = &heap->bin[size_class];
    if (bin->current == 0) return;
    struct span *slab = span_at(bin->current);
    uint32_t used = slab_used(slab);
    bin->current = 0;
    bin = &heap->bin[slab->size_class]; /* borrowed slabs go home */
    if (NEVER(used == 0)) {
        slab_release(slab);
    } else if (slab->uncarved) {
        slab_set_partial(slab, used);
        bin_push_back(bin, slab);
    } else {
        slab_set_full(slab, used);
    }
}

/* A slab of a larger class that is mostly free serves too: its memory is resident, and lies idle
 * until blocks of its own size are wanted again. So what one phase of a program leaves behind in
 * one size feeds the next phase in another. The block is then larger than asked for, up to four
 * times; taken is the slab that waited longest in the nearest class. Whoever asks for an alignment
 * relies on the class's size being a multiple of it: that must hold for the borrowed size too. */
static struct span *slab_borrow(struct heap *heap, unsigned size_class)
{
    size_t size = class_facts[size_class].size, limit = 4 * size;
    for (unsigned c = size_class + 1; c < CLASSES && class_facts[c].size <= limit; c++) {
        struct bin *bin = &heap->bin[c];
        if (bin->last == 0 || class_facts[c].size % (size & -size)) continue;
        struct span *slab = span_at(bin->last);
        if (slab->carved - slab_used(slab) < class_facts[c].blocks / 4u) continue;
        bin_unlink(bin, slab);
        return slab;
    }
    return NULL;
}

/* The next slab to allocate from, made current. */
static struct span *bin_next(struct heap *heap, unsigned size_class)
{
    struct bin *bin = &heap->bin[size_class];
    struct span *slab;
    if (bin->first) {
        slab = span_at(bin->first);
        bin_unlink(bin, slab);
    } else {
        slab = slab_adopt(heap, size_class);
        if (slab == NULL) slab = slab_borrow(heap, size_class);
        if (slab == NULL) slab = slab_create(heap, size_class);
        if (slab == NULL) return NULL;
    }
    bin->current = span_index(slab);
    slab_set_current(slab, slab_used(slab));
    return slab;
}

/* ---- a list from it --------------------------------------------------------------------------------- */

/* Room for more blocks of the class itself. */
static bool slab_can_carve(const struct span *slab, unsigned size_class)
{
    return slab->uncarved && slab->size_class == size_class;
}

/* The lone block is in the list that is about to be taken: it says again that it is free. */
static void slab_mark_lone(struct span *slab)
{
    unsigned lone = slab_lone(slab) & ~LONE_LISTED;
    struct block *block =
        (struct block *)(span_start(slab) + (lone - 1) * class_facts[slab->size_class].size);
    block_mark(block);
    slab_set_lone(slab, lone);
}

/* Takes the whole list of the slab, and carves if that is too little to be worth the visit. All
 * carved blocks count as used from now on. */
static struct block *slab_take_all(struct heap *heap, struct span *slab, unsigned size_class)
{
    struct block *list = LOAD(&slab->free);
    STORE(&slab->free, NULL);
    if (UNLIKELY(slab_lone(slab) & LONE_LISTED)) slab_mark_lone(slab);
    if (slab_can_carve(slab, size_class) &&
        slab->carved - slab_used(slab) < class_facts[size_class].batch)
        list = slab_carve(heap, slab, list);
    if (list == NULL) return NULL;
    uint32_t taken = slab->carved - slab_used(slab);
    heap->allocated[slab->size_class] += taken;
    slab_set_current(slab, slab->carved);
    return list;
}

/* Slabs with free blocks are in front of those that can only be carved. */
static bool bin_has_free(const struct bin *bin)
{
    return bin->first && LOAD(&span_at(bin->first)->free);
}

/* Whether the current slab should be allocated from once more. Blocks that were used before are
 * preferred to memory that was not; but a slab that yields a block or two at each visit is left
 * alone until more of it is free. */
static bool slab_is_worth_it(const struct bin *bin, const struct span *slab, unsigned size_class)
{
    uint32_t free_blocks = slab->carved - slab_used(slab);
    if (free_blocks >= class_facts[slab->size_class].batch) return true;
    return slab_can_carve(slab, size_class) && (free_blocks > 0 || !bin_has_free(bin));
}

static struct block *heap_refill(struct heap *heap, unsigned size_class)
{
    struct bin *bin = &heap->bin[size_class];
    if (LOAD(&heap->pending)) heap_collect(heap);
    if (bin->current && slab_is_worth_it(bin, span_at(bin->current), size_class)) {
        struct block *list = slab_take_all(heap, span_at(bin->current), size_class);
        if (list) return list;
    }
    for (;;) {
        bin_retire_current(heap, size_class);
        struct block *kept = bin->first ? NULL : remote_keep(heap, size_class);
        if (kept) return kept;
        struct span *slab = bin_next(heap, size_class);
        if (slab == NULL) return NULL;
        struct block *list = slab_take_all(heap, slab, size_class);
        if (list) return list;
    }
}

/* ---- which list ---------------------------------------------------------------------------------- */

enum { GROUP_SLABS = 16 };

static unsigned class_coarsest(size_t size)
{
    return (unsigned)class_of_small(size <= 64 ? 64 : size <= 256 ? 256 : SMALL_MAX);
}

/* The class of `size` rounded up to 2^bits steps a doubling. */
static unsigned class_stepped(size_t size, unsigned bits)
{
    if (size <= (16u << bits)) return class_of(size);
    size_t step = (size_t)1 << (base_log2(size - 1) - bits);
    return class_of(base_round_up(size, step));
}

static unsigned heap_group_now(const struct heap *heap, unsigned size_class)
{
    size_t size = class_facts[size_class].size;
    if (heap_slabs(heap, size_class)) return size_class;
    unsigned four = class_stepped(size, 2), two = class_stepped(size, 1);
    uint32_t four_slabs = heap_slabs(heap, four), two_slabs = heap_slabs(heap, two);
    if (four_slabs >= GROUP_SLABS) return size_class;
    if (four_slabs || two_slabs >= GROUP_SLABS / 2) return four;
    if (two_slabs || size > SMALL_MAX) return two;
    unsigned first = class_coarsest(size);
    uint32_t first_slabs = heap_slabs(heap, first);
    bool page_left = first_slabs == 1 && LOAD(&heap->head[first]);
    return first_slabs == 0 || page_left ? first : two;
}

/* A list for a class that has none: its group's, which may be another now. */
static struct block *heap_refill_group(struct heap *heap, unsigned size_class)
{
    unsigned group = heap_group_now(heap, size_class);
    heap->group[size_class] = (uint8_t)group;
    struct block *list = LOAD(&heap->head[group]);
    if (list) return list;
    if (heap_config.tick) heap_config.tick();
    lock_take(&heap->lock);
    list = heap_refill(heap, group);
    lock_give(&heap->lock);
    return list;
}

void *heap_allocate_slow(struct heap *heap, unsigned size_class)
{
    if (UNLIKELY(heap == &heap_none || size_class == 0)) {
        /* The list asked for was no list of this heap: there may be one after all. */
        if (heap == &heap_none && (heap = heap_attach()) == NULL) return NULL;
        if (size_class == 0) size_class = 1;
        void *p = heap_take(heap, size_class);
        if (p) return p;
    }
    struct block *list = heap_refill_group(heap, size_class);
    if (UNLIKELY(list == NULL)) return NULL;
    STORE(&heap->head[heap->group[size_class]], LOAD(&list->next));
    return block_unmark(list, false);
}
