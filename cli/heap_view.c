/* Reads the registry, then the heaps and descriptors that it points to, each bounded before use. */
#include <stdlib.h>
#include <string.h>

#include "hard_heap.h"
#include "heap_view.h"

enum {
    HEAPS_MAX = 1 << 16,
    SPANS_AT_ONCE = 1 << 12,
    SPANS_MAX = 1 << 24, /* 1 TiB of slices, 1 GiB of descriptors to read */
};

/* Reads what both sides know of the structure; fields that the process does not have are 0. */
static enum heap_view_error read_registry(struct fh_registry *r, const struct memory *memory,
                                          uint64_t address)
{
    size_t head = offsetof(struct fh_registry, library);
    if (!memory_read(memory, address, r, head)) return HEAP_VIEW_UNREADABLE;
    if (memcmp(r->magic, FH_REGISTRY_MAGIC, sizeof r->magic) != 0) return HEAP_VIEW_DAMAGED;
    size_t size = r->size < sizeof *r ? r->size : sizeof *r;
    if (size < head + sizeof r->library) return HEAP_VIEW_DAMAGED;
    if (!memory_read(memory, address, r, size)) return HEAP_VIEW_UNREADABLE;
    return r->version == FH_REGISTRY_VERSION ? HEAP_VIEW_READ : HEAP_VIEW_VERSION;
}

/* libgc.so.1 has an arena without heaps of malloc. */
static bool is_sound(const struct fh_registry *r)
{
    return r->limit > r->base && r->high >= r->first_slice && r->heap_count <= HEAPS_MAX &&
           (r->heap_count == 0 || r->heap_stride >= sizeof(struct fh_heap)) &&
           r->high - r->first_slice <= SPANS_MAX &&
           r->high <= (r->limit - r->base) >> FH_SLICE_SHIFT &&
           (uint64_t)r->high * sizeof(struct fh_span) <= r->span_bytes;
}

static void count_heaps(struct heap_view *view, const struct memory *memory)
{
    const struct fh_registry *r = &view->registry;
    for (uint32_t i = 0; i < r->heap_count; i++) {
        uint32_t state;
        uint64_t at = r->heaps + (uint64_t)i * r->heap_stride + offsetof(struct fh_heap, state);
        if (!memory_read(memory, at, &state, sizeof state)) return;
        view->live_heaps += state == FH_HEAP_LIVE;
        view->idle_heaps += state == FH_HEAP_IDLE;
    }
}

static void add_slab(struct heap_view *view, const struct fh_span *span)
{
    uint64_t slice = 1ull << FH_SLICE_SHIFT;
    uint64_t size = span->size_class < FH_CLASSES ? view->registry.class_size[span->size_class] : 0;
    uint64_t used = ((uint64_t)span->countdown + span->rest) * size;
    view->slab_bytes += used < slice ? used : slice; /* more is a picture torn by a change */
    view->held_bytes += slice;
}

static void add_span(struct heap_view *view, const struct fh_span *span)
{
    if (span->kind == FH_SPAN_SLAB) add_slab(view, span);
    if (span->kind == FH_SPAN_LARGE) {
        view->large_count++;
        view->large_bytes += span->bytes;
        view->held_bytes += (uint64_t)span->slices << FH_SLICE_SHIFT;
    }
    if (span->kind == FH_SPAN_GC_BLOCK) view->gc_block_bytes += 1ull << FH_SLICE_SHIFT;
    if (span->kind == FH_SPAN_GC_LARGE) {
        view->gc_large_count++;
        view->gc_large_bytes += span->bytes;
    }
    if (span->kind == FH_SPAN_FREE && span->flags & FH_SPAN_DIRTY)
        view->dirty_bytes += (uint64_t)span->slices << FH_SLICE_SHIFT;
}

static bool walk_spans(struct heap_view *view, const struct memory *memory)
{
    const struct fh_registry *r = &view->registry;
    struct fh_span *spans = calloc(SPANS_AT_ONCE, sizeof *spans);
    bool read = spans != NULL;
    for (uint32_t i = r->first_slice; read && i < r->high; i += SPANS_AT_ONCE) {
        uint32_t count = r->high - i < SPANS_AT_ONCE ? r->high - i : SPANS_AT_ONCE;
        read = memory_read(memory, r->base + (uint64_t)i * sizeof *spans, spans,
                           count * sizeof *spans);
        for (uint32_t j = 0; read && j < count; j++) add_span(view, &spans[j]);
    }
    free(spans);
    return read;
}

/* ---- hardened ------------------------------------------------------------------------------- */

static bool add_hard_slab(void *context, const struct hard_slab *slab)
{
    struct heap_view *view = context;
    view->held_bytes += 1ull << slab->region->slab_shift;
    for (uint32_t i = 0; i < slab->carved; i++) {
        unsigned state = FH_HARD_STATE(slab->words[i]);
        if (state == FH_HARD_LIVE) view->slab_bytes += slab->region->size;
        if (state != FH_HARD_QUARANTINED) continue;
        view->kept_bytes += slab->region->size;
        view->kept_count++;
    }
    return true;
}

static bool add_hard_large(void *context, uint64_t slot, uint64_t bytes,
                           const struct fh_hard_large *large)
{
    struct heap_view *view = context;
    (void)slot;
    if (FH_HARD_STATE(large->word) != FH_HARD_LIVE) return true;
    view->large_count++;
    view->large_bytes += large->size;
    view->held_bytes += bytes;
    return true;
}

static bool add_sample(void *context, const struct fh_hard_sample *sample)
{
    struct heap_view *view = context;
    if (FH_HARD_STATE(sample->word) == FH_HARD_LIVE) view->slab_bytes += sample->size;
    return true;
}

static bool walk_hard(struct heap_view *view, const struct memory *memory)
{
    struct hard_heap h;
    const struct hard_visitor visitor = {.slab = add_hard_slab,
                                         .large = add_hard_large,
                                         .sample = add_sample,
                                         .words = true,
                                         .context = view};
    bool read = hard_heap_read(&h, memory, view->registry.hard);
    if (read) hard_heap_walk(&h, &visitor);
    view->hardened = read;
    view->level = hard_heap_level(&h);
    view->threads = h.hard.threads;
    hard_heap_finish(&h);
    return read;
}

enum heap_view_error registry_read(struct fh_registry *r, const struct memory *memory,
                                   uint64_t address)
{
    *r = (struct fh_registry){0};
    enum heap_view_error error = read_registry(r, memory, address);
    if (error != HEAP_VIEW_READ) return error;
    if (r->base == 0) return HEAP_VIEW_UNUSED;
    return is_sound(r) ? HEAP_VIEW_READ : HEAP_VIEW_DAMAGED;
}

enum heap_view_error heap_view_read(struct heap_view *view, const struct memory *memory,
                                    uint64_t address)
{
    *view = (struct heap_view){0};
    enum heap_view_error error = registry_read(&view->registry, memory, address);
    memcpy(view->library, view->registry.library, sizeof view->registry.library);
    if (error != HEAP_VIEW_READ) return error;
    count_heaps(view, memory);
    if (view->registry.hard && !walk_hard(view, memory)) return HEAP_VIEW_DAMAGED;
    return walk_spans(view, memory) ? HEAP_VIEW_READ : HEAP_VIEW_UNREADABLE;
}
