/*
 * The barrier's slow half, and what becomes of the slots that it remembers.
 *
 * A slot whose log bit is set has not been remembered in this epoch: it is, with the value that it
 * held, and the bit is cleared. While a cycle takes its snapshot thread by thread (SNOOP) every
 * store is remembered, with both values, whatever the bits say.
 *
 * The whole of a slow store is one slow path: a thread is never stopped, or handshaken, between the
 * test and the store. Two threads may find the same bit set: both read the old value before they
 * clear it, and who clears it remembers; so what is remembered was there when the bit still was.
 */
#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/collect.h"
#include "gc/heap.h"
#include "gc/visit.h"

/* Holds: the thread is busy. */
static void log_flush(struct gc_heap *heap, struct mutator *mutator)
{
    gc_lock_take(&heap->lock);
    for (uint32_t i = 0; i < mutator->log_count; i++) {
        struct log_entry *entry = vector_add(&heap->remembered);
        if (entry == NULL) {
            STORE(&heap->remembered_lost, true);
            break;
        }
        *entry = mutator->log[i];
    }
    lock_give(&heap->lock);
    mutator->log_count = 0;
}

static void log_add(struct gc_heap *heap, struct mutator *mutator, void **slot, void *old)
{
    if (mutator->log_count == LOG_ENTRIES) {
        if (heap->options.policy == FH_GC_CONCURRENT)
            shade_flush(heap, mutator);
        else
            log_flush(heap, mutator);
    }
    mutator->log[mutator->log_count++] = (struct log_entry){slot, old};
}

void shade(struct gc_heap *heap, struct mutator *mutator, void *object)
{
    if (heap->options.policy == FH_GC_CONCURRENT) log_add(heap, mutator, NULL, object);
}

/* Remembers a slot before it changes. */
static void slot_log(struct gc_heap *heap, struct mutator *mutator, void **slot)
{
    uint8_t *byte = log_byte(slot), bit = log_bit(slot);
    if (!(__atomic_load_n(byte, __ATOMIC_RELAXED) & bit)) return;
    void *old = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (!(__atomic_fetch_and(byte, (uint8_t)~bit, __ATOMIC_ACQ_REL) & bit)) return;
    log_add(heap, mutator, slot, old);
}

void slot_will_change(struct gc_heap *heap, struct gc_thread *thread, void **slot,
                      const void *value)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t mode = __atomic_load_n(&context_of(thread, heap)->barrier, __ATOMIC_RELAXED);
    if (mode == FH_GC_BARRIER_SNOOP) {
        log_add(heap, mutator, NULL, __atomic_load_n(slot, __ATOMIC_RELAXED));
        log_add(heap, mutator, NULL, (void *)value);
    } else if (mode == FH_GC_BARRIER_LOG && side_holds((uintptr_t)slot)) {
        slot_log(heap, mutator, slot);
    }
}

static FH_NOINLINE void store_remembering(struct fh_gc_heap *public, void *slot, void *value)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    struct gc_heap *heap = heap_of(public);
    if (__atomic_load_n(&context_of(thread, heap)->barrier, __ATOMIC_RELAXED) ==
        FH_GC_BARRIER_SNOOP) {
        /* What is overwritten, not what was there a moment ago. */
        void *old = __atomic_exchange_n((void **)slot, value, __ATOMIC_ACQ_REL);
        shade(heap, mutator_of(thread, heap), old);
        shade(heap, mutator_of(thread, heap), value);
    } else {
        slot_will_change(heap, thread, slot, value);
        __atomic_store_n((void **)slot, value, __ATOMIC_RELEASE);
    }
    thread_leave(thread);
}

/* `mode` is as of a moment ago, when the thread was not busy: a cycle may have ended and another
 * begun since. Only under generations, where it never changes, is it good for anything. */
GC_PUBLIC void fh_gc_store_slow(struct fh_gc_heap *heap, void *slot, void *value, uint32_t mode)
{
    bool clear = !side_holds((uintptr_t)slot) ||
                 !(__atomic_load_n(log_byte(slot), __ATOMIC_RELAXED) & log_bit(slot));
    bool lasting = heap_of(heap)->options.policy == FH_GC_GENERATIONAL;
    if (lasting && mode == FH_GC_BARRIER_LOG && LIKELY(clear))
        __atomic_store_n((void **)slot, value, __ATOMIC_RELEASE);
    else
        store_remembering(heap, slot, value);
}

/* Slot and value are noted for handshakes that come before the program's own store. */
GC_PUBLIC void fh_gc_will_store(struct fh_gc_heap *public, void *slot, const void *value)
{
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    thread->will_store[0] = (uintptr_t)slot;
    thread->will_store[1] = (uintptr_t)value;
    slot_will_change(heap_of(public), thread, slot, value);
    thread_leave(thread);
}

GC_PUBLIC void fh_gc_store_range(struct fh_gc_heap *heap, void *to, const void *from, size_t size)
{
    void **target = to;
    void *const *source = from;
    size_t count = size / sizeof(void *);
    bool up = (uintptr_t)to - (uintptr_t)from >= size;
    for (size_t i = 0; i < count; i++) {
        size_t at = up ? i : count - 1 - i;
        fh_gc_store(heap, &target[at], source[at]);
    }
}

/* All slots that were remembered: visited, and armed again. After the collection there are no
 * references from old to young objects any more, since there are no young ones. Threads stand. */
static void remembered_each(struct gc_heap *heap, struct fh_gc_visitor *visitor,
                            const struct log_entry *entry, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void **slot = entry[i].slot;
        if (slot == NULL) continue;
        if (visitor) visitor->slot(visitor, slot);
        __atomic_fetch_or(log_byte(slot), log_bit(slot), __ATOMIC_RELAXED);
    }
    (void)heap;
}

void remembered_visit(struct gc_heap *heap, struct fh_gc_visitor *visitor)
{
    struct vector *remembered = &heap->remembered;
    remembered_each(heap, visitor, (struct log_entry *)remembered->base, remembered->count);
    remembered->count = 0;
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        struct mutator *mutator = mutator_of(t, heap);
        remembered_each(heap, visitor, mutator->log, mutator->log_count);
        mutator->log_count = 0;
    }
}

void mutator_flush_log(struct gc_heap *heap, struct mutator *mutator)
{
    if (heap->options.policy == FH_GC_GENERATIONAL)
        log_flush(heap, mutator);
    else if (LOAD(&heap->phase) != PHASE_IDLE)
        shade_flush(heap, mutator);
}

/* As long as old objects leave a third of the room that the last full collection left. */
bool collect_minor_is_due(struct gc_heap *heap)
{
    if (heap->options.policy != FH_GC_GENERATIONAL || LOAD(&heap->epoch) == 0) return false;
    if (LOAD(&heap->remembered_lost)) return false;
    /* Or what died old, after a spike, would stay as long as what is allocated now dies young. */
    if (LOAD(&heap->allocated) - LOAD(&heap->allocated_full) > 16 * heap->target_full) return false;
    size_t room = heap->target_full - base_min(heap->live_full, heap->target_full);
    size_t left = heap->target_full - base_min(heap->live, heap->target_full);
    return left > room / 3;
}
