/*
 * Weakness: what marking does not follow, and what is done about it afterwards.
 *
 *      marked all --> ephemerons whose keys are marked, until there are no more
 *                 --> links and weak references to unmarked objects are cleared
 *                 --> finalizable objects that are not marked are queued, referrers first, and kept
 *                 --> dead weak references leave the lists
 *
 * An ephemeron that marking meets before its key waits in a list. When marking is through, the list is
 * hashed by key, and from then on each object that is marked looks for itself there: so a chain of
 * ephemerons costs as much as a list, not its square.
 *
 * Links and finalizers are found by address through an index (gc/index.h).
 */
#include <string.h>

#include "gc/mark.h"
#include "os/os.h"

struct finalizer {
    void *object;
    fh_gc_finalizer_fn *function;
    void *data;
    unsigned flags;
};

struct weak_link {
    void **slot;
    uintptr_t hidden; /* the target, complemented: a conservative search must not find it */
};

struct fh_gc_weak {
    uintptr_t hidden;
    uintptr_t unused;
};

struct fh_gc_ephemeron {
    uintptr_t key; /* complemented; 0 when broken */
    void *value;
    uintptr_t unused[2];
};

/* An ephemeron that was met before its key. */
struct waiting {
    struct fh_gc_ephemeron *ephemeron; /* NULL when it waits no more */
    uint32_t next;                     /* position + 1 of the next with the same hash */
};

/* ---- weak references ---------------------------------------------------------------------------------- */

/* With exact stacks the caller's variables are roots meanwhile. */
static void *weak_object(struct gc_heap *heap, unsigned type, void **a, void **b)
{
    uint32_t id = type << 16 | type;
    if (!heap->options.exact_stacks) return gc_allocate(heap, 32, id);
    FH_GC_FRAME(*a, *b);
    return gc_allocate(heap, 32, id);
}

GC_PUBLIC struct fh_gc_weak *fh_gc_weak_new(struct fh_gc_heap *public, void *target)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    struct fh_gc_weak *weak = weak_object(heap, TYPE_WEAK, &target, &target);
    if (weak == NULL) return NULL;
    thread_enter(thread);
    weak->hidden = ~(uintptr_t)target; /* no collection comes between it and the list */
    lock_take(&heap->lock);
    struct fh_gc_weak **entry = vector_add(&heap->weakness.weak);
    if (entry) *entry = weak;
    lock_give(&heap->lock);
    thread_leave(thread);
    if (entry == NULL) errno = ENOMEM;
    return entry ? weak : NULL;
}

GC_PUBLIC void *fh_gc_weak_get(struct fh_gc_heap *public, struct fh_gc_weak *weak)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    void *target = weak_read(heap, thread, &weak->hidden, UINTPTR_MAX);
    thread_leave(thread);
    return target;
}

GC_PUBLIC void fh_gc_weak_set(struct fh_gc_heap *public, struct fh_gc_weak *weak, void *target)
{
    (void)public;
    __atomic_store_n(&weak->hidden, ~(uintptr_t)target, __ATOMIC_RELAXED);
}

/* ---- ephemerons ------------------------------------------------------------------------------------------ */

GC_PUBLIC struct fh_gc_ephemeron *fh_gc_ephemeron_new(struct fh_gc_heap *public, void *key,
                                                      void *value)
{
    struct fh_gc_ephemeron *ephemeron = weak_object(heap_of(public), TYPE_EPHEMERON, &key, &value);
    if (ephemeron == NULL) return NULL;
    void *base = fh_gc_base(public, key);
    if (base) key = base; /* the marker knows objects by their start */
    /* The key first: an ephemeron without one would not keep the value, which nothing else may. */
    __atomic_store_n(&ephemeron->key, ~(uintptr_t)key, __ATOMIC_RELEASE);
    fh_gc_store(public, &ephemeron->value, value);
    return ephemeron;
}

static void *ephemeron_read(struct fh_gc_heap *public, struct fh_gc_ephemeron *ephemeron, bool key)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    void *result = weak_read(heap, thread, &ephemeron->key, UINTPTR_MAX);
    if (result && !key) {
        result = __atomic_load_n(&ephemeron->value, __ATOMIC_ACQUIRE);
        uint32_t phase = LOAD(&heap->phase);
        if (phase == PHASE_ARMED || phase == PHASE_MARKING)
            shade(heap, mutator_of(thread, heap), result);
        /* Broken since the key was looked at? Then the key is dead, and was only on its way to be. */
        if (__atomic_load_n(&ephemeron->key, __ATOMIC_ACQUIRE) == 0) result = NULL;
    }
    thread_leave(thread);
    return result;
}

GC_PUBLIC void *fh_gc_ephemeron_key(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron)
{
    return ephemeron_read(heap, ephemeron, true);
}

GC_PUBLIC void *fh_gc_ephemeron_value(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron)
{
    return ephemeron_read(heap, ephemeron, false);
}

void ephemeron_drop(struct fh_gc_ephemeron *ephemeron)
{
    __atomic_store_n(&ephemeron->key, 0, __ATOMIC_RELEASE);
}

GC_PUBLIC void fh_gc_ephemeron_set_value(struct fh_gc_heap *heap, struct fh_gc_ephemeron *ephemeron,
                                         void *value)
{
    fh_gc_store(heap, &ephemeron->value, value);
}

/* ---- ephemerons that wait -------------------------------------------------------------------------------- */

static uint32_t *waiting_chain(struct gc_heap *heap, const void *key)
{
    struct vector *chains = &heap->weakness.ephemeron_chains;
    return (uint32_t *)chains->base + (address_hash(key) & (chains->count - 1));
}

static void waiting_link(struct gc_heap *heap, size_t position)
{
    struct waiting *entry = vector_at(&heap->weakness.ephemerons, position);
    uint32_t *chain = waiting_chain(heap, (void *)~entry->ephemeron->key);
    entry->next = *chain;
    __atomic_store_n(chain, (uint32_t)position + 1, __ATOMIC_RELEASE);
}

/* Reached by a marker. Several markers may be here, hence the lock; and while they are, others may mark
 * the key, hence the second look. */
void ephemeron_reach(struct marker *marker, void *object)
{
    struct gc_heap *heap = marker->visitor.heap;
    struct fh_gc_ephemeron *ephemeron = object;
    uintptr_t hidden = __atomic_load_n(&ephemeron->key, __ATOMIC_ACQUIRE);
    if (hidden == 0) return;
    bool marked = mark_is_set(heap, ~hidden);
    if (!marked) {
        struct vector *waiting = &heap->weakness.ephemerons;
        lock_take(&heap->marking_state->lock);
        struct waiting *entry = vector_add(waiting);
        if (entry) *entry = (struct waiting){ephemeron, 0};
        if (entry && marker->keyed) waiting_link(heap, waiting->count - 1);
        lock_give(&heap->marking_state->lock);
        atomic_thread_fence(memory_order_seq_cst); /* partner: ephemeron_key_marked */
        /* No memory to wait in: the value is kept, as if the key were alive. */
        marked = entry == NULL || mark_is_set(heap, ~hidden);
    }
    if (marked) marker_add(marker, (uintptr_t)__atomic_load_n(&ephemeron->value, __ATOMIC_RELAXED));
}

void ephemeron_key_marked(struct marker *marker, void *key)
{
    struct gc_heap *heap = marker->visitor.heap;
    atomic_thread_fence(memory_order_seq_cst); /* the mark first; partner: ephemeron_reach */
    if (__atomic_load_n(waiting_chain(heap, key), __ATOMIC_ACQUIRE) == 0) return;
    lock_take(&heap->marking_state->lock);
    for (uint32_t next = *waiting_chain(heap, key); next;) {
        struct waiting *entry = vector_at(&heap->weakness.ephemerons, next - 1);
        struct fh_gc_ephemeron *ephemeron = entry->ephemeron;
        next = entry->next;
        if (ephemeron == NULL || ephemeron->key != ~(uintptr_t)key) continue;
        entry->ephemeron = NULL;
        lock_give(&heap->marking_state->lock); /* the marker may need it for room */
        marker_add(marker, (uintptr_t)__atomic_load_n(&ephemeron->value, __ATOMIC_RELAXED));
        lock_take(&heap->marking_state->lock);
    }
    lock_give(&heap->marking_state->lock);
}

/* From now on keys look for the ephemerons that wait for them. */
void ephemerons_hash(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    struct marking *marking = heap->marking_state;
    size_t size = 64;
    while (size < weakness->ephemerons.count) size *= 2;
    struct vector *chains = &weakness->ephemeron_chains;
    if (!vector_reserve(chains, size)) {
        size = chains->committed / sizeof(uint32_t);
        while (size & (size - 1)) size &= size - 1;
    }
    chains->count = size;
    if (size == 0) return;     /* not even one page, ever: ephemerons_settle does it the slow way */
    lock_take(&marking->lock); /* threads that assist may be adding to the list */
    memset(chains->base, 0, size * sizeof(uint32_t));
    for (size_t i = 0; i < weakness->ephemerons.count; i++) {
        struct waiting *entry = vector_at(&weakness->ephemerons, i);
        if (entry->ephemeron) waiting_link(heap, i);
    }
    /* Markers of threads that assist do not look: what they mark is found by ephemerons_settle. */
    unsigned own = LOAD(&heap->phase) == PHASE_IDLE ? marking->count : 1;
    for (unsigned i = 0; i < own; i++) marking->marker[i].keyed = true;
    lock_give(&marking->lock);
}

/* Values of keys that are marked by now are candidates from now on; true if there was one. */
bool ephemerons_settle(struct gc_heap *heap)
{
    struct vector *waiting = &heap->weakness.ephemerons;
    struct marking *marking = heap->marking_state;
    bool found = false;
    for (size_t i = 0;; i++) {
        lock_take(&marking->lock);
        struct waiting *entry = i < waiting->count ? vector_at(waiting, i) : NULL;
        struct fh_gc_ephemeron *ephemeron = entry ? entry->ephemeron : NULL;
        bool due = ephemeron && mark_is_set(heap, ~ephemeron->key);
        if (due) entry->ephemeron = NULL;
        lock_give(&marking->lock);
        if (entry == NULL) return found;
        if (due) marker_add(&marking->marker[0], (uintptr_t)word_load(&ephemeron->value));
        found |= due;
    }
}

static void ephemerons_settle_all(struct gc_heap *heap)
{
    while (ephemerons_settle(heap)) marking_drain(heap);
}

static void ephemerons_break(struct gc_heap *heap)
{
    struct vector *waiting = &heap->weakness.ephemerons;
    for (size_t i = 0; i < waiting->count; i++) {
        struct waiting *entry = vector_at(waiting, i);
        if (entry->ephemeron == NULL) continue;
        __atomic_store_n(&entry->ephemeron->key, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&entry->ephemeron->value, NULL, __ATOMIC_RELAXED);
        heap->stats.weak_cleared++;
    }
    waiting->count = 0;
}

/* ---- weak references and links ----------------------------------------------------------------------------- */

/* Lists are gone through a few entries at a time, while the program adds to them. One that entries are removed
 * from is gone through from its end: the last entry, which takes the place of one removed, has been seen. */

/* All of them, since a dead one may yet be brought back by a finalizer. */
static void weak_clear(struct gc_heap *heap)
{
    struct vector *weak = &heap->weakness.weak;
    lock_take(&heap->lock);
    for (size_t i = 0; i < weak->count; i++) {
        struct fh_gc_weak *reference = *(struct fh_gc_weak **)vector_at(weak, i);
        uintptr_t hidden = __atomic_load_n(&reference->hidden, __ATOMIC_ACQUIRE);
        /* Unless another target was set meanwhile. */
        if (!mark_is_set(heap, ~hidden) &&
            __atomic_compare_exchange_n(&reference->hidden, &hidden, ~(uintptr_t)0, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            heap->stats.weak_cleared++;
        if (i % SOME == SOME - 1) lock_breathe(&heap->lock);
    }
    lock_give(&heap->lock);
}

/* Dead ones leave the list, when all is marked that is kept. */
static void weak_drop(struct gc_heap *heap)
{
    struct vector *weak = &heap->weakness.weak;
    size_t kept = 0;
    lock_take(&heap->lock);
    struct fh_gc_weak **entry = (struct fh_gc_weak **)weak->base;
    for (size_t i = 0; i < weak->count; i++) {
        if (mark_is_set(heap, (uintptr_t)entry[i])) entry[kept++] = entry[i];
        if (i % SOME == SOME - 1) lock_breathe(&heap->lock);
    }
    weak->count = kept;
    lock_give(&heap->lock);
}

/* True if it goes. */
static bool link_clear(struct gc_heap *heap, struct weak_link *link)
{
    bool slot = mark_is_set(heap, (uintptr_t)link->slot);
    if (slot && mark_is_set(heap, ~link->hidden)) return false;
    if (slot) __atomic_store_n(link->slot, NULL, __ATOMIC_RELAXED);
    heap->stats.weak_cleared += slot;
    return true;
}

static void links_clear(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    struct vector *links = &weakness->links;
    lock_take(&heap->lock);
    for (size_t left = links->count; left > 0; left = base_min(left - 1, links->count)) {
        struct weak_link *link = vector_at(links, left - 1);
        if (link_clear(heap, link)) index_remove(&weakness->link_index, links, link->slot);
        if (left % SOME == 0) lock_breathe(&heap->lock);
    }
    lock_give(&heap->lock);
}

GC_PUBLIC int fh_gc_link_add(struct fh_gc_heap *public, void *slot, void *target)
{
    struct gc_heap *heap = heap_of(public);
    if (slot == NULL || (uintptr_t)slot % sizeof(void *)) return -EINVAL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    struct gc_weakness *weakness = &heap->weakness;
    struct weak_link *link = index_find(&weakness->link_index, &weakness->links, slot);
    if (link == NULL) link = index_add(&weakness->link_index, &weakness->links, slot);
    if (link) link->hidden = ~(uintptr_t)target;
    lock_give(&heap->lock);
    thread_leave(thread);
    return link ? 0 : -ENOMEM;
}

GC_PUBLIC void *fh_gc_link_get(struct fh_gc_heap *public, void *slot)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    void *target = weak_read(heap_of(public), thread, slot, 0);
    thread_leave(thread);
    return target;
}

GC_PUBLIC int fh_gc_link_remove(struct fh_gc_heap *public, void *slot)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
    bool found = index_remove(&heap->weakness.link_index, &heap->weakness.links, slot);
    lock_give(&heap->lock);
    thread_leave(thread);
    return found ? 0 : -ENOENT;
}

/* ---- finalizers ------------------------------------------------------------------------------------------------ */

GC_PUBLIC int fh_gc_finalizer_add(struct fh_gc_heap *public, void *object,
                                  fh_gc_finalizer_fn *function, void *data, unsigned flags)
{
    struct gc_heap *heap = heap_of(public);
    if (function == NULL || fh_gc_base(public, object) != object || object == NULL) return -EINVAL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    lock_take(&heap->lock);
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
    lock_take(&heap->lock);
    struct gc_weakness *weakness = &heap->weakness;
    bool found = index_remove(&weakness->finalizer_index, &weakness->finalizers, object);
    lock_give(&heap->lock);
    thread_leave(thread);
    return found ? 0 : -ENOENT;
}

/* Up to SOME finalizable objects that may have to be looked at, of the first *left; fewer when there are no more. */
static size_t finalizers_some(struct gc_heap *heap, size_t *left, void **object)
{
    const struct vector *finalizers = &heap->weakness.finalizers;
    size_t count = 0;
    lock_take(&heap->lock);
    *left = base_min(*left, finalizers->count);
    while (count<SOME && * left> 0) {
        const struct finalizer *finalizer = vector_at(finalizers, --*left);
        if (!(finalizer->flags & FH_GC_UNORDERED)) object[count++] = finalizer->object;
    }
    lock_give(&heap->lock);
    return count;
}

/* What finalizable objects refer to is marked, they themselves are not: so a marked one has a referrer
 * among them, and waits for it. Nobody else can get at those that are not marked. */
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
    marker->repairs = false;
    marking_drain(heap);
}

/* One that is due goes to the queue. Without memory for that it waits for the next collection, and is kept. */
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

/* Moves those that are due to the queue: unordered ones before finalizers_mark_below, others after. */
static void finalizers_queue(struct gc_heap *heap, bool unordered)
{
    struct vector *finalizers = &heap->weakness.finalizers;
    lock_take(&heap->lock);
    for (size_t left = finalizers->count; left > 0; left = base_min(left - 1, finalizers->count)) {
        const struct finalizer *finalizer = vector_at(finalizers, left - 1);
        if (!!(finalizer->flags & FH_GC_UNORDERED) == unordered &&
            !mark_is_set(heap, (uintptr_t)finalizer->object))
            finalizer_queue(heap, finalizer);
        if (left % SOME == 0) lock_breathe(&heap->lock);
    }
    lock_give(&heap->lock);
}

static void finalizers_process(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    if (weakness->finalizers.count == 0) return;
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
        lock_take(&heap->lock);
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
        lock_take(&heap->lock);
        bool some = queue_pop(heap, &finalizer);
        lock_give(&heap->lock);
        thread_leave(thread);
        if (!some) break;
        finalizer.function(finalizer.object, finalizer.data);
    }
    return count;
}

GC_PUBLIC size_t fh_gc_finalize_pending(struct fh_gc_heap *public)
{
    struct gc_weakness *weakness = &heap_of(public)->weakness;
    return weakness->queue_visible - weakness->queue_next;
}

/* ---- the door -------------------------------------------------------------------------------------------------------- */

/* In a cycle the ephemerons have been settled before (cycle_settle): from here on nothing is marked that a
 * thread could reach. So those whose keys are dead are broken before finalizers bring keys back. */
void weak_process(struct gc_heap *heap)
{
    if (LOAD(&heap->phase) == PHASE_IDLE) ephemerons_hash(heap);
    ephemerons_settle_all(heap);
    ephemerons_break(heap);
    links_clear(heap);
    weak_clear(heap);
    finalizers_process(heap);
    if (heap->weak_hook) heap->weak_hook(heap);
    ephemerons_settle_all(heap);
    ephemerons_break(heap);
    weak_drop(heap);
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

/* ---- objects that moved ---------------------------------------------------------------------------------- */

static void hidden_forward(const struct compaction *c, uintptr_t *hidden)
{
    if (*hidden) *hidden = ~compact_forward(c, ~*hidden);
}

void ephemeron_forward(const struct compaction *c, void *object)
{
    struct fh_gc_ephemeron *ephemeron = object;
    if (ephemeron->key == 0) return; /* broken: its value may be of the past */
    hidden_forward(c, &ephemeron->key);
    ephemeron->value = (void *)compact_forward(c, (uintptr_t)ephemeron->value);
}

/* The slot may hold the target's address, plainly or complemented; nobody else looks into it. */
static void link_forward(const struct compaction *c, struct weak_link *link)
{
    uintptr_t target = ~link->hidden, to = compact_forward(c, target);
    link->slot = (void **)compact_forward(c, (uintptr_t)link->slot);
    link->hidden = ~to;
    if ((uintptr_t)*link->slot == target) *link->slot = (void *)to;
    if (~(uintptr_t)*link->slot == target) *link->slot = (void *)~to;
}

/* What waits in the queue is a root. */
void weak_forward(struct gc_heap *heap, const struct compaction *c)
{
    struct gc_weakness *weakness = &heap->weakness;
    for (size_t i = 0; i < weakness->weak.count; i++) {
        struct fh_gc_weak **entry = vector_at(&weakness->weak, i);
        *entry = (struct fh_gc_weak *)compact_forward(c, (uintptr_t)*entry);
        hidden_forward(c, &(*entry)->hidden);
    }
    for (size_t i = 0; i < weakness->links.count; i++)
        link_forward(c, vector_at(&weakness->links, i));
    for (size_t i = 0; i < weakness->finalizers.count; i++) {
        struct finalizer *finalizer = vector_at(&weakness->finalizers, i);
        finalizer->object = (void *)compact_forward(c, (uintptr_t)finalizer->object);
    }
    index_rehash(&weakness->link_index, &weakness->links);
    index_rehash(&weakness->finalizer_index, &weakness->finalizers);
}

void weak_init(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    weakness->finalizers.item = weakness->queue.item = sizeof(struct finalizer);
    weakness->links.item = sizeof(struct weak_link);
    weakness->weak.item = sizeof(struct fh_gc_weak *);
    weakness->ephemerons.item = sizeof(struct waiting);
    weakness->ephemeron_chains.item = sizeof(uint32_t);
    index_init(&weakness->finalizer_index);
    index_init(&weakness->link_index);
}

void weak_finish(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    vector_finish(&weakness->finalizers);
    vector_finish(&weakness->queue);
    vector_finish(&weakness->links);
    vector_finish(&weakness->weak);
    vector_finish(&weakness->ephemerons);
    vector_finish(&weakness->ephemeron_chains);
    index_finish(&weakness->finalizer_index);
    index_finish(&weakness->link_index);
    weakness->queue_next = 0;
}
