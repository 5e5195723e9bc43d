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
 * Links and finalizers are found by address through an index, a hash table of positions that is built
 * anew when it is too small or was upset by a removal.
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

/* ---- index ------------------------------------------------------------------------------------------ */

static size_t address_hash(const void *p)
{
    return (uintptr_t)p * 0x9e3779b97f4a7c15ull >> 20;
}

#define REMOVED UINT32_MAX /* a slot that was in use: searches go on */

/* The key of an item is its first word. */
static void index_put(struct index *index, const struct vector *items, size_t position)
{
    uint32_t *slots = (uint32_t *)index->slots.base;
    size_t mask = index->slots.count - 1;
    size_t at = address_hash(*(void **)vector_at(items, position)) & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = (uint32_t)position + 1;
}

/* Anew, with room for twice as many. False when memory is out: it is then as it was, or empty. */
static bool index_build(struct index *index, const struct vector *items)
{
    size_t size = 64;
    while (size < items->count * 4 + 4) size *= 2;
    if (!vector_reserve(&index->slots, size)) return false;
    index->slots.count = size;
    index->removed = 0;
    memset(index->slots.base, 0, size * sizeof(uint32_t));
    for (size_t i = 0; i < items->count; i++) index_put(index, items, i);
    return true;
}

/* The slot of the item with this key, or NULL. */
static uint32_t *index_slot(const struct index *index, const struct vector *items, const void *key)
{
    if (index->slots.count == 0) return NULL;
    uint32_t *slots = (uint32_t *)index->slots.base;
    size_t mask = index->slots.count - 1;
    for (size_t at = address_hash(key) & mask; slots[at]; at = (at + 1) & mask) {
        size_t position = slots[at] - 1;
        if (position < items->count && *(void **)vector_at(items, position) == key)
            return &slots[at];
    }
    return NULL;
}

static void *index_find(const struct index *index, const struct vector *items, const void *key)
{
    uint32_t *slot = index_slot(index, items, key);
    return slot ? vector_at(items, *slot - 1) : NULL;
}

/* An item more, found by its key from now on; NULL when memory is out. */
static void *index_add(struct index *index, struct vector *items, void *key)
{
    size_t used = items->count + index->removed;
    if (used * 2 + 4 > index->slots.count && !index_build(index, items)) return NULL;
    void **item = vector_add(items);
    if (item == NULL) return NULL;
    *item = key;
    index_put(index, items, items->count - 1);
    return item;
}

static bool index_remove(struct index *index, struct vector *items, const void *key)
{
    uint32_t *slot = index_slot(index, items, key);
    if (slot == NULL) return false;
    size_t position = *slot - 1;
    uint32_t *last = index_slot(index, items, *(void **)vector_at(items, items->count - 1));
    *last = *slot;
    *slot = REMOVED;
    index->removed++;
    vector_remove(items, position);
    return true;
}

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
    void *target = weak_read(heap, thread, &weak->hidden);
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
    void *result = weak_read(heap, thread, &ephemeron->key);
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

static void weak_clear(struct gc_heap *heap)
{
    struct vector *weak = &heap->weakness.weak;
    struct fh_gc_weak **entry = (struct fh_gc_weak **)weak->base;
    size_t kept = 0;
    lock_take(&heap->lock);
    for (size_t i = 0; i < weak->count; i++) {
        struct fh_gc_weak *reference = entry[i];
        if (!mark_is_set(heap, (uintptr_t)reference)) continue;
        uintptr_t hidden = __atomic_load_n(&reference->hidden, __ATOMIC_ACQUIRE);
        /* Unless another target was set meanwhile. */
        if (!mark_is_set(heap, ~hidden) &&
            __atomic_compare_exchange_n(&reference->hidden, &hidden, ~(uintptr_t)0, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            heap->stats.weak_cleared++;
        entry[kept++] = reference;
    }
    weak->count = kept;
    lock_give(&heap->lock);
}

static void links_clear(struct gc_heap *heap)
{
    struct vector *links = &heap->weakness.links;
    lock_take(&heap->lock);
    size_t before = links->count;
    for (size_t i = 0; i < links->count;) {
        struct weak_link *link = vector_at(links, i);
        bool target = mark_is_set(heap, ~link->hidden);
        bool slot = mark_is_set(heap, (uintptr_t)link->slot);
        if (target && slot) {
            i++;
            continue;
        }
        if (slot) __atomic_store_n(link->slot, NULL, __ATOMIC_RELAXED);
        heap->stats.weak_cleared += slot;
        vector_remove(links, i);
    }
    if (links->count != before) index_build(&heap->weakness.link_index, links);
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

/* What finalizable objects refer to is marked, they themselves are not: so a marked one has a referrer
 * among them, and waits for it. */
static void finalizers_mark_below(struct gc_heap *heap)
{
    struct vector *finalizers = &heap->weakness.finalizers;
    struct marker *marker = &heap->marking_state->marker[0];
    lock_take(&heap->lock);
    for (size_t i = 0; i < finalizers->count; i++) {
        struct finalizer *finalizer = vector_at(finalizers, i);
        if (finalizer->flags & FH_GC_UNORDERED) continue;
        if (!mark_is_set(heap, (uintptr_t)finalizer->object))
            object_scan(&marker->visitor, meta_of(finalizer->object));
    }
    lock_give(&heap->lock);
    marking_drain(heap);
}

/* Moves those that are due to the queue: unordered ones before finalizers_mark_below, others after. */
static void finalizers_queue(struct gc_heap *heap, bool unordered)
{
    struct gc_weakness *weakness = &heap->weakness;
    lock_take(&heap->lock);
    size_t before = weakness->finalizers.count;
    for (size_t i = 0; i < weakness->finalizers.count;) {
        struct finalizer *finalizer = vector_at(&weakness->finalizers, i);
        bool due = !!(finalizer->flags & FH_GC_UNORDERED) == unordered &&
                   !mark_is_set(heap, (uintptr_t)finalizer->object);
        struct finalizer *queued = due ? vector_add(&weakness->queue) : NULL;
        if (queued == NULL) { /* without memory for the queue it waits for the next collection, */
            if (due) marker_add(&heap->marking_state->marker[0], (uintptr_t)finalizer->object);
            i++; /* and is kept until then */
            continue;
        }
        *queued = *finalizer;
        heap->stats.finalizers_queued++;
        vector_remove(&weakness->finalizers, i);
    }
    if (weakness->finalizers.count != before)
        index_build(&weakness->finalizer_index, &weakness->finalizers);
    lock_give(&heap->lock);
}

static void finalizers_process(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    if (weakness->finalizers.count == 0) return;
    finalizers_queue(heap, true);
    finalizers_mark_below(heap);
    finalizers_queue(heap, false);
    lock_take(&heap->lock);
    weak_visit_queue(heap, &heap->marking_state->marker[0].visitor);
    lock_give(&heap->lock);
    marking_drain(heap);
}

void weak_visit_queue(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    struct vector *queue = &heap->weakness.queue;
    for (size_t i = heap->weakness.queue_next; i < queue->count; i++)
        visitor->slot(visitor, &((struct finalizer *)vector_at(queue, i))->object);
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
    ephemerons_settle_all(heap);
    ephemerons_break(heap);
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

/* Needs no memory. */
static void index_rehash(struct index *index, const struct vector *items)
{
    if (index->slots.count == 0) return;
    memset(index->slots.base, 0, index->slots.count * sizeof(uint32_t));
    index->removed = 0;
    for (size_t i = 0; i < items->count; i++) index_put(index, items, i);
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
    weakness->finalizer_index.slots.item = weakness->link_index.slots.item = sizeof(uint32_t);
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
    vector_finish(&weakness->finalizer_index.slots);
    vector_finish(&weakness->link_index.slots);
    weakness->queue_next = 0;
}
