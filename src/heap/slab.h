/* Slabs as the files of heap/ see them: queues, carving, counting. All hold the heap's lock. */
#ifndef HEAP_SLAB_H
#define HEAP_SLAB_H

#include "heap/fast.h"

FH_INLINE uint32_t slab_used(const struct span *slab)
{
    uint32_t countdown = __atomic_load_n(&slab->countdown, __ATOMIC_RELAXED);
    return countdown + (uint32_t)(int32_t)__atomic_load_n(&slab->rest, __ATOMIC_RELAXED);
}

/* The purger may take the page of a list's first block, but not the block: its owner may be pushing
 * another in front of it. The block stays, alone, in a piece that is else uncarved. slab->lone is its
 * index + 1, and LONE_LISTED until it is handed out: its second word, purged, no longer says so. */
#define LONE_LISTED 0x8000u

FH_INLINE unsigned slab_lone(const struct span *slab)
{
    return __atomic_load_n(&slab->lone, __ATOMIC_RELAXED);
}

FH_INLINE void slab_set_lone(struct span *slab, unsigned lone)
{
    __atomic_store_n(&slab->lone, (uint16_t)lone, __ATOMIC_RELAXED);
}

FH_INLINE unsigned slab_uncarved(const struct span *slab)
{
    return __atomic_load_n(&slab->uncarved, __ATOMIC_RELAXED);
}

FH_INLINE void slab_set_uncarved(struct span *slab, unsigned uncarved)
{
    __atomic_store_n(&slab->uncarved, (uint16_t)uncarved, __ATOMIC_RELAXED);
}

FH_INLINE bool slab_is_lone(const struct span *slab, unsigned index)
{
    return (slab_lone(slab) & ~LONE_LISTED) == index + 1;
}

/* Of an address in a slab, which begins at a multiple of 64 KiB. */
FH_INLINE uint16_t block_offset16(const void *p)
{
    return (uint16_t)((uint16_t)(uintptr_t)p >> 4);
}

FH_INLINE struct block *slab_block_at16(const struct span *slab, uint16_t offset16)
{
    return (struct block *)(span_start(slab) + ((size_t)offset16 << 4));
}

/* Whether a block of the slab, in which p lies, starts at p. */
FH_INLINE bool slab_holds_block(const struct span *slab, const void *p)
{
    const struct class_facts *facts = &class_facts[slab->size_class];
    uint32_t offset = (uint16_t)(uintptr_t)p; /* slabs are at multiples of 64 KiB */
    uint32_t index = (uint32_t)((uint64_t)offset * facts->reciprocal >> 32);
    return index < facts->blocks && offset == index * facts->size;
}

/* Whether a block begins there that was never handed out, or whose page went back since. Who does not hold the lock of
 * the slab's owner takes the answer for a hint, unless the block is live: then it is false. */
bool slab_block_is_uncarved(const struct span *slab, const void *p);

/* Whether a live block of the slab starts at p. */
FH_INLINE bool slab_has_live(struct span *slab, const void *p)
{
    if (UNLIKELY(!slab_holds_block(slab, p))) return false;
    unsigned piece = (unsigned)((uintptr_t)p % SLICE_SIZE >> CARVE_SHIFT);
    if (UNLIKELY(slab_uncarved(slab) >> piece & 1)) return block_is_live(slab, p);
    if (UNLIKELY(block_peek(p) == arena.base)) return block_is_live(slab, p);
    return true;
}

/* Slabs of a class that a heap owns: changed under its lock, read by its thread without, as a hint. */
FH_INLINE void bin_count(struct bin *bin, int change)
{
    __atomic_store_n(&bin->slabs, bin->slabs + (uint32_t)change, __ATOMIC_RELAXED);
}

FH_INLINE uint32_t heap_slabs(const struct heap *heap, unsigned size_class)
{
    return __atomic_load_n(&heap->bin[size_class].slabs, __ATOMIC_RELAXED);
}

/* Puts a slab into one of its three states, with `used` blocks in use. The caller has linked or
 * unlinked it. */
void slab_set_current(struct span *slab, uint32_t used);
void slab_set_partial(struct span *slab, uint32_t used);
void slab_set_full(struct span *slab, uint32_t used);

void bin_push_front(struct bin *bin, struct span *slab);
void bin_push_back(struct bin *bin, struct span *slab);
void bin_unlink(struct bin *bin, struct span *slab);

/* Links the blocks of the next uncarved 4 KiB (more where it costs nothing) into a list in front of
 * `rest`, which is returned alone if everything is carved. */
struct block *slab_carve(struct heap *heap, struct span *slab, struct block *rest);

/* An empty slab, in no queue, goes back to the arena. */
void slab_release(struct span *slab);
void slab_release_held(struct span *slab); /* by who holds the arena's lock */

/* `used` fell for another reason than a free by the owner: puts the slab where it belongs. False if
 * that was the arena: the slab is gone. */
bool slab_settle(struct heap *heap, struct span *slab, uint32_t used);

/* Blocks of other heaps that this thread freed and has not sent: rather than to ask for new memory, it
 * allocates them again. A list, or NULL. */
struct block *remote_keep(struct heap *heap, unsigned size_class);

/* New memory is about to be taken: gives about as much back, from pages that are wholly free in
 * slabs of other sizes, if there are such. */
void heap_make_room(struct heap *heap);

/* Locks a heap that has no thread; false if it has one. */
bool heap_lock_if_idle(struct heap *heap);

/* heap_flush, for who holds the lock and knows that the heap has no thread, or is this thread's. */
void heap_flush_locked(struct heap *heap);

/* Sends what this thread freed of other heaps. */
void heap_send(struct heap *heap);

/* Adds a chain of blocks, which may be the owner's own, to those that the owner has yet to take in. */
void slab_post(struct span *slab, struct block *head, uint16_t tail16, uint32_t count);

/* Takes in what other threads freed. */
void heap_collect(struct heap *heap);

/* A heap whose thread ended and that may have a partial slab of the class, locked; or NULL. */
struct heap *heap_lock_idle(unsigned size_class);

/* Tells a slab's owner that its remote chain is no longer empty. */
void heap_notify(struct span *slab);

#endif
