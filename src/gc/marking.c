/*
 * A marking from its beginning to its end: who takes part, when nothing is left, what is done when
 * memory was refused.
 *
 * While the program stands, markers 1 and up are helpers: threads that are made at the first
 * collection, serve all heaps and sleep in between. Who runs out of work waits for the bell, which
 * rings when the pool gets a chunk; when all are idle and the pool is empty, marking is done. While
 * the program runs, marker 0 is the collector's, and the others are borrowed by who helps
 * (assist.c).
 */
#include <string.h>

#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "os/os.h"

/* Threads that mark beside the collecting one, for all heaps; made at the first collection and
 * asleep in between. The world lock's, but for `starting`, and what is looked at without it. */
static struct {
    _Atomic uint32_t job;  /* rises with each job */
    _Atomic uint32_t left; /* helpers that have not finished it */
    struct gc_heap *heap;
    _Atomic uint32_t count; /* those that may be given jobs */
    unsigned wanted;
    uint32_t seen[MARKERS]; /* of each, the last job that was given before it was counted */
    _Atomic bool starting;  /* somebody makes more */
    bool refused;           /* by the system, once; whose is `starting` */
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

/* Works at each job that is given from when it is counted. */
static void *marker_main(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (uint32_t count; (count = LOAD_ACQUIRE(&helpers.count)) < number;)
        os_wait_long(&helpers.count, count);
    uint32_t seen = helpers.seen[number];
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

/* One more; false when it is refused. */
static bool helper_start(void)
{
    uintptr_t number = LOAD(&helpers.count) + 1; /* only who starts them changes it */
    if (!thread_start(NULL, marker_main, (void *)number, 256 * KIB)) return false;
    world_take(); /* between two jobs */
    helpers.seen[number] = LOAD(&helpers.job);
    STORE_RELEASE(&helpers.count, (uint32_t)number);
    os_wake(&helpers.count); /* who has the world next may wait for it while this thread stands */
    world_give();
    return true;
}

/* A thread is made without the world lock, since libc takes a lock of the linker's for it, which
 * dlclose has while it waits for the one that who stops the world has (modules.c). */
static void helpers_start(unsigned wanted)
{
    if (atomic_exchange(&helpers.starting, true)) return; /* then with those that there are */
    while (!helpers.refused && LOAD(&helpers.count) < wanted) helpers.refused = !helper_start();
    STORE_RELEASE(&helpers.starting, false);
}

void helpers_fork_child(void)
{
    helpers.count = 0;
    helpers.refused = false;
    STORE(&helpers.starting, false);
    STORE(&helpers.left, 0);
    STORE(&helpers.job, 0);
}

static void marker_begin(struct gc_heap *heap, struct marker *marker)
{
    marker_visit_with(marker, heap);
    memset(marker->queue, 0, sizeof marker->queue);
    marker->keyed = marker->repairs = marker->nested = false;
    /* None is made while a cycle goes on. */
    marker->others = gc_heap_count > 1;
    marker->mark = heap->mark;
    marker->objects = marker->bytes = marker->large_bytes = marker->leaf_bytes = 0;
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
    marking->deferred.item = sizeof(void *);
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
    vector_finish(&marking->deferred);
    os_vm_release(marking->chunks, marking->chunks_reserved);
    marking->chunks = NULL;
}

static void marking_begin_concurrent(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    marking->count = 1;
    marking->begun = MARKERS;
    marking->deferred.count = 0;
    STORE(&marking->idle, 1); /* so that markers share with threads that assist */
    for (unsigned i = 0; i < MARKERS; i++) marker_begin(heap, &marking->marker[i]);
}

static unsigned markers_wanted(const struct gc_heap *heap)
{
    unsigned wanted = heap->options.markers ? heap->options.markers : os_processors();
    return (unsigned)base_min(wanted, MARKERS);
}

void marking_prepare(struct gc_heap *heap)
{
    unsigned wanted = markers_wanted(heap) - 1;
    if (UNLIKELY(LOAD(&helpers.count) < wanted)) helpers_start(wanted);
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
    marking->count = marking->begun = (unsigned)base_min(wanted, helpers.count + 1);
    STORE(&marking->overflow, 0);
    for (unsigned i = 0; i < marking->count; i++) marker_begin(heap, &marking->marker[i]);
}

void marking_resume(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    struct marker *marker = &marking->marker[0];
    marking->count = (unsigned)base_min(markers_wanted(heap), helpers.count + 1);
    for (size_t i = 0; i < marking->deferred.count; i++) {
        uint8_t *meta = meta_of(*(void **)vector_at(&marking->deferred, i));
        marker_scan(marker, type_at(meta), (uintptr_t)meta_address(meta), object_size(meta));
    }
    marking->deferred.count = 0;
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

/* Each round marks at least whatever an object refers to that was marked before the round: so there
 * is an end, and an array of any length takes one. */
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
    if (!minor) heap->live = heap->live_large = heap->live_leaf = 0;
    heap->stats.objects_marked = 0;
    for (unsigned i = 0; i < marking->begun; i++) {
        heap->live += marking->marker[i].bytes;
        heap->live_large += marking->marker[i].large_bytes;
        heap->live_leaf += marking->marker[i].leaf_bytes;
        heap->stats.objects_marked += marking->marker[i].objects;
    }
}

bool marker_make(struct gc_heap *heap, struct marker *marker)
{
    struct marking *marking = heap->marking_state;
    memset(marker, 0, sizeof *marker);
    gc_lock_take(&marking->lock);
    marker_begin(heap, marker);
    lock_give(&marking->lock);
    return marker->chunk != NULL;
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
