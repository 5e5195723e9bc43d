/* Heaps: made and destroyed; and the questions about one object. */
#include <string.h>

#include "gc/call.h"
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/heap.h"
#include "gc/large.h"
#include "gc/mark.h"
#include "gc/object.h"
#include "gc/pause.h"
#include "gc/roots.h"
#include "gc/size.h"
#include "gc/type.h"
#include "gc/weak.h"

struct gc_heap gc_heaps[FH_GC_HEAPS];
uint32_t gc_heap_count;

static int options_check(const struct fh_gc_options *o)
{
    if (o->policy > FH_GC_WATCHED || o->sizing > FH_GC_ADAPTIVE) return EINVAL;
    if (o->sizing == FH_GC_FIXED && o->limit == 0) return EINVAL;
    if (o->limit && o->limit < 4 * BLOCK_SIZE) return EINVAL;
    if (o->growth_percent > 10000 || o->markers > 1024) return EINVAL;
    if (o->exact_stacks && o->policy >= FH_GC_CONCURRENT) return EINVAL;
    const uint32_t debug =
        FH_GC_VERIFY | FH_GC_POISON | FH_GC_MOVE_ALL | FH_GC_FENCE | FH_GC_RANDOM_DELAY;
    if (o->debug & ~debug) return EINVAL;
    return 0;
}

static struct gc_heap *heap_find_free(void)
{
    for (unsigned i = 0; i < FH_GC_HEAPS; i++)
        if (!gc_heaps[i].exists) return &gc_heaps[i];
    return NULL;
}

static void heap_finish(struct gc_heap *heap)
{
    heap_blocks_finish(heap);
    heap_large_finish(heap);
    roots_finish(heap);
    weak_finish(heap);
    marking_destroy(heap);
}

static bool heap_init(struct gc_heap *heap, const struct fh_gc_options *options)
{
    struct marking *marking = heap->marking_state; /* its record is used again */
    unsigned number = (unsigned)(heap - gc_heaps);
    memset(heap, 0, sizeof *heap);
    heap->marking_state = marking;
    heap->number = (uint8_t)number;
    heap->options = *options;
    heap->limit = options->limit;
    heap->mark = 2;
    heap->watch_least = options->debug ? 0 : WATCH_LEAST;
    heap->survival = 1024;
    heap->logs = options->policy == FH_GC_GENERATIONAL || options->policy == FH_GC_CONCURRENT;
    heap->public.context =
        (intptr_t)&gc_local.contexts[number] - (intptr_t)__builtin_thread_pointer();
    side_publish(&heap->public);
    heap->collected_ns = os_time_ns();
    pauses_reset(heap);
    events_init(heap);
    fences_init(heap);
    roots_init(heap);
    weak_init(heap);
    if (!marking_init(heap)) return false;
    /* So that a cycle need not ask for memory for the blocks that a few threads allocate in. */
    if (options->policy == FH_GC_CONCURRENT && !vector_reserve(&heap->snapshots, 64)) return false;
    size_after_collection(heap);
    size_nursery(heap, false, 0);
    return true;
}

static void threads_join(struct gc_heap *heap)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) thread_join_heap(t, heap);
    heap->exists = true;
    gc_heap_count++;
}

/* Nobody knows the heap yet. */
static bool heap_threads_start(struct gc_heap *heap)
{
    if (heap->options.policy == FH_GC_CONCURRENT && !collector_start(heap)) return false;
    return !heap->options.finalizer_thread || finalizer_start(heap);
}

struct gc_heap *gc_heap_create(const struct fh_gc_options *options, int *error)
{
    static const struct fh_gc_options standard;
    if (options == NULL) options = &standard;
    *error = options_check(options);
    if (*error) return NULL;
    types_init();
    struct gc_thread *self = thread_attach();
    *error = ENOMEM;
    if (self == NULL) return NULL;
    self->busy++;
    world_take_idle(NULL); /* markers do not ask whose objects are while there is one heap */
    struct gc_heap *heap = side_init() ? heap_find_free() : NULL;
    if (heap == NULL && gc_heap_count == FH_GC_HEAPS) *error = ENOSPC;
    if (heap && heap_init(heap, options)) {
        world_stop(heap);
        threads_join(heap);
        world_go();
        *error = 0;
    } else if (heap) {
        heap_finish(heap);
        heap = NULL;
    }
    world_give();
    thread_leave(self);
    if (heap == NULL || heap_threads_start(heap)) return heap;
    gc_heap_destroy(heap);
    *error = EAGAIN;
    return NULL;
}

void gc_heap_destroy(struct gc_heap *heap)
{
    if (!heap->exists) program_misused("a heap is destroyed twice; stopping");
    struct gc_thread *self = thread_self();
    call_check();
    finalizer_stop(heap);
    collector_stop(heap);
    self->busy++;
    world_take();
    world_stop(NULL);
    for (struct gc_thread *t = gc_threads; t; t = t->next) thread_join_heap(t, heap);
    heap->exists = false;
    gc_heap_count--;
    world_go();
    heap_finish(heap);
    world_give();
    thread_leave(self);
}

/* The first byte of the live object that holds p, or NULL. The answer stays true while the caller's
 * frame holds p. */
static uint8_t *live_object(struct gc_heap *heap, const void *p)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    uint8_t *meta = object_find(heap, (uintptr_t)p);
    if (meta && !object_is_live(heap, meta)) meta = NULL;
    if (meta && (size_t)((const char *)p - meta_address(meta)) >= object_size(meta)) meta = NULL;
    thread_leave(thread);
    return meta;
}

GC_PUBLIC void *fh_gc_base(struct fh_gc_heap *heap, const void *p)
{
    uint8_t *meta = live_object(heap_of(heap), p);
    return meta ? meta_address(meta) : NULL;
}

GC_PUBLIC size_t fh_gc_size(struct fh_gc_heap *heap, const void *p)
{
    uint8_t *meta = live_object(heap_of(heap), p);
    size_t size = meta ? object_size(meta) : 0;
    if (UNLIKELY(meta && heap_of(heap)->fenced)) fence_check(heap_of(heap), meta, &size);
    return size;
}

GC_PUBLIC const struct fh_gc_type *fh_gc_type_of(struct fh_gc_heap *heap, const void *p)
{
    uint8_t *meta = live_object(heap_of(heap), p);
    return meta ? type_at(meta)->public : NULL;
}

bool gc_describe(const void *p, const void **start, size_t *size)
{
    struct gc_block *block = side_holds((uintptr_t)p) ? (struct gc_block *)span_find(p) : NULL;
    struct gc_heap *heap = block ? LOAD(&block->owner) : NULL;
    if (heap == NULL) return false;
    uint8_t *meta = object_find(heap, (uintptr_t)p);
    *start = gc_block_start(block);
    *size = (size_t)LOAD(&block->slices) << SLICE_SHIFT;
    if (meta == NULL || !object_is_live(heap, meta)) return false;
    if ((size_t)((const char *)p - meta_address(meta)) >= object_size(meta)) return false;
    *start = meta_address(meta);
    *size = object_size(meta);
    return true;
}
