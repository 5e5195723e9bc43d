/*
 * Fences: FH_GC_FENCE puts one more granule behind each object, which holds the size that was asked
 * for, under a key, twice. What writes beyond the end of an object changes it, or the zeros between
 * the end and the fence.
 *
 *      | the object, `size` bytes | 0 0 0 | word ^ key, word ^ rotated key |
 *      |<------------- whole granules --->|<--------- one granule ------->|
 *
 * To the mark bytes the fence belongs to the object: so it lives, moves and dies with it, and an
 * address just behind the object's end is in it. To all who ask for the object's size it does not.
 * The key does not depend on the address. All fences are looked at before each collection, those of
 * the dead too, and whenever the heap is verified.
 *
 * Every allocation goes the slow way, so that each is fenced.
 *
 * Rejected: a fence in front (what lies there is the fence of the object before); checking when a
 * block is swept, which is far from the store that did it, and has to be right while threads run.
 */
#include "gc/fence.h"
#include "gc/object.h"
#include "os/os.h"

bool gc_fenced; /* there is, or was, a heap with fences */

void fences_init(struct gc_heap *heap)
{
    heap->fenced = heap->options.debug & FH_GC_FENCE;
    heap->slow = heap->fenced || heap->options.stress;
    if (!heap->fenced) return;
    __atomic_store_n(&gc_fenced, true, __ATOMIC_RELAXED);
    heap->fence_key = os_random() | 1;
}

static uint64_t key_rotated(const struct gc_heap *heap)
{
    return heap->fence_key << 32 | heap->fence_key >> 32;
}

/* Whole granules for an object of this size. */
static size_t room_of(size_t size)
{
    return base_round_up(size + !size, GC_GRANULE);
}

/* The size, and what follows from it above: so that of two words the one that is right can be
 * told. */
static uint64_t fence_word(size_t size)
{
    return size | ((size + 1) * 0x9e3779b97f4a7c15ull & 0xffffull << 48);
}

/* Whether a word says a size that takes this room. */
static bool fence_says(uint64_t word, size_t room, size_t *size)
{
    *size = word & ~(0xffffull << 48);
    return fence_word(*size) == word && room_of(*size) == room;
}

void fence_put(const struct gc_heap *heap, void *p, size_t size)
{
    uint64_t *fence = (uint64_t *)((char *)p + room_of(size));
    fence[0] = fence_word(size) ^ heap->fence_key;
    fence[1] = fence_word(size) ^ key_rotated(heap);
}

static bool is_zero(const char *at, const char *end)
{
    while (at < end && *(const volatile char *)at == 0) at++;
    return at == end;
}

bool fence_check(const struct gc_heap *heap, const uint8_t *meta, size_t *size)
{
    const char *p = meta_address(meta);
    size_t room = base_round_up(object_size(meta), GC_GRANULE), other;
    bool first = fence_says(word_load(p + room) ^ heap->fence_key, room, size);
    bool second = fence_says(word_load(p + room + 8) ^ key_rotated(heap), room, &other);
    if (!first) *size = second ? other : room;
    return first && second && *size == other && is_zero(p + *size, p + room);
}
