/*
 * glibc's malloc: the chunks of its arenas, and those with a mapping of their own.
 *
 *     | size before | size, 3 bits | what malloc returned ...        | size, bits | ...
 *     ^ chunk                      ^ block                 next chunk ^ 8 bytes earlier
 *
 * The lowest bit of a size says that the chunk before is in use, so whether a chunk is follows from the
 * next one. A chain of chunks ends at the arena's top, or at a fence of 16 bytes where the arena went on
 * elsewhere. A chain that does not end so is damaged, or we caught a thread in the middle of a change;
 * what lies behind the damage is then searched as a root, so that nothing is reported for lack of it.
 */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { START_SEARCH = 1 << 20, PAGE = 4096, ALIGNED_SEARCH = 4 << 20 };

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* *end is the top, a fence, or, if the answer is false, where it goes wrong. */
bool glibc_chain(const struct image *image, uint64_t start, uint64_t limit, uint64_t top,
                 uint64_t *end)
{
    const unsigned char *bytes = limit > start ? image_at(image, start, limit - start) : NULL;
    uint64_t at = start;
    while (bytes && at != top && limit - at >= 2 * sizeof(uint64_t)) {
        uint64_t size = GLIBC_SIZE(word_at(bytes + (at - start) + 8));
        if (size == GLIBC_FENCE && at > start) break;
        if (size < GLIBC_MIN || size % 16 != 0 || size > limit - at) bytes = NULL;
        if (bytes) at += size;
    }
    *end = at;
    return bytes && limit - at >= 2 * sizeof(uint64_t);
}

static bool is_fence(const struct image *image, uint64_t at)
{
    uint64_t first, second;
    return image_word(image, at + 8, &first) && GLIBC_SIZE(first) == GLIBC_FENCE &&
           image_word(image, at + GLIBC_FENCE + 8, &second) &&
           (GLIBC_SIZE(second) == GLIBC_FENCE || GLIBC_SIZE(second) == 0);
}

static bool add_piece(struct glibc *g, uint64_t start, uint64_t end)
{
    if (g->piece_count == GLIBC_PIECES_MAX) return true;
    if (g->piece_count == g->piece_capacity) {
        size_t capacity = g->piece_capacity ? g->piece_capacity * 2 : 64;
        struct glibc_piece *grown = realloc(g->pieces, capacity * sizeof *grown);
        if (!grown) return false;
        g->pieces = grown;
        g->piece_capacity = capacity;
    }
    g->pieces[g->piece_count++] = (struct glibc_piece){start, end};
    return true;
}

/* The chunks from start on, and what follows them and is the allocator's up to `owned`. */
static bool take_piece(struct glibc *g, struct parts *parts, uint64_t start, uint64_t end,
                       uint64_t owned)
{
    return add_piece(g, start, end) && parts_exclude(parts, start, owned);
}

static bool add_heap(struct glibc *g, uint64_t arena, uint64_t start, uint64_t end, uint64_t top)
{
    if (g->heap_count == g->heap_capacity) {
        size_t capacity = g->heap_capacity ? g->heap_capacity * 2 : 64;
        struct glibc_heap *grown = realloc(g->heaps, capacity * sizeof *grown);
        if (!grown) return false;
        g->heaps = grown;
        g->heap_capacity = capacity;
    }
    g->heaps[g->heap_count++] = (struct glibc_heap){start, end, top, arena};
    return true;
}

/* ---- while it runs -------------------------------------------------------------------------- */

enum { TAKE_UP_SEARCH = 4 << 20, TAKE_UP_STEPS = 32 };

/* Chunks follow each other from here for a while, and where one says that the one before it is free, it
 * knows that one's size. */
static bool leads_on(const struct image *image, uint64_t at, uint64_t limit)
{
    uint64_t word, next, size, before;
    if (!image_word(image, at + 8, &word)) return false;
    for (int step = 0; step < TAKE_UP_STEPS; step++, at += size, word = next) {
        size = GLIBC_SIZE(word);
        if (size < GLIBC_MIN || size % 16 != 0 || size > limit - at) return false;
        if (at + size + 2 * sizeof word > limit) return step > 0;
        if (!image_word(image, at + size + 8, &next)) return false;
        if (next & 1) continue;
        if (!image_word(image, at + size, &before) || before != size) return false;
    }
    return true;
}

/* What was read at different moments may contradict itself. The chunks up to the tear, and those behind it;
 * what is between belongs to nobody. `limit` is beyond the top's first words, or where the heap ends. */
static bool running_pieces(struct glibc *g, const struct image *image, uint64_t from,
                           uint64_t limit, uint64_t top)
{
    while (limit > from && limit - from > 2 * GLIBC_FENCE) {
        uint64_t end = from;
        bool whole = glibc_chain(image, from, limit, top, &end);
        if (end > from && !add_piece(g, from, end)) return false;
        if (whole && (end == top || limit - end <= 4 * GLIBC_FENCE)) return true;
        if (end > from && g->torn == 0) g->torn_at = end;
        g->torn += end > from; /* what lies before the first chunk is somebody else's */
        uint64_t search = limit - end > TAKE_UP_SEARCH ? end + TAKE_UP_SEARCH : limit;
        for (from = end + 16; from < search && !leads_on(image, from, limit);) from += 16;
        if (from >= search) return true;
    }
    return true;
}

/* ---- the main arena ------------------------------------------------------------------------- */

static uint64_t top_end(const struct image *image, uint64_t top)
{
    uint64_t size = 0;
    const struct segment *s = image_segment(image, top);
    image_word(image, top + 8, &size);
    size = GLIBC_SIZE(size);
    return s && size <= s->end - top ? top + size : top + 16;
}

/* Where the kernel's heap begins within the segment of the top. */
static uint64_t heap_start(const struct image *image, const struct segment *s)
{
    for (size_t i = 0; i < image->maps.count; i++) {
        const struct mapping *m = &image->maps.list[i];
        if (m->start >= s->start && m->start < s->end && strcmp(m->path, "[heap]") == 0)
            return m->start;
    }
    return s->start;
}

/* In a static program other things were allocated at the start of the kernel's heap before malloc was.
 * The first place from where a chain leads to the top is the first chunk. */
static bool find_start(const struct image *image, uint64_t from, uint64_t step, uint64_t reach,
                       uint64_t top, uint64_t *start)
{
    uint64_t end, size;
    for (uint64_t at = from; at < top && at - from < reach; at += step) {
        if (image_word(image, at + 8, &size) && size & 1 &&
            glibc_chain(image, at, top + 16, top, &end) && end == top) {
            *start = at;
            return true;
        }
    }
    return false;
}

/* Another user of sbrk moved the heap's end: what the arena had before ends in a fence. */
static bool take_before_fence(struct glibc *g, const struct image *image, struct parts *parts,
                              uint64_t from, uint64_t limit)
{
    uint64_t end;
    if (from >= limit || !glibc_chain(image, from, limit, 0, &end) || !is_fence(image, end))
        return true;
    return take_piece(g, parts, from, end, end + 2 * GLIBC_FENCE);
}

static bool main_pieces(struct glibc *g, const struct image *image, struct parts *parts)
{
    uint64_t top = glibc_top(image, g->bins), start, end;
    const struct segment *s = top == g->bins - 16 ? NULL : image_segment(image, top);
    if (!s || top % 16 != 0) return true; /* nothing was allocated */
    uint64_t from = (heap_start(image, s) + 15) & ~15ull;
    if (from > top) from = s->start;
    if (!add_heap(g, g->bins, from, top_end(image, top), top)) return false;
    if (g->running) return running_pieces(g, image, from, top + 16, top);
    if (!find_start(image, from, 16, START_SEARCH, top, &start) &&
        !find_start(image, s->start, PAGE, UINT64_MAX, top, &start)) {
        parts->damaged++;
        glibc_chain(image, from, top, top, &end);
        return end == from || take_piece(g, parts, from, end, end);
    }
    return take_before_fence(g, image, parts, from, start) &&
           take_piece(g, parts, start, top, top_end(image, top));
}

/* When the kernel's heap cannot grow, the main arena goes on in mappings: each begins with a page. */
static bool scattered_pieces(struct glibc *g, const struct image *image, struct parts *parts)
{
    uint64_t flags, end, top = glibc_top(image, g->bins);
    if (!image_word(image, g->bins + (uint64_t)GLIBC_TO_ARENA, &flags) || !(flags >> 32 & 2))
        return true;
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        for (uint64_t at = s->start; s->anonymous && at < s->end; at += PAGE) {
            uint64_t size;
            at = image_next(image, at, s->end, PAGE);
            if (at == s->end) break;
            if (top >= s->start && top < s->end) break; /* main_pieces has it */
            if (!image_word(image, at + 8, &size) || (size & 7) != 1) continue;
            if (!glibc_chain(image, at, s->end, 0, &end) || !is_fence(image, end)) continue;
            if (!add_heap(g, g->bins, at, end + 2 * GLIBC_FENCE, 0) ||
                !take_piece(g, parts, at, end, end + 2 * GLIBC_FENCE))
                return false;
            at = end & ~(uint64_t)(PAGE - 1);
        }
    }
    return true;
}

/* ---- the other arenas ----------------------------------------------------------------------- */

/* A heap of an arena: | arena | heap before | bytes | ... (32 or 48 bytes) | chunks */
static bool take_heap(struct glibc *g, const struct image *image, struct parts *parts,
                      uint64_t bins, uint64_t heap, uint64_t size)
{
    uint64_t arena = bins + (uint64_t)GLIBC_TO_ARENA, top = glibc_top(image, bins), end = 0;
    bool first = arena > heap && arena - heap < 256;
    uint64_t from = first ? (bins + GLIBC_TO_END + 15) & ~15ull : heap + 32;
    uint64_t limit = heap + size, last = top > heap && top < limit ? top : 0;
    if (!add_heap(g, bins, heap, heap + size, last)) return false;
    if (last) limit = last + 16;
    for (uint64_t start = from; start <= from + 64; start += 16) {
        uint64_t word;
        if (!image_word(image, start + 8, &word) || !(word & 1)) continue;
        if (!glibc_chain(image, start, limit, last, &end) ||
            (last ? end != last : !is_fence(image, end)))
            continue;
        return add_piece(g, start, end) && parts_exclude(parts, heap, heap + size);
    }
    if (g->running) return running_pieces(g, image, from, limit, last);
    parts->damaged++;
    glibc_chain(image, from, limit, last, &end);
    return end <= from || take_piece(g, parts, from, end, end);
}

/* While it runs a heap may have grown since its mappings were read. */
static uint64_t size_here(const struct glibc *g, const struct image *image, uint64_t heap,
                          uint64_t size)
{
    const struct segment *s = g->running ? image_segment(image, heap) : NULL;
    return s && size > s->end - heap ? s->end - heap : size;
}

static bool is_heap_of(const struct image *image, uint64_t bins, uint64_t heap, uint64_t size)
{
    uint64_t owner, before;
    return image_word(image, heap, &owner) && image_word(image, heap + 8, &before) &&
           owner == bins + (uint64_t)GLIBC_TO_ARENA && before % GLIBC_HEAP_MAX == 0 &&
           size <= GLIBC_HEAP_MAX && image_at(image, heap, size);
}

static bool arena_pieces(struct glibc *g, const struct image *image, struct parts *parts,
                         uint64_t bins)
{
    uint64_t heap = glibc_top(image, bins) & ~(uint64_t)(GLIBC_HEAP_MAX - 1);
    for (size_t steps = 0; heap && steps < GLIBC_PIECES_MAX; steps++) {
        uint64_t size = 0;
        bool read = image_word(image, heap + 16, &size);
        if (read) size = size_here(g, image, heap, size);
        if (!read || !is_heap_of(image, bins, heap, size)) {
            parts->damaged++;
            break;
        }
        if (!take_heap(g, image, parts, bins, heap, size)) return false;
        image_word(image, heap + 8, &heap);
    }
    return true;
}

/* ---- chunks with a mapping of their own ----------------------------------------------------- */

/* The first word tells how far into the mapping an aligned chunk begins. */
static bool is_mapped(const struct image *image, uint64_t base, uint64_t inside, uint64_t end,
                      uint64_t *size)
{
    uint64_t before, word;
    if (end - base < inside + 16 || !image_word(image, base + inside, &before) ||
        before != inside || !image_word(image, base + inside + 8, &word) || (word & 7) != 2)
        return false;
    *size = GLIBC_SIZE(word);
    return *size >= PAGE - inside % PAGE && (inside + *size) % PAGE == 0 &&
           *size <= end - base - inside;
}

/* `thorough` at places where a mapping is likely to begin. */
static bool find_mapped(const struct image *image, uint64_t base, uint64_t end, bool thorough,
                        uint64_t *inside, uint64_t *size)
{
    *inside = 0;
    if (is_mapped(image, base, 0, end, size)) return true;
    for (*inside = 16; thorough && *inside < 2 * PAGE; *inside += 16) {
        if (is_mapped(image, base, *inside, end, size)) return true;
    }
    for (*inside = PAGE - 16; *inside < (thorough ? ALIGNED_SEARCH : PAGE); *inside += PAGE) {
        if (is_mapped(image, base, *inside, end, size)) return true;
    }
    return false;
}

static const struct run *excluded_at(const struct parts *parts, uint64_t address)
{
    size_t low = 0, high = parts->excluded_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (parts->excluded[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < parts->excluded_count && parts->excluded[low].start <= address;
    return inside ? &parts->excluded[low] : NULL;
}

static bool take_mapped(struct glibc *g, struct parts *parts, const struct image *image,
                        uint64_t base, uint64_t inside, uint64_t size)
{
    uint64_t chunk = base + inside;
    return parts_region(parts, image, chunk + 16, chunk + size, 0, true) &&
           glibc_append(&g->mapped, &g->mapped_count, &g->mapped_capacity, chunk + 16);
}

static bool mapped_chunks(struct glibc *g, const struct image *image, struct parts *parts)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        bool thorough = true;
        for (uint64_t at = s->start; s->anonymous && at < s->end;) {
            uint64_t inside, size, there = at, to = s->end;
            const struct run *excluded = excluded_at(parts, at);
            if (excluded) {
                at = (excluded->end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
                thorough = true;
            } else if (!image_present(image, &there, &to)) {
                break; /* who allocated wrote a size at the beginning */
            } else if (there > at) {
                at = there;
            } else if (find_mapped(image, at, s->end, thorough, &inside, &size)) {
                if (!take_mapped(g, parts, image, at, inside, size)) return false;
                at += inside + size;
                thorough = true;
            } else {
                at += PAGE;
                thorough = false;
            }
        }
    }
    return true;
}

static bool find_pieces(struct glibc *g, const struct image *image, struct parts *parts)
{
    if (!main_pieces(g, image, parts) || !scattered_pieces(g, image, parts)) return false;
    for (size_t i = 1; i < g->arena_count; i++) {
        if (!arena_pieces(g, image, parts, g->arenas[i])) return false;
    }
    uint64_t arena = g->bins + (uint64_t)GLIBC_TO_ARENA;
    return parts_exclude(parts, arena, g->bins + GLIBC_TO_END);
}

static bool piece_regions(const struct glibc *g, const struct image *image, struct parts *parts)
{
    for (size_t i = 0; i < g->piece_count; i++) {
        const struct glibc_piece *piece = &g->pieces[i];
        if (!parts_region(parts, image, piece->start, piece->end + 16, 8, false)) return false;
    }
    parts_sort(parts);
    return true;
}

bool glibc_heaps(struct glibc *g, const struct image *image, struct parts *parts)
{
    return find_pieces(g, image, parts) && piece_regions(g, image, parts);
}

bool glibc_parts(struct glibc *g, const struct image *image, struct parts *parts)
{
    if (!find_pieces(g, image, parts)) return false;
    parts_sort(parts);
    if (!mapped_chunks(g, image, parts)) return false;
    for (size_t i = 0; i < g->mapped_count; i++) {
        uint64_t size = 0;
        image_word(image, g->mapped[i] - 8, &size);
        if (!parts_exclude(parts, g->mapped[i] - 16, g->mapped[i] - 16 + GLIBC_SIZE(size)))
            return false;
    }
    return piece_regions(g, image, parts);
}

/* ---- the blocks ----------------------------------------------------------------------------- */

static bool may_be_cache(uint64_t size)
{
    return size == 0x250 || size == 0x290 || size == 0x300 || size == 0x310;
}

static bool fill_piece(struct glibc *g, const struct image *image, struct reach *reach,
                       const struct glibc_piece *piece)
{
    uint64_t bytes_size = piece->end + 16 - piece->start;
    const unsigned char *bytes = image_at(image, piece->start, bytes_size);
    for (uint64_t at = 0; bytes && at < piece->end - piece->start;) {
        uint64_t size = GLIBC_SIZE(word_at(bytes + at + 8));
        bool live = word_at(bytes + at + size + 8) & 1;
        reach_add(reach, piece->start + at + 16, live);
        if (live && may_be_cache(size) &&
            !glibc_append(&g->caches, &g->cache_count, &g->cache_capacity, piece->start + at + 16))
            return false;
        at += size;
    }
    return true;
}

bool glibc_fill(struct glibc *g, const struct image *image, struct parts *parts,
                struct reach *reach)
{
    (void)parts;
    for (size_t i = 0; i < g->piece_count; i++) {
        if (!fill_piece(g, image, reach, &g->pieces[i])) return false;
    }
    for (size_t i = 0; i < g->mapped_count; i++) reach_add(reach, g->mapped[i], true);
    return glibc_take_caches(g, image, reach);
}
