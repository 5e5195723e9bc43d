/*
 * jemalloc's heap (5.3.0, pages of 4 KiB), found without a symbol: its tree from pages to extents.
 *
 *     metadata    at a multiple of 2 MiB: | its size | next | descriptor of what is left of it: to the end | ...
 *     tree        by bits 47-30 of an address: root, in zero-initialised data; by 29-12: a leaf of 2 MiB
 *                 entry     | class (16) | descriptor of the extent, a multiple of 128 | state, head, slab |
 *     descriptor  | bits | address | size | . | . | links (3) | a slab's bitmap: 1 is free (8) |
 *                 bits      arena 12, slab 1, (4), state 3, class 8, free blocks 10, (6), head 1
 *
 * Metadata is known by its header, whose numbers add up to its own end. Which word of the data is a root's
 * is told by the leaf that it points to: the leaf's place among the addresses of its own extents says which
 * of the root's words it must be. Class, state and slab stand in the tree and in the descriptor, the number
 * of free blocks in the descriptor and in its bitmap: they must agree.
 *
 * A block in the cache of a thread counts as in use here: jemalloc_cache.c takes those out. Slabs of blocks
 * of 8 bytes, of which the marker sees two as one, are searched as roots.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jemalloc.h"

#define HUGE ((uint64_t)2 << 20)
#define LEAF_BYTES HUGE
#define METADATA_MAX ((uint64_t)1 << 30)
#define ADDRESS_MASK (((uint64_t)1 << 48) - 1)

enum {
    KEYS = 1 << 18, /* of a root, and of a leaf */
    KEY_BITS = 18,
    PAGE_BITS = 12,
    DESCRIPTOR = 128,
    STATE_ACTIVE = 0,
    STATE_RETAINED = 3,
    SLAB_BLOCKS_MAX = 512,
    ARENA_NONE = 0xfff,
    ENTRIES_TRIED = 64,
};

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

/* ---- metadata ------------------------------------------------------------------------------- */

/* What is left of it is described as an extent of no class that ends where it ends. */
static bool is_metadata(const struct image *image, uint64_t at, uint64_t *size)
{
    const unsigned char *head = image_at(image, at, 16 + DESCRIPTOR);
    uint64_t word[5];
    if (!head) return false;
    memcpy(word, head, sizeof word);
    *size = word[0];
    uint64_t bits = word[2], left = word[3];
    return *size != 0 && *size % HUGE == 0 && *size <= METADATA_MAX && image_at(image, at, *size) &&
           (bits & ARENA_NONE) == ARENA_NONE && (bits >> 12 & 1) == 0 &&
           (bits >> 17 & 7) == STATE_ACTIVE && (bits >> 20 & 255) == JEMALLOC_CLASSES &&
           left > at && left <= at + *size && word[4] == at + *size - left;
}

static bool find_metadata(struct jemalloc *j, const struct image *image)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        uint64_t at = image_next(image, s->start, s->end, HUGE), size;
        for (; s->anonymous && at >= s->start && at < s->end;
             at = image_next(image, at + size, s->end, HUGE)) {
            if (!is_metadata(image, at, &size)) {
                size = HUGE;
                continue;
            }
            struct run *run = walk_append((void **)&j->metadata, &j->metadata_count,
                                          &j->metadata_capacity, sizeof *run);
            if (!run) return false;
            *run = (struct run){at, at + size};
        }
    }
    return true;
}

static bool in_metadata(const struct jemalloc *j, uint64_t address, uint64_t size)
{
    size_t low = 0, high = j->metadata_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (j->metadata[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < j->metadata_count && j->metadata[low].start <= address &&
           j->metadata[low].end - address >= size;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static uint64_t class_size(unsigned class)
{
    if (class == 0) return 8;
    unsigned group = (class - 1) / 4, step = (class - 1) % 4 + 1;
    if (group == 0) return 16ull * step;
    return ((uint64_t)1 << (5 + group)) + ((uint64_t)step << (3 + group));
}

static unsigned class_of(uint64_t bits)
{
    return bits >> 20 & 255;
}

static bool is_slab(uint64_t bits)
{
    return bits >> 12 & 1;
}

static uint64_t bitmap_word(const struct image *image, const struct extent *e, unsigned index)
{
    return word_of(image, e->descriptor + 64 + 8ull * index);
}

static uint64_t slab_blocks(const struct extent *e)
{
    return (e->end - e->base) / e->size;
}

static bool slab_fits(const struct image *image, const struct extent *e, uint64_t bits)
{
    uint64_t blocks = slab_blocks(e), free_blocks = 0;
    if (e->block != e->base || blocks == 0 || blocks > SLAB_BLOCKS_MAX) return false;
    for (unsigned i = 0; i <= (blocks - 1) / 64; i++) {
        uint64_t word = bitmap_word(image, e, i), left = blocks - 64ull * i;
        if (left < 64 && word >> left) return false;
        free_blocks += (uint64_t)__builtin_popcountll(word);
    }
    return free_blocks == (bits >> 28 & 1023);
}

static bool read_extent(struct extent *e, const struct image *image, uint64_t descriptor)
{
    uint64_t bits = word_of(image, descriptor), state = bits >> 17 & 7;
    uint64_t address = word_of(image, descriptor + 8);
    uint64_t size = word_of(image, descriptor + 16) & ~(uint64_t)(JEMALLOC_PAGE - 1);
    *e = (struct extent){.base = address & ~(uint64_t)(JEMALLOC_PAGE - 1),
                         .block = address,
                         .descriptor = descriptor};
    e->end = e->base + size;
    if (size == 0 || e->end < e->base || e->end > ADDRESS_MASK || state > STATE_RETAINED)
        return false;
    if (state != STATE_ACTIVE) return true; /* free: may be memory that nobody can read */
    unsigned class = class_of(bits);
    if (class >= JEMALLOC_CLASSES || !image_at(image, e->base, size)) return false;
    e->size = class_size(class);
    e->kind = is_slab(bits) ? EXTENT_SLAB : EXTENT_LARGE;
    if (is_slab(bits)) return class < JEMALLOC_SMALL_CLASSES && slab_fits(image, e, bits);
    return address % 16 == 0 && e->size <= e->end - e->block;
}

static uint64_t descriptor_of(uint64_t entry)
{
    return (uint64_t)((int64_t)(entry << 16) >> 16) & ~(uint64_t)(DESCRIPTOR - 1);
}

/* What the tree says is what the descriptor says; of a free extent it may still say what it held. */
static bool entry_fits(uint64_t entry, uint64_t bits)
{
    uint64_t state = bits >> 17 & 7;
    if ((entry >> 2 & 7) != state || (entry >> 1 & 1) != (bits >> 44 & 1)) return false;
    return state != STATE_ACTIVE ||
           ((entry & 1) == (bits >> 12 & 1) && entry >> 48 == class_of(bits));
}

/* A page that was an extent's. */
static bool is_cleared(uint64_t entry)
{
    return entry == (uint64_t)JEMALLOC_CLASSES << 48;
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* The next word that is not 0 in [*at, end). */
static bool next_word(const struct image *image, uint64_t *at, uint64_t end, uint64_t *word)
{
    for (uint64_t from = *at, to = end; image_present(image, &from, &to); from = to, to = end) {
        const unsigned char *bytes = image_at(image, from, to - from);
        for (uint64_t i = (8 - from % 8) % 8; bytes && i + 8 <= to - from; i += 8) {
            memcpy(word, bytes + i, sizeof *word);
            if (*word == 0) continue;
            *at = from + i;
            return true;
        }
    }
    return false;
}

struct search {
    const struct image *image;
    const struct jemalloc *jemalloc;
    uint64_t root;
};

static bool is_leaf(const struct jemalloc *j, uint64_t leaf)
{
    return leaf % 64 == 0 && in_metadata(j, leaf, LEAF_BYTES);
}

/* Which word of the root leads to a leaf, by an entry of it; false: the entry does not tell. */
static bool key_of_entry(const struct jemalloc *j, const struct image *image, uint64_t index,
                         uint64_t entry, uint64_t *key)
{
    struct extent e;
    uint64_t descriptor = descriptor_of(entry);
    if (!in_metadata(j, descriptor, DESCRIPTOR) || !read_extent(&e, image, descriptor))
        return false;
    uint64_t first = e.base >> PAGE_BITS, last = (e.end - 1) >> PAGE_BITS;
    *key = first >> KEY_BITS;
    if ((*key << KEY_BITS | index) < first) ++*key; /* an extent that begins in the leaf before */
    uint64_t page = *key << KEY_BITS | index;
    return page >= first && page <= last;
}

/* Some entries may be in the middle of a change. */
static bool key_of_leaf(const struct jemalloc *j, const struct image *image, uint64_t leaf,
                        uint64_t *key)
{
    uint64_t at = leaf, entry;
    if (!is_leaf(j, leaf)) return false;
    for (int tries = 0; tries < ENTRIES_TRIED; at += 8) {
        if (!next_word(image, &at, leaf + LEAF_BYTES, &entry)) return false;
        if (is_cleared(entry)) continue;
        if (key_of_entry(j, image, (at - leaf) / 8, entry, key)) return true;
        tries++;
    }
    return false;
}

static bool find_root(void *context, uint64_t from, uint64_t to)
{
    struct search *s = context;
    uint64_t leaf, key;
    for (uint64_t at = from; next_word(s->image, &at, to, &leaf); at += 8) {
        if (!key_of_leaf(s->jemalloc, s->image, leaf, &key) || at < 8 * key) continue;
        s->root = at - 8 * key;
        if (image_at(s->image, s->root, 8ull * KEYS)) return true;
    }
    return false;
}

/* The extent before in the tree goes on here. */
static bool goes_on(const struct jemalloc *j, uint64_t page, uint64_t descriptor)
{
    const struct extent *last = j->extent_count ? &j->extents[j->extent_count - 1] : NULL;
    return last && last->descriptor == descriptor && page > last->base && page < last->end;
}

/* An extent is taken at its first page; its other entries only have to lead to it. */
static bool take_entry(struct jemalloc *j, const struct image *image, uint64_t page, uint64_t entry)
{
    uint64_t descriptor = descriptor_of(entry);
    struct extent e;
    if (is_cleared(entry) || goes_on(j, page, descriptor)) return true;
    if (!in_metadata(j, descriptor, DESCRIPTOR) || !read_extent(&e, image, descriptor) ||
        !entry_fits(entry, word_of(image, descriptor)) || page != e.base) {
        j->damaged += descriptor != j->wrong; /* once, not once a page */
        j->wrong = descriptor;
        return true;
    }
    struct extent *added =
        walk_append((void **)&j->extents, &j->extent_count, &j->extent_capacity, sizeof *added);
    if (added) *added = e;
    return added != NULL;
}

static bool take_leaf(struct jemalloc *j, const struct image *image, uint64_t key, uint64_t leaf)
{
    uint64_t entry;
    if (!is_leaf(j, leaf)) {
        j->damaged++;
        return true;
    }
    for (uint64_t at = leaf; next_word(image, &at, leaf + LEAF_BYTES, &entry); at += 8) {
        uint64_t page = (key << KEY_BITS | (at - leaf) / 8) << PAGE_BITS;
        if (!take_entry(j, image, page, entry)) return false;
    }
    return true;
}

/* Ascending by itself, since the tree is. */
static bool read_tree(struct jemalloc *j, const struct image *image)
{
    uint64_t leaf, end = j->root + 8ull * KEYS, last = 0;
    for (uint64_t at = j->root; next_word(image, &at, end, &leaf); at += 8) {
        if (leaf == last) continue; /* two words of one leaf: a damaged root */
        last = leaf;
        if (!take_leaf(j, image, (at - j->root) / 8, leaf)) return false;
        if (j->damaged > walk_damage_max(image)) return true;
    }
    return true;
}

static bool are_disjoint(const struct jemalloc *j)
{
    for (size_t i = 1; i < j->extent_count; i++) {
        if (j->extents[i].base < j->extents[i - 1].end) return false;
    }
    return true;
}

static void note_caches(struct heap_walk *w, const struct jemalloc *j)
{
    size_t missing = j->caches - j->caches_found;
    if (missing == 0) return;
    snprintf(
        w->note, sizeof w->note,
        "%zu of %zu caches of threads were not found: what is in them counts as possibly in use",
        missing, j->caches);
}

static enum walk_found read_heap(struct jemalloc *j, struct heap_walk *w, const struct image *image)
{
    struct search s = {.image = image, .jemalloc = j};
    if (!find_metadata(j, image)) return walk_misfit(w, "out of memory");
    if (j->metadata_count == 0) return WALK_ABSENT;
    if (!walk_data(image, find_root, &s))
        return walk_misfit(w, "%zu stretches of its metadata, but no tree that leads to it",
                           j->metadata_count);
    j->root = s.root;
    if (!read_tree(j, image)) return walk_misfit(w, "out of memory");
    if (j->damaged > walk_damage_max(image))
        return walk_misfit(w, "more than %llu entries of its tree contradict what they lead to",
                           (unsigned long long)walk_damage_max(image));
    if (!are_disjoint(j)) return walk_misfit(w, "its extents overlap");
    if (!jemalloc_caches(j, image)) return walk_misfit(w, "out of memory");
    note_caches(w, j);
    return WALK_FOUND;
}

static enum walk_found jemalloc_find(struct heap_walk *w, const struct image *image)
{
    struct jemalloc *j = w->state = calloc(1, sizeof *j);
    if (!j) return walk_misfit(w, "out of memory");
    w->version = "5.3.0";
    return read_heap(j, w, image);
}

/* ---- for the marker ------------------------------------------------------------------------- */

static bool is_tiny(const struct extent *e)
{
    return e->size < REACH_GRANULE;
}

/* What was never a block of it may hold what was there before. */
static bool add_tiny(const struct extent *e, const struct image *image, struct parts *parts)
{
    uint64_t blocks = slab_blocks(e);
    for (unsigned i = 0; i < blocks; i++) {
        uint64_t block = e->base + i * e->size;
        bool is_free = bitmap_word(image, e, i / 64) >> i % 64 & 1;
        if (is_free && !parts_exclude(parts, block, block + e->size)) return false;
    }
    return true;
}

static bool add_extent(const struct extent *e, const struct image *image, struct parts *parts)
{
    if (e->kind == EXTENT_CACHE || e->held) return true;
    if (e->kind == EXTENT_SLAB && is_tiny(e)) return add_tiny(e, image, parts);
    if (e->kind == EXTENT_LARGE && is_tiny(e)) return true;
    if (!parts_exclude(parts, e->base, e->end)) return false;
    if (e->kind == EXTENT_SLAB) return parts_region(parts, image, e->base, e->end, 0, false);
    if (e->kind == EXTENT_FREE) return true;
    uint64_t end = e->block + ((e->size + 15) & ~15ull);
    return parts_region(parts, image, e->block, end < e->end ? end : e->end, 0, true);
}

/* Of a cache that was found, what nobody is at; of others nothing. */
static bool exclude_stacks(const struct jemalloc *j, struct parts *parts)
{
    for (size_t i = 0; i < j->stack_count; i++) {
        const struct cache_stack *s = &j->stacks[i];
        if (s->full < s->held && !parts_exclude(parts, s->full, s->held)) return false;
    }
    return true;
}

static bool jemalloc_parts(struct heap_walk *w, const struct image *image, struct parts *parts)
{
    const struct jemalloc *j = w->state;
    for (size_t i = 0; i < j->metadata_count; i++) {
        if (!parts_exclude(parts, j->metadata[i].start, j->metadata[i].end)) return false;
    }
    for (size_t i = 0; i < j->extent_count; i++) {
        if (!add_extent(&j->extents[i], image, parts)) return false;
    }
    parts->damaged += j->damaged;
    return exclude_stacks(j, parts);
}

static void fill_slab(const struct image *image, struct reach *reach, const struct extent *e)
{
    uint64_t blocks = slab_blocks(e);
    for (unsigned i = 0; i < blocks; i++) {
        bool is_free = bitmap_word(image, e, i / 64) >> i % 64 & 1;
        reach_add(reach, e->base + i * e->size, !is_free);
    }
    if (e->base + blocks * e->size < e->end) reach_add(reach, e->base + blocks * e->size, false);
}

/* A cached block that is none is damage, unless its size is one that is not looked at. */
static void take_stack(const struct image *image, struct parts *parts, struct reach *reach,
                       const struct cache_stack *s)
{
    for (uint64_t at = s->held < s->empty ? s->empty : s->head; at < s->empty; at += 8) {
        uint64_t block = word_of(image, at);
        if (!reach_remove(reach, block) && reach_region_of(reach, block)) parts->damaged++;
    }
}

static bool jemalloc_fill(struct heap_walk *w, const struct image *image, struct parts *parts,
                          struct reach *reach)
{
    const struct jemalloc *j = w->state;
    for (size_t i = 0; i < j->extent_count; i++) {
        const struct extent *e = &j->extents[i];
        if (e->kind == EXTENT_SLAB && !is_tiny(e)) fill_slab(image, reach, e);
        if (e->kind == EXTENT_LARGE && !is_tiny(e) && !e->held) reach_add(reach, e->block, true);
    }
    for (size_t i = 0; i < j->stack_count; i++) take_stack(image, parts, reach, &j->stacks[i]);
    return true;
}

static void jemalloc_finish(struct heap_walk *w)
{
    struct jemalloc *j = w->state;
    if (!j) return;
    free(j->metadata);
    free(j->extents);
    free(j->stacks);
    free(j);
    w->state = NULL;
}

const struct heap_walker jemalloc_walker = {
    "jemalloc",      "5.3.0 with pages of 4 KiB", jemalloc_find, jemalloc_parts, jemalloc_fill,
    jemalloc_finish,
};
