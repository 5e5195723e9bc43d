/*
 * The tracer: what becomes of a candidate.
 *
 *      marker_work --> marker_run_chunk    plain objects of one heap: the loop that marking is
 *                  --> marker_process      any other candidate
 *                  --> marker_long         a part of a long object
 *
 * Everything that runs for each object is here, in one unit, so that it is compiled into two
 * functions. A marker writes to nothing that is shared but mark bytes: two may mark an object at
 * once, and then both scan it, which is harmless and rare.
 *
 * Rejected: an atomic exchange of the mark byte, which costs more than scanning the few twice;
 * marking an object when it is pushed, not when it is popped, which touches its byte before it has
 * come into the cache.
 */
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/object.h"
#include "gc/search.h"
#include "gc/type.h"
#include "gc/weak.h"
#include "os/os.h"

/* Of what is no object there is nothing to mark. An object that is younger than the snapshot is not
 * marked, and need not be. */
static bool is_marked(const struct gc_heap *heap, uintptr_t word)
{
    uint8_t *meta = object_find(heap, word);
    return meta == NULL || (meta_load(meta) & META_STATE) == heap->mark;
}

/* There is no more memory: what this marker has is worked off on the spot, though not if it is
 * being worked off already. False: the candidate at hand is dropped, to be found again by
 * marking_repair. */
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
    const struct fh_gc_type *copy = type->copy;
    if (copy->element_field_count == 0) return;
    if (type->element == sizeof(void *)) {
        marker_words(marker, at, end);
        return;
    }
    for (; at + type->element <= end; at += type->element) {
        if (type->element <= 64 * sizeof(void *))
            marker_bitmap(marker, at, type->element_bitmap);
        else
            marker_fields(marker, at, copy->element_fields, copy->element_field_count);
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

FH_NOINLINE void marker_scan(struct marker *marker, const struct type *type, uintptr_t p,
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
        marker_fields(marker, p, type->copy->fields, type->copy->field_count);
        if (type->element && size > type->size) marker_long(marker, type, p + type->size, p + size);
    }
}

void marker_scan_part(struct marker *marker, const struct type *type, uintptr_t p, size_t size,
                      uintptr_t start, uintptr_t end)
{
    uintptr_t first = p + type->size, stop = base_min(p + size, end);
    if (type->scan == SCAN_WORDS) {
        marker_words(marker, base_max(p, start), base_min(p + base_round_down(size, 8), end));
        return;
    }
    if (type->scan != SCAN_FIELDS || !type->element) {
        marker_scan(marker, type, p, size);
        return;
    }
    if (start < first) marker_fields(marker, p, type->copy->fields, type->copy->field_count);
    if (stop <= first) return;
    uintptr_t at = start > first ? start - (start - first) % type->element : first;
    size_t count = (stop - at + type->element - 1) / type->element;
    marker_elements(marker, type, at, base_min(at + count * type->element, p + size));
}

/* The start of the object of this heap that a candidate points into, when its own byte has no
 * state. */
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

/* The mark byte of the object of this heap that a word refers to, if it has to be marked; NULL if
 * not. */
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
    size_t granules = type_granules(type);
    size_t size = granules ? granules << GC_SHIFT : object_size(meta);
    tally(marker, 1, base_round_up(size, GC_GRANULE));
    if (size > OBJECT_MAX) marker->large_bytes += base_round_up(size, GC_GRANULE);
    if (type->scan == SCAN_NOTHING) marker->leaf_bytes += base_round_up(size, GC_GRANULE);
    marker_scan(marker, type, p, size);
    if (UNLIKELY(marker->keyed)) ephemeron_key_marked(marker, (void *)p);
}

void marker_keep(struct marker *marker, void *object)
{
    marker_process(marker, (uintptr_t)object);
}

/* Returns how many there were. */
unsigned queue_flush(struct marker *marker)
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

/* Granules of an object of variable size that is not long, whose first two mark bytes these are; 0: it may be. One or two
 * are told by these: a load of eight waits for the store to the byte of a neighbour that has just been marked. */
FH_INLINE size_t short_granules(const uint8_t *meta, unsigned bytes)
{
    enum { SHORT = 128 };
    if (bytes & (META_END | META_END << 8)) return bytes & META_END ? 1 : 2;
    for (unsigned at = 0; at < SHORT; at += 8) {
        uint64_t ends = meta_load8(meta + at) & LANES_OF(META_END);
        if (ends) return at + (base_ctz(ends) >> 3) + 1;
    }
    return 0;
}

/* The loop that marking is: works on the chunk at hand for about `most` candidates, or until it is
 * empty. All that is common stays in registers; what is not, candidates that are no plain objects
 * of this heap, types with more than a bitmap, a chunk that is nearly full, goes to marker_process.
 * References are written to the stack whether they are any or not, and the top moves on if they
 * are: whether a tree's node is a leaf cannot be predicted.
 *
 * `follow`: the queue ran nearly empty, since a list is being marked, whose elements come one after
 * the other. Then its end is followed past the queue, last in first out, until what hangs on it
 * fills the stack, and so the queue. */
static size_t marker_run_chunk(struct marker *marker, size_t most, bool follow)
{
    enum { FOLLOW_ENOUGH = 128 };
    /* Granules of a conservative object: its words fit above `nearly`. */
    enum { WORDS_INLINE = 16 };
    struct chunk *chunk = marker->chunk;
    uintptr_t *top = chunk->entry + chunk->count;
    uintptr_t *const nearly = chunk->entry + CHUNK_ENTRIES - 64;
    const uintptr_t *const enough =
        follow ? chunk->entry + FOLLOW_ENOUGH : (const uintptr_t *)UINTPTR_MAX;
    const uintptr_t marks = gc_side.marks_bias, base = side_base();
    const size_t range = __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
    const uint8_t mark = marker->mark;
    uint64_t objects = 0, granules = 0, leaves = 0;
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
        size_t length = type_granules(type);
        bool words = type->scan == SCAN_WORDS;
        if (length == 0 && (words || type->scan == SCAN_NOTHING))
            length = short_granules(meta, bytes);
        if (UNLIKELY(state == 0 || marker->others || marker->keyed || top > nearly || length == 0 ||
                     (words ? length > WORDS_INLINE : type->scan > SCAN_BITMAP))) {
            chunk->count = (size_t)(top - chunk->entry);
            marker_process(marker, oldest);
            if (marker->chunk != chunk) goto out;
            if (top > nearly && marker_chunk_split(marker)) goto out;
            top = chunk->entry + chunk->count;
            continue;
        }
        meta_store(meta, (uint8_t)((bytes & ~(unsigned)META_STATE) | mark));
        objects++;
        granules += length;
        leaves += type->scan == SCAN_NOTHING ? length : 0;
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
    marker->leaf_bytes += leaves << GC_SHIFT;
    return done + 1;
}

static bool marker_next_slice(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    struct vector *slices = marker->slices.count ? &marker->slices : &marking->slices;
    gc_lock_take(&marking->lock);
    struct slice slice = {0, 0, NULL};
    if (slices->count) slice = *(struct slice *)vector_at(slices, --slices->count);
    lock_give(&marking->lock);
    if (slice.at == slice.end) return false;
    marker_long(marker, slice.type, slice.at, slice.end);
    return true;
}

/* Works on what this marker has, and what the pool has, up to about `most` candidates; false when
 * there is nothing left. */
bool marker_work(struct marker *marker, size_t most)
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

bool visitor_defers(const struct fh_gc_visitor *visitor, void *object)
{
    struct gc_heap *heap = visitor->heap;
    struct marking *marking = heap->marking_state;
    if (LIKELY(LOAD(&heap->phase) < PHASE_WATCHED || visitor->slot != visit_slot)) return false;
    gc_lock_take(&marking->lock);
    void **entry = vector_add(&marking->deferred);
    if (entry) *entry = object;
    lock_give(&marking->lock);
    if (entry == NULL) STORE(&marking->overflow, 1);
    return true;
}

void marker_visit_with(struct marker *marker, struct gc_heap *heap)
{
    marker->visitor =
        (struct fh_gc_visitor){visit_slot, visit_tagged, visit_range, heap, NULL, NULL};
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
