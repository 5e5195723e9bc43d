/*
 * Collections: asked for, switched off and on; the size of the heap; and the program's functions that are called
 * when something happens.
 *
 * Events come from gc/'s listener, on the thread that collects; most of them while the others stand, so what a
 * program does there is bound by the ABI's rules: no allocation, no lock.
 */
#include "face/libgc/libgc.h"
#include "gc/cycle.h"
#include "os/watch.h"
#include "span/purger.h"

/* In the ABI's order. */
enum {
    EVENT_START,
    EVENT_MARK_START,
    EVENT_MARK_END,
    EVENT_RECLAIM_START,
    EVENT_RECLAIM_END,
    EVENT_END,
    EVENT_PRE_STOP,
    EVENT_POST_STOP,
    EVENT_PRE_GO,
    EVENT_POST_GO
};

/* ---- events --------------------------------------------------------------------------------------------------- */

static void event_tell(int event)
{
    event_fn *tell = setting_on_collection_event;
    if (tell) tell(event);
}

static void collection_starts(void)
{
    stackbottom_sync();
    twins_look();
    log_start();
    if (setting_start_callback) setting_start_callback();
    event_tell(EVENT_START);
    event_tell(EVENT_PRE_STOP);
}

/* The program is told of the last stop only: the ABI knows one to a collection. */
static void collection_stopped(void)
{
    event_tell(EVENT_POST_STOP);
    event_tell(EVENT_MARK_START);
}

static void collection_marked(void)
{
    event_tell(EVENT_MARK_END);
    event_tell(EVENT_PRE_GO);
}

static void collection_goes_on(void)
{
    event_tell(EVENT_POST_GO);
    event_tell(EVENT_RECLAIM_START);
    event_tell(EVENT_RECLAIM_END); /* of which allocations will do the most */
}

static void collection_ended(void)
{
    GC_gc_no++;
    freed_forget();
    event_tell(EVENT_END);
}

static void on_event(const struct fh_gc_event *event, void *data)
{
    (void)data;
    switch (event->kind) {
    case FH_GC_EVENT_START: collection_starts(); return;
    case FH_GC_EVENT_STOPPED:
        fault_watch(true);
        togglerefs_ask();
        if (!event->detail) collection_stopped();
        return;
    case FH_GC_EVENT_ROOTS:
        if (event->detail) fault_watch(false);
        return;
    case FH_GC_EVENT_MARKED:
        fault_watch(false);
        collection_marked();
        return;
    case FH_GC_EVENT_RESUMED:
        log_stopped(event->value);
        if (!event->detail) collection_goes_on();
        return;
    case FH_GC_EVENT_END:
        log_collection(libgc.heap);
        collection_ended();
        return;
    case FH_GC_EVENT_GROW:
        if (GC_on_heap_resize) GC_on_heap_resize(event->value);
        return;
    default: return;
    }
}

void collect_start(struct gc_heap *heap)
{
    fh_gc_listen(&heap->public, on_event, NULL);
    GC_parallel = heap->options.markers != 1;
}

/* ---- off and on ------------------------------------------------------------------------------------------------- */

static _Atomic bool parked; /* as gc/ was told; the world lock's, which forks hold */

static bool is_off(void)
{
    return __atomic_load_n(&GC_dont_gc, __ATOMIC_RELAXED) > 0 ||
           setting_disable_automatic_collection;
}

/* Decided and done in one step: a release must not overtake its clamp. */
void collect_sync(struct gc_heap *heap)
{
    if (LIKELY(is_off() == LOAD(&parked))) return;
    world_take();
    bool off = is_off();
    if (off != LOAD(&parked)) heap->parked += off ? 1 : -1;
    STORE(&parked, off);
    world_give();
}

GC_API void GC_disable(void)
{
    __atomic_fetch_add(&GC_dont_gc, 1, __ATOMIC_SEQ_CST);
    collect_sync(libgc_heap());
}

GC_API void GC_enable(void)
{
    __atomic_fetch_sub(&GC_dont_gc, 1, __ATOMIC_SEQ_CST);
    collect_sync(libgc_heap());
}

GC_API int GC_is_disabled(void)
{
    return GC_dont_gc != 0;
}

/* ---- by call -------------------------------------------------------------------------------------------------------- */

static bool collect(void)
{
    struct gc_heap *heap = libgc_heap();
    collect_sync(heap);
    if (GC_dont_gc > 0) return false;
    gc_collect(heap, FH_GC_FULL, FH_GC_WHY_CALL, collect_count(heap, FH_GC_FULL));
    libgc_poll();
    return true;
}

static void give_back(void)
{
    struct gc_heap *heap = libgc_heap();
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    heap_sweep_all(heap);
    heap_release_free(heap);
    thread_leave(thread);
    purger_run_now();
}

GC_API void GC_gcollect(void)
{
    if (collect() && setting_force_unmap_on_gcollect) give_back();
}

GC_API void GC_gcollect_and_unmap(void)
{
    if (collect()) give_back();
}

/* A collection here is not interrupted: the function is asked once. */
GC_API int GC_try_to_collect(stop_fn *stop)
{
    return !stop() && collect();
}

GC_API int GC_collect_a_little(void)
{
    enum { BUDGET_US = 1000 };
    struct gc_heap *heap = libgc_heap();
    collect_sync(heap);
    if (GC_dont_gc > 0) return 0;
    bool more = fh_gc_step(&heap->public, BUDGET_US);
    libgc_poll();
    return more;
}

GC_API void GC_start_incremental_collection(void) {}

/* docs/libgc.md says why it is not the standard. Who asks for it gets it by faults too, if there is no other way. */
GC_API void GC_enable_incremental(void)
{
    struct gc_heap *heap = libgc_heap();
    watch_ask(heap);
    world_take();
    heap->watch_fails = false; /* by the ways that could be tried so far */
    world_give();
}

GC_API int GC_is_incremental_mode(void)
{
    struct gc_heap *heap = libgc_heap();
    return heap->options.policy == FH_GC_WATCHED && !heap->watch_fails &&
           LOAD(&heap->watch_least) == 0;
}

/* Objects with references and without share blocks. It is known when there is a collector's thread. */
GC_API int GC_incremental_protection_needs(void)
{
    enum { PROTECTS_NONE = 0, PROTECTS_ALL = 3 };
    struct gc_heap *heap = libgc_heap();
    if (LOAD(&heap->watch_least) > 0) return PROTECTS_NONE;
    watch_when_due(heap);
    return collector_find(heap) && os_watch_by_faults() ? PROTECTS_ALL : PROTECTS_NONE;
}

/* ---- the heap's size ------------------------------------------------------------------------------------------------- */

/* No collection before the heap has become that much larger. */
GC_API int GC_expand_hp(size_t bytes)
{
    struct gc_heap *heap = libgc_heap();
    size_t size = heap_bytes(heap);
    world_take();
    heap->options.initial =
        base_max(heap->options.initial, size + base_min(bytes, arena.size - size));
    size_after_collection(heap);
    world_give();
    return 1;
}

GC_API void GC_set_max_heap_size(GC_word bytes)
{
    size_t limit = bytes ? base_max(bytes, 4 * BLOCK_SIZE) : 0;
    fh_gc_limit_set(&libgc_heap()->public, limit);
}

GC_API void GC_set_markers_count(unsigned count)
{
    libgc_heap()->options.markers = (uint32_t)base_min(count, 64);
}

/* ---- when memory is out ------------------------------------------------------------------------------------------------ */

FH_COLD void *libgc_out_of_memory(size_t size)
{
    return GC_oom_fn ? GC_oom_fn(size) : NULL;
}

GC_API _Noreturn void GC_abort_on_oom(void)
{
    GC_on_abort("memory is out");
    libgc_stop("memory is out; stopping");
}
