/*
 * Freehold's own heap, by its registry: include/freehold/registry.h draws what is read here.
 *
 * A free block of a slab has the base of the arena in its second word, or was never carved. The
 * arena holds nothing else that is a root, but for the spaces of the collector, whose objects may point
 * to blocks.
 */
#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { SPANS_MAX = 1 << 24, RUN_GRANULES = 64, LONE_LISTED = 0x8000 };
#define SLICE ((uint64_t)1 << FH_SLICE_SHIFT)

static bool registry_read(struct own_heap *h, const struct image *image, uint64_t address)
{
    struct fh_registry *r = h->registry = calloc(1, sizeof *r);
    const unsigned char *at = image_at(image, address, sizeof *r);
    if (!r || !at) return false;
    memcpy(r, at, sizeof *r);
    if (r->size < sizeof *r) memset((char *)r + r->size, 0, sizeof *r - r->size);
    return memcmp(r->magic, FH_REGISTRY_MAGIC, sizeof r->magic) == 0 &&
           r->version == FH_REGISTRY_VERSION && (r->heap_count > 0 || r->hard) && r->base != 0 &&
           r->limit > r->base && r->base % SLICE == 0 && r->high >= r->first_slice &&
           r->high - r->first_slice <= SPANS_MAX &&
           r->high <= (r->limit - r->base) >> FH_SLICE_SHIFT;
}

static bool spans_read(struct own_heap *h, const struct image *image)
{
    const struct fh_registry *r = h->registry;
    h->first = r->first_slice;
    h->high = r->high;
    uint64_t size = (uint64_t)(h->high - h->first) * sizeof *h->spans;
    const unsigned char *at =
        image_at(image, r->base + (uint64_t)h->first * sizeof *h->spans, size);
    h->spans = malloc(size + 1);
    if (h->spans && at) memcpy(h->spans, at, size);
    return h->spans && (at || size == 0); /* a core lacks what was never written */
}

static uint64_t slice_at(const struct own_heap *h, uint32_t index)
{
    return h->registry->base + (uint64_t)index * SLICE;
}

/* Slices that the span takes, at least one and none beyond the end. */
static uint32_t span_slices(const struct own_heap *h, uint32_t index)
{
    const struct fh_span *s = &h->spans[index - h->first];
    bool long_one =
        s->kind == FH_SPAN_LARGE || s->kind == FH_SPAN_FREE || s->kind == FH_SPAN_GC_LARGE;
    uint32_t left = h->high - index;
    return !long_one || s->slices == 0 ? 1 : s->slices < left ? s->slices : left;
}

static bool is_cut(const struct fh_span *s)
{
    return s->kind == FH_SPAN_SLAB || s->kind == FH_SPAN_RUNS;
}

static bool add_span(const struct own_heap *h, const struct image *image, struct parts *parts,
                     uint32_t index)
{
    const struct fh_span *s = &h->spans[index - h->first];
    uint64_t start = slice_at(h, index), end = start + span_slices(h, index) * SLICE;
    if (is_cut(s)) return parts_region(parts, image, start, start + SLICE, 0, false);
    if (s->kind == FH_SPAN_LARGE && s->bytes > end - start) parts->damaged++;
    if (s->kind != FH_SPAN_LARGE || s->bytes > end - start) return true;
    return parts_region(parts, image, start, start + (s->bytes + 15) / 16 * 16, 0, true);
}

static bool is_space(uint8_t kind)
{
    return kind == FH_SPAN_GC_BLOCK || kind == FH_SPAN_GC_LARGE;
}

/* What has no purpose at this moment may be about to get one, or be about to lose it: blocks are moved so. */
static bool is_settled(uint8_t kind)
{
    return kind == FH_SPAN_FREE || kind == FH_SPAN_SLAB || kind == FH_SPAN_LARGE ||
           kind == FH_SPAN_RUNS;
}

/* Everything but the collector's spaces. */
static bool exclude_arena(const struct own_heap *h, struct parts *parts, bool thorough)
{
    uint64_t from = h->registry->base;
    for (uint32_t i = h->first; i < h->high; i += span_slices(h, i)) {
        uint8_t kind = h->spans[i - h->first].kind;
        if (thorough ? is_settled(kind) : !is_space(kind)) continue;
        if (slice_at(h, i) > from && !parts_exclude(parts, from, slice_at(h, i))) return false;
        from = slice_at(h, i + span_slices(h, i));
    }
    return parts_exclude(parts, from, h->registry->limit);
}

/* ---- hardened ------------------------------------------------------------------------------- */

struct hard_parts {
    struct own_heap *heap;
    const struct image *image;
    struct parts *parts;
};

static void note_blank(struct hard_parts *p, const struct hard_slab *slab, uint64_t end)
{
    const unsigned char *bytes = image_at(p->image, slab->start, end - slab->start);
    bool live = false;
    for (uint32_t i = 0; i < slab->carved && !live; i++)
        live = FH_HARD_STATE(slab->words[i]) == FH_HARD_LIVE;
    if (!live) return;
    p->heap->used++;
    bool zeros = !bytes || (*bytes == 0 && memcmp(bytes, bytes + 1, end - slab->start - 1) == 0);
    p->heap->blank += zeros;
}

/* Up to the last slot that exists; behind it there may be a guard. */
static bool add_hard_slab(void *context, const struct hard_slab *slab)
{
    struct hard_parts *p = context;
    uint64_t end = slab->start + (uint64_t)slab->carved * slab->region->size;
    if (slab->region->kind == FH_HARD_ZERO) return true;
    if (slab->words) note_blank(p, slab, end);
    return parts_region(p->parts, p->image, slab->start, end, 0, false);
}

static bool add_block(struct hard_parts *p, uint32_t word, uint64_t start, uint64_t size)
{
    if (FH_HARD_STATE(word) != FH_HARD_LIVE) return true;
    uint64_t least = size ? size : 1;
    return parts_region(p->parts, p->image, start, start + (least + 15) / 16 * 16, 0, true);
}

static bool add_hard_large(void *context, uint64_t slot, uint64_t bytes,
                           const struct fh_hard_large *large)
{
    (void)slot, (void)bytes;
    return add_block(context, large->word, large->start, large->size);
}

static bool add_hard_sample(void *context, const struct fh_hard_sample *sample)
{
    return add_block(context, sample->word, sample->start, sample->size);
}

static bool exclude(void *context, uint64_t start, uint64_t end)
{
    struct hard_parts *p = context;
    return parts_exclude(p->parts, start, end);
}

/* A helper of the library's stands on a stack of its own, and goes through blocks: its registers are no references. */
static void pass_over_helpers(const struct fh_hard *f, const struct image *image)
{
    for (size_t i = 0; i < image->thread_count; i++) {
        struct machine_registers *r = &image->threads[i].registers;
        bool own = false;
        for (int j = 0; j < FH_HARD_OWN; j++)
            own |= r->stack_pointer - f->own[j].start < f->own[j].bytes;
        if (own) r->count = 0;
    }
}

static bool add_hard(struct own_heap *h, const struct image *image, struct parts *parts)
{
    struct hard_parts p = {h, image, parts};
    const struct hard_visitor visitor = {.slab = add_hard_slab,
                                         .large = add_hard_large,
                                         .sample = add_hard_sample,
                                         .words = image->of_core,
                                         .context = &p};
    h->memory = image_memory(image);
    h->hard = calloc(1, sizeof *h->hard);
    if (!h->hard || !hard_heap_read(h->hard, &h->memory, h->registry->hard)) return false;
    const struct fh_hard *f = &h->hard->hard;
    bool done = hard_heap_walk(h->hard, &visitor) && exclude(&p, f->base, f->base + f->bytes) &&
                hard_heap_records(h->hard, exclude, &p);
    if (done && f->sample_count)
        done = exclude(&p, f->sample_base, f->sample_base + f->sample_bytes);
    parts->damaged += h->hard->damaged;
    pass_over_helpers(f, image);
    return done;
}

bool own_parts(struct own_heap *h, const struct image *image, uint64_t registry,
               struct parts *parts)
{
    *h = (struct own_heap){0};
    if (!registry_read(h, image, registry) || !spans_read(h, image)) return false;
    for (uint32_t i = h->first; i < h->high; i += span_slices(h, i)) {
        if (!add_span(h, image, parts, i)) return false;
    }
    if (!exclude_arena(h, parts, image->thorough)) return false;
    if (h->registry->hard && !add_hard(h, image, parts)) return false;
    parts_sort(parts);
    return true;
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* A block that its thread may have been pushing while the purger took its page stays alone in a piece
 * that is else not carved. */
static bool slab_block_is_live(const struct own_heap *h, const struct image *image,
                               const struct fh_span *s, uint64_t slab, uint64_t offset,
                               unsigned index)
{
    uint64_t mark;
    if ((s->shard & ~LONE_LISTED) == (int)index + 1) {
        if (s->shard & LONE_LISTED) return false;
    } else if (s->uncarved >> (offset >> FH_CARVE_SHIFT) & 1) {
        return false;
    }
    if (!image_word(image, slab + offset + 8, &mark)) return false;
    return mark != h->registry->base;
}

static void fill_slab(const struct own_heap *h, const struct image *image, struct reach *reach,
                      const struct fh_span *s, uint64_t slab)
{
    uint32_t size = s->size_class < FH_CLASSES ? h->registry->class_size[s->size_class] : 0;
    if (size < 16 || size % 16 != 0) return;
    uint64_t offset = 0;
    for (unsigned index = 0; offset + size <= SLICE; index++, offset += size)
        reach_add(reach, slab + offset, slab_block_is_live(h, image, s, slab, offset, index));
    if (offset < SLICE) reach_add(reach, slab + offset, false);
}

/* `free` has a bit for each granule that begins a block, `bytes` for each that is free. */
static void fill_runs(struct reach *reach, const struct fh_span *s, uint64_t slice)
{
    for (unsigned i = 0; i < RUN_GRANULES; i++) {
        bool is_free = s->bytes >> i & 1, begins = s->free >> i & 1;
        if (is_free || begins)
            reach_add(reach, slice + ((uint64_t)i << FH_GRANULE_SHIFT), begins && !is_free);
    }
}

/* What lies behind what was asked for is no part of a block. */
static bool fill_hard_slab(void *context, const struct hard_slab *slab)
{
    struct reach *reach = context;
    uint32_t size = slab->region->size;
    if (slab->region->kind == FH_HARD_ZERO) return true;
    for (uint32_t i = 0; i < slab->carved; i++) {
        uint64_t start = slab->start + (uint64_t)i * size;
        bool live = FH_HARD_STATE(slab->words[i]) == FH_HARD_LIVE;
        uint64_t asked = live ? hard_slot_asked(slab->region, slab->words[i]) : size;
        uint64_t end = asked ? (asked + 15) / 16 * 16 : 16;
        reach_add(reach, start, live);
        if (end < size) reach_add(reach, start + end, false);
    }
    return true;
}

static bool fill_large(void *context, uint64_t slot, uint64_t bytes,
                       const struct fh_hard_large *large)
{
    (void)slot, (void)bytes;
    if (FH_HARD_STATE(large->word) == FH_HARD_LIVE) reach_add(context, large->start, true);
    return true;
}

static bool fill_sample(void *context, const struct fh_hard_sample *sample)
{
    if (FH_HARD_STATE(sample->word) == FH_HARD_LIVE) reach_add(context, sample->start, true);
    return true;
}

static void fill_hard(struct own_heap *h, struct reach *reach)
{
    const struct hard_visitor visitor = {.slab = fill_hard_slab,
                                         .large = fill_large,
                                         .sample = fill_sample,
                                         .words = true,
                                         .context = reach};
    h->hard->memory = &h->memory;
    hard_heap_walk(h->hard, &visitor);
}

void own_fill(struct own_heap *h, const struct image *image, struct reach *reach)
{
    if (h->hard) fill_hard(h, reach);
    for (uint32_t i = h->first; i < h->high; i += span_slices(h, i)) {
        const struct fh_span *s = &h->spans[i - h->first];
        if (s->kind == FH_SPAN_SLAB) fill_slab(h, image, reach, s, slice_at(h, i));
        if (s->kind == FH_SPAN_RUNS) fill_runs(reach, s, slice_at(h, i));
        if (s->kind == FH_SPAN_LARGE) reach_add(reach, slice_at(h, i), true);
    }
}

void own_finish(struct own_heap *h)
{
    free(h->registry);
    free(h->spans);
    if (h->hard) hard_heap_finish(h->hard);
    free(h->hard);
    *h = (struct own_heap){0};
}
