/*
 * The mark stack: chunks of candidates, of which each marker has one at hand, and a pool that all
 * share.
 *
 * A chunk is a page. A marker fills and empties its own without asking anybody; only a full one
 * goes to the pool, and an empty one is exchanged for one from there. Memory for chunks is reserved
 * with the heap and committed as it is needed, never given back.
 *
 * When memory is refused, who pushes works off what it has, if that is allowed where it is, or
 * drops the candidate and notes it (`overflow`): then all that is marked is scanned again
 * (marking_repair). So a stack of any size will do.
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/object.h"
#include "os/os.h"

/* Holds: marking->lock. NULL when memory is refused. */
struct chunk *chunk_make(struct marking *marking)
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

void pool_put(struct marking *marking, struct chunk *chunk)
{
    chunk->next = marking->pool;
    __atomic_store_n(&marking->pool, chunk, __ATOMIC_RELAXED);
}

/* The current chunk is full: it goes to the pool. False when there is no memory for another. */
FH_NOINLINE bool marker_chunk_full(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    gc_lock_take(&marking->lock);
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

/* The current chunk is nearly full: all but its newest candidates go to the pool. So who takes it from there has room
 * for what an object may refer to. The same. */
FH_NOINLINE bool marker_chunk_split(struct marker *marker)
{
    enum { STAY = 128 };
    struct marking *marking = marker->visitor.heap->marking_state;
    struct chunk *own = marker->chunk;
    if (NEVER(own->count < STAY)) return false;
    gc_lock_take(&marking->lock);
    struct chunk *fresh = chunk_make(marking);
    if (fresh) {
        own->count -= STAY;
        memcpy(fresh->entry, own->entry + own->count, STAY * sizeof *own->entry);
        fresh->count = STAY;
        pool_put(marking, own);
        marker->chunk = fresh;
    }
    lock_give(&marking->lock);
    if (fresh && LOAD(&marking->idle)) {
        atomic_fetch_add(&marking->bell, 1);
        os_wake(&marking->bell);
    }
    return fresh != NULL;
}

/* An empty chunk in exchange for one with candidates; false if the pool has none. */
bool marker_refill(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    if (__atomic_load_n(&marking->pool, __ATOMIC_RELAXED) == NULL) return false;
    gc_lock_take(&marking->lock);
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
FH_NOINLINE void marker_share(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    struct chunk *own = marker->chunk;
    gc_lock_take(&marking->lock);
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

/* What threads overwrote between the last round of a cycle and its end is of no interest any more:
 * as a candidate it would keep garbage. Threads stand, between cycles. */
void pool_drop(struct marking *marking)
{
    while (marking->pool) {
        struct chunk *chunk = marking->pool;
        __atomic_store_n(&marking->pool, chunk->next, __ATOMIC_RELAXED);
        chunk->next = marking->spare;
        marking->spare = chunk;
    }
}

void marker_give_all(struct marker *marker)
{
    struct marking *marking = marker->visitor.heap->marking_state;
    queue_flush(marker);
    bool fixed = marker >= marking->marker && marker < marking->marker + MARKERS;
    gc_lock_take(&marking->lock);
    while (marker->slices.count) {
        struct slice *slice = vector_add(&marking->slices);
        if (slice == NULL) break;
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
    /* No memory to pass on what it has: this marker works that off, or leaves it to a repair. */
    if (!fixed && marker->slices.count) STORE(&marking->overflow, 1);
    while (fixed && (marker->chunk->count || marker->slices.count)) marker_work(marker, SIZE_MAX);
}

/* The threads' buffers could not be passed on: each object is marked by this thread itself, with
 * what it refers to left to the pass over marked objects that an overflow brings. */
static void shade_directly(struct gc_heap *heap, struct mutator *mutator)
{
    for (uint32_t i = 0; i < mutator->log_count; i++) {
        uint8_t *meta = object_find(heap, (uintptr_t)mutator->log[i].old);
        if (meta == NULL || LOAD(&heap->phase) < PHASE_MARKING) continue;
        meta_store(meta, (uint8_t)((meta_load(meta) & ~META_STATE) | heap->mark));
    }
    STORE(&heap->marking_state->overflow, 1);
}

/* A chunk of candidates for the pool. */
void shade_flush(struct gc_heap *heap, struct mutator *mutator)
{
    struct marking *marking = heap->marking_state;
    if (mutator->log_count == 0) return;
    gc_lock_take(&marking->lock);
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
