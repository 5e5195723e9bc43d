/*
 * Whether a block is live, for certain.
 *
 * Free, realloc and malloc_usable_size test cheaply whether it is marked as free, and all but a thread's own unsized
 * free whether a block starts there. A mark may have come into a live block by a copy of memory that was never written;
 * so who finds one asks here, and only what lies in a list is free. A block wanders
 *
 *     table of the thread that freed it --> slab->remote --> slab->free --> the list of a thread
 *
 * and the last three steps need the lock of the slab's owner, which is held here. The first does not: another thread may be
 * moving the block, so what it has is looked through first, before where it sends it to. It leaves no
 * moment in which a block is in neither (remote_set_send). Lists of other threads change while they are read: a step
 * leads on only from a block that was marked before and after it.
 *
 * What is not found: a block whose mark was overwritten after it was freed, and one that two threads free at
 * the same moment. Rejected: a state for each block out of line, decision 0017.
 */
#include "heap/slab.h"

/* ---- lists --------------------------------------------------------------------------------------- */

static bool is_block_of(const struct span *slab, const void *p)
{
    return arena_holds(p) && span_at(span_index_of(p)) == slab && slab_holds_block(slab, p);
}

/* Whether a list that may be changing leads to p. */
static bool list_holds(const struct span *slab, struct block *block, const void *p)
{
    for (unsigned n = class_facts[slab->size_class].blocks; n > 0; n--) {
        if (!is_block_of(slab, block) || block_peek(block) != arena.base) return false;
        if (block == p) return true;
        struct block *next = (struct block *)LOAD_ACQUIRE(&block->next);
        if (block_peek(block) != arena.base) return false;
        block = next;
    }
    return false;
}

/* Blocks of the slab that a thread freed for another and has not sent, or allocates from. */
static bool lists_hold(struct heap *heap, const struct span *slab, const void *p)
{
    const struct remote_set *set = &heap->remote[span_index(slab) % REMOTE_SETS];
    if (__atomic_load_n(&set->slab, __ATOMIC_ACQUIRE) == span_index(slab)) {
        uint16_t head = __atomic_load_n(&set->head, __ATOMIC_RELAXED);
        if (list_holds(slab, slab_block_at16(slab, head), p)) return true;
    }
    for (unsigned c = 1; c < CLASSES; c++)
        if (list_holds(slab, LOAD(&heap->head[c]), p)) return true;
    return false;
}

/* Holds: the lock of the slab's owner. */
static bool any_list_holds(struct span *slab, const void *p)
{
    for (uint32_t i = 0; i < heap_count(); i++)
        if (lists_hold(heap_at(i), slab, p)) return true;
    uint32_t remote = LOAD_ACQUIRE(&slab->remote);
    if (remote && list_holds(slab, slab_block_at16(slab, (uint16_t)remote), p)) return true;
    return list_holds(slab, LOAD_ACQUIRE(&slab->free), p);
}

/* ---- the answer --------------------------------------------------------------------------------------- */

/* NULL: it is nobody's any more. */
static struct heap *slab_lock_owner(struct span *slab)
{
    for (struct heap *owner; (owner = LOAD(&slab->owner)) != NULL; lock_give(&owner->lock)) {
        lock_take(&owner->lock);
        if (LOAD(&slab->owner) == owner && LOAD(&slab->kind) == FH_SPAN_SLAB) return owner;
    }
    return NULL;
}

FH_COLD bool block_is_live(struct span *slab, const void *p)
{
    struct heap *owner = slab_lock_owner(slab);
    if (owner == NULL) return false;
    bool live = slab_holds_block(slab, p) && !slab_block_is_uncarved(slab, p);
    if (live && block_peek(p) == arena.base) live = !any_list_holds(slab, p);
    lock_give(&owner->lock);
    return live;
}

void heap_free_doubtful(struct heap *heap, struct span *slab, void *p, size_t size)
{
    if (UNLIKELY(!slab_has_live(slab, p)))
        heap_config.bad_pointer("free", p);
    else if (UNLIKELY(size > class_facts[slab->size_class].size))
        heap_config.bad_size(p, size);
    else if (slab_count_down(slab))
        heap_free_slow(heap, slab, p);
    else
        slab_push(slab, p, arena.base);
}
