/*
 * The slow half of allocation: holes.
 *
 * A thread bumps through the holes of its current block, first to last. The context's limit is not the
 * hole's end but a window of it, which is zeroed ahead: so zeros are fresh in the cache when the object
 * is written. An object of 2 KiB and more that does not fit the hole at hand goes to a block that was
 * empty (Immix's overflow block), so that it does not cost the hole; and when no block is empty any more,
 * to a hole that is found for it.
 *
 * What a thread has used of a hole is counted when it leaves it.
 */
#include <string.h>

#include "gc/gc.h"

/* ---- the hole ---------------------------------------------------------------------------------------- */

static uintptr_t context_limit(const struct mutator *mutator, const struct fh_gc_context *context)
{
    return mutator->stress_limit ? mutator->stress_limit : context->limit;
}

/* In stress mode the inline path never finds room. */
static void context_set_limit(struct gc_heap *heap, struct mutator *mutator,
                              struct fh_gc_context *context, uintptr_t limit)
{
    mutator->stress_limit = heap->slow ? limit : 0;
    context->limit = heap->slow ? 0 : limit;
}

/* Its owner's alone, but statistics read it. */
static void block_fill(uint32_t index, size_t bytes)
{
    uint32_t *live = &gc_block_at(index)->live;
    __atomic_store_n(live, *live + (uint32_t)(bytes >> GC_SHIFT), __ATOMIC_RELAXED);
}

static void hole_count(struct gc_heap *heap, struct mutator *mutator, uintptr_t cursor)
{
    if (mutator->hole_start == 0) return;
    size_t bytes = cursor - mutator->hole_start;
    atomic_fetch_add_explicit(&heap->allocated, bytes, memory_order_relaxed);
    block_fill(mutator->block, bytes);
    mutator->hole_start = cursor;
}

static void hole_set(struct gc_heap *heap, struct mutator *mutator, struct fh_gc_context *context,
                     uintptr_t start, uintptr_t end, bool zero)
{
    context_set_limit(heap, mutator, context, start);
    mutator->hole_start = start;
    mutator->hole_end = end;
    mutator->hole_zero = zero;
    context->cursor = start;
}

/* Moves the window on until `size` more bytes fit; false if the hole is too short. */
static bool hole_extend(struct gc_heap *heap, struct mutator *mutator,
                        struct fh_gc_context *context, size_t size)
{
    uintptr_t limit = context_limit(mutator, context), need = context->cursor + size;
    if (need > mutator->hole_end) return false;
    uintptr_t window = base_min(mutator->hole_end, base_max(need, limit + ZERO_WINDOW));
    if (!mutator->hole_zero) memset((void *)limit, 0, window - limit);
    context_set_limit(heap, mutator, context, window);
    return true;
}

/* New objects have no slot to remember; unless a cycle is about to take its snapshot, to which they
 * will belong. */
static void logs_begin(struct gc_heap *heap, const struct mutator *mutator, uintptr_t start,
                       uintptr_t end)
{
    if (!heap->logs) return;
    bool set = LOAD(&heap->phase) != PHASE_IDLE && !mutator->black;
    log_fill((void *)start, end - start, set);
}

static void block_leave(struct gc_heap *heap, struct mutator *mutator)
{
    if (mutator->block) block_put(heap, gc_block_at(mutator->block), true);
    mutator->block = 0;
}

/* The next hole of `size` bytes in this block or the next; false when the heap has none. */
static bool hole_next(struct gc_heap *heap, struct mutator *mutator, struct fh_gc_context *context,
                      size_t size)
{
    size_t from = BLOCK_GRANULES, start, end;
    hole_count(heap, mutator, context->cursor);
    if (mutator->block)
        from = (mutator->hole_end - (uintptr_t)gc_block_start(gc_block_at(mutator->block))) >>
               GC_SHIFT;
    bool zero = false;
    for (;;) {
        while (map_hole(mutator->map, from, &start, &end)) {
            from = end;
            if ((end - start) << GC_SHIFT < size) continue;
            uintptr_t base = (uintptr_t)gc_block_start(gc_block_at(mutator->block));
            hole_set(heap, mutator, context, base + (start << GC_SHIFT), base + (end << GC_SHIFT),
                     zero);
            logs_begin(heap, mutator, base + (start << GC_SHIFT), base + (end << GC_SHIFT));
            return true;
        }
        block_leave(heap, mutator);
        struct gc_block *block = block_take(heap, mutator, false, &zero, mutator->map);
        hole_set(heap, mutator, context, 0, 0, false);
        mutator->hole_start = 0;
        if (block == NULL) return false;
        mutator->block = gc_block_index(block);
        from = 0;
    }
}

/* ---- medium objects -------------------------------------------------------------------------------------- */

static void medium_leave(struct gc_heap *heap, struct mutator *mutator)
{
    if (mutator->medium_block == 0) return;
    bool full = !mutator->medium_is_hole && mutator->medium_end - mutator->medium < KIB;
    block_put(heap, gc_block_at(mutator->medium_block), full);
    mutator->medium_block = 0;
    mutator->medium = mutator->medium_end = 0;
}

/* Room for `size` more bytes: an empty block, or a hole of one that is not; false if there is neither. */
static bool medium_take(struct gc_heap *heap, struct mutator *mutator, size_t size,
                        size_t alignment)
{
    uint64_t map[MAP_WORDS];
    bool zero;
    size_t start = 0, end = BLOCK_GRANULES;
    medium_leave(heap, mutator);
    struct gc_block *block = block_take(heap, mutator, true, &zero, map);
    mutator->medium_is_hole = block == NULL;
    if (block == NULL && !size_minor_is_due(heap))
        block = block_take_hole(heap, mutator, size >> GC_SHIFT, alignment, &start, &end);
    if (block == NULL) return false;
    uintptr_t base = (uintptr_t)gc_block_start(block);
    mutator->medium_block = gc_block_index(block);
    mutator->medium = base + (start << GC_SHIFT);
    mutator->medium_end = base + (end << GC_SHIFT);
    mutator->medium_zero = zero && !mutator->medium_is_hole;
    return true;
}

static void *medium_allocate(struct gc_heap *heap, struct mutator *mutator, size_t size,
                             size_t alignment)
{
    mutator->medium = base_round_up(mutator->medium, alignment);
    if (mutator->medium + size > mutator->medium_end &&
        !medium_take(heap, mutator, size, alignment))
        return NULL;
    if (alignment > GC_GRANULE) gc_block_at(mutator->medium_block)->aligned = true;
    void *p = (void *)mutator->medium;
    logs_begin(heap, mutator, mutator->medium, mutator->medium + size);
    mutator->medium += size;
    if (!mutator->medium_zero) memset(p, 0, size);
    atomic_fetch_add_explicit(&heap->allocated, size, memory_order_relaxed);
    block_fill(mutator->medium_block, size);
    return p;
}

/* ---- one object --------------------------------------------------------------------------------------------- */

static void *take(struct gc_heap *heap, struct gc_thread *thread, size_t size)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    for (;;) {
        uintptr_t p = context->cursor;
        if (p && p + size <= context_limit(mutator, context)) {
            context->cursor = p + size;
            return (void *)p;
        }
        if (p && hole_extend(heap, mutator, context, size)) continue;
        if (size >= MEDIUM_MIN) return medium_allocate(heap, mutator, size, GC_GRANULE);
        if (!hole_next(heap, mutator, context, size)) return NULL;
    }
}

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
    void *p = alignment > GC_GRANULE
                  ? medium_allocate(heap, mutator_of(thread, heap), size, alignment)
                  : take(heap, thread, size);
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

/* Nothing was found. While a cycle goes on the thread helps with it; and if only the target, not the limit,
 * stands against it, goes on at once. After cycles in vain objects are moved. False: nothing helped. */
static bool make_room_concurrent(struct gc_heap *heap, struct gc_thread *thread, size_t slices,
                                 enum fh_gc_why why, unsigned *tries)
{
    enum { QUANTUM = 2000 }; /* objects: some ten microseconds */
    enum {
        CYCLES = 3
    }; /* what one brings other threads may take; to move objects stops them all */
    if (*tries == CYCLES && why == FH_GC_WHY_LIMIT) {
        ++*tries;
        gc_collect(heap, FH_GC_COMPACT, why, collect_count(heap, FH_GC_COMPACT));
        return true;
    }
    uint32_t number = cycle_request(heap, why, false);
    bool helped = cycle_assist(heap, thread, QUANTUM);
    if (why != FH_GC_WHY_LIMIT) {
        size_grow(heap, slices);
        return true;
    }
    if (helped) return true;
    cycle_wait(heap, number);
    return ++*tries <= CYCLES + 2;
}

/* Nothing was found: collect, collect fully, at the limit move objects, grow. False: that is of no use. */
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
    if (size_minor_is_due(heap)) {
        gc_collect(heap, FH_GC_MINOR, FH_GC_WHY_ALLOCATION, epoch);
        return true;
    }
    if (size_allows(heap, slices, &why)) {
        /* Another thread has made room meanwhile; or it is the arena that is full. */
        if (!gc_local.refused) return true;
        why = FH_GC_WHY_LIMIT;
    }
    bool again = false;
    if (heap->parked == 0)
        again = collector_find(heap) ? make_room_concurrent(heap, thread, slices, why, tries)
                                     : make_room_stopped(heap, slices, why, tries);
    if (again || !heap->options.on_limit) return again;
    pause_end(thread); /* the program's own work */
    again = heap->options.on_limit(&heap->public, size, heap->options.on_limit_data);
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
    thread_check(thread);
    if (UNLIKELY(heap->options.stress)) stress(heap, thread);
    void *p = allocate_once(heap, thread, size, id, alignment);
    return LIKELY(p) ? p : allocate_waiting(heap, thread, size, id, alignment);
}

void *gc_allocate(struct gc_heap *heap, size_t size, uint32_t id)
{
    return gc_allocate_aligned(heap, size, id, GC_GRANULE);
}

/* ---- threads and collections ------------------------------------------------------------------------------ */

void mutator_retire(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    hole_count(heap, mutator, context->cursor);
    block_leave(heap, mutator);
    medium_leave(heap, mutator);
    hole_set(heap, mutator, context, 0, 0, false);
}

void mutator_tell(struct gc_heap *heap, struct gc_thread *thread)
{
    hole_count(heap, mutator_of(thread, heap), context_of(thread, heap)->cursor);
}

static void busy_set(struct gc_block *block, uintptr_t from, uintptr_t to)
{
    uintptr_t start = (uintptr_t)gc_block_start(block);
    block->busy_from = (uint16_t)((from - start) >> GC_SHIFT);
    block->busy_to = (uint16_t)((to - start) >> GC_SHIFT);
}

/* A thread may stand with the bytes of an object at its cursor written, and the step of the cursor to come:
 * freehold/gc.h. Then the object is made. */
uintptr_t mutator_made(const struct mutator *mutator, const struct fh_gc_context *context)
{
    uintptr_t cursor = context->cursor;
    if (cursor == mutator->hole_end) return cursor;
    const uint8_t *meta = meta_of((void *)cursor);
    return meta_load(meta) & META_STATE ? cursor + (meta_granules(meta) << GC_SHIFT) : cursor;
}

void mutator_note_hole(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    if (mutator->block) {
        uintptr_t made = mutator_made(mutator, context);
        hole_count(heap, mutator, made);
        busy_set(gc_block_at(mutator->block), made, mutator->hole_end);
    }
    if (mutator->medium_block)
        busy_set(gc_block_at(mutator->medium_block), mutator->medium, mutator->medium_end);
}

void mutators_note_holes(struct gc_heap *heap)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_note_hole(heap, t);
}

void mutator_unnote_hole(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t block[] = {mutator->block, mutator->medium_block};
    for (unsigned i = 0; i < 2; i++)
        if (block[i]) gc_block_at(block[i])->busy_from = gc_block_at(block[i])->busy_to = 0;
}

/* Its own map stays: what was in use when it took the block is spared, though some of it was freed. */
void mutator_sweep_blocks(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    uint32_t block[] = {mutator->block, mutator->medium_block};
    uint64_t map[MAP_WORDS];
    mutator_note_hole(heap, thread);
    for (unsigned i = 0; i < 2; i++)
        if (block[i] && LOAD(&gc_block_at(block[i])->cycle) != LOAD(&heap->cycle))
            block_sweep(heap, gc_block_at(block[i]), map);
    mutator_unnote_hole(heap, thread);
}

void mutators_sweep_blocks(struct gc_heap *heap)
{
    uint64_t map[MAP_WORDS];
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        struct mutator *mutator = mutator_of(t, heap);
        uint32_t block[] = {mutator->block, mutator->medium_block};
        for (unsigned i = 0; i < 2; i++) {
            if (block[i] == 0) continue;
            block_sweep(heap, gc_block_at(block[i]), i ? map : mutator->map);
            uint32_t *young = heap->logs ? vector_add(&heap->young) : NULL;
            if (young) *young = block[i];
            if (heap->logs && !young) STORE(&heap->remembered_lost, true);
        }
    }
}

void thread_join_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    memset(mutator, 0, offsetof(struct mutator, log));
    *context_of(thread, heap) = (struct fh_gc_context){.barrier = FH_GC_BARRIER_OFF};
    if (heap->options.policy == FH_GC_GENERATIONAL)
        context_of(thread, heap)->barrier = FH_GC_BARRIER_LOG;
    uint32_t phase = LOAD(&heap->phase); /* the world lock: no handshake goes on */
    if (phase == PHASE_ARMED) {
        context_of(thread, heap)->barrier = FH_GC_BARRIER_SNOOP;
    } else if (phase != PHASE_IDLE) {
        context_of(thread, heap)->barrier = FH_GC_BARRIER_LOG;
        mutator->black = true;
    }
}

/* Its blocks may hold an object half made, its log an entry half written, or one less than log bits are clear. */
void thread_forget_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    struct mutator *mutator = mutator_of(thread, heap);
    STORE(&heap->remembered_lost, heap->logs);
    if (mutator->block) block_mend(gc_block_at(mutator->block));
    if (mutator->medium_block) block_mend(gc_block_at(mutator->medium_block));
    block_leave(heap, mutator);
    medium_leave(heap, mutator);
}

void thread_leave_heap(struct gc_thread *thread, struct gc_heap *heap)
{
    mutator_flush_log(heap, mutator_of(thread, heap));
    mutator_retire(thread, heap);
}

/* ---- the door ---------------------------------------------------------------------------------------------- */

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
