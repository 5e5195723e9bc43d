/*
 * Allocation, its slow half: one object from a hole, or a span of its own; what is done when there
 * is no room; and the functions that programs call.
 *
 *      allocate_once --> small_allocate    hole_take (hole.c)
 *                    --> large_try         gc_large_allocate (large.c)
 *      nothing? make_room: collect, collect fully, move objects, grow, ask the program
 *
 * A collection comes between two tries, never inside one: while a thread is in here with an object
 * that has no byte yet it is busy. How often one tries is bounded, but for threads that take each
 * other's room: then one of them gets on.
 */
#include <string.h>

#include "gc/allocate.h"
#include "gc/call.h"
#include "gc/collect.h"
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/hole.h"
#include "gc/large.h"
#include "gc/pause.h"
#include "gc/size.h"
#include "gc/type.h"

static void object_describe(void *p, size_t size, uint32_t id)
{
    uint8_t *meta = meta_of(p);
    size_t granules = size >> GC_SHIFT;
    unsigned number = granules == 1 ? id >> 16 : id & 0xffff;
    uint16_t stamp = FH_GC_STAMP(number, size);
    if (granules == 1) {
        meta_store(meta, (uint8_t)stamp);
        return;
    }
    meta_store(meta + 1, (uint8_t)(stamp >> 8));
    if (granules > 2) meta_store(meta + granules - 1, META_END);
    meta_store(meta, (uint8_t)stamp);
}

static void *small_allocate(struct gc_heap *heap, struct gc_thread *thread, size_t size,
                            uint32_t id, size_t alignment)
{
    thread_enter(thread);
    thread_has_stored(thread);
    void *p = alignment > GC_GRANULE ? hole_take_aligned(heap, thread, size, alignment)
                                     : hole_take(heap, thread, size);
    if (p) object_describe(p, size, id);
    thread_leave(thread);
    return p;
}

static void *large_try(struct gc_heap *heap, struct gc_thread *thread, size_t size, uint32_t id)
{
    thread_enter(thread);
    bool room = heap_yield(heap, gc_large_slices(heap, size));
    thread_leave(thread);
    return room ? gc_large_allocate(heap, thread, size, id) : NULL;
}

/* Nothing was found. While a cycle goes on the thread helps with it; and if only the target, not
 * the limit, stands against it, goes on at once, unless threads allocate faster than the cycle gets
 * on. After cycles in vain objects are moved. False: nothing helped. */
static bool make_room_concurrent(struct gc_heap *heap, struct gc_thread *thread, size_t slices,
                                 enum fh_gc_why why, unsigned *tries)
{
    /* In objects, some ten microseconds; and how many cycles, as what one brings other threads may
     * take, before objects are moved, which stops them all. */
    enum { QUANTUM = 2000, CYCLES = 3 };
    if (*tries == CYCLES && why == FH_GC_WHY_LIMIT) {
        ++*tries;
        gc_collect(heap, FH_GC_COMPACT, why, collect_count(heap, FH_GC_COMPACT));
        return true;
    }
    uint32_t number = cycle_request(heap, why, false);
    bool helped = cycle_assist(heap, thread, QUANTUM);
    if (why != FH_GC_WHY_LIMIT && (size_may_outgrow(heap) || *tries >= CYCLES)) {
        size_grow(heap, slices);
        return true;
    }
    if (helped) return true;
    cycle_wait(heap, number);
    return ++*tries <= CYCLES + 2;
}

/* Nothing was found: collect, collect fully, at the limit move objects, grow. False: that is of no
 * use. */
static bool make_room_stopped(struct gc_heap *heap, size_t slices, enum fh_gc_why why,
                              unsigned *tries)
{
    uint32_t epoch = LOAD(&heap->epoch);
    bool limited = why == FH_GC_WHY_LIMIT, external = why == FH_GC_WHY_EXTERNAL;
    bool generations = heap->options.policy == FH_GC_GENERATIONAL;
    unsigned try = (*tries)++, last = 1 + generations;
    if (try == 0)
        gc_collect(heap, FH_GC_MINOR, why, epoch);
    else if (limited && try == last)
        gc_collect(heap, FH_GC_COMPACT, why, collect_count(heap, FH_GC_COMPACT));
    else if (try == 1 && (external || (generations && (limited || !collect_minor_is_due(heap)))))
        gc_collect(heap, FH_GC_FULL, why, epoch);
    else if (!limited)
        size_grow(heap, slices);
    /* Other threads may have taken what was found; then some thread got on at least. */
    return !limited || try <= last + 1;
}

static bool make_room(struct gc_heap *heap, struct gc_thread *thread, size_t size, unsigned *tries)
{
    enum fh_gc_why why = FH_GC_WHY_NONE;
    size_t slices = gc_large_slices(heap, size);
    uint32_t epoch = LOAD(&heap->epoch);
    bool refused = gc_local.refused;
    if (size_minor_is_due(heap)) {
        gc_collect(heap, FH_GC_MINOR, FH_GC_WHY_ALLOCATION, epoch);
        return true;
    }
    if (size_allows(heap, slices, &why)) {
        /* Another thread has made room meanwhile; or it is the arena that is full. */
        if (!refused) return true;
        why = FH_GC_WHY_LIMIT;
    }
    bool again = false;
    if (heap->parked == 0)
        again = collector_find(heap) && (cycle_goes_on(heap) || !size_stops(heap))
                    ? make_room_concurrent(heap, thread, slices, why, tries)
                    : make_room_stopped(heap, slices, why, tries);
    /* The arena is full: of empty blocks, it may be. */
    if (refused) heap_give_back(heap);
    if (again || !heap->options.on_limit || gc_local.limited) return again;
    pause_end(thread); /* the program's own work */
    gc_local.limited = true;
    again = heap->options.on_limit(&heap->public, size, heap->options.on_limit_data);
    gc_local.limited = false;
    pause_begin(thread, heap);
    return again;
}

static void stress(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    if (++mutator->stress_count % heap->options.stress || heap->parked) return;
    gc_collect(heap, mutator->stress_count % (heap->options.stress * 4) ? FH_GC_MINOR : FH_GC_FULL,
               FH_GC_WHY_STRESS, LOAD(&heap->epoch));
}

static FH_COLD void *allocate_failed(void)
{
    errno = ENOMEM;
    return NULL;
}

/* No collection comes between the object and its fence. */
static FH_NOINLINE void *fenced_allocate(struct gc_heap *heap, struct gc_thread *thread,
                                         size_t size, uint32_t id, size_t alignment)
{
    size_t bytes = base_round_up(size + !size, GC_GRANULE) + FENCE;
    thread_enter(thread);
    void *p = bytes <= OBJECT_MAX ? small_allocate(heap, thread, bytes, id, alignment)
                                  : large_try(heap, thread, size, id);
    if (p) fence_put(heap, p, size);
    thread_leave(thread);
    return p;
}

static void *allocate_once(struct gc_heap *heap, struct gc_thread *thread, size_t size, uint32_t id,
                           size_t alignment)
{
    size_t bytes = base_round_up(size + !size, GC_GRANULE);
    gc_local.refused = false;
    if (UNLIKELY(heap->fenced)) return fenced_allocate(heap, thread, size, id, alignment);
    return bytes <= OBJECT_MAX ? small_allocate(heap, thread, bytes, id, alignment)
                               : large_try(heap, thread, size, id);
}

static FH_NOINLINE void *allocate_waiting(struct gc_heap *heap, struct gc_thread *thread,
                                          size_t size, uint32_t id, size_t alignment)
{
    enum { STALL_NS = 100000 };
    uint64_t start = os_time_ns();
    void *p = NULL;
    pause_begin(thread, heap);
    for (unsigned tries = 0; p == NULL && make_room(heap, thread, size, &tries);)
        p = allocate_once(heap, thread, size, id, alignment);
    pause_end(thread);
    uint64_t waited = os_time_ns() - start;
    if (waited > STALL_NS) gc_event(heap, FH_GC_EVENT_STALL, waited);
    if (p) return p;
    gc_event(heap, FH_GC_EVENT_REFUSED, size);
    return allocate_failed();
}

void *gc_allocate_aligned(struct gc_heap *heap, size_t size, uint32_t id, size_t alignment)
{
    struct gc_thread *thread = thread_self();
    if (UNLIKELY(size > arena.size)) return allocate_failed();
    call_check();
    if (UNLIKELY(heap->options.stress)) stress(heap, thread);
    if (UNLIKELY(LOAD(&heap->collector_state) == COLLECTOR_DUE)) collector_find(heap);
    if (UNLIKELY(LOAD(&heap->meeting) == MEETING_WANTED)) meeting_attend(heap);
    void *p = allocate_once(heap, thread, size, id, alignment);
    return LIKELY(p) ? p : allocate_waiting(heap, thread, size, id, alignment);
}

void *gc_allocate(struct gc_heap *heap, size_t size, uint32_t id)
{
    return gc_allocate_aligned(heap, size, id, GC_GRANULE);
}

static void *allocate_typed(struct fh_gc_heap *public, struct fh_gc_type *type, size_t size,
                            size_t alignment)
{
    uint32_t id = __atomic_load_n(&type->id, __ATOMIC_ACQUIRE);
    if (UNLIKELY(id == 0)) {
        int error = fh_gc_type_register(type);
        if (error == -EINVAL) {
            errno = EINVAL;
            return NULL;
        }
        id = type->id;
    }
    if (UNLIKELY(size > type->size && type->element == 0)) type_note_size(id, size);
    return gc_allocate_aligned(heap_of(public), size, id, alignment);
}

GC_PUBLIC void *fh_gc_allocate(struct fh_gc_heap *heap, struct fh_gc_type *type, size_t size)
{
    return allocate_typed(heap, type, base_max(size, type->size), GC_GRANULE);
}

GC_PUBLIC void *fh_gc_allocate_aligned(struct fh_gc_heap *heap, struct fh_gc_type *type,
                                       size_t size, size_t alignment)
{
    if (!base_is_pow2(alignment) || alignment > 4096) {
        errno = EINVAL;
        return NULL;
    }
    return allocate_typed(heap, type, base_max(size, type->size), alignment);
}

GC_PUBLIC void *fh_gc_allocate_array(struct fh_gc_heap *heap, struct fh_gc_type *type, size_t count)
{
    size_t size;
    if (__builtin_mul_overflow(count, type->element, &size) ||
        __builtin_add_overflow(size, type->size, &size))
        return allocate_failed();
    return allocate_typed(heap, type, size, GC_GRANULE);
}

GC_PUBLIC char *fh_gc_strdup(struct fh_gc_heap *heap, const char *string)
{
    return fh_gc_memdup(heap, FH_GC_BYTES, string, strlen(string) + 1);
}

/* What is copied may be an object that moves meanwhile. */
static void *memdup_exact(struct fh_gc_heap *heap, struct fh_gc_type *type, const void *from,
                          size_t size)
{
    FH_GC_FRAME(from);
    void *p = fh_gc_allocate(heap, type, size);
    if (p) memcpy(p, from, size);
    return p;
}

GC_PUBLIC void *fh_gc_memdup(struct fh_gc_heap *heap, struct fh_gc_type *type, const void *from,
                             size_t size)
{
    if (heap_of(heap)->options.exact_stacks) return memdup_exact(heap, type, from, size);
    void *p = fh_gc_allocate(heap, type, size);
    if (p) memcpy(p, from, size);
    return p;
}
