/*
 * Blocks freed by a thread that does not own their slab.
 *
 * They are gathered, slab by slab, in a small direct-mapped table of the freeing thread, and sent as
 * chains: one compare-and-swap for a chain, none for a free (the idea is snmalloc's: Liétar et al.,
 * "snmalloc: a message passing allocator", ISMM 2019; there they travel in a queue per owner, here
 * they wait at their slab, which also serves owners that sleep or are gone).
 *
 *     free --> set[slab] --collision, 64 KiB, thread end--> slab->remote --> owner's next refill
 *
 * slab->remote holds the first block and the count in one word. Who makes it non-empty writes
 * remote_tail and puts the slab on its owner's pending list. Only who takes the slab from a pending
 * list may empty `remote`; so the tail is stable until then, and a chain joins the owner's list in
 * constant time.
 */
#include "heap/slab.h"

/* ---- sending ---------------------------------------------------------------------------------- */

void heap_notify(struct span *slab)
{
    struct heap *owner = LOAD(&slab->owner);
    uint32_t index = span_index(slab), first = LOAD(&owner->pending);
    do slab->pending_next = first;
    while (!atomic_compare_exchange_weak_explicit(&owner->pending, &first, index,
                                                  memory_order_release, memory_order_relaxed));
}

/* Release: pairs with the acquire in slab_collect; the blocks' contents and links come along. */
void slab_post(struct span *slab, struct block *head, uint16_t tail16, uint32_t count)
{
    struct block *tail = slab_block_at16(slab, tail16);
    uint32_t old = LOAD(&slab->remote), new;
    do {
        STORE(&tail->next, old ? slab_block_at16(slab, (uint16_t)old) : NULL);
        new = ((old & 0xffff0000u) + (count << 16)) | block_offset16(head);
    } while (!atomic_compare_exchange_weak_explicit(&slab->remote, &old, new, memory_order_acq_rel,
                                                    memory_order_relaxed));
    if (old == 0) {
        slab->remote_tail = tail16;
        heap_notify(slab);
    }
}

static void remote_set_send(struct remote_set *set)
{
    if (set->slab == 0) return;
    struct span *slab = span_at(set->slab);
    slab_post(slab, slab_block_at16(slab, set->head), set->tail, set->count);
    __atomic_store_n(&set->slab, 0, __ATOMIC_RELEASE); /* behind it: see heap/live.c */
}

static void remote_send_all(struct heap *heap)
{
    for (int i = 0; i < REMOTE_SETS; i++) remote_set_send(&heap->remote[i]);
    heap->remote_budget = REMOTE_BUDGET;
}

static void remote_add(struct heap *heap, struct span *slab, struct block *block)
{
    uint32_t index = span_index(slab);
    struct remote_set *set = &heap->remote[index % REMOTE_SETS];
    block_mark(block);
    if (UNLIKELY(set->slab != index)) {
        remote_set_send(set);
        STORE(&block->next, NULL);
        set->tail = block_offset16(block);
        set->count = 0;
        set->slab = index;
    } else {
        STORE(&block->next, slab_block_at16(slab, set->head));
    }
    set->head = block_offset16(block);
    set->count++;
    heap->remote_budget -= (int32_t)class_facts[slab->size_class].size;
    if (UNLIKELY(heap->remote_budget < 0)) remote_send_all(heap);
}

static FH_NOINLINE void remote_free_alone(struct span *slab, struct block *block)
{
    STORE(&block->next, NULL);
    block_mark(block);
    slab_post(slab, block, block_offset16(block), 1);
}

struct block *remote_keep(struct heap *heap, unsigned size_class)
{
    for (int i = 0; i < REMOTE_SETS; i++) {
        struct remote_set *set = &heap->remote[i];
        if (set->slab == 0 || span_at(set->slab)->size_class != size_class) continue;
        heap->allocated[size_class] += set->count;
        heap->remote_budget += (int32_t)(set->count * class_facts[size_class].size);
        struct span *slab = span_at(set->slab);
        set->slab = 0;
        return slab_block_at16(slab, set->head);
    }
    return NULL;
}

static void remote_free(struct heap *heap, struct span *slab, void *p, size_t size)
{
    if (UNLIKELY(!slab_has_live(slab, p)))
        heap_config.bad_pointer("free", p);
    else if (UNLIKELY(size > class_facts[slab->size_class].size))
        heap_config.bad_size(p, size);
    else if (UNLIKELY(heap == &heap_none))
        remote_free_alone(slab, p);
    else
        remote_add(heap, slab, p);
}

/* A run or a large block. */
static void shared_free(struct span *span, void *p, size_t size)
{
    uint8_t kind = LOAD(&span->kind);
    bool large = kind == FH_SPAN_LARGE && p == span_start(span);
    size_t usable = large                          ? LOAD(&span->bytes)
                    : kind == FH_SPAN_RUNS && size ? run_usable_size(span, p)
                                                   : 0;
    if (UNLIKELY(usable && size > usable))
        heap_config.bad_size(p, size);
    else if (large)
        large_free(span);
    else if (kind != FH_SPAN_RUNS || !run_free_block(span, p))
        heap_config.bad_pointer("free", p);
}

void heap_free_other(struct heap *heap, struct span *span, void *p, size_t size)
{
    uint8_t kind = LOAD_ACQUIRE(&span->kind);
    if (LIKELY(kind == FH_SPAN_SLAB && LOAD(&span->owner)))
        remote_free(heap, span, p, size);
    else
        shared_free(span, p, size);
}

/* ---- collecting ------------------------------------------------------------------------------- */

/* The slab was just taken from a pending list. */
static void slab_collect(struct heap *heap, struct span *slab)
{
    struct block *tail = slab_block_at16(slab, slab->remote_tail);
    /* Release too: the next sender overwrites what was read above (and pending_next). */
    uint32_t chain = atomic_exchange_explicit(&slab->remote, 0, memory_order_acq_rel);
    uint32_t count = chain >> 16;
    uint32_t used = slab_used(slab) - count;
    if (chain) {
        STORE(&tail->next, LOAD(&slab->free));
        STORE_RELEASE(&slab->free, slab_block_at16(slab, (uint16_t)chain));
    }
    slab_settle(heap, slab, used);
}

void heap_collect(struct heap *heap)
{
    uint32_t index = atomic_exchange_explicit(&heap->pending, 0, memory_order_acquire);
    while (index) {
        struct span *slab = span_at(index);
        index = slab->pending_next;
        /* The slab may have moved to another heap while its sender looked up the owner. */
        if (LOAD(&slab->owner) == heap)
            slab_collect(heap, slab);
        else
            heap_notify(slab);
    }
}

/* ---- flushing ---------------------------------------------------------------------------------- */

/* The blocks of a list are all of one slab: this heap's, or another's that remote_keep brought in. */
static void heap_flush_class(struct heap *heap, unsigned size_class)
{
    struct block *first = LOAD(&heap->head[size_class]), *last = NULL;
    if (first == NULL) return;
    STORE(&heap->head[size_class], NULL);
    struct span *slab = span_at_offset((uintptr_t)first - arena.base);
    bool own = LOAD(&slab->owner) == heap;
    uint32_t count = 0;
    for (struct block *block = first, *next; block; block = next, count++) {
        ASSERT(span_at_offset((uintptr_t)block - arena.base) == slab);
        next = LOAD(&block->next);
        last = block;
        if (!own) remote_add(heap, slab, block);
    }
    heap->allocated[slab->size_class] -= count;
    if (!own) return;
    STORE(&last->next, LOAD(&slab->free));
    STORE_RELEASE(&slab->free, first);
    slab_settle(heap, slab, slab_used(slab) - count);
}

/* An empty current slab is of no more use than a free span. */
static void heap_release_current(struct heap *heap, unsigned size_class)
{
    struct bin *bin = &heap->bin[size_class];
    if (bin->current == 0 || slab_used(span_at(bin->current)) > 0) return;
    slab_release(span_at(bin->current));
    bin->current = 0;
}

void heap_flush_locked(struct heap *heap)
{
    heap_collect(heap);
    for (unsigned c = 1; c < CLASSES; c++) {
        heap_flush_class(heap, c);
        heap_release_current(heap, c);
    }
    remote_send_all(heap);
}

void heap_flush(struct heap *heap)
{
    lock_take(&heap->lock);
    heap_flush_locked(heap);
    lock_give(&heap->lock);
}

void heap_send(struct heap *heap)
{
    remote_send_all(heap);
}
