/*
 * Descriptors against pages. A slice is 16 pieces of 4 KiB, so its residency is a word of 16 bits,
 * whatever the size of a page; a piece that an owner has accounted for is cleared, and what is left at
 * the end has no owner.
 */
#include <stdlib.h>
#include <string.h>

#include <freehold/plug.h>

#include "heap_pages.h"

enum {
    SLICE = 1 << FH_SLICE_SHIFT,
    PIECE = 1 << FH_CARVE_SHIFT,
    PIECES = SLICE / PIECE,
    GRANULES_A_PIECE = PIECE >> FH_GRANULE_SHIFT,
    BLOCKS_MAX = SLICE / 16,
    SPANS_AT_ONCE = 1 << 10,
    LIST_STEPS_MAX = 1 << 22,
    LIST_CACHE = 16,
};

struct walk {
    struct heap_pages *h;
    const struct fh_registry *r;
    const struct memory *memory;
    uint64_t page;       /* of this kernel: the registry's own word for it may be anything */
    uint16_t *resident;  /* of each slice below high */
    uint8_t *size_class; /* of each that is a slab, plus 1 */
};

uint64_t heap_pages_sum(const struct heap_pages *h)
{
    return h->live + h->lists + h->remote + h->quarantine + h->partly + h->spans + h->metadata +
           h->gc + h->unknown;
}

void heap_pages_add(struct heap_pages *sum, const struct heap_pages *h)
{
    if (sum->registry.base == 0) {
        *sum = *h;
        return;
    }
    sum->live += h->live;
    sum->lists += h->lists;
    sum->remote += h->remote;
    sum->quarantine += h->quarantine;
    sum->partly += h->partly;
    sum->spans += h->spans;
    sum->metadata += h->metadata;
    sum->gc += h->gc;
    sum->unknown += h->unknown;
    sum->trim += h->trim;
    sum->slabs += h->slabs;
    sum->runs += h->runs;
    sum->large_count += h->large_count;
    sum->gc_slices += h->gc_slices;
    sum->lists_cut |= h->lists_cut;
}

/* ---- residency -------------------------------------------------------------------------------- */

static void note_resident(void *context, uint64_t start, uint64_t end)
{
    struct walk *w = context;
    for (uint64_t at = start - w->r->base; at < end - w->r->base; at += PIECE)
        w->resident[at >> FH_SLICE_SHIFT] |= (uint16_t)(1u << (at >> FH_CARVE_SHIFT) % PIECES);
}

static unsigned count_pieces(uint16_t pieces)
{
    return (unsigned)__builtin_popcount(pieces);
}

/* Takes the pieces of a slice for accounted for; their bytes. */
static uint64_t take_slice(struct walk *w, uint32_t slice)
{
    uint64_t bytes = (uint64_t)count_pieces(w->resident[slice]) * PIECE;
    w->resident[slice] = 0;
    return bytes;
}

static uint64_t take_slices(struct walk *w, uint32_t first, uint64_t count)
{
    uint64_t bytes = 0;
    for (uint64_t i = first; i < first + count && i < w->r->high; i++)
        bytes += take_slice(w, (uint32_t)i);
    return bytes;
}

/* ---- slabs ------------------------------------------------------------------------------------ */

/* A slab's memory as far as it is resident. Reading what is not would make it so. */
struct slab_copy {
    uint64_t start;
    uint16_t resident;
    uint8_t bytes[SLICE];
};

static bool slab_read(struct slab_copy *copy, const struct memory *memory)
{
    for (unsigned i = 0; i < PIECES; i++) {
        if (copy->resident >> i & 1 &&
            !memory_read(memory, copy->start + (uint64_t)i * PIECE, copy->bytes + i * PIECE, PIECE))
            return false;
    }
    return true;
}

/* The link at the start of a block; 0 if it is not resident, as the purger left it. */
static uint64_t slab_link(const struct slab_copy *copy, uint64_t offset)
{
    uint64_t link = 0;
    if (copy->resident >> (offset >> FH_CARVE_SHIFT) & 1)
        memcpy(&link, copy->bytes + offset, sizeof link);
    return link;
}

/* Marks the free blocks of a slab: its list, and what was never carved. */
static void mark_free(uint8_t *is_free, const struct slab_copy *copy, const struct fh_span *span,
                      uint64_t size)
{
    uint64_t blocks = SLICE / size, at = span->free;
    for (uint64_t i = 0; i < blocks; i++)
        is_free[i] = span->uncarved >> (i * size >> FH_CARVE_SHIFT) & 1;
    for (uint64_t steps = 0; at && steps < blocks; steps++) {
        uint64_t offset = at - copy->start;
        if (offset > SLICE - 8 || offset % size || offset / size >= blocks) return;
        is_free[offset / size] = 1;
        at = slab_link(copy, offset);
    }
}

/* The resident pieces whose blocks are all free, in whole pages of the process. */
static uint16_t idle_pieces(const struct slab_copy *copy, const uint8_t *is_free, uint64_t size,
                            uint64_t page)
{
    uint16_t idle = 0;
    uint64_t blocks = SLICE / size, step = page < PIECE ? PIECE : page;
    for (uint64_t from = 0; from < SLICE; from += step) {
        uint64_t first = from / size, end = (from + step - 1) / size + 1;
        bool all_free = true;
        for (uint64_t i = first; i < end && i < blocks; i++) all_free &= is_free[i];
        uint16_t pieces = (uint16_t)(((1u << step / PIECE) - 1) << from / PIECE);
        if (all_free) idle |= pieces;
    }
    return idle & copy->resident;
}

/* What trimming this slab would give back. Only one with a page's worth of free blocks can have any. */
static uint64_t slab_trim(struct walk *w, uint32_t slice, const struct fh_span *span, uint64_t size)
{
    static struct slab_copy copy;
    static uint8_t is_free[BLOCKS_MAX];
    copy.start = w->r->base + ((uint64_t)slice << FH_SLICE_SHIFT);
    copy.resident = w->resident[slice];
    if (!slab_read(&copy, w->memory)) return 0;
    mark_free(is_free, &copy, span, size);
    return (uint64_t)count_pieces(idle_pieces(&copy, is_free, size, w->page)) * PIECE;
}

static void add_slab(struct walk *w, uint32_t slice, const struct fh_span *span)
{
    uint64_t size = span->size_class < FH_CLASSES ? w->r->class_size[span->size_class] : 0;
    uint64_t bytes = (uint64_t)count_pieces(w->resident[slice]) * PIECE;
    w->h->slabs++;
    if (size < 16 || size > SLICE) { /* a picture torn by a change */
        w->h->unknown += take_slice(w, slice);
        return;
    }
    w->size_class[slice] = (uint8_t)(span->size_class + 1);
    uint64_t used = (uint64_t)(span->countdown + (uint32_t)(int32_t)span->rest) * size;
    uint64_t remote = (uint64_t)(span->remote >> 16) * size;
    if (used > bytes) used = bytes;
    if (remote > used) remote = used;
    if (bytes - used + remote >= PIECE) w->h->trim += slab_trim(w, slice, span, size);
    w->h->live += used - remote;
    w->h->remote += remote;
    w->h->partly += bytes - used;
    take_slice(w, slice);
}

/* ---- other spans ------------------------------------------------------------------------------ */

/* In a slice of runs a bit of `bytes` stands for each free granule, four of them to a piece. */
static void add_runs(struct walk *w, uint32_t slice, const struct fh_span *span)
{
    uint64_t step = w->page < PIECE ? 1 : w->page / PIECE;
    w->h->runs++;
    for (uint64_t i = 0; i < PIECES; i += step) {
        uint64_t granules = step * GRANULES_A_PIECE;
        uint64_t mask = granules >= 64 ? UINT64_MAX : ((1ull << granules) - 1);
        if (!(w->resident[slice] >> i & 1)) continue;
        uint64_t vacant = (uint64_t)__builtin_popcountll(span->bytes >> i * GRANULES_A_PIECE & mask)
                          << FH_GRANULE_SHIFT;
        w->h->live += step * PIECE - vacant;
        w->h->partly += vacant;
        if (vacant == step * PIECE) w->h->trim += vacant;
    }
    w->resident[slice] = 0;
}

static void add_free(struct walk *w, uint32_t slice, const struct fh_span *span)
{
    uint64_t bytes = take_slices(w, slice, span->slices);
    w->h->spans += bytes;
    w->h->trim += bytes;
}

static void add_span(struct walk *w, uint32_t slice, const struct fh_span *span)
{
    struct heap_pages *h = w->h;
    switch (span->kind) {
    case FH_SPAN_SLAB: add_slab(w, slice, span); break;
    case FH_SPAN_RUNS: add_runs(w, slice, span); break;
    case FH_SPAN_FREE: add_free(w, slice, span); break;
    case FH_SPAN_BUSY: h->spans += take_slices(w, slice, span->slices ? span->slices : 1); break;
    case FH_SPAN_LARGE:
        h->large_count++;
        h->live += take_slices(w, slice, span->slices);
        break;
    case FH_SPAN_GC_BLOCK:
        h->gc_slices++;
        h->gc += take_slice(w, slice);
        break;
    case FH_SPAN_GC_LARGE:
        h->gc_slices += span->slices;
        h->gc += take_slices(w, slice, span->slices);
        break;
    default: break;
    }
}

static bool walk_spans(struct walk *w)
{
    struct fh_span *spans = calloc(SPANS_AT_ONCE, sizeof *spans);
    bool read = spans != NULL;
    for (uint32_t i = w->r->first_slice; read && i < w->r->high; i += SPANS_AT_ONCE) {
        uint32_t count = w->r->high - i < SPANS_AT_ONCE ? w->r->high - i : SPANS_AT_ONCE;
        read = memory_read(w->memory, w->r->base + (uint64_t)i * sizeof *spans, spans,
                           count * sizeof *spans);
        for (uint32_t j = 0; read && j < count; j++) add_span(w, i + j, &spans[j]);
    }
    free(spans);
    return read;
}

/* ---- lists ------------------------------------------------------------------------------------ */

/* The pieces that list walks read last: neighbours in a list mostly share one. */
struct list_walk {
    struct walk *w;
    uint64_t at[LIST_CACHE];
    uint8_t bytes[LIST_CACHE][PIECE];
    uint64_t steps;
};

static bool list_word(struct list_walk *l, uint64_t address, uint64_t *word)
{
    uint64_t piece = address / PIECE * PIECE;
    unsigned slot = (unsigned)(piece / PIECE) % LIST_CACHE;
    if (l->at[slot] != piece) {
        l->at[slot] = 0;
        if (!memory_read(l->w->memory, piece, l->bytes[slot], PIECE)) return false;
        l->at[slot] = piece;
    }
    memcpy(word, l->bytes[slot] + address % PIECE, sizeof *word);
    return true;
}

/* The size of the block at an address, by its slab; 0 if there is no slab. A list may hold blocks of a
 * larger class than its own. */
static uint64_t block_size(const struct walk *w, uint64_t block)
{
    const struct fh_registry *r = w->r;
    uint64_t slice = (block - r->base) >> FH_SLICE_SHIFT;
    if (block % 16 || block < r->base || slice < r->first_slice || slice >= r->high) return 0;
    unsigned class = w->size_class[slice];
    return class ? r->class_size[class - 1] : 0;
}

/* A block that was handed out meanwhile ends the walk: its second word is no longer the arena's base. That of
 * a block whose page the purger took is 0, as its link is. */
static void walk_list(struct list_walk *l, uint64_t block)
{
    struct heap_pages *h = l->w->h;
    while (block) {
        uint64_t second, link, size = block_size(l->w, block);
        bool read = size && ++l->steps <= LIST_STEPS_MAX && list_word(l, block + 8, &second) &&
                    list_word(l, block, &link);
        if (!read || (second ? second != l->w->r->base : link != 0)) {
            h->lists_cut = true;
            return;
        }
        h->lists += size;
        block = link;
    }
}

static void walk_lists(struct walk *w)
{
    struct list_walk *l = calloc(1, sizeof *l);
    struct fh_heap heap;
    for (uint32_t i = 0; l && i < w->r->heap_count; i++) {
        l->w = w;
        if (!memory_read(w->memory, w->r->heaps + (uint64_t)i * w->r->heap_stride, &heap,
                         sizeof heap))
            break;
        for (unsigned c = 1; heap.state != FH_HEAP_FREE && c < FH_CLASSES; c++)
            walk_list(l, heap.head[c]);
    }
    free(l);
    if (w->h->lists > w->h->live) w->h->lists = w->h->live;
    w->h->live -= w->h->lists;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static bool walk_all(struct walk *w, const struct pages *pages)
{
    const struct fh_registry *r = w->r;
    uint64_t end = r->base + ((uint64_t)r->high << FH_SLICE_SHIFT);
    if (!pages_each(pages, r->base, end, note_resident, w)) return false;
    w->h->metadata = take_slices(w, 0, r->first_slice);
    if (!walk_spans(w)) return false;
    walk_lists(w);
    if (r->hard && !hard_pages_add(w->h, w->memory, pages)) return false;
    w->h->unknown += take_slices(w, r->first_slice, r->high - r->first_slice);
    return true;
}

static void read_plug(struct heap_pages *h, const struct memory *memory)
{
    uint64_t address = h->registry.plug, counts[2];
    _Static_assert(offsetof(struct fh_plug_box, bytes) == offsetof(struct fh_plug_box, blocks) + 8,
                   "read as one");
    if (address == 0) return;
    h->has_plug =
        memory_read(memory, address + offsetof(struct fh_plug_box, blocks), counts, sizeof counts);
    if (!h->has_plug) return;
    h->plug_blocks = counts[0];
    h->plug_bytes = counts[1];
}

enum heap_view_error heap_pages_read(struct heap_pages *h, const struct memory *memory,
                                     const struct pages *pages, uint64_t registry)
{
    *h = (struct heap_pages){0};
    enum heap_view_error error = registry_read(&h->registry, memory, registry);
    memcpy(h->library, h->registry.library, sizeof h->registry.library);
    if (error != HEAP_VIEW_READ) return error;
    read_plug(h, memory);
    struct walk w = {
        .h = h,
        .r = &h->registry,
        .memory = memory,
        .page = pages->page_size,
        .resident = calloc(h->registry.high, sizeof(uint16_t)),
        .size_class = calloc(h->registry.high, 1),
    };
    if (!w.resident || !w.size_class || !walk_all(&w, pages)) {
        struct fh_registry kept = h->registry;
        *h = (struct heap_pages){.registry = kept};
        error = HEAP_VIEW_UNREADABLE;
    }
    free(w.resident);
    free(w.size_class);
    return error;
}
