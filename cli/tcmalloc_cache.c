/*
 * gperftools' tcmalloc: blocks that are free although their spans count them as handed out: in the caches
 * of threads, and in the lists through which threads pass them on.
 *
 *     cache       128 x | first free block | length, low water (32 bits each) | . | size of a block | ... | next, before
 *     central     128 x | lock | class | two rings of spans | . | 64 x first and last block of a list | lists in use | ...
 *
 * A cache is known by its sizes: 0, 8, 16 and so on up to 256 KiB; all caches are one list, of which a
 * word of the data is the beginning. The central lists are known by their classes, one after the other, and
 * by rings that lead back. Who changes a list of the centre has its lock: then it is believed by nobody.
 *
 * Each list is followed to its end, block by block of its class. One that leads elsewhere would leave free
 * blocks that look lost: then the heap is refused.
 */
#include <stdio.h>

#include "tcmalloc.h"

enum {
    LIST = 32,
    TO_LENGTH = 8,
    TO_SIZE = 24,
    TO_NEXT = 4144,
    TO_BEFORE = 4152,
    CACHE = 4160,
    SIZE_MAX_SMALL = 256 << 10,
    CENTRAL = 1216,
    CENTRAL_TO_CLASS = 8,
    CENTRAL_TO_RINGS = 16,
    RING = 48, /* a span of its own: | first page | pages | next | before | ... */
    CENTRAL_TO_LISTS = 128,
    CENTRAL_TO_USED = 1152,
    CENTRAL_LISTS = 64,
    CACHES_MAX = 1 << 16,
};

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

static uint32_t half_of(const struct image *image, uint64_t address)
{
    return (uint32_t)word_of(image, address);
}

/* ---- caches of threads ---------------------------------------------------------------------- */

/* How many classes it knows; 0: it is none. Sizes ascend to the largest, and are 0 from there on. */
static unsigned count_classes(const struct image *image, uint64_t cache,
                              uint32_t size[TCMALLOC_CLASSES])
{
    unsigned classes = 0;
    uint32_t before = 0;
    if (cache % 64 != 0 || !image_at(image, cache, CACHE)) return 0;
    for (unsigned i = 0; i < TCMALLOC_CLASSES; i++) {
        size[i] = half_of(image, cache + (uint64_t)LIST * i + TO_SIZE);
        if (i == 0 ? size[i] != 0 : i <= 2 && size[i] != 8 * i) return 0;
        if (before == SIZE_MAX_SMALL ? size[i] != 0 : i > 0 && size[i] <= before) return 0;
        if (size[i] % 8 != 0) return 0;
        if (size[i] == SIZE_MAX_SMALL) classes = i + 1;
        if (before != SIZE_MAX_SMALL) before = size[i];
    }
    return classes;
}

struct search {
    const struct image *image;
    struct tcmalloc *tcmalloc;
    uint64_t found;
};

static bool find_cache(void *context, uint64_t from, uint64_t to)
{
    struct search *s = context;
    for (uint64_t at = from; at + 8 <= to; at += 8) {
        uint64_t cache = word_of(s->image, at);
        if (cache == 0 || cache % 64 != 0) continue;
        unsigned classes = count_classes(s->image, cache, s->tcmalloc->size);
        if (classes == 0 || word_of(s->image, cache + TO_BEFORE) != 0) continue;
        s->tcmalloc->classes = classes;
        s->found = cache;
        return true;
    }
    return false;
}

enum walk_found tcmalloc_caches(struct tcmalloc *t, struct heap_walk *w, const struct image *image)
{
    struct search s = {.image = image, .tcmalloc = t};
    uint32_t size[TCMALLOC_CLASSES];
    if (!walk_data(image, find_cache, &s)) return WALK_ABSENT;
    uint64_t before = 0;
    for (uint64_t cache = s.found; cache; cache = word_of(image, cache + TO_NEXT)) {
        if (count_classes(image, cache, size) != t->classes || t->cache_count == CACHES_MAX ||
            word_of(image, cache + TO_BEFORE) != before)
            return walk_misfit(w, "cache %zu of its threads, at %#llx, is none", t->cache_count + 1,
                               (unsigned long long)cache);
        uint64_t *added =
            walk_append((void **)&t->caches, &t->cache_count, &t->cache_capacity, sizeof *added);
        if (!added) return walk_misfit(w, "out of memory");
        *added = before = cache;
    }
    return WALK_FOUND;
}

/* ---- central lists -------------------------------------------------------------------------- */

static bool is_ring(const struct image *image, uint64_t ring)
{
    uint64_t next = word_of(image, ring + 16), before = word_of(image, ring + 24);
    return next && before && word_of(image, next + 24) == ring &&
           word_of(image, before + 16) == ring;
}

static uint64_t central_at(uint64_t central, unsigned class)
{
    return central + (uint64_t)CENTRAL * class;
}

static bool is_central(const struct image *image, uint64_t central, unsigned classes)
{
    for (unsigned i = 0; i < classes; i++) {
        uint64_t at = central_at(central, i);
        if (word_of(image, at + CENTRAL_TO_CLASS) != i ||
            half_of(image, at + CENTRAL_TO_USED) > CENTRAL_LISTS)
            return false;
    }
    for (unsigned i = 0; i < classes; i++) {
        uint64_t rings = central_at(central, i) + CENTRAL_TO_RINGS;
        bool locked = half_of(image, central_at(central, i)) != 0;
        if (!locked && (!is_ring(image, rings) || !is_ring(image, rings + RING))) return false;
    }
    return true;
}

static bool find_central(void *context, uint64_t from, uint64_t to)
{
    struct search *s = context;
    for (uint64_t at = from; at + CENTRAL_TO_LISTS <= to; at += 8) {
        if (word_of(s->image, at + CENTRAL + CENTRAL_TO_CLASS) != 1 ||
            word_of(s->image, at + CENTRAL_TO_CLASS) != 0 ||
            !is_central(s->image, at, s->tcmalloc->classes))
            continue;
        s->tcmalloc->central = at;
        return true;
    }
    return false;
}

/* ---- all lists ------------------------------------------------------------------------------ */

/* From block to block of one class, to the end. */
static bool is_list(const struct tcmalloc *t, const struct image *image, uint64_t block,
                    unsigned class, uint64_t *length)
{
    uint64_t most = image->present / t->size[class] + 1;
    for (*length = 0; block; block = tcmalloc_next(image, block)) {
        const struct tc_span *s = tcmalloc_span(t, block);
        if (!s || s->class != class || (s->kind != SPAN_SMALL && s->kind != SPAN_DAMAGED) ||
            (block - s->start) % t->size[class] != 0 || ++*length > most)
            return false;
    }
    return true;
}

static enum walk_found take_list(struct tcmalloc *t, struct heap_walk *w, const struct image *image,
                                 uint64_t block, unsigned class, uint64_t *length)
{
    *length = 0;
    if (block == 0) return WALK_FOUND;
    if (!is_list(t, image, block, class, length))
        return walk_misfit(w, "a list of free blocks of %u bytes leads elsewhere", t->size[class]);
    uint64_t *added =
        walk_append((void **)&t->lists, &t->list_count, &t->list_capacity, sizeof *added);
    if (!added) return walk_misfit(w, "out of memory");
    *added = block;
    return WALK_FOUND;
}

/* Who is in the middle of a free or a malloc has one more or less than it counts. */
static enum walk_found take_cache(struct tcmalloc *t, struct heap_walk *w,
                                  const struct image *image, uint64_t cache)
{
    for (unsigned i = 1; i < t->classes; i++) {
        uint64_t list = cache + (uint64_t)LIST * i, length;
        enum walk_found found = take_list(t, w, image, word_of(image, list), i, &length);
        if (found != WALK_FOUND) return found;
        if (length != half_of(image, list + TO_LENGTH)) t->damaged++;
    }
    return WALK_FOUND;
}

static enum walk_found take_central(struct tcmalloc *t, struct heap_walk *w,
                                    const struct image *image, unsigned class)
{
    uint64_t central = central_at(t->central, class), length;
    uint32_t used = half_of(image, central + CENTRAL_TO_USED);
    if (half_of(image, central) != 0) return WALK_FOUND; /* locked: a root */
    for (uint32_t i = 0; i < used; i++) {
        uint64_t head = word_of(image, central + CENTRAL_TO_LISTS + 16ull * i);
        enum walk_found found = take_list(t, w, image, head, class, &length);
        if (found != WALK_FOUND) return found;
    }
    return WALK_FOUND;
}

enum walk_found tcmalloc_lists(struct tcmalloc *t, struct heap_walk *w, const struct image *image)
{
    struct search s = {.image = image, .tcmalloc = t};
    enum walk_found found = WALK_FOUND;
    for (size_t i = 0; i < t->cache_count && found == WALK_FOUND; i++)
        found = take_cache(t, w, image, t->caches[i]);
    if (found != WALK_FOUND) return found;
    if (t->damaged > walk_damage_max(image))
        return walk_misfit(w, "lists of its caches do not have as many blocks as they count");
    if (!walk_data(image, find_central, &s)) {
        snprintf(w->note, sizeof w->note,
                 "the lists that threads share were not found: what is in them counts as possibly "
                 "in use");
        return WALK_FOUND;
    }
    for (unsigned i = 1; i < t->classes && found == WALK_FOUND; i++)
        found = take_central(t, w, image, i);
    return found;
}

bool tcmalloc_exclude_caches(const struct tcmalloc *t, const struct image *image,
                             struct parts *parts)
{
    for (size_t i = 0; i < t->cache_count; i++) {
        if (!parts_exclude(parts, t->caches[i], t->caches[i] + CACHE)) return false;
    }
    for (unsigned i = 0; t->central && i < t->classes; i++) {
        uint64_t at = central_at(t->central, i);
        if (half_of(image, at) == 0 && !parts_exclude(parts, at, at + CENTRAL)) return false;
    }
    return true;
}
