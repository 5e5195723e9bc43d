/*
 * Finalizers: which objects are due, and the queue from which theirs are run.
 *
 * A finalizable object that is not marked is due. What such objects refer to is marked first: so of
 * two that refer to each other in one direction the referrer is not marked and goes first, the
 * other waits until a later collection; and a cycle waits for ever, unless it is unordered. What is
 * in the queue is a root until its finalizer has been called.
 *
 *      | have run | may run                | queued by the cycle that has not ended yet |
 *                 ^ queue_next             ^ queue_visible                       count ^
 *
 * Finalizers are found by address through an index (gc/index.h).
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/finalizer.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/weak.h"
#include "os/os.h"

struct finalizer {
    void *object;
    fh_gc_finalizer_fn *function;
    void *data;
    unsigned flags;
};

GC_PUBLIC int fh_gc_finalizer_add(struct fh_gc_heap *public, void *object,
                                  fh_gc_finalizer_fn *function, void *data, unsigned flags)
{
    struct gc_heap *heap = heap_of(public);
    if (function == NULL || fh_gc_base(public, object) != object || object == NULL) return -EINVAL;
    struct gc_thread *thread = thread_self();
    modules_keep((const void *)(uintptr_t)function);
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    struct gc_weakness *weakness = &heap->weakness;
    struct vector *all = &weakness->finalizers;
    struct finalizer *finalizer = index_find(&weakness->finalizer_index, all, object);
    if (finalizer == NULL) finalizer = index_add(&weakness->finalizer_index, all, object);
    if (finalizer) *finalizer = (struct finalizer){object, function, data, flags};
    lock_give(&heap->lock);
    thread_leave(thread);
    return finalizer ? 0 : -ENOMEM;
}

GC_PUBLIC int fh_gc_finalizer_cancel(struct fh_gc_heap *public, void *object)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    gc_lock_take(&heap->lock);
    struct gc_weakness *weakness = &heap->weakness;
    bool found = index_remove(&weakness->finalizer_index, &weakness->finalizers, object);
    lock_give(&heap->lock);
    thread_leave(thread);
    return found ? 0 : -ENOENT;
}

/* Up to SOME finalizable objects that may have to be looked at, of the first *left; fewer when
 * there are no more. */
static size_t finalizers_some(struct gc_heap *heap, size_t *left, void **object)
{
    const struct vector *finalizers = &heap->weakness.finalizers;
    size_t count = 0;
    gc_lock_take(&heap->lock);
    *left = base_min(*left, finalizers->count);
    while (count<SOME && * left> 0) {
        const struct finalizer *finalizer = vector_at(finalizers, --*left);
        if (!(finalizer->flags & FH_GC_UNORDERED)) object[count++] = finalizer->object;
    }
    lock_give(&heap->lock);
    return count;
}

/* What finalizable objects refer to is marked, they themselves are not: so a marked one has a
 * referrer among them, and waits for it. Nobody else can get at those that are not marked. */
static void finalizers_mark_below(struct gc_heap *heap)
{
    struct marker *marker = &heap->marking_state->marker[0];
    void *object[SOME];
    size_t left = SIZE_MAX;
    marker->repairs =
        true; /* a pass would not find again what does not fit: its referrer is not marked */
    for (size_t count; (count = finalizers_some(heap, &left, object)) > 0;)
        for (size_t i = 0; i < count; i++)
            if (!mark_is_set(heap, (uintptr_t)object[i]))
                object_scan(&marker->visitor, meta_of(object[i]));
    base_forget(object, sizeof object);
    marker->repairs = false;
    marking_drain(heap);
}

/* One that is due goes to the queue. Without memory for that it waits for the next collection, and
 * is kept. */
static void finalizer_queue(struct gc_heap *heap, const struct finalizer *finalizer)
{
    struct gc_weakness *weakness = &heap->weakness;
    struct finalizer *queued = vector_add(&weakness->queue);
    if (queued == NULL) {
        marker_keep(&heap->marking_state->marker[0], finalizer->object);
        return;
    }
    *queued = *finalizer;
    heap->stats.finalizers_queued++;
    index_remove(&weakness->finalizer_index, &weakness->finalizers, finalizer->object);
}

/* Moves those that are due to the queue: unordered ones before finalizers_mark_below, others
 * after. */
static void finalizers_queue(struct gc_heap *heap, bool unordered)
{
    struct vector *finalizers = &heap->weakness.finalizers;
    gc_lock_take(&heap->lock);
    for (size_t left = finalizers->count; left > 0; left = base_min(left - 1, finalizers->count)) {
        const struct finalizer *finalizer = vector_at(finalizers, left - 1);
        if (!!(finalizer->flags & FH_GC_UNORDERED) == unordered &&
            !mark_is_set(heap, (uintptr_t)finalizer->object))
            finalizer_queue(heap, finalizer);
        if (left % SOME == 0) lock_breathe(&heap->lock);
    }
    lock_give(&heap->lock);
}

/* What has run leaves the queue, once it is half of it: a program may never be through with all. */
static void queue_compact(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    struct vector *queue = &weakness->queue;
    gc_lock_take(&heap->lock);
    size_t run = weakness->queue_next, rest = queue->count - run;
    if (run > rest) {
        memcpy(queue->base, vector_at(queue, run), rest * queue->item);
        queue->count = rest;
        weakness->queue_visible -= run;
        weakness->queue_next = 0;
    }
    lock_give(&heap->lock);
}

void finalizers_process(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    if (weakness->finalizers.count == 0) return;
    queue_compact(heap);
    finalizers_queue(heap, true);
    finalizers_mark_below(heap);
    finalizers_queue(heap, false);
    weak_visit_queue(heap, &heap->marking_state->marker[0].visitor);
    marking_drain(heap);
}

void weak_visit_queue(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    struct vector *queue = &heap->weakness.queue;
    bool more = true;
    for (size_t i = 0; more;) {
        gc_lock_take(&heap->lock);
        i = base_max(i, heap->weakness.queue_next);
        for (unsigned n = 0; n < SOME && i < queue->count; n++, i++)
            visitor->slot(visitor, &((struct finalizer *)vector_at(queue, i))->object);
        more = i < queue->count;
        lock_give(&heap->lock);
    }
}

static bool queue_pop(struct gc_heap *heap, struct finalizer *finalizer)
{
    struct gc_weakness *weakness = &heap->weakness;
    bool some = weakness->queue_next < weakness->queue_visible;
    if (some) *finalizer = *(struct finalizer *)vector_at(&weakness->queue, weakness->queue_next++);
    if (weakness->queue_next == weakness->queue.count)
        weakness->queue_next = weakness->queue_visible = weakness->queue.count = 0;
    heap->stats.finalizers_run += some;
    if (some && LOAD(&heap->phase) != PHASE_IDLE)
        shade(heap, mutator_of(gc_local.thread, heap), finalizer->object);
    return some;
}

GC_PUBLIC size_t fh_gc_finalize(struct fh_gc_heap *public, size_t most)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    size_t count = 0;
    for (struct finalizer finalizer; most == 0 || count < most; count++) {
        thread_enter(thread);
        gc_lock_take(&heap->lock);
        bool some = queue_pop(heap, &finalizer);
        lock_give(&heap->lock);
        thread_leave(thread);
        if (!some) break;
        finalizer.function(finalizer.object, finalizer.data);
    }
    return count;
}

size_t finalizers_pending(struct gc_heap *heap)
{
    gc_lock_take(&heap->lock);
    size_t pending = heap->weakness.queue_visible - heap->weakness.queue_next;
    lock_give(&heap->lock);
    return pending;
}

GC_PUBLIC size_t fh_gc_finalize_pending(struct fh_gc_heap *heap)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    size_t pending = finalizers_pending(heap_of(heap));
    thread_leave(thread);
    return pending;
}

/* Finalizers that were queued by this collection may run. */
void weak_publish(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    if (weakness->queue_visible == weakness->queue.count) return;
    weakness->queue_visible = weakness->queue.count;
    atomic_fetch_add(&heap->finalizer_bell, 1);
    os_wake(&heap->finalizer_bell);
}

void finalizers_forward(struct gc_heap *heap, const struct compaction *c)
{
    struct gc_weakness *weakness = &heap->weakness;
    for (size_t i = 0; i < weakness->finalizers.count; i++) {
        struct finalizer *finalizer = vector_at(&weakness->finalizers, i);
        finalizer->object = (void *)compact_forward(c, (uintptr_t)finalizer->object);
    }
    index_rehash(&weakness->finalizer_index, &weakness->finalizers);
}

void finalizers_init(struct gc_heap *heap)
{
    heap->weakness.finalizers.item = heap->weakness.queue.item = sizeof(struct finalizer);
    index_init(&heap->weakness.finalizer_index);
}

void finalizers_finish(struct gc_heap *heap)
{
    vector_finish(&heap->weakness.finalizers);
    vector_finish(&heap->weakness.queue);
    index_finish(&heap->weakness.finalizer_index);
    heap->weakness.queue_next = heap->weakness.queue_visible = 0;
}
