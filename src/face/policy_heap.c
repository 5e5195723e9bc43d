/* policy.h over heap/. */
#include "face/face.h"
#include "span/purger.h"

static void attached(struct heap *heap)
{
    face_thread_attached(heap);
}

struct heap_config heap_config = {
    .attached = attached,
    .bad_pointer = face_bad_pointer,
    .bad_size = face_bad_size,
};

bool policy_start(void)
{
    return true;
}

void policy_options(void) {}

size_t policy_reserve(size_t wanted)
{
    return wanted;
}

void policy_set_tick(void (*tick)(void))
{
    heap_config.tick = tick;
}

void policy_thread_end(void *heap)
{
    heap_detach(heap);
}

bool policy_has_heap(void)
{
    return heap_self != &heap_none;
}

void policy_fork_prepare(void)
{
    heap_fork_prepare();
}

void policy_fork_parent(void)
{
    heap_fork_parent();
}

void policy_fork_child(void)
{
    heap_fork_child();
}

void policy_confined(void) {}

bool policy_sweep(bool force)
{
    return heap_sweep(force);
}

uint32_t policy_heaps(void)
{
    return heap_count();
}

void policy_usage(struct fh_usage *usage)
{
    heap_usage(usage);
}

void policy_stats(const struct fh_usage *usage, void (*line)(int fd, const struct stats_line *line),
                  int fd)
{
    line(fd, &(struct stats_line){.what = "freed elsewhere",
                                  .bytes = usage->remote,
                                  .why = "by other threads, not yet collected"});
}

uint32_t policy_class_size(unsigned size_class)
{
    return class_facts[size_class].size;
}

void policy_class_sizes(uint32_t sizes[FH_CLASSES])
{
    for (unsigned c = 0; c < CLASSES; c++) sizes[c] = class_facts[c].size;
}

void policy_allocated(uint64_t blocks[POLICY_CLASSES])
{
    for (unsigned c = 0; c < CLASSES; c++) blocks[c] = 0;
    for (uint32_t i = 0; i < heap_count(); i++) {
        uint64_t of_heap[CLASSES];
        heap_allocated(heap_at(i), of_heap);
        for (unsigned c = 1; c < CLASSES; c++) blocks[c] += of_heap[c];
    }
}

/* ---- what holds an address -------------------------------------------------------------------------- */

static void describe_heap(const struct span *slab, struct fh_description *d)
{
    struct heap *heap = LOAD(&slab->owner);
    if (heap == NULL) return;
    d->heap = heap->id;
    d->thread = heap->thread;
}

static enum fh_kind describe_slab(const struct span *slab, const char *p, struct fh_description *d)
{
    const struct class_facts *facts = &class_facts[slab->size_class];
    unsigned index = slab_block_of(slab, p);
    describe_heap(slab, d);
    size_t start = base_min(index, facts->blocks) * (size_t)facts->size;
    d->start = span_start(slab) + start;
    d->offset = (size_t)(p - (const char *)d->start);
    if (index >= facts->blocks) {
        d->size = SLICE_SIZE - start;
        return FH_SLACK;
    }
    d->size = facts->size;
    return slab_block_is_free(slab, d->start) ? FH_BLOCK_FREE : FH_BLOCK;
}

static enum fh_kind describe_run(struct span *span, const char *p, struct fh_description *d)
{
    const char *start;
    bool live;
    run_describe(span, p, &start, &d->size, &live);
    d->start = start;
    d->offset = (size_t)(p - start);
    return live ? FH_BLOCK : FH_BLOCK_FREE;
}

static enum fh_kind describe_large(struct span *span, const char *p, struct fh_description *d)
{
    size_t used = LOAD(&span->bytes), length = (size_t)LOAD(&span->slices) << SLICE_SHIFT;
    d->start = span_start(span);
    d->offset = (size_t)(p - span_start(span));
    d->size = d->offset < used ? used : length;
    return d->offset < used ? FH_LARGE : FH_SLACK;
}

bool policy_describe(struct span *span, const char *p, struct fh_description *d)
{
    if (span == NULL) return false;
    switch (LOAD_ACQUIRE(&span->kind)) {
    case FH_SPAN_SLAB: d->kind = describe_slab(span, p, d); return true;
    case FH_SPAN_RUNS: d->kind = describe_run(span, p, d); return true;
    case FH_SPAN_LARGE: d->kind = describe_large(span, p, d); return true;
    default: return false;
    }
}
