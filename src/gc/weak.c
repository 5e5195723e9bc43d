/*
 * Weak references, and the order in which all of weakness is processed once marking is through:
 *
 *      marked all --> ephemerons whose keys are marked, until there are no more
 *                 --> links and weak references to unmarked objects are cleared
 *                 --> finalizable objects that are not marked are queued, referrers first, and kept
 *                 --> dead weak references leave the lists
 *
 * A weak reference is an object of two words; the heap has a list of all. While a cycle goes on,
 * who reads one makes its target grey; when the cycle is about to end, readers wait until it is
 * known which targets are dead.
 *
 * Rejected: clearing weak references after finalizers have run, as Java does with phantoms: a
 * program could then see through them an object that its finalizer has taken apart.
 */
#include <string.h>

#include "gc/allocate.h"
#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/pause.h"
#include "gc/type.h"
#include "gc/weak.h"
#include "os/os.h"

struct fh_gc_weak {
    uintptr_t hidden; /* the target, complemented */
    uintptr_t unused;
};

/* With exact stacks the caller's variables are roots meanwhile. */
void *weak_object(struct gc_heap *heap, unsigned type, void **a, void **b)
{
    uint32_t id = type << 16 | type;
    if (!heap->options.exact_stacks) return gc_allocate(heap, 32, id);
    FH_GC_FRAME(*a, *b);
    return gc_allocate(heap, 32, id);
}

/* Called with the thread busy; the word is read between two looks at the phase. */
void *weak_read(struct gc_heap *heap, struct gc_thread *thread, const uintptr_t *at, uintptr_t mask)
{
    for (;;) {
        uint32_t phase = atomic_load(&heap->phase); /* partner: cycle_settle */
        uintptr_t word = __atomic_load_n(at, __ATOMIC_ACQUIRE), target = word ^ mask;
        if (word == 0) return NULL;
        switch (phase) {
        case PHASE_IDLE:
        case PHASE_WATCHED:
        case PHASE_CLOSING: return (void *)target;
        case PHASE_ARMED:
        case PHASE_MARKING:
            shade(heap, mutator_of(thread, heap), (void *)target);
            return (void *)target;
        case PHASE_WEAK: return mark_is_set(heap, target) ? (void *)target : NULL;
        default:
            if (mark_is_set(heap, target)) return (void *)target;
            pause_begin(thread, heap);
            thread_leave(thread);
            thread_wait(&heap->phase, phase);
            thread_enter(thread);
            pause_end(thread);
        }
    }
}

GC_PUBLIC struct fh_gc_weak *fh_gc_weak_new(struct fh_gc_heap *public, void *target)
{
    struct gc_heap *heap = heap_of(public);
    struct gc_thread *thread = thread_self();
    struct fh_gc_weak *weak = weak_object(heap, TYPE_WEAK, &target, &target);
    if (weak == NULL) return NULL;
    thread_enter(thread);
    weak->hidden = ~(uintptr_t)target; /* no collection comes between it and the list */
    gc_lock_take(&heap->lock);
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

/* All of them, since a dead one may yet be brought back by a finalizer. */
static void weak_clear(struct gc_heap *heap)
{
    struct vector *weak = &heap->weakness.weak;
    gc_lock_take(&heap->lock);
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
    gc_lock_take(&heap->lock);
    struct fh_gc_weak **entry = (struct fh_gc_weak **)weak->base;
    for (size_t i = 0; i < weak->count; i++) {
        if (mark_is_set(heap, (uintptr_t)entry[i])) entry[kept++] = entry[i];
        if (i % SOME == SOME - 1) lock_breathe(&heap->lock);
    }
    weak->count = kept;
    lock_give(&heap->lock);
}

static void ephemerons_settle_all(struct gc_heap *heap)
{
    while (ephemerons_settle(heap)) marking_drain(heap);
}

/* In a cycle the ephemerons have been settled before (cycle_settle): from here on nothing is marked
 * that a thread could reach. So those whose keys are dead are broken before finalizers bring keys
 * back. */
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

void weak_forward(struct gc_heap *heap, const struct compaction *c)
{
    struct gc_weakness *weakness = &heap->weakness;
    for (size_t i = 0; i < weakness->weak.count; i++) {
        struct fh_gc_weak **entry = vector_at(&weakness->weak, i);
        *entry = (struct fh_gc_weak *)compact_forward(c, (uintptr_t)*entry);
        hidden_forward(c, &(*entry)->hidden);
    }
    links_forward(heap, c);
    finalizers_forward(heap, c);
}

void weak_init(struct gc_heap *heap)
{
    heap->weakness.weak.item = sizeof(struct fh_gc_weak *);
    links_init(heap);
    ephemerons_init(heap);
    finalizers_init(heap);
}

void weak_finish(struct gc_heap *heap)
{
    vector_finish(&heap->weakness.weak);
    links_finish(heap);
    ephemerons_finish(heap);
    finalizers_finish(heap);
}
