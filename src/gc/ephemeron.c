/*
 * Ephemerons: a value that is kept as long as its key is alive by other means.
 *
 * One that marking meets after its key is as good as a reference to its value. One that it meets
 * before waits in a list. When marking is through, the list is hashed by key, and from then on each
 * object that is marked looks for itself there: so a chain of ephemerons costs as much as a list,
 * not its square. The table grows with the list, since a value may hold whole tables of ephemerons.
 *
 * The table may miss a pair, never invent one: a marker may look while another hashes anew, and
 * markers of threads that assist do not look at all. What was missed is found by going through the
 * list (ephemerons_settle), which is done until it finds nothing.
 *
 * A key is never younger than its ephemeron: so a minor collection, which does not look at old
 * ephemerons, finds no key of theirs dead.
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/type.h"
#include "gc/weak.h"

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
        /* Broken since the key was looked at? Then the key is dead, and was only on its way to
         * be. */
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

void **ephemeron_slot(void *object, void **key)
{
    struct fh_gc_ephemeron *ephemeron = object;
    uintptr_t hidden = __atomic_load_n(&ephemeron->key, __ATOMIC_ACQUIRE);
    *key = hidden ? (void *)~hidden : NULL;
    return hidden ? &ephemeron->value : NULL;
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

/* While a marker hashes anew another may look at a chain that is not made yet, and miss an
 * ephemeron there: ephemerons_settle finds it. */
static uint32_t *waiting_chain(struct gc_heap *heap, const void *key)
{
    const struct vector *chains = &heap->weakness.ephemeron_chains;
    size_t count = __atomic_load_n(&chains->count, __ATOMIC_ACQUIRE);
    return (uint32_t *)chains->base + (address_hash(key) & (count - 1));
}

static void waiting_link(struct gc_heap *heap, size_t position)
{
    struct waiting *entry = vector_at(&heap->weakness.ephemerons, position);
    uint32_t *chain = waiting_chain(heap, (void *)~entry->ephemeron->key);
    entry->next = *chain;
    __atomic_store_n(chain, (uint32_t)position + 1, __ATOMIC_RELEASE);
}

/* So many chains, empty. Holds, and lets others have: marking->lock. */
static void chains_clear(struct gc_heap *heap, size_t count)
{
    struct vector *chains = &heap->weakness.ephemeron_chains;
    uint32_t *chain = (uint32_t *)chains->base;
    for (size_t i = count; i-- > 0;) {
        /* Those that are in use until now are cleared in one go with the change of their number. */
        __atomic_store_n(&chain[i], 0, __ATOMIC_RELAXED);
        if (i > chains->count && i % (16 * SOME) == 0) lock_breathe(&heap->marking_state->lock);
    }
    __atomic_store_n(&chains->count, count, __ATOMIC_RELEASE);
}

/* As many chains as there are ephemerons that wait, if there is memory; and each in its own. What
 * is added meanwhile is linked by who adds it, if it looks for keys. The same lock. */
static void waiting_hash(struct gc_heap *heap)
{
    struct gc_weakness *weakness = &heap->weakness;
    const struct vector *waiting = &weakness->ephemerons;
    struct vector *chains = &weakness->ephemeron_chains;
    size_t size = 64, count = waiting->count;
    while (size < count) size *= 2;
    if (!vector_reserve(chains, size)) {
        size = chains->committed / sizeof(uint32_t);
        while (size & (size - 1)) size &= size - 1;
    }
    weakness->hashing = true;
    chains_clear(heap, size);
    for (size_t i = 0; size && i < count; i++) {
        const struct waiting *entry = vector_at(waiting, i);
        if (entry->ephemeron) waiting_link(heap, i);
        if (i % SOME == SOME - 1) lock_breathe(&heap->marking_state->lock);
    }
    weakness->hashing = false;
}

/* Holds: marking->lock. */
static void waiting_add(struct marker *marker, struct waiting *entry)
{
    struct gc_heap *heap = marker->visitor.heap;
    struct gc_weakness *weakness = &heap->weakness;
    const struct vector *waiting = &weakness->ephemerons;
    enum { LONG = 4 };
    if (!marker->keyed) return;
    waiting_link(heap, (size_t)(entry - (struct waiting *)waiting->base));
    if (waiting->count > weakness->ephemeron_chains.count * LONG && !weakness->hashing &&
        vector_reserve(&weakness->ephemeron_chains, waiting->count * 2))
        waiting_hash(heap);
}

/* Reached by a marker. Several markers may be here, hence the lock; and while they are, others may
 * mark the key, hence the second look. */
void ephemeron_reach(struct marker *marker, void *object)
{
    struct gc_heap *heap = marker->visitor.heap;
    struct fh_gc_ephemeron *ephemeron = object;
    uintptr_t hidden = __atomic_load_n(&ephemeron->key, __ATOMIC_ACQUIRE);
    if (hidden == 0) return;
    bool marked = mark_is_set(heap, ~hidden);
    if (!marked) {
        struct vector *waiting = &heap->weakness.ephemerons;
        gc_lock_take(&heap->marking_state->lock);
        struct waiting *entry = vector_add(waiting);
        if (entry) *entry = (struct waiting){ephemeron, 0};
        if (entry) waiting_add(marker, entry);
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
    gc_lock_take(&heap->marking_state->lock);
    for (uint32_t next = *waiting_chain(heap, key); next;) {
        struct waiting *entry = vector_at(&heap->weakness.ephemerons, next - 1);
        struct fh_gc_ephemeron *ephemeron = entry->ephemeron;
        next = entry->next;
        if (ephemeron == NULL || ephemeron->key != ~(uintptr_t)key) continue;
        entry->ephemeron = NULL;
        lock_give(&heap->marking_state->lock); /* the marker may need it for room */
        marker_add(marker, (uintptr_t)__atomic_load_n(&ephemeron->value, __ATOMIC_RELAXED));
        gc_lock_take(&heap->marking_state->lock);
    }
    lock_give(&heap->marking_state->lock);
}

/* From now on keys look for the ephemerons that wait for them. */
void ephemerons_hash(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    gc_lock_take(&marking->lock); /* threads that assist may be adding to the list */
    waiting_hash(heap);
    /* Markers of threads that assist do not look: what they mark is found by ephemerons_settle. So
     * is everything if there was no memory for even one chain. */
    unsigned own = LOAD(&heap->phase) == PHASE_IDLE ? marking->count : 1;
    for (unsigned i = 0; i < own; i++)
        marking->marker[i].keyed = heap->weakness.ephemeron_chains.count > 0;
    lock_give(&marking->lock);
}

/* Values of keys that are marked by now are candidates from now on; true if there was one. */
bool ephemerons_settle(struct gc_heap *heap)
{
    struct vector *waiting = &heap->weakness.ephemerons;
    struct marking *marking = heap->marking_state;
    bool found = false;
    for (size_t i = 0;; i++) {
        gc_lock_take(&marking->lock);
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

void ephemerons_break(struct gc_heap *heap)
{
    struct vector *waiting = &heap->weakness.ephemerons;
    uint64_t broken = 0;
    for (size_t i = 0; i < waiting->count; i++) {
        struct waiting *entry = vector_at(waiting, i);
        if (entry->ephemeron == NULL) continue;
        __atomic_store_n(&entry->ephemeron->key, 0, __ATOMIC_RELEASE);
        __atomic_store_n(&entry->ephemeron->value, NULL, __ATOMIC_RELAXED);
        broken++;
    }
    waiting->count = 0;
    stats_add(heap, &heap->stats.weak_cleared, broken);
}

void ephemeron_forward(const struct compaction *c, void *object)
{
    struct fh_gc_ephemeron *ephemeron = object;
    if (ephemeron->key == 0) return; /* broken: its value may be of the past */
    hidden_forward(c, &ephemeron->key);
    ephemeron->value = (void *)compact_forward(c, (uintptr_t)ephemeron->value);
}

void ephemerons_init(struct gc_heap *heap)
{
    heap->weakness.ephemerons.item = sizeof(struct waiting);
    heap->weakness.ephemeron_chains.item = sizeof(uint32_t);
}

void ephemerons_finish(struct gc_heap *heap)
{
    vector_finish(&heap->weakness.ephemerons);
    vector_finish(&heap->weakness.ephemeron_chains);
}
