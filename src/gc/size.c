/*
 * When to collect.
 *
 * The heap may take blocks until it has reached its target; then it is collected. Under FH_GC_GROW
 * the target is what was live, and growth_percent more, at least `initial`. Under FH_GC_ADAPTIVE it
 * follows MemBalancer (Kirisame, Shenoy, Panchekha 2022): the room above what is live is the square
 * root of what is live times the rate of allocation over the speed of collecting, which is what
 * makes a sum over many heaps smallest; here with the constant that gives twice the live size at 64
 * MiB live, 1 GiB/s allocated and 1 GiB/s marked.
 *
 * Under FH_GC_GENERATIONAL a minor collection comes when the target is reached, or much sooner:
 * when what is young would no longer fit the second-level cache. Memory that is used again while it
 * is in the cache spares 0.1 to 0.2 ms a MiB; but what lives a little longer than that is marked,
 * and kept until the next full collection, which comes the sooner. So the nursery is small as long
 * as collections of it, with their share of the next full one, cost less than NURSERY_COST_MOST;
 * beyond, it is all the room there is, and after each such collection a small one is tried again.
 */
#include "gc/cycle.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/size.h"
#include "os/os.h"

#define NURSERY_COST_MOST 70 /* us of processor time for each MiB allocated */
#define INITIAL (8 * MIB)

/* No room is larger, however long a collection took: one that a busy machine held up is no reason to keep garbage. */
#define ROOM_MOST_SMALL (64 * MIB)
#define ROOM_MOST_TIMES 8 /* of what is live */

/* Memory outside of the heap that its objects have come to hold since the last collection. */
static size_t size_external(const struct gc_heap *heap)
{
    ptrdiff_t more = LOAD(&heap->external) - heap->external_seen;
    return more > 0 ? (size_t)more : 0;
}

/* What the last cycle marked, and what was allocated since its snapshot. */
size_t size_in_use(const struct gc_heap *heap)
{
    return heap->live + (LOAD(&heap->allocated) - heap->snapshot_allocated) + size_external(heap);
}

/* What the next mark would find, if as much of what is new stays as the last time. */
size_t size_to_mark(const struct gc_heap *heap)
{
    size_t live = heap->live, in_use = size_in_use(heap);
    return live + (in_use - base_min(live, in_use)) / 1024 * LOAD(&heap->survival);
}

bool size_stops(const struct gc_heap *heap)
{
    if (!heap->has_collector) return true;
    return heap->options.policy == FH_GC_WATCHED && size_to_mark(heap) < LOAD(&heap->watch_least);
}

/* Allocation since the snapshot may use up the room no faster than marking gets done; what is to be
 * marked is what was live last time, and half of what came since. */
static bool cycle_is_behind(const struct gc_heap *heap)
{
    size_t room = heap->target - base_min(heap->snapshot_live, heap->target) + 1;
    size_t used = LOAD(&heap->allocated) - heap->snapshot_allocated;
    size_t work =
        heap->live + (heap->snapshot_live - base_min(heap->live, heap->snapshot_live)) / 2;
    return (double)used * 1.25 * (double)work > (double)cycle_marked(heap) * (double)room;
}

/* While written pages are looked at again, a thread that allocates runs for a part of the time only: in short pieces,
 * so that no single rest is long. Signals end a rest. */
static void pace_by_rest(struct mutator *mutator, uint32_t times)
{
    enum { LEAST_US = 100, MOST_US = 1000 };
    uint64_t ran_us = (os_thread_time_ns() - mutator->rested_ns) / 1000;
    uint64_t rest_us = base_min(ran_us * times, MOST_US);
    if (rest_us < LEAST_US) return;
    os_delay_us(rest_us);
    mutator->rested_ns = os_thread_time_ns();
}

void size_pace(struct gc_heap *heap, struct gc_thread *thread)
{
    enum { QUANTUM = 2500 }; /* objects: some thirty microseconds */
    if (heap_is_marking(heap) && cycle_is_behind(heap)) cycle_assist(heap, thread, QUANTUM);
    watch_when_due(heap);
    uint32_t rest = LOAD(&heap->watch_rest);
    if (UNLIKELY(rest)) pace_by_rest(mutator_of(thread, heap), rest);
    if (heap->has_collector && heap->parked == 0 && LOAD(&heap->phase) == PHASE_IDLE &&
        size_in_use(heap) > heap->start && !size_stops(heap))
        cycle_request(heap, FH_GC_WHY_ALLOCATION, false);
}

bool size_minor_is_due(const struct gc_heap *heap)
{
    size_t nursery = LOAD(&heap->nursery);
    return nursery && LOAD(&heap->allocated) - LOAD(&heap->nursery_start) >= nursery &&
           LOAD(&heap->parked) == 0;
}

/* What is allocated between two minor collections stays in the caches of the processors that
 * allocate. */
static size_t nursery_small(void)
{
    static size_t cache, processors;
    if (cache == 0) processors = os_processors();
    if (cache == 0) cache = os_cache_size();
    return cache * base_min(gc_thread_count() + !gc_thread_count(), processors);
}

/* In us for each MiB allocated since the last collection. */
static unsigned nursery_cost(const struct gc_heap *heap, uint64_t took)
{
    uint64_t allocated = LOAD(&heap->allocated) - heap->nursery_start;
    double promoted = (double)(heap->live - base_min(heap->nursery_live, heap->live));
    double room = (double)(heap->target_full - base_min(heap->live_full, heap->target_full) + 1);
    double ns = (double)took + promoted / room * (double)heap->full_ns;
    return (unsigned)base_min((uint64_t)(ns / 1000 / ((double)allocated / MIB + 0.01)),
                              NURSERY_COST_MOST * 2);
}

void size_nursery(struct gc_heap *heap, bool minor, uint64_t took)
{
    if (!minor) heap->full_ns = took;
    if (heap->options.policy != FH_GC_GENERATIONAL) return;
    bool small = minor && heap->nursery;
    heap->nursery_cost =
        small ? (heap->nursery_cost * 3 + nursery_cost(heap, took)) / 4 : NURSERY_COST_MOST / 2;
    heap->nursery = small && heap->nursery_cost > NURSERY_COST_MOST ? 0 : nursery_small();
    heap->nursery_start = LOAD(&heap->allocated);
    heap->nursery_live = heap->live;
}

bool size_is_due_soon(const struct gc_heap *heap)
{
    enum { SOON = 8 }; /* an eighth of the room before it is due */
    if (LOAD(&heap->parked)) return false;
    size_t room = heap->target - base_min(heap->live, heap->target);
    size_t used = heap_bytes(heap) - (heap->free_count << SLICE_SHIFT);
    if (!size_stops(heap)) return size_in_use(heap) + room / SOON > heap->start;
    size_t nursery = heap->nursery, young = LOAD(&heap->allocated) - heap->nursery_start;
    if (nursery && young + nursery / SOON > nursery) return true;
    return used + size_external(heap) + room / SOON > heap->target;
}

bool size_allows(struct gc_heap *heap, size_t slices, enum fh_gc_why *why)
{
    size_t bytes = heap_bytes(heap) + (slices << SLICE_SHIFT);
    *why = FH_GC_WHY_NONE;
    if (heap->limit && bytes > heap->limit) {
        *why = FH_GC_WHY_LIMIT;
        return false;
    }
    size_t external = size_external(heap);
    if (heap->parked || bytes + external <= heap->target) return true;
    *why = external > slices << SLICE_SHIFT ? FH_GC_WHY_EXTERNAL : FH_GC_WHY_ALLOCATION;
    return false;
}

/* Square root of a 64-bit number, by Newton. */
static uint64_t root(uint64_t n)
{
    if (n < 2) return n;
    uint64_t x = 1ull << ((base_log2(n) + 2) / 2);
    for (;;) {
        uint64_t next = (x + n / x) / 2;
        if (next >= x) return x;
        x = next;
    }
}

/* What is best for many heaps was, at 100 MiB/s allocated, a collection for each tenth of the live size (nix: 73 where 9
 * do); but who is stopped for all of it should not be stopped all the time. Two thirds of what has to be searched, and an
 * eighth of the rest, as the Boehm collector does by default. A cycle beside the program starts before the room is used up
 * and lets it grow meanwhile: so it has three quarters of that. */
static size_t size_room_least(const struct gc_heap *heap, size_t live, size_t percent)
{
    size_t leaf = base_min(heap->live_leaf, live);
    size_t least = ((live - leaf) / 3 * 2 + leaf / 8) / 100 * percent;
    return size_stops(heap) ? least : least / 4 * 3;
}

static size_t size_room(struct gc_heap *heap, size_t live)
{
    size_t percent = heap->options.growth_percent ? heap->options.growth_percent : 100;
    if (heap->ramps) percent *= 2;
    if (heap->options.sizing != FH_GC_ADAPTIVE) return live / 100 * percent;
    uint64_t mib_us = (heap->allocation_rate / MIB + 1) * heap->collect_us;
    size_t room = (size_t)root(mib_us * 64 / 1000000 * 256) * (MIB / 16);
    if (heap->options.growth_percent == 0)
        return base_min(room, base_max(ROOM_MOST_SMALL, live * ROOM_MOST_TIMES));
    size_t most = base_max(heap->options.initial, live / 100 * percent);
    return base_max(base_min(room, most), size_room_least(heap, live, percent));
}

static size_t size_bounded(const struct gc_heap *heap, size_t target)
{
    return heap->limit ? base_min(target, heap->limit) : target;
}

/* A cycle starts when what is left is what cycles have seen allocated while they went on, a quarter
 * more for luck, and a tenth of the room for holes that are too small. */
static size_t size_start(const struct gc_heap *heap)
{
    size_t room = heap->target - base_min(heap->live, heap->target);
    size_t need = room / 3;
    if (heap->cycle_allocated) need = heap->cycle_allocated / 8 * 9 + room / 16;
    return heap->target - base_max(base_min(need, room / 4 * 3), room / 8);
}

/* At once up, slowly down. */
void size_note_cycle(struct gc_heap *heap)
{
    size_t now = (size_t)(LOAD(&heap->allocated) - heap->snapshot_allocated);
    heap->cycle_allocated = base_max(now, (heap->cycle_allocated * 3 + now) / 4);
}

static void survival_note(struct gc_heap *heap)
{
    uint64_t came = LOAD(&heap->allocated) - LOAD(&heap->allocated_full), before = heap->live_full;
    uint64_t stayed = heap->live - base_min(heap->live, before);
    if (came >= MIB) STORE(&heap->survival, (uint32_t)base_min(stayed * 1024 / came, 1024));
}

void size_after_collection(struct gc_heap *heap)
{
    heap->external_seen = LOAD(&heap->external);
    size_t initial = heap->options.initial ? heap->options.initial : INITIAL;
    size_t live = heap->live, before = heap->target;
    size_t target = base_max(initial, live + size_room(heap, live));
    if (heap->options.sizing == FH_GC_FIXED) target = heap->limit;
    heap->target = size_bounded(heap, base_round_up(target, SLICE_SIZE));
    if (heap->target > before && before) gc_event(heap, FH_GC_EVENT_GROW, heap->target);
    survival_note(heap);
    heap->live_full = live;
    STORE(&heap->allocated_full, LOAD(&heap->allocated));
    heap->target_full = heap->target;
    heap->start = size_start(heap);
}

bool size_may_outgrow(const struct gc_heap *heap)
{
    enum { LEAST = 32 << 20 };
    size_t room = heap->target_full - base_min(heap->live_full, heap->target_full);
    return heap_bytes(heap) < heap->target_full + base_max(room, LEAST);
}

bool size_is_external(const struct gc_heap *heap, size_t over)
{
    size_t room = heap->target - base_min(heap->live, heap->target);
    return LOAD(&heap->parked) == 0 && size_external(heap) > room / 8 && size_in_use(heap) > over;
}

bool size_is_too_large(const struct gc_heap *heap)
{
    if (heap->limit && heap_bytes(heap) > heap->limit) return true;
    return heap_bytes(heap) - base_min(heap->target, heap_bytes(heap)) > heap->target / 4;
}

void size_grow(struct gc_heap *heap, size_t slices)
{
    size_t need = heap_bytes(heap) + base_max(slices << SLICE_SHIFT, heap->live / 16);
    size_t target = size_bounded(heap, base_round_up(need, SLICE_SIZE)) + size_external(heap);
    if (target <= heap->target) return;
    heap->target = target;
    gc_event(heap, FH_GC_EVENT_GROW, heap->target);
}
