/*
 * mimalloc's heap (2.0.9, as it is without hardening), found without a symbol: its segments, each at a
 * multiple of 32 MiB, and the pages in them.
 *
 *     segment   | ... | pages in use | cookie | slices | slices of this header | kind | entries | thread | page 0 | page 1 | ...
 *     page      a descriptor of 80 bytes for each slice of 64 KiB; the first of a page's slices has
 *               | slices, offset | capacity, reserved, flags | free | used, block size | free here | freed by others | heap | ...
 *     heap      | ... | queue of each block size: first, last, size (75) | blocks freed by others, not yet seen | thread | ...
 *
 * All cookies, xored with the address of their segment, are the same word. Slices follow each other without
 * a gap; as many blocks are reserved as fit; those in use and those in the two lists of the owner add up to
 * the capacity, and every list leads from block to block of its page. So nothing is taken on trust, and
 * there is no other cache: a block in none of the four lists is in use. A page that does not add up is
 * searched as a root.
 *
 * An aligned block begins somewhere in the middle of one that is larger, and nothing says where: in pages
 * that have some, a pointer into a block counts like one to its start.
 */
#include <stdlib.h>
#include <string.h>

#include "heap_walk.h"

#define SEGMENT ((uint64_t)32 << 20)
#define SLICE ((uint64_t)64 << 10)
#define HUGE_BLOCK ((uint64_t)2 << 30) /* the size is then that of the page */

enum {
    SLICES = 512,
    HEADER = 41304,
    TO_USED = 208,
    TO_COOKIE = 216,
    TO_SLICES = 224,
    TO_INFO_SLICES = 232,
    TO_KIND = 240,
    TO_ENTRIES = 248,
    TO_PAGES = 264,
    PAGE = 80,
    OFFSET_SMALL = 384, /* where blocks of up to 1 KiB begin in their page */
    SMALL_MAX = 1024,
    HEAP_TO_QUEUES = 1040,
    HEAP_QUEUE = 24,
    HEAP_TO_DELAYED = 2840,
    FLAG_ALIGNED = 2,
};

struct page {
    uint64_t start, end; /* of its slices */
    uint64_t first;      /* block */
    uint64_t size;       /* of a block; 0: a free span */
    uint64_t descriptor;
    uint32_t capacity;
    bool aligned, sound;
};

struct mimalloc {
    struct run *segments;
    size_t segment_count, segment_capacity;
    struct page *pages; /* ascending */
    size_t page_count, page_capacity;
    uint64_t *heaps; /* distinct ones */
    size_t heap_count, heap_capacity;
    uint64_t cookie;
    uint64_t damaged;
};

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

/* ---- pages ---------------------------------------------------------------------------------- */

static bool is_block(const struct page *p, uint64_t address)
{
    return address >= p->first && (address - p->first) % p->size == 0 &&
           (address - p->first) / p->size < p->capacity;
}

/* The length of a list of free blocks; UINT64_MAX: it leads elsewhere, or does not end. */
static uint64_t list_length(const struct image *image, const struct page *p, uint64_t block)
{
    uint64_t length = 0;
    for (; block; block = word_of(image, block)) {
        if (!is_block(p, block) || length++ == p->capacity) return UINT64_MAX;
    }
    return length;
}

enum { LIST_FREE, LIST_LOCAL, LIST_OTHERS, LISTS };

static uint64_t list_of(const struct image *image, const struct page *p, int list)
{
    static const uint8_t place[LISTS] = {16, 32, 40};
    return word_of(image, p->descriptor + place[list]) & ~(uint64_t)(list == LIST_OTHERS ? 3 : 0);
}

/* Sizes of blocks, and their number, agree with the room that there is. */
static bool page_fits(struct page *p, const struct image *image, bool huge)
{
    uint64_t head = word_of(image, p->descriptor + 8), room = p->end - p->start;
    uint64_t reserved = head >> 32 & 0xffff;
    p->capacity = (uint32_t)(head >> 16 & 0xffff);
    p->aligned = head >> 48 & FLAG_ALIGNED;
    if (p->size == HUGE_BLOCK) p->size = room;
    if (p->size >= 8 && p->size <= SMALL_MAX) p->first += OFFSET_SMALL;
    if (p->size < 8 || p->size % 8 != 0 || p->size > p->end - p->first) return false;
    if (reserved != (huge ? 1 : (p->end - p->first) / p->size)) return false;
    if (p->capacity > reserved) return false;
    return p->capacity == 0 || image_at(image, p->first, p->size * p->capacity);
}

static bool lists_fit(const struct page *p, const struct image *image)
{
    uint64_t length[LISTS], used = word_of(image, p->descriptor + 24) & UINT32_MAX;
    for (int i = 0; i < LISTS; i++) {
        length[i] = list_length(image, p, list_of(image, p, i));
        if (length[i] == UINT64_MAX) return false;
    }
    return used + length[LIST_FREE] + length[LIST_LOCAL] == p->capacity &&
           length[LIST_OTHERS] <= used;
}

/* ---- heaps ---------------------------------------------------------------------------------- */

static bool is_heap(const struct image *image, uint64_t heap)
{
    static const uint8_t bins[] = {1, 2, 4, 8};
    if (!image_at(image, heap, HEAP_TO_DELAYED + 8)) return false;
    for (size_t i = 0; i < sizeof bins; i++) {
        uint64_t queue = heap + HEAP_TO_QUEUES + (uint64_t)HEAP_QUEUE * bins[i];
        if (word_of(image, queue + 16) != 8ull * bins[i]) return false;
    }
    return true;
}

static bool take_heap(struct mimalloc *m, const struct image *image, const struct page *p)
{
    uint64_t heap = word_of(image, p->descriptor + 48);
    for (size_t i = m->heap_count; i > 0; i--) {
        if (m->heaps[i - 1] == heap) return true;
    }
    if (heap == 0) return true; /* its thread has ended */
    if (!is_heap(image, heap)) {
        m->damaged++;
        return true;
    }
    uint64_t *added =
        walk_append((void **)&m->heaps, &m->heap_count, &m->heap_capacity, sizeof *added);
    if (added) *added = heap;
    return added != NULL;
}

/* ---- segments ------------------------------------------------------------------------------- */

/* Of one that is kept for later nothing but the header is left. */
static bool is_segment(const struct image *image, uint64_t at, uint64_t *slices)
{
    if (!image_at(image, at, HEADER)) return false;
    uint64_t kind = word_of(image, at + TO_KIND) & UINT32_MAX;
    uint64_t entries = word_of(image, at + TO_ENTRIES), page = word_of(image, at + TO_PAGES);
    *slices = word_of(image, at + TO_SLICES);
    if (*slices < 2 || *slices > UINT32_MAX || at + *slices * SLICE < at) return false;
    if (word_of(image, at + TO_INFO_SLICES) != 1 || page != 1) return false;
    if (entries != (*slices < SLICES ? *slices : SLICES)) return false;
    if (word_of(image, at + TO_USED) > *slices) return false;
    return kind == 1 || (kind == 0 && *slices == SLICES);
}

static bool take_page(struct mimalloc *m, const struct image *image, struct page *p, bool huge)
{
    p->sound = p->size == 0 || (page_fits(p, image, huge) && lists_fit(p, image));
    if (!p->sound) m->damaged++;
    if (p->sound && p->size && !take_heap(m, image, p)) return false;
    struct page *added =
        walk_append((void **)&m->pages, &m->page_count, &m->page_capacity, sizeof *added);
    if (added) *added = *p;
    return added != NULL;
}

/* The rest of a segment whose slices do not follow each other is one page that does not add up. */
static bool read_pages(struct mimalloc *m, const struct image *image, uint64_t at, uint64_t slices)
{
    bool huge = word_of(image, at + TO_KIND) & 1;
    uint64_t entries = word_of(image, at + TO_ENTRIES), used = word_of(image, at + TO_USED);
    for (uint64_t i = 1, count; used > 0 && i < entries; i += count) {
        uint64_t descriptor = at + TO_PAGES + PAGE * i, head = word_of(image, descriptor);
        count = head & UINT32_MAX;
        struct page p = {
            .start = at + i * SLICE, .first = at + i * SLICE, .descriptor = descriptor};
        bool fits = count > 0 && count <= slices - i && head >> 32 == 0;
        p.end = fits ? p.start + count * SLICE : at + slices * SLICE;
        p.size = fits ? word_of(image, descriptor + 24) >> 32 : UINT64_MAX;
        if (!take_page(m, image, &p, huge)) return false;
        if (!fits) break;
    }
    return true;
}

static bool take_segment(struct mimalloc *m, struct heap_walk *w, const struct image *image,
                         uint64_t at, uint64_t slices)
{
    uint64_t cookie = word_of(image, at + TO_COOKIE) ^ at;
    if (m->segment_count > 0 && cookie != m->cookie) {
        walk_misfit(w, "the cookie of its segment at %#llx is not that of the others",
                    (unsigned long long)at);
        return false;
    }
    m->cookie = cookie;
    struct run *run =
        walk_append((void **)&m->segments, &m->segment_count, &m->segment_capacity, sizeof *run);
    if (!run) return false;
    *run = (struct run){at, at + slices * SLICE};
    return read_pages(m, image, at, slices);
}

static bool read_segments(struct mimalloc *m, struct heap_walk *w, const struct image *image)
{
    uint64_t end = 0;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        uint64_t at = image_next(image, s->start, s->end, SEGMENT), slices;
        for (; s->anonymous && at >= s->start && at < s->end;
             at = image_next(image, at + SEGMENT, s->end, SEGMENT)) {
            if (at < end || !is_segment(image, at, &slices)) continue;
            if (!take_segment(m, w, image, at, slices)) return false;
            end = at + slices * SLICE;
        }
    }
    return true;
}

/* Pages of a segment follow each other, and so do segments. */
static const struct page *page_at(const struct mimalloc *m, uint64_t address)
{
    size_t low = 0, high = m->page_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->pages[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < m->page_count && m->pages[low].start <= address ? &m->pages[low] : NULL;
}

/* Blocks that others have freed, and that the heap has not seen yet: one that is missed would look lost. */
static bool delayed_fits(const struct mimalloc *m, const struct image *image, uint64_t heap)
{
    uint64_t steps = image->present / REACH_GRANULE;
    uint64_t block = word_of(image, heap + HEAP_TO_DELAYED);
    for (; block && steps > 0; block = word_of(image, block), steps--) {
        const struct page *p = page_at(m, block);
        if (!p || (p->sound && (p->size == 0 || !is_block(p, block)))) return false;
    }
    return block == 0;
}

static enum walk_found check_heaps(const struct mimalloc *m, struct heap_walk *w,
                                   const struct image *image)
{
    for (size_t i = 0; i < m->heap_count; i++) {
        if (!delayed_fits(m, image, m->heaps[i]))
            return walk_misfit(w, "a list of blocks that other threads have freed leads elsewhere");
    }
    return WALK_FOUND;
}

static enum walk_found mimalloc_find(struct heap_walk *w, const struct image *image)
{
    struct mimalloc *m = w->state = calloc(1, sizeof *m);
    w->version = "2.0.9";
    if (!m) return walk_misfit(w, "out of memory");
    if (!read_segments(m, w, image))
        return w->misfit[0] ? WALK_MISFIT : walk_misfit(w, "out of memory");
    if (m->segment_count == 0) return WALK_ABSENT;
    if (m->damaged > walk_damage_max(image))
        return walk_misfit(w, "%llu of its pages and heaps contradict themselves",
                           (unsigned long long)m->damaged);
    return check_heaps(m, w, image);
}

/* ---- for the marker ------------------------------------------------------------------------- */

static bool is_seen(const struct page *p)
{
    return p->sound && p->size >= REACH_GRANULE && p->size % REACH_GRANULE == 0;
}

static bool is_single(const struct page *p)
{
    return p->capacity == 1;
}

static bool add_page(const struct page *p, const struct image *image, struct parts *parts)
{
    if (p->sound && p->size == 0) return parts_exclude(parts, p->start, p->end);
    if (p->sound && !is_seen(p)) /* what was never a block of it may hold what was there before */
        return parts_exclude(parts, p->first + p->size * p->capacity, p->end);
    if (!p->sound) return true;
    if (!parts_exclude(parts, p->start, p->end)) return false;
    size_t count = parts->count;
    if (!parts_region(parts, image, p->first, p->first + p->size * p->capacity, 0, is_single(p)))
        return false;
    if (parts->count > count) parts->regions[count].inner = p->aligned;
    return true;
}

static bool mimalloc_parts(struct heap_walk *w, const struct image *image, struct parts *parts)
{
    const struct mimalloc *m = w->state;
    for (size_t i = 0; i < m->segment_count; i++) {
        const struct run *s = &m->segments[i];
        bool kept = word_of(image, s->start + TO_USED) == 0;
        if (!parts_exclude(parts, s->start, kept ? s->end : s->start + SLICE)) return false;
    }
    for (size_t i = 0; i < m->page_count; i++) {
        if (!add_page(&m->pages[i], image, parts)) return false;
    }
    parts->damaged += m->damaged;
    return true;
}

static void fill_page(const struct image *image, struct parts *parts, struct reach *reach,
                      const struct page *p)
{
    for (uint64_t i = 0; i < p->capacity; i++) reach_add(reach, p->first + i * p->size, true);
    for (int list = 0; list < LISTS; list++) {
        uint64_t block = list_of(image, p, list);
        for (; block; block = word_of(image, block)) {
            if (reach_remove(reach, block)) continue;
            parts->damaged++; /* in two lists */
            break;
        }
    }
}

/* Those of pages that are roots are passed over; one that is free already is in two lists. */
static void take_delayed(const struct mimalloc *m, const struct image *image, struct parts *parts,
                         struct reach *reach, uint64_t heap)
{
    uint64_t block = word_of(image, heap + HEAP_TO_DELAYED);
    for (; block; block = word_of(image, block)) {
        const struct page *p = page_at(m, block);
        if (!p || !is_seen(p) || reach_remove(reach, block)) continue;
        parts->damaged++;
        break;
    }
}

static bool mimalloc_fill(struct heap_walk *w, const struct image *image, struct parts *parts,
                          struct reach *reach)
{
    const struct mimalloc *m = w->state;
    for (size_t i = 0; i < m->page_count; i++) {
        if (is_seen(&m->pages[i])) fill_page(image, parts, reach, &m->pages[i]);
    }
    for (size_t i = 0; i < m->heap_count; i++) take_delayed(m, image, parts, reach, m->heaps[i]);
    return true;
}

static void mimalloc_finish(struct heap_walk *w)
{
    struct mimalloc *m = w->state;
    if (!m) return;
    free(m->segments);
    free(m->pages);
    free(m->heaps);
    free(m);
    w->state = NULL;
}

const struct heap_walker mimalloc_walker = {
    "mimalloc",     "2.0.9, not hardened", mimalloc_find,
    mimalloc_parts, mimalloc_fill,         mimalloc_finish,
};
