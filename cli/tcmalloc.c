/*
 * gperftools' tcmalloc (2.10, pages of 8 KiB), found without a symbol: its map from pages to spans.
 *
 *     map        by bits 47-31 of an address: root, in zero-initialised data; by 30-13: a leaf of 2 MiB
 *     span       | first page | pages | next | before | free blocks | handed out 16, class 8, place 2 |
 *
 * Spans follow each other without a gap through whatever was got from the kernel; only the first page's
 * entry counts, those of the pages inside may be of spans before. In a span of small blocks those handed
 * out and those in its list add up to as many as fit. How large the blocks of a class are, the caches of
 * threads say: tcmalloc_cache.c, which also finds what of the blocks handed out is free all the same.
 * A span that does not add up is searched as a root.
 */
#include <stdlib.h>
#include <string.h>

#include "tcmalloc.h"

#define LEAF_BYTES ((uint64_t)2 << 20)

enum {
    LEAF_BITS = 18,
    ROOT_KEYS = 1 << 17,
    LEAF_KEYS = 1 << LEAF_BITS,
    SPAN = 48,
    TO_OBJECTS = 32,
    TO_BITS = 40,
    SEARCH_MAX = 1 << 30, /* bytes that are looked through for the first entry of a leaf */
};

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

uint64_t tcmalloc_next(const struct image *image, uint64_t block)
{
    return word_of(image, block);
}

const struct tc_span *tcmalloc_span(const struct tcmalloc *t, uint64_t address)
{
    size_t low = 0, high = t->span_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->spans[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->span_count && t->spans[low].start <= address ? &t->spans[low] : NULL;
}

/* ---- spans ---------------------------------------------------------------------------------- */

static uint64_t span_blocks(const struct tc_span *s)
{
    return (s->end - s->start) / s->size;
}

/* The list leads from block to block, and with those handed out it has as many as fit. */
static bool blocks_fit(const struct tc_span *s, const struct image *image, uint64_t bits)
{
    uint64_t listed = 0, blocks = span_blocks(s);
    uint64_t block = word_of(image, s->descriptor + TO_OBJECTS);
    for (; block; block = tcmalloc_next(image, block)) {
        if (block < s->start || block >= s->end || (block - s->start) % s->size != 0 ||
            listed++ == blocks)
            return false;
    }
    return listed + (bits & 0xffff) == blocks;
}

/* Damaged or not; false: it is no span at all that begins at this page. */
static bool read_span(const struct tcmalloc *t, const struct image *image, uint64_t descriptor,
                      uint64_t page, struct tc_span *s)
{
    uint64_t first = word_of(image, descriptor), length = word_of(image, descriptor + 8);
    uint64_t bits = word_of(image, descriptor + TO_BITS) & UINT32_MAX;
    if (!image_at(image, descriptor, SPAN) || first != page || length == 0 ||
        length > (uint64_t)ROOT_KEYS * LEAF_KEYS - first)
        return false;
    *s = (struct tc_span){.start = first << TCMALLOC_PAGE_BITS,
                          .end = (first + length) << TCMALLOC_PAGE_BITS,
                          .descriptor = descriptor,
                          .class = (uint8_t)(bits >> 16),
                          .kind = SPAN_FREE};
    if ((bits >> 24 & 3) != 0) return true;
    s->kind = SPAN_DAMAGED;
    if (!image_at(image, s->start, s->end - s->start)) return true;
    if (s->class == 0) {
        s->kind = SPAN_LARGE;
    } else if (s->class < t->classes) {
        s->size = t->size[s->class];
        if (s->size && blocks_fit(s, image, bits)) s->kind = SPAN_SMALL;
    }
    return true;
}

/* ---- the map -------------------------------------------------------------------------------- */

static bool next_word(const struct image *image, uint64_t *at, uint64_t end, uint64_t *word,
                      uint64_t *budget)
{
    for (uint64_t from = *at, to = end; image_present(image, &from, &to); from = to, to = end) {
        const unsigned char *bytes = image_at(image, from, to - from);
        for (uint64_t i = (8 - from % 8) % 8; bytes && i + 8 <= to - from; i += 8) {
            if (*budget < 8) return false;
            *budget -= 8;
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
    const struct tcmalloc *tcmalloc;
    uint64_t root, budget, last;
};

/* Which word of the root leads to this leaf, by its first entry that is the beginning of a span. */
static bool key_of_leaf(struct search *s, uint64_t leaf, uint64_t *key)
{
    uint64_t at = leaf, descriptor;
    struct tc_span span;
    if (leaf % 8 != 0 || leaf == s->last || !image_at(s->image, leaf, LEAF_BYTES)) return false;
    s->last = leaf;
    if (!next_word(s->image, &at, leaf + LEAF_BYTES, &descriptor, &s->budget)) return false;
    uint64_t first = word_of(s->image, descriptor);
    if (descriptor % 8 != 0 || (first & (LEAF_KEYS - 1)) != (at - leaf) / 8) return false;
    *key = first >> LEAF_BITS;
    return read_span(s->tcmalloc, s->image, descriptor, first, &span) && span.kind != SPAN_DAMAGED;
}

static bool find_root(void *context, uint64_t from, uint64_t to)
{
    struct search *s = context;
    uint64_t leaf, key, budget = UINT64_MAX;
    for (uint64_t at = from; next_word(s->image, &at, to, &leaf, &budget); at += 8) {
        if (!key_of_leaf(s, leaf, &key) || at < 8 * key) continue;
        s->root = at - 8 * key;
        if (image_at(s->image, s->root, 8ull * ROOT_KEYS)) return true;
    }
    return false;
}

/* The entry of a page; 0: none. */
static uint64_t entry_of(const struct tcmalloc *t, const struct image *image, uint64_t page)
{
    if (page >> LEAF_BITS >= ROOT_KEYS) return 0;
    uint64_t leaf = word_of(image, t->root + 8 * (page >> LEAF_BITS));
    return leaf ? word_of(image, leaf + 8 * (page & (LEAF_KEYS - 1))) : 0;
}

/* From one span to the next until none begins there; *page is then behind the last. */
static bool take_run(struct tcmalloc *t, const struct image *image, uint64_t *page)
{
    for (uint64_t descriptor; (descriptor = entry_of(t, image, *page)) != 0;) {
        struct tc_span span, *added;
        if (!read_span(t, image, descriptor, *page, &span)) {
            t->damaged++;
            ++*page;
            continue;
        }
        if (span.kind == SPAN_DAMAGED) t->damaged++;
        added = walk_append((void **)&t->spans, &t->span_count, &t->span_capacity, sizeof *added);
        if (!added) return false;
        *added = span;
        *page = span.end >> TCMALLOC_PAGE_BITS;
        if (t->damaged > walk_damage_max(image)) break;
    }
    return true;
}

static bool read_leaf(struct tcmalloc *t, const struct image *image, uint64_t key, uint64_t leaf,
                      uint64_t *page)
{
    uint64_t descriptor, budget = UINT64_MAX, first = key << LEAF_BITS;
    for (;;) {
        uint64_t index = *page > first ? *page - first : 0, at = leaf + 8 * index;
        if (index >= LEAF_KEYS || t->damaged > walk_damage_max(image) ||
            !next_word(image, &at, leaf + LEAF_BYTES, &descriptor, &budget))
            return true;
        *page = first + (at - leaf) / 8;
        if (!take_run(t, image, page)) return false;
    }
}

static bool read_map(struct tcmalloc *t, const struct image *image)
{
    uint64_t leaf, budget = UINT64_MAX, end = t->root + 8ull * ROOT_KEYS, page = 0;
    for (uint64_t at = t->root; next_word(image, &at, end, &leaf, &budget); at += 8) {
        if (!image_at(image, leaf, LEAF_BYTES))
            t->damaged++;
        else if (!read_leaf(t, image, (at - t->root) / 8, leaf, &page))
            return false;
        if (t->damaged > walk_damage_max(image)) break;
    }
    return true;
}

static enum walk_found read_heap(struct tcmalloc *t, struct heap_walk *w, const struct image *image)
{
    struct search s = {.image = image, .tcmalloc = t, .budget = SEARCH_MAX};
    enum walk_found found = tcmalloc_caches(t, w, image);
    if (found != WALK_FOUND) return found;
    if (!walk_data(image, find_root, &s))
        return walk_misfit(w, "%zu caches of threads, but no map from pages to spans",
                           t->cache_count);
    t->root = s.root;
    if (!read_map(t, image)) return walk_misfit(w, "out of memory");
    if (t->damaged > walk_damage_max(image))
        return walk_misfit(w, "more than %llu of its spans contradict themselves",
                           (unsigned long long)walk_damage_max(image));
    return tcmalloc_lists(t, w, image);
}

static enum walk_found tcmalloc_find(struct heap_walk *w, const struct image *image)
{
    struct tcmalloc *t = w->state = calloc(1, sizeof *t);
    if (!t) return walk_misfit(w, "out of memory");
    w->version = "2.10";
    return read_heap(t, w, image);
}

/* ---- for the marker ------------------------------------------------------------------------- */

/* Blocks of 8 bytes, of which the marker sees two as one, are roots. */
static bool is_seen(const struct tc_span *s)
{
    return s->kind == SPAN_LARGE || (s->kind == SPAN_SMALL && s->size % REACH_GRANULE == 0);
}

static bool tcmalloc_parts(struct heap_walk *w, const struct image *image, struct parts *parts)
{
    const struct tcmalloc *t = w->state;
    for (size_t i = 0; i < t->span_count; i++) {
        const struct tc_span *s = &t->spans[i];
        if (s->kind != SPAN_FREE && !is_seen(s)) continue;
        if (!parts_exclude(parts, s->start, s->end)) return false;
        if (is_seen(s) && !parts_region(parts, image, s->start, s->end, 0, s->kind == SPAN_LARGE))
            return false;
    }
    parts->damaged += t->damaged;
    return tcmalloc_exclude_caches(t, image, parts);
}

static void take_list(const struct tcmalloc *t, const struct image *image, struct parts *parts,
                      struct reach *reach, uint64_t block)
{
    for (; block; block = tcmalloc_next(image, block)) {
        const struct tc_span *s = tcmalloc_span(t, block);
        if (s && is_seen(s) && !reach_remove(reach, block)) {
            parts->damaged++; /* in two lists */
            return;
        }
    }
}

static bool tcmalloc_fill(struct heap_walk *w, const struct image *image, struct parts *parts,
                          struct reach *reach)
{
    const struct tcmalloc *t = w->state;
    for (size_t i = 0; i < t->span_count; i++) {
        const struct tc_span *s = &t->spans[i];
        if (!is_seen(s)) continue;
        uint64_t blocks = s->kind == SPAN_LARGE ? 1 : span_blocks(s);
        for (uint64_t k = 0; k < blocks; k++) reach_add(reach, s->start + k * s->size, true);
        if (s->kind == SPAN_LARGE) continue;
        if (s->start + blocks * s->size < s->end)
            reach_add(reach, s->start + blocks * s->size, false);
        take_list(t, image, parts, reach, word_of(image, s->descriptor + TO_OBJECTS));
    }
    for (size_t i = 0; i < t->list_count; i++) take_list(t, image, parts, reach, t->lists[i]);
    return true;
}

static void tcmalloc_finish(struct heap_walk *w)
{
    struct tcmalloc *t = w->state;
    if (!t) return;
    free(t->spans);
    free(t->caches);
    free(t->lists);
    free(t);
    w->state = NULL;
}

const struct heap_walker tcmalloc_walker = {
    "gperftools tcmalloc", "2.10 with pages of 8 KiB", tcmalloc_find, tcmalloc_parts, tcmalloc_fill,
    tcmalloc_finish,
};
