/*
 * The cycle of a heap whose program has no barrier: the collector's thread marks while the program
 * runs, and the kernel notes which pages are written to meanwhile (os/watch.h). Mostly parallel
 * collection (Boehm, Demers, Shenker 1991), by incremental update where concurrent.c keeps a
 * snapshot.
 *
 *   IDLE     sweep what is left; pages count as unwritten from here on
 *            threads stand: the mark turns, all roots are visited
 *   WATCHED  mark; then what is marked on pages that were written to is scanned again, and threads'
 *            own roots are visited anew: in rounds, until there is little left
 *            threads stand: the pages of the last moments, all roots, what was put off; weakness
 *   IDLE     the number of the cycle rises: everything is unswept
 *
 * It holds: when threads stand for the second time, a reference that marking has not seen is in a
 * root or on a page that was written to since its objects were scanned. So nothing that a program
 * does while it runs has to be noted by anybody: neither what it allocates (unmarked, and found if
 * it is alive) nor what it forgets. But an object that is freed by call is left to the next cycle,
 * since marking may be looking at it (free.c).
 *
 * What may only be looked at while threads stand is put off to then: objects with mark procedures
 * of the program's (visitor_defers).
 *
 * Rejected: watching by a snapshot (fork, or copy on write): the kernel copies each page that is
 * written to, which costs 0.13 us a page for all pages at the fork alone; new objects that are born
 * marked: what dies young would stay until the next cycle, and be scanned with its page.
 */
#include "gc/collect.h"
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/fence.h"
#include "gc/large.h"
#include "gc/mark.h"
#include "gc/mutator.h"
#include "gc/object.h"
#include "gc/roots.h"
#include "gc/size.h"
#include "gc/type.h"
#include "gc/verify.h"
#include "os/os.h"
#include "os/watch.h"

/* ---- pages that were written to -------------------------------------------------------------- */

static struct os_watch watch = OS_WATCH_CLOSED;

struct rescan {
    const struct gc_heap *heap;
    struct marker *marker; /* NULL: nothing is to be scanned, only to be watched */
    size_t bytes;          /* were written to */
    bool by_faults;        /* what may be watched again is said for each range */
    /* An object of which all is scanned for each part that was written to: once is enough as long as no page has counted
     * as unwritten since. */
    uintptr_t whole;
};

/* What lies in start..end of a marked object. */
static void rescan_object(struct rescan *rescan, const uint8_t *meta, uintptr_t start,
                          uintptr_t end)
{
    const struct type *type = type_at(meta);
    uintptr_t p = (uintptr_t)meta_address(meta);
    if (rescan->whole == p) return;
    if (type->scan == SCAN_TRACE) rescan->whole = p;
    marker_scan_part(rescan->marker, type, p, object_size(meta), start, end);
}

/* A part of a block. */
static void rescan_block(struct rescan *rescan, uintptr_t start, uintptr_t end)
{
    struct marker *marker = rescan->marker;
    const uint8_t *meta = object_find(marker->visitor.heap, start), *last = meta_of((void *)end);
    if (meta == NULL) meta = meta_of((void *)start);
    while (meta < last) {
        unsigned state = meta_load(meta) & META_STATE;
        if (state == marker->mark) rescan_object(rescan, meta, start, end);
        meta += state ? meta_granules(meta) : 1;
    }
}

static void rescan_large(struct rescan *rescan, struct gc_block *block, uintptr_t start,
                         uintptr_t end)
{
    const uint8_t *meta = meta_of(gc_block_start(block));
    if ((meta_load(meta) & META_STATE) == rescan->marker->mark)
        rescan_object(rescan, meta, start, end);
}

/* Whether there is an object in a block that may refer to others. While a thread allocates in it the answer may be
 * of a moment ago. */
static bool block_refers(const struct gc_block *block)
{
    const uint8_t *meta = meta_of(gc_block_start(block)), *end = meta + BLOCK_GRANULES;
    while (meta < end) {
        bool object = meta_load(meta) & META_STATE;
        if (object && type_at(meta)->scan != SCAN_NOTHING) return true;
        meta += object ? meta_granules(meta) : 1;
    }
    return false;
}

static bool large_refers(const struct gc_block *block)
{
    return type_at(meta_of(gc_block_start(block)))->scan != SCAN_NOTHING;
}

/* A part of a slice was written to, and by faults all of it, or it was not watched. What refers to nothing is left alone:
 * it is what programs read files into, and a system call that writes to what is watched by faults fails. */
static void rescan_slice(struct rescan *rescan, uintptr_t start, uintptr_t end)
{
    struct gc_block *block = gc_block_of((void *)start);
    bool small = LOAD_ACQUIRE(&block->kind) == FH_SPAN_GC_BLOCK;
    if (!small) block = (struct gc_block *)span_find((void *)start);
    bool large = !small && block && LOAD(&block->kind) == FH_SPAN_GC_LARGE;
    bool ours = (small || large) && LOAD(&block->owner) == rescan->heap;
    if (rescan->by_faults) {
        if (!ours || !(small ? block_refers(block) : large_refers(block))) return;
        os_watch_again(start, end);
    }
    rescan->bytes += end - start;
    if (rescan->marker == NULL) return;
    if (ours && small) rescan_block(rescan, start, end);
    if (ours && large) rescan_large(rescan, block, start, end);
}

/* A range of pages, slice by slice. */
static void rescan_range(struct rescan *rescan, uintptr_t start, uintptr_t end)
{
    for (uintptr_t next; start < end; start = next) {
        next = base_min(base_round_down(start, SLICE_SIZE) + SLICE_SIZE, end);
        rescan_slice(rescan, start, next);
    }
}

/* Where the memory of all heaps ends so far. */
static uintptr_t heap_end(void)
{
    return side_base() + __atomic_load_n(&gc_side.range, __ATOMIC_RELAXED);
}

static void written_visit(struct rescan *rescan)
{
    struct os_range range[OS_WATCH_RANGES];
    uintptr_t from = side_base(), end = heap_end();
    for (size_t count; (count = os_watch_take(&watch, &from, end, range, OS_WATCH_RANGES));) {
        rescan->whole = 0;
        for (size_t i = 0; i < count; i++) rescan_range(rescan, range[i].start, range[i].end);
    }
}

/* Returns how many bytes were written to. */
static size_t written_rescan(struct gc_heap *heap)
{
    struct rescan rescan = {
        .heap = heap, .marker = &heap->marking_state->marker[0], .by_faults = os_watch_by_faults()};
    written_visit(&rescan);
    return rescan.bytes;
}

/* All pages count as unwritten from here on; or as written, if that is refused, which takes longer. */
static void watch_begin(struct gc_heap *heap)
{
    struct rescan rescan = {.heap = heap, .by_faults = os_watch_by_faults()};
    if (os_watch_begin(&watch, side_base(), heap_end()) && rescan.by_faults) written_visit(&rescan);
}

/* ---- who may ---------------------------------------------------------------------------------- */

bool watch_open(void)
{
    os_watch_close(&watch); /* in the child of a fork it is the parent's */
    return os_watch_open(&watch, OS_WATCH_ANY) &&
           os_watch_add(&watch, (void *)arena.base, arena.size);
}

void watch_when_due(struct gc_heap *heap)
{
    uint32_t here = COLLECTOR_HERE;
    if (heap->options.policy != FH_GC_WATCHED || heap->has_collector || heap->watch_fails) return;
    if (size_to_mark(heap) >= LOAD(&heap->watch_least))
        atomic_compare_exchange_strong(&heap->collector_state, &here, COLLECTOR_DUE);
}

void watch_end(struct gc_heap *heap)
{
    collector_find(heap); /* one that is being started is there */
    heap->watch_fails = true;
    collector_stop(heap);
    heap->options.policy = FH_GC_MARK;
}

/* ---- the cycle ------------------------------------------------------------------------------- */

static void action_look(struct gc_heap *heap, struct gc_thread *thread)
{
    struct marker marker;
    if (!marker_make(heap, &marker)) return; /* found when threads stand */
    roots_visit_thread(thread, &marker.visitor);
    marker_give_all(&marker);
}

/* Debug modes. */
static void check_before(struct gc_heap *heap)
{
    bool verified = heap->options.debug & FH_GC_VERIFY;
    if (!heap->fenced && !verified) return;
    mutators_note_holes(heap);
    if (heap->fenced) fences_verify(heap, "before a cycle");
    if (verified) heap_verify(heap, false, "before a cycle");
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
}

/* What was written since the last look, and threads' own roots. Returns how many bytes were written to. */
static size_t look_again(struct gc_heap *heap)
{
    size_t written = written_rescan(heap);
    world_take();
    handshake_noted(heap, action_look, FH_GC_HANDSHAKE_SCAN);
    world_give();
    cycle_drain(heap);
    return written;
}

/* Until a thread comes to where the program may be stopped for the last time. If that takes long, what it writes until
 * then is not left to the stop. */
static void meet_or_look(struct gc_heap *heap)
{
    enum { WAIT_MS = 20, WAIT_MS_MAX = 1280 };
    uint64_t wait_ms = WAIT_MS;
    while (!meeting_await(heap, wait_ms)) {
        bool written = look_again(heap) > 0;
        wait_ms = written ? base_min(wait_ms * 2, WAIT_MS_MAX) : 0;
    }
}

enum { LAST_STOP, FIRST_STOP }; /* details of the events */

static void went_on(struct gc_heap *heap, unsigned stop, uint64_t start, uint64_t stopped)
{
    world_go();
    uint64_t end = os_time_ns();
    stats_add(heap, &heap->stats.stop_ns, end - stopped);
    gc_event_of(heap, FH_GC_EVENT_RESUMED, stop, end - start);
}

static void begin_holding(void *data)
{
    struct gc_heap *heap = data;
    world_take();
    uint64_t start = os_time_ns();
    heap->snapshot_allocated = LOAD(&heap->allocated);
    heap->snapshot_live = size_in_use(heap);
    STORE(&heap->marking_state->overflow, 0);
    world_stop(heap);
    uint64_t stopped = os_time_ns();
    gc_event_of(heap, FH_GC_EVENT_STOPPED, FIRST_STOP, stopped - start);
    check_before(heap);
    heap->mark ^= 1;
    marking_begin(heap, true, false);
    roots_visit(heap, &heap->marking_state->marker[0].visitor);
    gc_event_of(heap, FH_GC_EVENT_ROOTS, FIRST_STOP, 0);
    STORE_RELEASE(&heap->phase, PHASE_WATCHED);
    went_on(heap, FIRST_STOP, start, stopped);
    world_give();
}

/* While the program runs, until there is little left to do, which is done while all threads stand. Who allocates is
 * slowed down from when written pages are looked at: a round with the program at full speed would leave as many as it
 * has found, and costs as much as marking. If little is written, rounds are short, and so is that. */
static void mark_watched(struct gc_heap *heap)
{
    enum { ROUNDS = 24, LITTLE = MIB, REST = 8, REST_MAX = 64 };
    size_t before = SIZE_MAX, written = SIZE_MAX;
    uint32_t rest = REST;
    cycle_drain(heap);
    for (unsigned round = 0; round < ROUNDS && written > LITTLE; round++, before = written) {
        STORE(&heap->watch_rest, rest); /* partner: size_pace */
        written = look_again(heap);
        if (written > before / 2) rest = base_min(rest * 2, REST_MAX);
    }
    meet_or_look(heap);
    atomic_store(&heap->phase, PHASE_CLOSING); /* partner: marker_borrow */
    cycle_drain(heap);
}

static void end_holding(void *data)
{
    struct gc_heap *heap = data;
    world_take();
    uint64_t start = os_time_ns();
    world_stop(heap);
    uint64_t stopped = os_time_ns();
    gc_event_of(heap, FH_GC_EVENT_STOPPED, LAST_STOP, stopped - start);
    STORE_RELEASE(&heap->phase, PHASE_IDLE);
    STORE(&heap->watch_rest, 0);
    mutators_note_holes(heap);
    marking_resume(heap);
    os_watch_end();
    written_rescan(heap);
    mark_rest(heap, false);
    gc_large_find_dead(heap);
    heap_unsweep(heap, false);
    mutators_sweep_blocks(heap);
    if (heap->options.debug & FH_GC_VERIFY) heap_verify(heap, true, "at the end of a cycle");
    went_on(heap, LAST_STOP, start, stopped);
    world_give();
}

static void sizes_note(struct gc_heap *heap, enum fh_gc_why why, uint64_t start, uint64_t cpu)
{
    world_take();
    gc_lock_take(&heap->lock);
    rates_note(heap, start, cpu);
    size_note_cycle(heap);
    size_after_collection(heap);
    lock_give(&heap->lock);
    collection_ends(heap, why, false);
    world_give();
}

void cycle_run_watched(struct gc_heap *heap, enum fh_gc_why why)
{
    uint64_t start = os_time_ns(), cpu = os_thread_time_ns();
    heap_sweep_all(heap);
    marking_prepare(heap);
    collection_begins(heap, why);
    watch_begin(heap);
    meeting_await(heap, 0);
    modules_hold(begin_holding, heap);
    meeting_end(heap);
    atomic_fetch_add(&heap->background_bell, 1);
    os_wake(&heap->background_bell);
    mark_watched(heap);
    modules_hold(end_holding, heap);
    meeting_end(heap);
    sizes_note(heap, why, start, cpu);
    gc_large_free_dead(heap);
    stats_add(heap, &heap->stats.mark_ns, os_thread_time_ns() - cpu);
    gc_event_of(heap, FH_GC_EVENT_END, FH_GC_FULL, os_time_ns() - start);
    heap_sweep_all(heap);
    heap_trim(heap);
}
