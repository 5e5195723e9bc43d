/*
 * jemalloc's caches of threads: blocks that are free although their slabs count them as in use.
 *
 *     a cache        | 7a7a... | stack of class 0 | stack of class 1 | ... | a7a7... |       an extent of its own
 *     its owner      | stack 0: head | requests | low water, full, empty (16 bits each) | stack 1 ... |
 *
 * The extent is known by the patterns at its ends; the owner lies in thread-local storage, below the
 * thread pointer. The last 16 bits of each stack's ends stand there: `empty` of one is `full` of the next,
 * the first begins behind the first pattern and the last ends at the other. Nothing else looks so. A cache
 * whose owner is not found stays what it is for the marker: memory that may point to blocks.
 *
 * Who frees a block moves the head first and writes the entry then; who fills a stack writes entries beyond
 * the head first; who empties one gives back blocks that others may use before the head moves. A thread in
 * the middle of any of these has a pointer into the stack, or to its entry in the owner, in a register or on
 * the top of its own stack: then nothing of it is believed, and all that it points to counts as in use.
 */
#include <stdlib.h>
#include <string.h>

#include "jemalloc.h"

#define BEFORE 0x7a7a7a7a7a7a7a7aull
#define BEHIND 0xa7a7a7a7a7a7a7a7ull

/* How far below a thread pointer the storage of libraries is looked for. */
enum { STORAGE_BELOW = 256 << 10, OWNER = 24, STACKS_MIN = 36, STACKS_MAX = 80 };

/* How much of a thread's stack shows what it is doing, and what of its storage lies before the owner. */
enum { RED_ZONE = 128, TOP = 16 << 10, STORAGE_BEFORE = 1024 };

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

/* ---- the extents ---------------------------------------------------------------------------- */

/* As large block, or as only block of a slab. */
static bool is_cache(const struct image *image, const struct extent *e)
{
    bool alone = e->kind == EXTENT_LARGE || (e->kind == EXTENT_SLAB && e->size == e->end - e->base);
    return alone && word_of(image, e->block) == BEFORE;
}

static struct extent *extent_at(struct jemalloc *j, uint64_t address)
{
    size_t low = 0, high = j->extent_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (j->extents[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < j->extent_count && j->extents[low].base <= address ? &j->extents[low] : NULL;
}

static struct extent *cache_at(struct jemalloc *j, uint64_t address)
{
    struct extent *e = extent_at(j, address);
    return e && e->kind == EXTENT_CACHE ? e : NULL;
}

/* ---- owners --------------------------------------------------------------------------------- */

/* The stack of an owner's entry, if it begins at `full`. */
static bool read_stack(const struct image *image, uint64_t owner, uint64_t full,
                       struct cache_stack *stack)
{
    const unsigned char *at = image_at(image, owner, OWNER);
    uint16_t low[3];
    if (!at) return false;
    memcpy(&stack->head, at, sizeof stack->head);
    memcpy(low, at + 16, sizeof low);
    stack->full = full;
    stack->empty = stack->held = full + (uint16_t)(low[2] - (uint16_t)full);
    return low[1] == (uint16_t)full && stack->empty > full && stack->head % 8 == 0 &&
           stack->head >= full && stack->head <= stack->empty;
}

/* All stacks up to the last pattern, or none. */
static bool read_owner(struct jemalloc *j, const struct image *image, struct extent *cache,
                       uint64_t owner, bool *found)
{
    uint64_t full = cache->block + 8;
    struct cache_stack stack[STACKS_MAX] = {{0}};
    size_t count = 0;
    *found = false;
    while (count < STACKS_MAX && full < cache->end - 8 &&
           read_stack(image, owner + OWNER * count, full, &stack[count])) {
        stack[count].entry = owner + OWNER * count;
        full = stack[count++].empty;
    }
    if (count < STACKS_MIN || word_of(image, full) != BEHIND) return true;
    for (size_t i = 0; i < count; i++) {
        struct cache_stack *added =
            walk_append((void **)&j->stacks, &j->stack_count, &j->stack_capacity, sizeof *added);
        if (!added) return false;
        *added = stack[i];
    }
    cache->block = 0; /* it has its owner */
    j->caches_found++;
    *found = true;
    return true;
}

/* A word that points into the first stack of a cache may be the head of its owner. */
static bool find_owners(struct jemalloc *j, const struct image *image, uint64_t from, uint64_t to)
{
    for (uint64_t there = to; image_present(image, &from, &there); from = there, there = to) {
        for (uint64_t at = (from + 7) & ~7ull; at + 8 <= there; at += 8) {
            struct extent *cache = cache_at(j, word_of(image, at));
            bool found;
            if (!cache || cache->block == 0) continue;
            if (!read_owner(j, image, cache, at, &found)) return false;
            if (found && j->caches_found == j->caches) return true;
        }
    }
    return true;
}

/* ---- who is at a stack ---------------------------------------------------------------------- */

static int compare_stacks(const void *a, const void *b)
{
    uint64_t x = ((const struct cache_stack *)a)->full, y = ((const struct cache_stack *)b)->full;
    return (x > y) - (x < y);
}

static int compare_entries(const void *a, const void *b)
{
    const struct cache_stack *const *x = a, *const *y = b;
    return ((*x)->entry > (*y)->entry) - ((*x)->entry < (*y)->entry);
}

/* Only an empty stack is filled, its upper half at most; of another one the thread may be taking, adding
 * or giving back what is cached. */
static void note_stack(struct cache_stack *s)
{
    uint64_t half = (s->empty - s->full) / 2 & ~7ull;
    s->held = s->head < s->empty ? s->head : s->full + half;
}

/* A large block that is being handed out, or given back. */
static void note_descriptor(struct jemalloc *j, const struct image *image, uint64_t word)
{
    struct extent *e = word % 128 == 0 ? extent_at(j, word_of(image, word + 8)) : NULL;
    if (e && e->descriptor == word && e->kind == EXTENT_LARGE) e->held = true;
}

/* The end of a stack is the beginning of the next: then both. */
static void note_word(struct jemalloc *j, struct cache_stack **by_entry, const struct image *image,
                      uint64_t word)
{
    size_t low = 0, high = j->stack_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (j->stacks[middle].empty < word)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < j->stack_count && j->stacks[low].full <= word; low++) note_stack(&j->stacks[low]);
    struct cache_stack wanted = {.entry = word}, *key = &wanted;
    struct cache_stack **found =
        bsearch(&key, by_entry, j->stack_count, sizeof(struct cache_stack *), compare_entries);
    if (found) note_stack(*found);
    note_descriptor(j, image, word);
}

/* Thread-local storage lies above the stack, and the owner in it: it is no sign of anybody. */
static uint64_t top_end(const struct jemalloc *j, struct cache_stack **by_entry, uint64_t from,
                        uint64_t thread)
{
    size_t low = 0, high = j->stack_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (by_entry[middle]->entry < from)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t end = from + TOP;
    if (low == j->stack_count || by_entry[low]->entry >= thread) return end;
    uint64_t storage = by_entry[low]->entry - STORAGE_BEFORE;
    return storage < end ? storage : end;
}

static void note_thread(struct jemalloc *j, struct cache_stack **by_entry,
                        const struct image *image, const struct machine_registers *r)
{
    for (size_t i = 0; i < r->count; i++) note_word(j, by_entry, image, r->word[i]);
    uint64_t word, from = (r->stack_pointer - RED_ZONE) & ~7ull;
    uint64_t end = top_end(j, by_entry, from, r->thread_pointer);
    for (uint64_t at = from; at < end && image_word(image, at, &word); at += 8)
        note_word(j, by_entry, image, word);
}

static bool note_movers(struct jemalloc *j, const struct image *image)
{
    struct cache_stack **by_entry = calloc(j->stack_count + 1, sizeof(struct cache_stack *));
    if (!by_entry) return false;
    if (j->stack_count) qsort(j->stacks, j->stack_count, sizeof *j->stacks, compare_stacks);
    for (size_t i = 0; i < j->stack_count; i++) by_entry[i] = &j->stacks[i];
    qsort(by_entry, j->stack_count, sizeof(struct cache_stack *), compare_entries);
    for (size_t i = 0; i < image->thread_count; i++)
        note_thread(j, by_entry, image, &image->threads[i].registers);
    free(by_entry);
    return true;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool find_in_storage(struct jemalloc *j, const struct image *image)
{
    for (size_t i = 0; i < image->thread_count && j->caches_found < j->caches; i++) {
        uint64_t pointer = image->threads[i].registers.thread_pointer;
        const struct segment *s = image_segment(image, pointer);
        if (!s) continue;
        uint64_t from = pointer - s->start > STORAGE_BELOW ? pointer - STORAGE_BELOW : s->start;
        if (!find_owners(j, image, from, pointer)) return false;
    }
    return true;
}

/* A cache that the program made by a call has its owner in itself. */
static bool find_in_themselves(struct jemalloc *j, const struct image *image)
{
    for (size_t i = 0; i < j->extent_count && j->caches_found < j->caches; i++) {
        const struct extent *e = &j->extents[i];
        if (e->kind == EXTENT_CACHE && e->block && !find_owners(j, image, e->base, e->end))
            return false;
    }
    return true;
}

bool jemalloc_caches(struct jemalloc *j, const struct image *image)
{
    for (size_t i = 0; i < j->extent_count; i++) {
        struct extent *e = &j->extents[i];
        if (!is_cache(image, e)) continue;
        e->kind = EXTENT_CACHE;
        j->caches++;
    }
    return find_in_storage(j, image) && find_in_themselves(j, image) && note_movers(j, image);
}
