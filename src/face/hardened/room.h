/*
 * room: how much of a live block is left behind an address, for checks that are made all the time: hard_slot_find and
 * hard_slot_size in one, with nothing that is not asked. Over a pointer, since libfreehold-hardened-calls.so.1 sees the
 * space from outside.
 */
#ifndef FACE_HARDENED_ROOM_H
#define FACE_HARDENED_ROOM_H

#include "hard/hard.h"

FH_INLINE size_t room_of_large(const struct region *region, uintptr_t in_run, uintptr_t meta,
                               uintptr_t p)
{
    const struct large *large = (const struct large *)meta + (in_run >> region->slab_shift);
    uint64_t into = p - large->start, size = large->size;
    return hard_state(LOAD(&large->word)) == SLOT_LIVE && into <= size ? size - into : 0;
}

/* Of an address in the space's data. 0: none, or it does not lie in a live block. */
FH_INLINE size_t room_quick(const struct hard_space *space, uintptr_t p)
{
    uintptr_t offset = p - space->base, chunk = offset >> space->chunk_shift;
    unsigned owner = __atomic_load_n(&space->owner[chunk], __ATOMIC_ACQUIRE);
    if (UNLIKELY(owner == 0)) return 0;
    const struct region *region = &space->region[owner - 1];
    unsigned shift = region->slab_shift;
    if (UNLIKELY(shift > space->chunk_shift)) /* a slot of several chunks: the first one's record */
        chunk &= ~(((uintptr_t)1 << (shift - space->chunk_shift)) - 1);
    uintptr_t in_chunk = offset - (chunk << space->chunk_shift);
    uintptr_t meta = space->meta + (chunk << (space->chunk_shift - HARD_META_SHIFT));
    if (UNLIKELY(region->kind == REGION_LARGE)) return room_of_large(region, in_chunk, meta, p);
    uint32_t slab = (uint32_t)(in_chunk >> shift), in_slab = (uint32_t)in_chunk - (slab << shift);
    uint32_t index = (uint32_t)(in_slab * region->reciprocal >> 40);
    if (UNLIKELY(index >= region->slots)) return 0;
    uint32_t word = LOAD((slot_word *)(meta + region->words_at) + slab * region->slots + index);
    uint32_t into = in_slab - index * region->size, size = region->size - hard_slack(word);
    return hard_state(word) == SLOT_LIVE && into <= size ? size - into : 0;
}

#endif
