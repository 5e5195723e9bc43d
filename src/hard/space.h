/*
 * space: where everything lies: the two reservations, chunks and whose they are, the table of regions.
 * See hard.h for the picture.
 */
#ifndef HARD_SPACE_H
#define HARD_SPACE_H

#include "hard/hard.h"
#include "hard/random.h"

/* Sets all up, for these measures. False: the kernel refuses address space; a line said so. */
bool space_start(const struct measures *measures, size_t reserve);

/* Nothing in `hard` changes from now on. */
void space_seal(void);

/* What a region of a zone is like: of a small class, or large slots of 2^(16 + i). Threads keep nothing of
 * it: window 0. */
void region_make_zone(struct region *region, unsigned size_class);
void region_make_zone_large(struct region *region, unsigned i);

/* Told of each run of chunks that a region takes; set at the start, or NULL. */
extern void (*space_taken)(unsigned region, void *start, size_t size);

/* How many chunks there are, used or not. */
uint32_t space_chunks(void);

/* The next chunk from this one on that has an owner; space_chunks() if there is none. */
uint32_t space_chunk_owned(uint32_t chunk);

/* For what belongs to no thread. */
uint64_t space_random(void);

/* A run of free chunks for this region, `count` of them (a power of two, at a multiple of it), at random,
 * with their meta data. Returns the first, or UINT32_MAX. */
uint32_t space_chunk_take(unsigned region, uint32_t count);

/* Memory for records that no program's overflow reaches, zeroed; never given back. NULL: none. */
void *space_record(size_t size);

/* All meta data and records lie here. */
uintptr_t space_meta(void);
size_t space_meta_size(void);

/* Makes a page fault, in committed memory: without a mapping if the kernel can, else within the budget of
 * mappings. False: it does not fault. */
bool space_guard(void *p, size_t size);

/* Whether the kernel can guard pages without mappings. */
extern bool space_has_guards;

/* What /proc/PID/maps calls what belongs to nobody. */
#define SPACE_NAME "freehold:heap"

/* Memory of the reservations becomes usable, and belongs in core dumps; or neither again. */
bool space_commit(void *p, size_t size);
bool space_decommit(void *p, size_t size);

void space_fork_prepare(void);
void space_fork_parent(void);
void space_fork_child(void);

FH_INLINE size_t chunk_size(void)
{
    return (size_t)1 << hard.chunk_shift;
}

FH_INLINE uintptr_t chunk_start(uint32_t chunk)
{
    return hard.base + ((uintptr_t)chunk << hard.chunk_shift);
}

FH_INLINE uintptr_t chunk_meta(uint32_t chunk)
{
    return hard.meta + ((uintptr_t)chunk << (hard.chunk_shift - HARD_META_SHIFT));
}

FH_INLINE unsigned region_number(const struct region *region)
{
    return (unsigned)(region - hard.region);
}

/* ---- slabs: number = chunk << (chunk_shift - 16) | index of its first 64 KiB in the chunk ------------- */

FH_INLINE uint32_t slab_number(uint32_t chunk, uint32_t index, const struct region *region)
{
    return chunk << (hard.chunk_shift - 16) | index << (region->slab_shift - 16);
}

FH_INLINE uintptr_t slab_start(uint32_t slab)
{
    return hard.base + ((uintptr_t)slab << 16);
}

FH_INLINE uint32_t slab_chunk(uint32_t slab)
{
    return slab >> (hard.chunk_shift - 16);
}

FH_INLINE uint32_t slab_index(uint32_t slab, const struct region *region)
{
    return (slab & ((1u << (hard.chunk_shift - 16)) - 1)) >> (region->slab_shift - 16);
}

FH_INLINE uint32_t region_slabs(const struct region *region)
{
    return 1u << (hard.chunk_shift - region->slab_shift);
}

FH_INLINE struct slab *slab_at(uint32_t slab, const struct region *region)
{
    return (struct slab *)chunk_meta(slab_chunk(slab)) + slab_index(slab, region);
}

FH_INLINE uint64_t *slab_bits(uint32_t slab, const struct region *region)
{
    uintptr_t bits = chunk_meta(slab_chunk(slab)) + region_slabs(region) * sizeof(struct slab);
    return (uint64_t *)bits + (size_t)slab_index(slab, region) * region->words;
}

FH_INLINE slot_word *slab_words(uint32_t slab, const struct region *region)
{
    uintptr_t words = chunk_meta(slab_chunk(slab)) + region->words_at;
    return (slot_word *)words + (size_t)slab_index(slab, region) * region->slots;
}

FH_INLINE uintptr_t slot_start(uint32_t slab, const struct region *region, uint32_t index)
{
    return slab_start(slab) + (uintptr_t)index * region->size;
}

/* Of a small region: the slot that begins at p. False: none does. */
FH_INLINE bool slot_locate(uintptr_t p, const struct region *region, slot_word **word)
{
    uintptr_t offset = p - hard.base;
    uint32_t in_slab = (uint32_t)offset & ((1u << region->slab_shift) - 1);
    uint32_t index = (uint32_t)(in_slab * region->reciprocal >> 40);
    uint32_t slab = ((uint32_t)offset & ((1u << hard.chunk_shift) - 1)) >> region->slab_shift;
    uintptr_t meta = chunk_meta((uint32_t)(offset >> hard.chunk_shift));
    *word = (slot_word *)(meta + region->words_at) + slab * region->slots + index;
    return index * region->size == in_slab && index < region->slots;
}

/* ---- large slots ----------------------------------------------------------------------------------- */

/* Chunks that one slot takes, 1 at least. */
FH_INLINE uint32_t region_run(const struct region *region)
{
    return region->slab_shift > hard.chunk_shift ? 1u << (region->slab_shift - hard.chunk_shift)
                                                 : 1;
}

FH_INLINE struct large *large_at(uint32_t chunk, uint32_t index)
{
    return (struct large *)chunk_meta(chunk) + index;
}

FH_INLINE uintptr_t large_slot(uint32_t chunk, const struct region *region, uint32_t index)
{
    return chunk_start(chunk) + ((uintptr_t)index << region->slab_shift);
}

#endif
