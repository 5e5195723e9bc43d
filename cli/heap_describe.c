/* From the address to its slice, from the slice to the head of its span, from there to the block. */
#include <stdio.h>

#include "hard_heap.h"
#include "heap_describe.h"
#include "human.h"

struct place {
    const struct fh_registry *r;
    const struct memory *memory;
    uint64_t address;
    uint32_t slice; /* of the head of its span */
    struct fh_span span;
};

static bool span_read(struct place *p, uint32_t slice, struct fh_span *span)
{
    return memory_read(p->memory, p->r->base + (uint64_t)slice * sizeof *span, span, sizeof *span);
}

/* Slabs, runs and blocks of the collector are a slice each, whatever `slices` says. */
static bool covers(uint32_t head, const struct fh_span *span, uint32_t slice)
{
    bool long_one = span->kind == FH_SPAN_LARGE || span->kind == FH_SPAN_GC_LARGE ||
                    span->kind == FH_SPAN_FREE || span->kind == FH_SPAN_BUSY;
    return head == slice || (long_one && head + (uint64_t)span->slices > slice);
}

/* Only some slices of a long span carry a mark; they are met by clearing the lowest set bits of the
 * index one by one (registry.h). */
static bool find_head(struct place *p, uint32_t slice)
{
    for (uint32_t i = slice; i >= p->r->first_slice && i; i &= i - 1) {
        if (!span_read(p, i, &p->span)) return false;
        p->slice = i;
        if (p->span.kind == FH_SPAN_BODY) {
            p->slice = p->span.slices;
            if (p->slice >= i || !span_read(p, p->slice, &p->span)) return false;
        }
        if (p->span.kind != FH_SPAN_NONE && covers(p->slice, &p->span, slice)) return true;
    }
    return false;
}

static uint64_t span_start(const struct place *p)
{
    return p->r->base + ((uint64_t)p->slice << FH_SLICE_SHIFT);
}

/* A free block's second word is the arena's base; the word is cleared when it is handed out. */
static bool block_is_free(const struct place *p, uint64_t block)
{
    uint64_t word;
    return memory_read(p->memory, block + 8, &word, sizeof word) && word == p->r->base;
}

static void describe_slab(const struct place *p, char *text, size_t capacity)
{
    uint64_t size = p->span.size_class < FH_CLASSES ? p->r->class_size[p->span.size_class] : 0;
    uint64_t offset = p->address - span_start(p), blocks = size ? (1u << FH_SLICE_SHIFT) / size : 0;
    if (size == 0 || offset / size >= blocks) {
        snprintf(text, capacity, "the tail of a slab, in no block");
        return;
    }
    uint64_t index = offset / size, block = span_start(p) + index * size;
    bool carved = !(p->span.uncarved >> (index * size >> FH_CARVE_SHIFT) & 1);
    const char *state = !carved ? "not handed out yet" : block_is_free(p, block) ? "free" : "live";
    snprintf(
        text, capacity, "byte %llu of a block of %llu bytes at 0x%llx, %s; %llu of %llu in a slab",
        (unsigned long long)(offset % size), (unsigned long long)size, (unsigned long long)block,
        state, (unsigned long long)index + 1, (unsigned long long)blocks);
}

static void describe_run(const struct place *p, char *text, size_t capacity)
{
    unsigned granule = (unsigned)((p->address - span_start(p)) >> FH_GRANULE_SHIFT);
    if (p->span.bytes >> granule & 1) {
        snprintf(text, capacity, "a free granule among blocks of 8 to 64 KiB");
        return;
    }
    unsigned first = granule, end = granule + 1;
    while (first > 0 && !(p->span.free >> first & 1)) first--;
    while (end < 64 && !(p->span.free >> end & 1) && !(p->span.bytes >> end & 1)) end++;
    snprintf(text, capacity, "a live block of %u KiB at 0x%llx", end - first,
             (unsigned long long)span_start(p) + ((uint64_t)first << FH_GRANULE_SHIFT));
}

static void describe_span(const struct place *p, char *text, size_t capacity)
{
    unsigned long long start = span_start(p);
    const char *size = HUMAN(bytes, p->span.bytes);
    const char *extent = HUMAN(bytes, (uint64_t)p->span.slices << FH_SLICE_SHIFT);
    switch (p->span.kind) {
    case FH_SPAN_SLAB: describe_slab(p, text, capacity); break;
    case FH_SPAN_RUNS: describe_run(p, text, capacity); break;
    case FH_SPAN_LARGE:
        snprintf(text, capacity, "a live large block of %s at 0x%llx", size, start);
        break;
    case FH_SPAN_FREE:
        snprintf(text, capacity, "a free span of %s at 0x%llx, %s", extent, start,
                 p->span.flags & FH_SPAN_DIRTY ? "kept until the purge" : "given back");
        break;
    case FH_SPAN_BUSY: snprintf(text, capacity, "a span that is being given back"); break;
    case FH_SPAN_GC_BLOCK: snprintf(text, capacity, "a block of the collector's objects"); break;
    case FH_SPAN_GC_LARGE:
        snprintf(text, capacity, "a large object of the collector, %s at 0x%llx", size, start);
        break;
    default: snprintf(text, capacity, "a slice that is not in use"); break;
    }
}

/* Malloc's blocks in the hardened library. */
static bool describe_hard(const struct fh_registry *r, const struct memory *memory,
                          uint64_t address, char *text, size_t capacity)
{
    struct hard_heap h;
    if (r->hard == 0) return false;
    bool told =
        hard_heap_read(&h, memory, r->hard) && hard_heap_describe(&h, address, text, capacity);
    hard_heap_finish(&h);
    return told;
}

bool heap_describe(const struct fh_registry *r, const struct memory *memory, uint64_t address,
                   char *text, size_t capacity)
{
    if (address < r->base || address >= r->limit)
        return describe_hard(r, memory, address, text, capacity);
    struct place p = {.r = r, .memory = memory, .address = address};
    uint64_t slice = (address - r->base) >> FH_SLICE_SHIFT;
    if (slice < r->first_slice)
        snprintf(text, capacity, "Freehold's own records");
    else if (slice >= r->high || !find_head(&p, (uint32_t)slice))
        snprintf(text, capacity, "reserved, not in use");
    else
        describe_span(&p, text, capacity);
    return true;
}
