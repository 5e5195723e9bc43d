/*
 * Finalizers. One that is registered belongs to an object, which it does not keep, and to data, which it does.
 *
 *      registered --(its object is not marked)--> queue, a root --(invoked)--> run
 *
 * The orders say for which objects reachability from another finalizable one counts:
 *
 *      normal       all that the object refers to is kept for its finalizer: so those come first that nobody among
 *                   the finalizable refers to, and a cycle never comes
 *      ignore self  the same, but for references of the object to itself
 *      none         what the object refers to is not considered
 *      unreachable  considered like normal; queued only if no other object that is queued reaches it
 *
 * What a program registers may be a tagged pointer, to within its object: it gets it back as it was.
 *
 * The table's lock is libgc.lock; the collector goes through it while threads stand.
 */
#include "base/format.h"
#include "face/libgc/libgc.h"
#include "gc/mark.h"

struct last_call {
    void *object;
    finalizer_fn *function;
    void *data;
    enum finalizer_order order;
};

static struct vector finalizers; /* struct last_call, by object */
static struct index finalizer_index;
static struct vector queue; /* struct last_call, from queue_next on */
static size_t queue_next;
static uint32_t notified_epoch; /* the collection that the program was told of last */
_Atomic bool finalizers_wait;

void boehm_finalizers_init(void)
{
    finalizers.item = queue.item = sizeof(struct last_call);
    index_init(&finalizer_index);
}

/* ---- a collection -------------------------------------------------------------------------------------------- */

void finalizers_visit(struct fh_gc_visitor *visitor)
{
    for (size_t i = queue_next; i < queue.count; i++) {
        struct last_call *finalizer = vector_at(&queue, i);
        visitor->slot(visitor, &finalizer->object);
        visitor->slot(visitor, &finalizer->data);
    }
    for (size_t i = 0; i < finalizers.count; i++)
        visitor->slot(visitor, &((struct last_call *)vector_at(&finalizers, i))->data);
}

/* What an object refers to, but for itself. */
struct other_visitor {
    struct fh_gc_visitor visitor; /* first */
    struct marker *marker;
    uintptr_t start, size; /* of the object */
};

static void other_word(struct fh_gc_visitor *visitor, uintptr_t word)
{
    struct other_visitor *other = (struct other_visitor *)visitor;
    if (word - other->start >= other->size) marker_add(other->marker, word);
}

static void other_slot(struct fh_gc_visitor *visitor, void **slot)
{
    other_word(visitor, word_load(slot));
}

static void other_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    other_word(visitor, word_load(slot) & mask);
}

static void other_range(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    for (size_t i = 0; i < words; i++) other_word(visitor, word_load(start + i));
}

static void last_call_mark_below(struct gc_heap *heap, const struct last_call *finalizer)
{
    struct marker *marker = &heap->marking_state->marker[0];
    uint8_t *meta = object_find(heap, (uintptr_t)finalizer->object);
    if (finalizer->order != ORDER_IGNORE_SELF) {
        object_scan(&marker->visitor, meta);
        return;
    }
    struct other_visitor other = {{other_slot, other_tagged, other_range, heap, NULL, NULL},
                                  marker,
                                  (uintptr_t)meta_address(meta),
                                  object_size(meta)};
    object_scan(&other.visitor, meta);
}

/* A pass over marked objects would not find again what does not fit the marker's stack: its referrer is not
 * marked. So the marker works that off. */
static void last_calls_mark_below(struct gc_heap *heap)
{
    struct marker *marker = &heap->marking_state->marker[0];
    marker->repairs = true;
    for (size_t i = 0; i < finalizers.count; i++) {
        const struct last_call *finalizer = vector_at(&finalizers, i);
        if (finalizer->order != ORDER_NONE && !mark_is_set(heap, (uintptr_t)finalizer->object))
            last_call_mark_below(heap, finalizer);
    }
    marker->repairs = false;
    marking_drain(heap);
}

/* Without memory for the queue its object is kept, until the next collection. */
static void last_call_queue(struct gc_heap *heap, const struct last_call *finalizer)
{
    struct last_call *queued = vector_add(&queue);
    if (queued == NULL) {
        marker_keep(&heap->marking_state->marker[0], finalizer->object);
        return;
    }
    *queued = *finalizer;
    heap->stats.finalizers_queued++;
    index_remove(&finalizer_index, &finalizers, finalizer->object);
}

/* What is queued is kept, with all that it refers to; those last that are to be unreachable from the others. */
static void last_calls_mark(struct gc_heap *heap, size_t from, bool unreachable)
{
    struct marker *marker = &heap->marking_state->marker[0];
    for (size_t i = from; i < queue.count; i++) {
        const struct last_call *queued = vector_at(&queue, i);
        if ((queued->order == ORDER_UNREACHABLE) == unreachable)
            marker_keep(marker, queued->object);
    }
    marking_drain(heap);
}

/* Those that others in the queue reach after all go back to the table. */
static void last_calls_revise(struct gc_heap *heap, size_t from)
{
    for (size_t i = from; i < queue.count;) {
        const struct last_call *queued = vector_at(&queue, i);
        bool back =
            queued->order == ORDER_UNREACHABLE && mark_is_set(heap, (uintptr_t)queued->object);
        struct last_call *entry =
            back ? index_add(&finalizer_index, &finalizers, queued->object) : NULL;
        if (entry == NULL) {
            i++;
            continue;
        }
        *entry = *queued;
        vector_remove(&queue, i);
    }
}

void finalizers_due(struct gc_heap *heap)
{
    if (finalizers.count == 0) return;
    size_t before = queue.count;
    last_calls_mark_below(heap);
    for (size_t left = finalizers.count; left-- > 0;) {
        const struct last_call *finalizer = vector_at(&finalizers, left);
        if (!mark_is_set(heap, (uintptr_t)finalizer->object)) last_call_queue(heap, finalizer);
    }
    last_calls_mark(heap, before, false);
    last_calls_revise(heap, before);
    last_calls_mark(heap, before, true);
    if (queue.count > queue_next) STORE(&finalizers_wait, true);
}

/* ---- running ------------------------------------------------------------------------------------------------------ */

static uint64_t calls_taken; /* from the queue since the start; the tables' lock */

/* The first of the queue, if fewer than `end` were taken so far. */
static bool last_call_pop(struct last_call *finalizer, uint64_t end)
{
    struct gc_thread *thread = libgc_lock();
    bool some = queue_next < queue.count && calls_taken < end;
    if (some) *finalizer = *(struct last_call *)vector_at(&queue, queue_next++);
    calls_taken += some;
    if (queue_next == queue.count) {
        queue_next = queue.count = 0;
        STORE(&finalizers_wait, false);
    }
    libgc_unlock(thread);
    return some;
}

/* Those that wait now. What finalizers queue meanwhile, by collecting, is left to the next call or allocation: one that
 * collects and registers itself again would be run for ever. */
GC_API int GC_invoke_finalizers(void)
{
    struct last_call finalizer;
    struct gc_thread *thread = libgc_lock();
    uint64_t end = calls_taken + (queue.count - queue_next);
    int count = 0;
    libgc_unlock(thread);
    for (; last_call_pop(&finalizer, end); count++)
        finalizer.function(finalizer.object, finalizer.data);
    return count;
}

GC_API int GC_should_invoke_finalizers(void)
{
    return queue_next < queue.count;
}

/* On demand the program is told, once for each collection; else they run here, one call in another at a time. */
FH_NOINLINE void finalizers_notify(void)
{
    if (!LOAD(&finalizers_wait) || libgc_local.finalizing || gc_local.thread->busy) return;
    if (GC_finalize_on_demand) {
        uint32_t epoch = LOAD(&libgc.heap->epoch);
        STORE(&finalizers_wait, false);
        bool told = __atomic_exchange_n(&notified_epoch, epoch, __ATOMIC_RELAXED) == epoch;
        if (!told && GC_finalizer_notifier) GC_finalizer_notifier();
        return;
    }
    libgc_local.finalizing = true;
    GC_invoke_finalizers();
    libgc_local.finalizing = false;
}

/* Those that are still registered run too, in no order: for the end of a program. */
GC_API void GC_finalize_all(void)
{
    struct gc_thread *thread = libgc_lock();
    while (finalizers.count > 0) {
        const struct last_call *finalizer = vector_at(&finalizers, finalizers.count - 1);
        struct last_call *queued = vector_add(&queue);
        if (queued == NULL) break;
        *queued = *finalizer;
        index_remove(&finalizer_index, &finalizers, finalizer->object);
    }
    libgc_unlock(thread);
    GC_invoke_finalizers();
}

/* ---- registering ---------------------------------------------------------------------------------------------------- */

void finalizer_set(void *object, finalizer_fn *function, void *data, finalizer_fn **old,
                   void **old_data, enum finalizer_order order)
{
    struct last_call had = {0};
    if (GC_find_leak) return; /* nor are *old and *old_data written, as in the original */
    bool ours = GC_base(object) != NULL;
    struct gc_thread *thread = libgc_lock();
    struct last_call *entry = ours ? index_find(&finalizer_index, &finalizers, object) : NULL;
    if (entry) had = *entry;
    if (entry && function == NULL) index_remove(&finalizer_index, &finalizers, object);
    if (ours && function) {
        if (entry == NULL) entry = index_add(&finalizer_index, &finalizers, object);
        if (entry) *entry = (struct last_call){object, function, data, order};
    }
    libgc_unlock(thread);
    if (ours && function && entry == NULL) libgc_out_of_memory(sizeof had);
    if (old) *old = had.function;
    if (old_data) *old_data = had.data;
}

#define REGISTER(name, order)                                                                      \
    GC_API void name(void *object, finalizer_fn *function, void *data, finalizer_fn **old,         \
                     void **old_data)                                                              \
    {                                                                                              \
        finalizer_set(object, function, data, old, old_data, order);                               \
    }

REGISTER(GC_register_finalizer, ORDER_NORMAL)
REGISTER(GC_register_finalizer_ignore_self, ORDER_IGNORE_SELF)
REGISTER(GC_register_finalizer_no_order, ORDER_NONE)
REGISTER(GC_register_finalizer_unreachable, ORDER_UNREACHABLE)

GC_API void GC_dump_finalization(void)
{
    struct gc_thread *thread = libgc_lock();
    size_t registered = finalizers.count, waiting = queue.count - queue_next;
    libgc_unlock(thread);
    char line[120];
    struct text t = TEXT(line);
    text_dec(&t, registered);
    text_str(&t, " finalizers are registered, ");
    text_dec(&t, waiting);
    text_str(&t, " wait to run");
    text_end(&t);
    libgc_say(line);
}
