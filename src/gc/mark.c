/* The tracer. See gc/mark.h. */
#include "gc/mark.h"

#include <string.h>

#include "gc/search.h"
#include "os/os.h"

/* ---- chunks --------------------------------------------------------------------------------------- */

/* Holds: marking->lock. NULL when memory is refused. */
static struct chunk *chunk_make(struct marking *marking)
{
    struct chunk *chunk = marking->spare;
    if (chunk) {
        marking->spare = chunk->next;
        return chunk;
    }
    if (marking->chunks_used == marking->chunks_committed) {
        size_t step = base_max(64 * KIB, marking->chunks_committed / 2);
        step = base_round_down(base_min(step, marking->chunks_reserved - marking->chunks_used),
                               64 * KIB);
        if (step == 0 || !os_vm_commit(marking->chunks + marking->chunks_committed, step))
            return NULL;
        marking->chunks_committed += step;
    }
    chunk = (struct chunk *)(marking->chunks + marking->chunks_used);
    marking->chunks_used += CHUNK_SIZE;
    return chunk;
}

static void pool_put(struct marking *marking, struct chunk *chunk)
{
    chunk->next = marking->pool;
    __atomic_store_n(&marking->pool, chunk, __ATOMIC_RELAXED);
}

/* The current chunk is full: it goes to the pool. False when there is no memory for another. */
static FH_NOINLINE bool marker_chunk_full(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    lock_take(&marking->lock);
    struct chunk *fresh = chunk_make(marking);
    if (fresh) pool_put(marking, marker->chunk);
    lock_give(&marking->lock);
    if (fresh == NULL) return false;
    fresh->count = 0;
    marker->chunk = fresh;
    if (LOAD(&marking->idle)) {
        atomic_fetch_add(&marking->bell, 1);
        os_wake(&marking->bell);
    }
    return true;
}

/* New objects are not: they are looked at as well when everything is (marking_repair). */
static bool is_marked(const struct gc_heap *heap, uintptr_t word)
{
    uint8_t *meta = object_find(heap, word);
    return meta == NULL || (meta_load(meta) & META_STATE) == heap->mark;
}

static bool marker_work(struct marker *marker, size_t most);

/* There is no more memory: what this marker has is worked off on the spot, though not if it is being worked off
 * already. False: the candidate at hand is dropped, to be found again by marking_repair. */
static FH_NOINLINE bool marker_make_room(struct marker *marker, uintptr_t word)
{
    if (marker_chunk_full(marker)) return true;
    if (is_marked(marker->visitor.heap, word)) return false;
    if (!marker->repairs || marker->nested) {
        STORE(&marker->visitor.heap->marking_state->overflow, 1);
        return false;
    }
    bool tracing = gc_local.tracing;
    marker->nested = true;
    while (marker_work(marker, SIZE_MAX)) {
    }
    marker->nested = false;
    gc_local.tracing = tracing;
    return true;
}

FH_INLINE void marker_push(struct marker *marker, uintptr_t word)
{
    struct chunk *chunk = marker->chunk;
    if (UNLIKELY(chunk->count == CHUNK_ENTRIES)) {
        if (!marker_make_room(marker, word)) return;
        chunk = marker->chunk;
    }
    chunk->entry[chunk->count++] = word;
}

/* An empty chunk in exchange for one with candidates; false if the pool has none. */
static bool marker_refill(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    if (__atomic_load_n(&marking->pool, __ATOMIC_RELAXED) == NULL) return false;
    lock_take(&marking->lock);
    struct chunk *chunk = marking->pool;
    if (chunk) {
        __atomic_store_n(&marking->pool, chunk->next, __ATOMIC_RELAXED);
        marker->chunk->next = marking->spare;
        marking->spare = marker->chunk;
        marker->chunk = chunk;
    }
    lock_give(&marking->lock);
    return chunk != NULL;
}

/* Others are idle: half of what this marker has goes to the pool. */
static FH_NOINLINE void marker_share(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    struct chunk *own = marker->chunk;
    lock_take(&marking->lock);
    struct chunk *other = marking->pool ? NULL : chunk_make(marking);
    if (other) {
        size_t half = own->count / 2; /* the older half: it leads further */
        memcpy(other->entry, own->entry, half * sizeof *own->entry);
        memmove(own->entry, own->entry + half, (own->count - half) * sizeof *own->entry);
        other->count = half;
        own->count -= half;
        pool_put(marking, other);
    }
    lock_give(&marking->lock);
    if (other == NULL) return;
    atomic_fetch_add(&marking->bell, 1);
    os_wake(&marking->bell);
}

/* ---- scanning --------------------------------------------------------------------------------------- */

FH_INLINE void marker_word(struct marker *marker, uintptr_t word, uintptr_t base, size_t range)
{
    if (word - base < range) marker_push(marker, word);
}

NO_SANITIZE static void marker_words(struct marker *marker, uintptr_t at, uintptr_t end)
{
    struct search search = search_begin();
    uintptr_t whole = at + base_round_down(end - at, SEARCH_WORDS * sizeof(void *));
    while (at < end) {
        struct chunk *chunk = marker->chunk;
        if (LIKELY(at < whole && chunk->count + SEARCH_WORDS <= CHUNK_ENTRIES)) {
            chunk->count += search_eight(&search, at, chunk->entry + chunk->count);
            at += SEARCH_WORDS * sizeof(void *);
        } else {
            marker_word(marker, word_load((void *)at), search.base, search.range);
            at += sizeof(void *);
            whole = at + base_round_down(end - at, SEARCH_WORDS * sizeof(void *));
        }
    }
}

/* References at the words of a bitmap, for markers that are not in marker_run_chunk. */
static void marker_bitmap(struct marker *marker, uintptr_t at, uint64_t bits)
{
    uintptr_t base = side_base();
    size_t range = __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
    for (; bits; bits &= bits - 1) {
        uintptr_t *slot = (uintptr_t *)at + base_ctz(bits);
        marker_word(marker, word_load(slot), base, range);
    }
}

static void marker_fields(struct marker *marker, uintptr_t at, const struct fh_gc_field *fields,
                          uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t start = at + fields[i].offset;
        marker_words(marker, start, start + fields[i].count * sizeof(void *));
    }
}

static void marker_elements(struct marker *marker, const struct type *type, uintptr_t at,
                            uintptr_t end)
{
    const struct fh_gc_type *public = type->public;
    if (public->element_field_count == 0) return;
    if (type->element == sizeof(void *)) {
        marker_words(marker, at, end);
        return;
    }
    for (; at + type->element <= end; at += type->element) {
        if (type->element <= 64 * sizeof(void *))
            marker_bitmap(marker, at, type->element_bitmap);
        else
            marker_fields(marker, at, public->element_fields, public->element_field_count);
    }
}

/* A part of a long object, and the rest for later. */
static void marker_long(struct marker *marker, const struct type *type, uintptr_t at, uintptr_t end)
{
    size_t unit = type && type->element ? type->element : sizeof(void *);
    size_t part = base_max(SLICE_WORDS * sizeof(void *) / unit, 1) * unit;
    uintptr_t stop = end;
    if (end - at > part) {
        struct slice *rest = vector_add(&marker->slices);
        if (rest) {
            stop = at + part;
            *rest = (struct slice){stop, end, type};
        }
    }
    if (type)
        marker_elements(marker, type, at, stop);
    else
        marker_words(marker, at, stop);
}

static FH_NOINLINE void marker_scan(struct marker *marker, const struct type *type, uintptr_t p,
                                    size_t size)
{
    switch ((enum type_scan)type->scan) {
    case SCAN_NOTHING: return;
    case SCAN_BITMAP: marker_bitmap(marker, p, type->bitmap); return;
    case SCAN_WORDS: marker_long(marker, NULL, p, p + base_round_down(size, 8)); return;
    case SCAN_EPHEMERON: ephemeron_reach(marker, (void *)p); return;
    case SCAN_TRACE:
        marker->visitor.from = (void *)p;
        gc_local.tracing = true;
        type->trace((void *)p, size, &marker->visitor);
        gc_local.tracing = false;
        return;
    case SCAN_FIELDS:
        marker_fields(marker, p, type->public->fields, type->public->field_count);
        if (type->element && size > type->size) marker_long(marker, type, p + type->size, p + size);
    }
}

/* ---- candidates --------------------------------------------------------------------------------------- */

/* The start of the object of this heap that a candidate points into, when its own byte has no state. */
static FH_NOINLINE uint8_t *candidate_find(struct marker *marker, uintptr_t word)
{
    uint8_t *meta = object_find(marker->visitor.heap, word);
    if (meta && (meta_load(meta) & META_STATE) == marker->mark) return NULL;
    return meta;
}

static bool candidate_is_ours(struct marker *marker, uintptr_t word)
{
    return LOAD(&gc_block_of((void *)word)->owner) == marker->visitor.heap;
}

/* Others read it meanwhile. */
static void tally(struct marker *marker, uint64_t objects, uint64_t bytes)
{
    __atomic_store_n(&marker->objects, marker->objects + objects, __ATOMIC_RELAXED);
    __atomic_store_n(&marker->bytes, marker->bytes + bytes, __ATOMIC_RELAXED);
}

/* The mark byte of the object of this heap that a word refers to, if it has to be marked; NULL if not. */
FH_INLINE uint8_t *candidate_meta(struct marker *marker, uintptr_t word)
{
    uint8_t *meta = meta_of((void *)word);
    unsigned state = meta_load(meta) & META_STATE;
    if (LIKELY(state != 0 && !marker->others)) return state == marker->mark ? NULL : meta;
    if (state == 0) return candidate_find(marker, word);
    return state != marker->mark && candidate_is_ours(marker, word) ? meta : NULL;
}

static FH_NOINLINE void marker_process(struct marker *marker, uintptr_t word)
{
    uint8_t *meta = candidate_meta(marker, word);
    if (meta == NULL) return;
    meta_store(meta, (uint8_t)((meta_load(meta) & ~META_STATE) | marker->mark));
    const struct type *type = type_at(meta);
    uintptr_t p = (uintptr_t)meta_address(meta);
    size_t size = type->granules ? (size_t)type->granules << GC_SHIFT : object_size(meta);
    tally(marker, 1, base_round_up(size, GC_GRANULE));
    if (size > OBJECT_MAX) marker->large_bytes += base_round_up(size, GC_GRANULE);
    marker_scan(marker, type, p, size);
    if (UNLIKELY(marker->keyed)) ephemeron_key_marked(marker, (void *)p);
}

void marker_keep(struct marker *marker, void *object)
{
    marker_process(marker, (uintptr_t)object);
}

/* Returns how many there were. */
static unsigned queue_flush(struct marker *marker)
{
    unsigned count = 0;
    for (unsigned i = 0; i < QUEUE; i++) {
        uintptr_t word = marker->queue[i];
        marker->queue[i] = 0;
        count += word != 0;
        if (word) marker_process(marker, word);
    }
    return count;
}

/* Granules of an object of variable size that is not long; 0: it may be. */
FH_INLINE size_t short_granules(const uint8_t *meta)
{
    enum { SHORT = 128 };
    for (unsigned at = 0; at < SHORT; at += 8) {
        uint64_t ends = meta_load8(meta + at) & LANES_OF(META_END);
        if (ends) return at + (base_ctz(ends) >> 3) + 1;
    }
    return 0;
}

/* The loop that marking is: works on the chunk at hand for about `most` candidates, or until it is empty. All that
 * is common stays in registers; what is not, candidates that are no plain objects of this heap, types with more
 * than a bitmap, a chunk that is nearly full, goes to marker_process. References are written to the stack
 * whether they are any or not, and the top moves on if they are: whether a tree's node is a leaf cannot be
 * predicted.
 *
 * `follow`: the queue ran nearly empty, since a list is being marked, whose elements come one after the other. Then its
 * end is followed past the queue, last in first out, until what hangs on it fills the stack, and so the queue. */
static size_t marker_run_chunk(struct marker *marker, size_t most, bool follow)
{
    enum { FOLLOW_ENOUGH = 128 };
    enum {
        WORDS_INLINE = 16
    }; /* granules of a conservative object: its words fit above `nearly` */
    struct chunk *chunk = marker->chunk;
    uintptr_t *top = chunk->entry + chunk->count;
    uintptr_t *const nearly = chunk->entry + CHUNK_ENTRIES - 64;
    const uintptr_t *const enough = chunk->entry + (follow ? FOLLOW_ENOUGH : CHUNK_ENTRIES + 1);
    const uintptr_t marks = gc_side.marks_bias, base = side_base();
    const size_t range = __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
    const uint8_t mark = marker->mark;
    uint64_t objects = 0, granules = 0;
    unsigned at = marker->queue_at;
    size_t done = 0;
    for (; done < most && top > chunk->entry && top < enough; done++) {
        uintptr_t oldest = *--top;
        if (!follow) {
            uintptr_t word = oldest;
            __builtin_prefetch((void *)(marks + (word >> GC_SHIFT)));
            __builtin_prefetch((void *)(word & ~(uintptr_t)(GC_GRANULE - 1)));
            at = (at + 1) % QUEUE;
            oldest = marker->queue[at];
            marker->queue[at] = word;
            if (UNLIKELY(oldest == 0)) continue;
        }
        uint8_t *meta = (uint8_t *)(marks + (oldest >> GC_SHIFT));
        unsigned bytes = meta_load2(meta), state = bytes & META_STATE;
        if (state == mark && !marker->others) continue;
        const struct type *type = type_of_bytes(bytes);
        size_t length = type->granules;
        bool words = type->scan == SCAN_WORDS;
        if (length == 0 && (words || type->scan == SCAN_NOTHING)) length = short_granules(meta);
        if (UNLIKELY(state == 0 || marker->others || marker->keyed || top > nearly || length == 0 ||
                     (words ? length > WORDS_INLINE : type->scan > SCAN_BITMAP))) {
            chunk->count = (size_t)(top - chunk->entry);
            marker_process(marker, oldest);
            if (marker->chunk != chunk) goto out;
            top = chunk->entry + chunk->count;
            continue;
        }
        meta_store(meta, (uint8_t)((bytes & ~(unsigned)META_STATE) | mark));
        objects++;
        granules += length;
        const char *p = meta_address(meta);
        for (size_t i = 0; words && i < length << GC_SHIFT; i += sizeof(void *)) {
            uintptr_t reference = word_load(p + i);
            *top = reference;
            top += reference - base < range;
        }
        for (uint64_t bits = type->bitmap; bits; bits &= bits - 1) {
            uintptr_t reference = word_load(p + base_ctz(bits) * sizeof(void *));
            *top = reference;
            top += reference - base < range;
        }
    }
    chunk->count = (size_t)(top - chunk->entry);
out:
    marker->queue_at = at;
    tally(marker, objects, granules << GC_SHIFT);
    return done + 1;
}

static bool marker_next_slice(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    struct vector *slices = marker->slices.count ? &marker->slices : &marking->slices;
    lock_take(&marking->lock);
    struct slice slice = {0, 0, NULL};
    if (slices->count) slice = *(struct slice *)vector_at(slices, --slices->count);
    lock_give(&marking->lock);
    if (slice.at == slice.end) return false;
    marker_long(marker, slice.type, slice.at, slice.end);
    return true;
}

/* Works on what this marker has, and what the pool has, up to about `most` candidates; false when there
 * is nothing left. */
static bool marker_work(struct marker *marker, size_t most)
{
    enum { LOOK = 4096 };
    struct marking *marking = marker->visitor.heap->marking_state;
    bool follow = false;
    for (size_t done = 0; done < most;) {
        if (LIKELY(marker->chunk->count)) {
            done += marker_run_chunk(marker, base_min(most - done, LOOK), follow);
            follow = false;
            if (LOAD(&marking->idle) && marker->chunk->count > 32) marker_share(marker);
            continue;
        }
        if (marker_refill(marker)) continue;
        follow = queue_flush(marker) <= QUEUE / 4;
        if (marker->chunk->count || marker_refill(marker)) continue;
        if (!marker_next_slice(marker)) return false;
    }
    return true;
}

/* ---- helpers -------------------------------------------------------------------------------------------- */

/* Threads that mark beside the collecting one, for all heaps; made at the first collection and asleep in
 * between. Holds: the world lock, for all but `job`. */
static struct {
    _Atomic uint32_t job;  /* rises with each job */
    _Atomic uint32_t left; /* helpers that have not finished it */
    struct gc_heap *heap;
    _Atomic unsigned count; /* looked at without the lock, too */
    unsigned wanted;
    bool refused;
} helpers;

/* Works until all markers have nothing left. */
static void marker_run(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    for (;;) {
        while (marker_work(marker, SIZE_MAX)) {
        }
        uint32_t bell = LOAD_ACQUIRE(&marking->bell);
        if (atomic_fetch_add(&marking->idle, 1) + 1 == LOAD(&marking->active) &&
            __atomic_load_n(&marking->pool, __ATOMIC_ACQUIRE) == NULL) {
            STORE_RELEASE(&marking->done, 1);
            atomic_fetch_add(&marking->bell, 1);
            os_wake(&marking->bell);
        }
        for (unsigned spin = 0; spin < 200 && LOAD(&marking->bell) == bell; spin++) base_pause();
        while (!LOAD_ACQUIRE(&marking->done) &&
               __atomic_load_n(&marking->pool, __ATOMIC_RELAXED) == NULL) {
            os_wait_long(&marking->bell, bell);
            bell = LOAD_ACQUIRE(&marking->bell);
        }
        if (LOAD_ACQUIRE(&marking->done)) return;
        atomic_fetch_sub(&marking->idle, 1);
    }
}

/* The argument: its number, and above that the last job that was given before it was there. */
static void *marker_main(void *argument)
{
    unsigned number = (uintptr_t)argument % MARKERS;
    uint32_t seen = (uint32_t)((uintptr_t)argument / MARKERS);
    for (;;) {
        uint32_t job = LOAD_ACQUIRE(&helpers.job);
        if (job == seen) {
            os_wait_long(&helpers.job, seen);
            continue;
        }
        seen = job;
        if (number < helpers.wanted) marker_run(&helpers.heap->marking_state->marker[number]);
        if (atomic_fetch_sub(&helpers.left, 1) == 1) os_wake(&helpers.left);
    }
    return NULL;
}

static void helpers_start(unsigned wanted)
{
    while (!helpers.refused && helpers.count < wanted) {
        uintptr_t argument = (uintptr_t)LOAD(&helpers.job) * MARKERS + helpers.count + 1;
        helpers.refused = !os_thread_start(NULL, marker_main, (void *)argument, 256 * KIB);
        if (!helpers.refused) helpers.count++;
    }
}

void helpers_fork_child(void)
{
    helpers.count = 0;
    helpers.refused = false;
    STORE(&helpers.left, 0);
    STORE(&helpers.job, 0);
}

/* ---- the door -------------------------------------------------------------------------------------------- */

static void visit_slot(struct fh_gc_visitor *visitor, void **slot)
{
    struct marker *marker = (struct marker *)visitor;
    marker_add(marker, word_load(slot));
}

static void visit_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    marker_add((struct marker *)visitor, word_load(slot) & mask);
}

static void visit_range(struct fh_gc_visitor *visitor, const uintptr_t *start, size_t words)
{
    marker_words((struct marker *)visitor, (uintptr_t)start, (uintptr_t)(start + words));
}

static void marker_begin(struct gc_heap *heap, struct marker *marker)
{
    marker->visitor =
        (struct fh_gc_visitor){visit_slot, visit_tagged, visit_range, heap, NULL, NULL};
    memset(marker->queue, 0, sizeof marker->queue);
    marker->keyed = marker->repairs = marker->nested = false;
    /* None is made while a cycle goes on. */
    marker->others = gc_heap_count > 1;
    marker->mark = heap->mark;
    marker->objects = marker->bytes = marker->large_bytes = 0;
    marker->slices.item = sizeof(struct slice);
    if (marker->chunk == NULL) marker->chunk = chunk_make(heap->marking_state);
    if (marker->chunk) marker->chunk->count = 0;
}

bool marking_init(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    if (marking == NULL) marking = heap->marking_state = arena_record(RECORD_GC, sizeof *marking);
    if (marking == NULL) return false;
    memset(marking, 0, sizeof *marking);
    marking->heap = heap;
    marking->slices.item = sizeof(struct slice);
    marking->chunks_reserved = base_round_up(base_max(arena.size >> 7, MIB), MIB);
    marking->chunks = os_vm_reserve(marking->chunks_reserved, MIB);
    if (marking->chunks == NULL) return false;
    os_vm_name(marking->chunks, marking->chunks_reserved, "freehold:gc-stack");
    /* One chunk each is there before it is needed. */
    for (unsigned i = 0; i < MARKERS; i++) {
        marker_begin(heap, &marking->marker[i]);
        if (marking->marker[i].chunk == NULL) return false;
    }
    return true;
}

void marking_destroy(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    if (marking == NULL || marking->chunks == NULL) return;
    for (unsigned i = 0; i < MARKERS; i++) vector_finish(&marking->marker[i].slices);
    vector_finish(&marking->slices);
    os_vm_release(marking->chunks, marking->chunks_reserved);
    marking->chunks = NULL;
}

static void marking_begin_concurrent(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    marking->count = 1;
    STORE(&marking->idle, 1); /* so that markers share with threads that assist */
    for (unsigned i = 0; i < MARKERS; i++) marker_begin(heap, &marking->marker[i]);
}

/* What threads overwrote between the last round of a cycle and its end is of no interest any more: as a
 * candidate it would keep garbage. Threads stand, between cycles. */
static void pool_drop(struct marking *marking)
{
    while (marking->pool) {
        struct chunk *chunk = marking->pool;
        __atomic_store_n(&marking->pool, chunk->next, __ATOMIC_RELAXED);
        chunk->next = marking->spare;
        marking->spare = chunk;
    }
}

static unsigned markers_wanted(const struct gc_heap *heap)
{
    unsigned wanted = heap->options.markers ? heap->options.markers : os_processors();
    return (unsigned)base_min(wanted, MARKERS);
}

void marking_prepare(struct gc_heap *heap)
{
    unsigned wanted = markers_wanted(heap) - 1;
    if (LIKELY(LOAD(&helpers.count) >= wanted)) return;
    world_take();
    helpers_start(wanted);
    world_give();
}

void marking_begin(struct gc_heap *heap, bool concurrent, bool parallel)
{
    if (concurrent) {
        marking_begin_concurrent(heap);
        return;
    }
    struct marking *marking = heap->marking_state;
    pool_drop(marking);
    unsigned wanted = parallel ? markers_wanted(heap) : 1;
    marking->count = (unsigned)base_min(wanted, helpers.count + 1);
    STORE(&marking->overflow, 0);
    for (unsigned i = 0; i < marking->count; i++) marker_begin(heap, &marking->marker[i]);
}

/* The threads' buffers could not be passed on: each object is marked by this thread itself, with what it
 * refers to left to the pass over marked objects that an overflow brings. */
static void shade_directly(struct gc_heap *heap, struct mutator *mutator)
{
    for (uint32_t i = 0; i < mutator->log_count; i++) {
        uint8_t *meta = object_find(heap, (uintptr_t)mutator->log[i].old);
        if (meta == NULL || LOAD(&heap->phase) < PHASE_MARKING) continue;
        meta_store(meta, (uint8_t)((meta_load(meta) & ~META_STATE) | heap->mark));
    }
    STORE(&heap->marking_state->overflow, 1);
}

/* The stack was full once: all marked objects are scanned again. */
static bool rescan(struct gc_heap *heap, uint8_t *meta, size_t granules, void *data)
{
    (void)granules;
    struct marker *marker = data;
    if ((meta_load(meta) & META_STATE) != heap->mark) return true;
    marker_scan(marker, type_at(meta), (uintptr_t)meta_address(meta), object_size(meta));
    while (marker_work(marker, SIZE_MAX)) {
    }
    return true;
}

static void marking_drain_once(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    STORE(&marking->idle, 0);
    STORE(&marking->done, 0);
    STORE(&marking->active, marking->count);
    if (marking->count > 1) {
        helpers.heap = heap;
        helpers.wanted = marking->count;
        STORE(&helpers.left, helpers.count);
        atomic_fetch_add(&helpers.job, 1);
        os_wake(&helpers.job);
    }
    marker_run(&marking->marker[0]);
    if (marking->count == 1) return;
    for (uint32_t left; (left = LOAD_ACQUIRE(&helpers.left));) os_wait_long(&helpers.left, left);
}

/* Each round marks at least whatever an object refers to that was marked before the round: so there is an end,
 * and an array of any length takes one. */
void marking_repair(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    struct marker *marker = &marking->marker[0];
    while (atomic_exchange(&marking->overflow, 0)) {
        heap->stats.stack_overflows++;
        marker->repairs = true;
        roots_visit(heap, &marker->visitor);
        while (marker_work(marker, SIZE_MAX)) {
        }
        heap_each_object(heap, rescan, marker);
    }
    marker->repairs = false;
}

void marking_drain(struct gc_heap *heap)
{
    marking_drain_once(heap);
    if (LOAD(&heap->phase) == PHASE_IDLE) marking_repair(heap);
}

bool marking_drain_some(struct gc_heap *heap, size_t objects)
{
    return marker_work(&heap->marking_state->marker[0], objects);
}

void marking_finish(struct gc_heap *heap, bool minor)
{
    struct marking *marking = heap->marking_state;
    if (!minor) heap->live = heap->live_large = 0;
    heap->stats.objects_marked = 0;
    unsigned count = LOAD(&heap->phase) == PHASE_IDLE ? marking->count : MARKERS;
    for (unsigned i = 0; i < count; i++) {
        heap->live += marking->marker[i].bytes;
        heap->live_large += marking->marker[i].large_bytes;
        heap->stats.objects_marked += marking->marker[i].objects;
    }
}

bool marker_make(struct gc_heap *heap, struct marker *marker)
{
    struct marking *marking = heap->marking_state;
    memset(marker, 0, sizeof *marker);
    lock_take(&marking->lock);
    marker_begin(heap, marker);
    lock_give(&marking->lock);
    return marker->chunk != NULL;
}

void marker_give_all(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    queue_flush(marker);
    bool fixed = marker >= marking->marker && marker < marking->marker + MARKERS;
    lock_take(&marking->lock);
    while (marker->slices.count) {
        struct slice *slice = vector_add(&marking->slices);
        if (slice == NULL) break; /* it stays here, for who borrows this marker next */
        *slice = *(struct slice *)vector_at(&marker->slices, --marker->slices.count);
    }
    struct chunk *chunk = marker->chunk, *fresh = NULL;
    if (chunk->count && fixed) fresh = chunk_make(marking);
    if (chunk->count == 0) {
        if (!fixed) {
            chunk->next = marking->spare;
            marking->spare = chunk;
        }
    } else if (!fixed || fresh) {
        pool_put(marking, chunk);
        if (fresh) fresh->count = 0;
        marker->chunk = fresh;
    }
    lock_give(&marking->lock);
    /* No memory for a chunk in exchange: this marker works its own off. */
    while (marker->chunk && marker->chunk->count && fixed) marker_work(marker, SIZE_MAX);
}

bool marker_assist(struct marker *marker, size_t objects)
{
    if (marker->chunk->count == 0 && !marker_refill(marker)) return false;
    marker_work(marker, objects);
    return true;
}

bool marking_is_drained(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    return atomic_load(&marking->borrowed) == 0 &&
           __atomic_load_n(&marking->pool, __ATOMIC_ACQUIRE) == NULL &&
           __atomic_load_n(&marking->slices.count, __ATOMIC_ACQUIRE) == 0;
}

uint64_t marking_objects(const struct gc_heap *heap)
{
    const struct marking *marking = heap->marking_state;
    uint64_t objects = 0;
    for (unsigned i = 0; i < MARKERS; i++)
        objects += __atomic_load_n(&marking->marker[i].objects, __ATOMIC_RELAXED);
    return objects;
}

/* A chunk of candidates for the pool. */
void shade_flush(struct gc_heap *heap, struct mutator *mutator)
{
    struct marking *marking = heap->marking_state;
    if (mutator->log_count == 0) return;
    lock_take(&marking->lock);
    struct chunk *chunk = chunk_make(marking);
    if (chunk) {
        chunk->count = 0;
        for (uint32_t i = 0; i < mutator->log_count; i++) {
            uintptr_t word = (uintptr_t)mutator->log[i].old;
            if (side_holds(word)) chunk->entry[chunk->count++] = word;
        }
        pool_put(marking, chunk);
    }
    lock_give(&marking->lock);
    /* The object is dropped and was no root: only a pass over everything would find it. */
    if (chunk == NULL) shade_directly(heap, mutator);
    mutator->log_count = 0;
}

void marker_add(struct marker *marker, uintptr_t word)
{
    if (side_holds(word)) marker_push(marker, word);
}

void marker_add_range(struct marker *marker, uintptr_t start, uintptr_t end)
{
    start = base_round_up(start, sizeof(void *));
    if (end > start) marker_words(marker, start, base_round_down(end, sizeof(void *)));
}

bool mark_is_set(const struct gc_heap *heap, uintptr_t word)
{
    return is_marked(heap, word) || object_is_new(object_find(heap, word));
}

GC_PUBLIC void fh_gc_visit(struct fh_gc_visitor *visitor, void *slot)
{
    visitor->slot(visitor, slot);
}

GC_PUBLIC void fh_gc_visit_tagged(struct fh_gc_visitor *visitor, uintptr_t *slot, uintptr_t mask)
{
    visitor->tagged(visitor, slot, mask);
}

GC_PUBLIC void fh_gc_visit_range(struct fh_gc_visitor *visitor, const void *start, size_t size)
{
    uintptr_t at = base_round_up((uintptr_t)start, sizeof(void *));
    uintptr_t end = ((uintptr_t)start + size) & ~(uintptr_t)(sizeof(void *) - 1);
    if (end > at) visitor->range(visitor, (uintptr_t *)at, (end - at) / sizeof(void *));
}

/* ---- any visitor ------------------------------------------------------------------------------------------ */

static void scan_fields(struct fh_gc_visitor *visitor, uintptr_t at,
                        const struct fh_gc_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < fields[i].count; k++)
            visitor->slot(visitor, (void **)(at + fields[i].offset) + k);
}

void object_scan(struct fh_gc_visitor *visitor, const uint8_t *meta)
{
    const struct type *type = type_at(meta);
    uintptr_t p = (uintptr_t)meta_address(meta), end = p + object_size(meta);
    visitor->from = (void *)p;
    switch ((enum type_scan)type->scan) {
    case SCAN_NOTHING: return;
    case SCAN_WORDS: visitor->range(visitor, (uintptr_t *)p, (end - p) / sizeof(void *)); return;
    case SCAN_TRACE: type->trace((void *)p, end - p, visitor); return;
    case SCAN_EPHEMERON: return;
    case SCAN_BITMAP:
    case SCAN_FIELDS:
        scan_fields(visitor, p, type->public->fields, type->public->field_count);
        for (p += type->size; type->element && p + type->element <= end; p += type->element)
            scan_fields(visitor, p, type->public->element_fields,
                        type->public->element_field_count);
    }
}
