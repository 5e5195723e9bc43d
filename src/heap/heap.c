/* Heaps and threads: who owns which, from a thread's first malloc past its end. See heap/heap.h. */
#include "heap/heap.h"

#include "heap/slab.h"
#include "os/os.h"
#include "span/purger.h"

struct heap heap_none;
_Thread_local struct heap *heap_self __attribute__((tls_model("initial-exec"))) = &heap_none;

/* Heaps of threads that ended, newest first. Lock order: create_lock, a heap, idle_lock, then other
 * heaps only by lock_try, then the arena's. */
static struct lock create_lock, idle_lock;
static struct heap *idle_first;
static _Atomic uint32_t threads_now, warm_heaps;

static_assert(offsetof(struct heap, head) == offsetof(struct fh_heap, head), "tools see head");
static_assert(offsetof(struct heap, thread) == offsetof(struct fh_heap, thread), "thread");
static_assert(offsetof(struct heap, state) == offsetof(struct fh_heap, state), "state");
static_assert(offsetof(struct heap, pending) == offsetof(struct fh_heap, pending), "pending");
static_assert(offsetof(struct heap, allocated) == offsetof(struct fh_heap, allocated), "allocated");

/* Records of a kind lie one after the other, and these are all of one size, so a
 * heap's place is its id. */
#define HEAP_STRIDE base_round_up(sizeof(struct heap), 64)

uint32_t heap_count(void)
{
    return __atomic_load_n(&fh_registry.heap_count, __ATOMIC_ACQUIRE);
}

struct heap *heap_at(uint32_t i)
{
    return (struct heap *)(arena.heaps + i * HEAP_STRIDE);
}

/* ---- making and taking over --------------------------------------------------------------------- */

static struct heap *heap_create(void)
{
    lock_take(&create_lock);
    struct heap *heap = arena_record(RECORD_HEAP, HEAP_STRIDE);
    if (heap) {
        heap->id = heap_count() + 1;
        heap->remote_budget = REMOTE_BUDGET;
        fh_registry.heap_stride = (uint32_t)HEAP_STRIDE;
        __atomic_store_n(&fh_registry.heap_count, heap->id, __ATOMIC_RELEASE);
    }
    lock_give(&create_lock);
    return heap;
}

static struct heap *idle_pop(void)
{
    lock_take(&idle_lock);
    struct heap *heap = idle_first;
    if (heap) __atomic_store_n(&idle_first, heap->next_idle, __ATOMIC_RELAXED);
    lock_give(&idle_lock);
    return heap;
}

static void idle_push(struct heap *heap)
{
    lock_take(&idle_lock);
    heap->next_idle = idle_first;
    __atomic_store_n(&idle_first, heap, __ATOMIC_RELAXED);
    lock_give(&idle_lock);
}

struct heap *heap_attach(void)
{
    struct heap *heap = idle_pop();
    if (heap == NULL) heap = heap_create();
    if (heap == NULL) return NULL;
    lock_take(&heap->lock); /* whoever worked on it while it was idle is done */
    if (LOAD(&heap->state) == FH_HEAP_IDLE && !heap->settled)
        atomic_fetch_sub_explicit(&warm_heaps, 1, memory_order_relaxed);
    heap->thread = os_thread_id();
    STORE(&heap->state, FH_HEAP_LIVE);
    lock_give(&heap->lock);
    heap_self = heap;
    uint32_t now = atomic_fetch_add_explicit(&threads_now, 1, memory_order_relaxed) + 1;
    if (now > __atomic_load_n(&fh_registry.threads_peak, __ATOMIC_RELAXED))
        __atomic_store_n(&fh_registry.threads_peak, now, __ATOMIC_RELAXED);
    if (heap_config.attached) heap_config.attached(heap);
    return heap;
}

/* Current slabs are queued, so that other threads find them. Holds: the heap's lock. */
static void heap_queue_current(struct heap *heap)
{
    for (unsigned c = 1; c < CLASSES; c++) {
        struct bin *bin = &heap->bin[c];
        if (bin->current == 0) continue;
        struct span *slab = span_at(bin->current);
        bin->current = 0;
        bin = &heap->bin[slab->size_class]; /* borrowed slabs go home */
        uint32_t used = slab_used(slab);
        if (used < slab->carved || slab->uncarved) {
            slab_set_partial(slab, used);
            bin_push_front(bin, slab);
        } else {
            slab_set_full(slab, used);
        }
    }
}

/* Its lists go back to its slabs, and empty slabs to the arena. Holds: the heap's lock. */
static void heap_cool(struct heap *heap)
{
    heap_flush_locked(heap);
    heap_queue_current(heap);
    heap->settled = true;
}

/* A few heaps wait as they are, lists and all, for the next thread: where threads come and go, it finds
 * one warm, and neither end nor start costs a walk. If none comes, the purger settles them. */
void heap_detach(struct heap *heap)
{
    enum { WARM = 8 };
    if (heap == &heap_none) return;
    if (heap == heap_self) heap_self = &heap_none;
    lock_take(&heap->lock);
    heap_send(heap);
    heap->settled = false;
    if (atomic_fetch_add_explicit(&warm_heaps, 1, memory_order_relaxed) >= WARM) {
        atomic_fetch_sub_explicit(&warm_heaps, 1, memory_order_relaxed);
        heap_cool(heap);
    }
    STORE(&heap->state, FH_HEAP_IDLE);
    lock_give(&heap->lock);
    atomic_fetch_sub_explicit(&threads_now, 1, memory_order_relaxed);
    idle_push(heap);
    if (__atomic_load_n(&fh_registry.slabs, __ATOMIC_RELAXED) >= HEAP_WORTH_SWEEPING) purger_note();
}

/* Whoever holds the lock of an idle heap is its owner for so long: a thread that takes it over locks
 * it once (heap_attach). */
bool heap_lock_if_idle(struct heap *heap)
{
    if (LOAD(&heap->state) != FH_HEAP_IDLE) return false;
    lock_take(&heap->lock);
    if (LOAD(&heap->state) == FH_HEAP_IDLE) return true;
    lock_give(&heap->lock);
    return false;
}

void heap_settle(struct heap *heap)
{
    if (!heap_lock_if_idle(heap)) return;
    heap_collect(heap);
    if (!heap->settled) {
        atomic_fetch_sub_explicit(&warm_heaps, 1, memory_order_relaxed);
        heap_cool(heap);
    }
    lock_give(&heap->lock);
}

/* An idle heap that has a partial slab of the class, locked; or NULL. Looks at a few only: with
 * thousands of idle heaps the search must not cost more than a new slab. */
struct heap *heap_lock_idle(unsigned size_class)
{
    enum { LOOK = 8 };
    struct heap *found = NULL;
    if (__atomic_load_n(&idle_first, __ATOMIC_RELAXED) == NULL) return NULL;
    lock_take(&idle_lock);
    struct heap *heap = idle_first;
    for (int i = 0; heap && i < LOOK && !found; i++, heap = heap->next_idle) {
        if (!lock_try(&heap->lock)) continue;
        bool idle =
            LOAD(&heap->state) == FH_HEAP_IDLE; /* or its next thread has not locked it yet */
        if (idle && (heap->bin[size_class].first || LOAD(&heap->pending)))
            found = heap;
        else
            lock_give(&heap->lock);
    }
    lock_give(&idle_lock);
    return found;
}

/* ---- fork ---------------------------------------------------------------------------------------- */

/* All locks in their order; whoever forks is then sure that nobody is in the middle of a slow path. */
void heap_fork_prepare(void)
{
    lock_take(&create_lock);
    for (uint32_t i = 0; i < heap_count(); i++) lock_take(&heap_at(i)->lock);
    lock_take(&idle_lock);
    run_fork_prepare();
}

void heap_fork_parent(void)
{
    run_fork_parent();
    lock_give(&idle_lock);
    for (uint32_t i = 0; i < heap_count(); i++) lock_give(&heap_at(i)->lock);
    lock_give(&create_lock);
}

/* A thread that does not exist in the child may have been in the middle of a free: its list of the
 * slab lacks a block then, which is lost, and nothing else. What lay in its table of remote frees is
 * dropped, since a table may be half written: at most REMOTE_BUDGET bytes. */
void heap_fork_child(void)
{
    run_fork_child();
    lock_reset(&create_lock);
    lock_reset(&idle_lock);
    for (uint32_t i = 0; i < heap_count(); i++) lock_reset(&heap_at(i)->lock);
    for (uint32_t i = 0; i < heap_count(); i++) {
        struct heap *heap = heap_at(i);
        if (heap == heap_self) {
            heap->thread = os_thread_id();
        } else if (LOAD(&heap->state) == FH_HEAP_LIVE) {
            for (int set = 0; set < REMOTE_SETS; set++) heap->remote[set].slab = 0;
            heap_detach(heap);
            heap_settle(heap);
        }
    }
}
