/*
 * The resident bytes of a hardened heap, divided like those of heap_pages.c, slab by slab: what a slab has resident
 * goes first to its live blocks, then to those kept back, then to those in caches; the rest lies between them.
 */
#include "hard_heap.h"
#include "heap_pages.h"

struct tally {
    struct heap_pages *h;
    const struct pages *pages;
    bool failed;
};

static void add_run(void *context, uint64_t start, uint64_t end)
{
    *(uint64_t *)context += end - start;
}

static uint64_t resident(struct tally *t, uint64_t start, uint64_t end)
{
    uint64_t bytes = 0, page = t->pages->page_size;
    start = start / page * page;
    end = (end + page - 1) / page * page;
    if (start < end && !pages_each(t->pages, start, end, add_run, &bytes)) t->failed = true;
    return bytes;
}

static void give(uint64_t *rest, uint64_t *to, uint64_t bytes)
{
    uint64_t some = bytes < *rest ? bytes : *rest;
    *to += some;
    *rest -= some;
}

static bool add_slab(void *context, const struct hard_slab *slab)
{
    struct tally *t = context;
    struct heap_pages *h = t->h;
    uint64_t bytes[8] = {0}, end = slab->start + ((uint64_t)1 << slab->region->slab_shift);
    if (slab->region->kind == FH_HARD_ZERO) return true;
    for (uint32_t i = 0; i < slab->carved; i++)
        bytes[FH_HARD_STATE(slab->words[i])] += slab->region->size;
    uint64_t rest = resident(t, slab->start, end);
    h->slabs++;
    if (slab->free == slab->carved) h->trim += rest;
    give(&rest, &h->live, bytes[FH_HARD_LIVE]);
    give(&rest, &h->quarantine, bytes[FH_HARD_QUARANTINED] + bytes[FH_HARD_GONE]);
    give(&rest, &h->lists, bytes[FH_HARD_CACHED]);
    h->partly += rest;
    return !t->failed;
}

static bool add_large(void *context, uint64_t slot, uint64_t bytes,
                      const struct fh_hard_large *large)
{
    struct tally *t = context;
    uint64_t in = resident(t, slot, slot + bytes);
    if (FH_HARD_STATE(large->word) == FH_HARD_LIVE) {
        t->h->large_count++;
        t->h->live += in;
    } else {
        t->h->spans += in;
        t->h->trim += in;
    }
    return !t->failed;
}

static void add_range(struct heap_pages *h, uint64_t start, uint64_t bytes)
{
    if (bytes) h->also[h->also_count++] = (struct heap_range){start, start + bytes};
}

/* Not the whole reservation at once, which has a word of the page table for each of a thousand million pages. */
static void add_meta(struct tally *t, const struct hard_heap *hard)
{
    const struct fh_hard *f = &hard->hard;
    uint64_t size = (uint64_t)1 << (f->chunk_shift - f->meta_shift);
    uint64_t behind = f->meta + hard->chunks * size, limit = f->reserved_base + f->reserved_bytes;
    for (uint32_t i = 0; i < hard->chunks && !t->failed; i++) {
        uint64_t at = f->meta + i * size;
        if (hard->owner[i]) t->h->metadata += resident(t, at, at + size);
    }
    t->h->metadata += resident(t, behind, limit);
}

/* False: it could not all be read. */
bool hard_pages_add(struct heap_pages *h, const struct memory *memory, const struct pages *pages)
{
    struct hard_heap hard;
    struct tally t = {h, pages, false};
    const struct hard_visitor visitor = {
        .slab = add_slab, .large = add_large, .words = true, .context = &t};
    bool read = hard_heap_read(&hard, memory, h->registry.hard);
    if (read) {
        const struct fh_hard *f = &hard.hard;
        hard_heap_walk(&hard, &visitor);
        add_meta(&t, &hard);
        h->live += resident(&t, f->sample_base, f->sample_base + f->sample_bytes);
        add_range(h, f->base, f->bytes);
        add_range(h, f->reserved_base, f->reserved_bytes);
        add_range(h, f->sample_base, f->sample_bytes);
    }
    hard_heap_finish(&hard);
    return read && !t.failed;
}
