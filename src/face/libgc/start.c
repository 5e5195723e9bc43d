/*
 * The start: the arena, the heap, fork. Whichever function of the ABI a program calls first comes here, from
 * whatever thread; GC_init is one of them.
 */
#include <pthread.h>

#include "face/libgc/libgc.h"
#include "os/os.h"
#include "os/say.h"
#include "os/watch.h"
#include "span/purger.h"

struct libgc libgc;
_Thread_local struct libgc_local libgc_local __attribute__((tls_model("initial-exec")));

/* ---- lines for people ---------------------------------------------------------------------------------- */

void libgc_say(const char *text)
{
    os_say("freehold: libgc", text);
}

void libgc_stop(const char *text)
{
    libgc_say(text);
    base_abort();
}

/* ---- the caller ---------------------------------------------------------------------------------------------- */

struct gc_thread *libgc_enter(void)
{
    if (libgc_local.called.what) return NULL;
    struct gc_thread *thread = thread_self();
    thread_enter(thread);
    return thread;
}

void libgc_leave(struct gc_thread *thread)
{
    if (thread) thread_leave(thread);
}

/* ---- the lock ---------------------------------------------------------------------------------------------- */

/* Who waits can be stopped, and so can who has it and was not busy yet: nothing has changed then. */
struct gc_thread *libgc_lock(void)
{
    libgc_heap();
    struct gc_thread *thread = thread_self();
    lock_take(&libgc.lock);
    thread_enter(thread);
    return thread;
}

void libgc_unlock(struct gc_thread *thread)
{
    lock_give(&libgc.lock);
    thread_leave(thread);
}

/* ---- fork ---------------------------------------------------------------------------------------------------- */

/* GC_set_handle_fork: 1 by handlers of ours, the standard; -1 by GC_atfork_ functions that the program calls; 0 not. */
static int handle_fork = 1;

static void fork_prepare(void)
{
    struct gc_thread *self = gc_local.thread;
    lock_take(&libgc.lock); /* not busy while it waits: see libgc_lock */
    if (self) self->busy++;
    gc_fork_prepare();
    span_fork_prepare();
}

static void fork_release(void)
{
    struct gc_thread *self = gc_local.thread;
    lock_give(&libgc.lock);
    if (self) thread_leave(self);
}

static void fork_parent(void)
{
    span_fork_parent();
    gc_fork_parent();
    fork_release();
}

static void fork_child(void)
{
    span_fork_child();
    purger_fork_child();
    fh_registry.pid = os_process_id();
    gc_fork_child();
    suspend_fork_child();
    fork_release();
}

static void handler_prepare(void)
{
    if (handle_fork == 1) fork_prepare();
}

static void handler_parent(void)
{
    if (handle_fork == 1) fork_parent();
}

static void handler_child(void)
{
    if (handle_fork == 1) fork_child();
}

GC_API void GC_set_handle_fork(int how)
{
    handle_fork = how;
}

GC_API void GC_atfork_prepare(void)
{
    libgc_heap();
    if (handle_fork == -1) fork_prepare();
}

GC_API void GC_atfork_parent(void)
{
    if (handle_fork == -1) fork_parent();
}

GC_API void GC_atfork_child(void)
{
    if (handle_fork == -1) fork_child();
}

/* ---- the heap -------------------------------------------------------------------------------------------------- */

static void registry_start(void)
{
    fh_registry.pid = os_process_id();
    fh_registry.page_size = (uint32_t)os_page_size();
    fh_registry.started_ms = os_clock_ms();
}

static void bounds_publish(void)
{
    GC_least_plausible_heap_addr = (void *)side_base();
    GC_greatest_plausible_heap_addr = (void *)(arena.base + arena.size);
}

/* Bytes to mark from which on that is done beside the program. Below, all processors mark while it stands, which is over in
 * less time than a cycle beside it takes from it: written pages are looked at again, and there are more cycles, since
 * each starts early. */
#define WATCH_FROM (192 * MIB)

void watch_ask(struct gc_heap *heap)
{
    unsigned all = OS_WATCH_PROTECT | OS_WATCH_SOFT_DIRTY | OS_WATCH_FAULTS;
    os_watch_allow(environment_watch ? environment_watch : all);
    STORE(&heap->watch_least, 0);
}

static struct gc_heap *start_once(void)
{
    struct fh_gc_options options = {.policy = FH_GC_WATCHED,
                                    .sizing = FH_GC_ADAPTIVE,
                                    .growth_percent = 100,
                                    .no_static_data = true, /* roots.c has its own view */
                                    .no_moving = true};
    int error;
    if (twins_have_variables())
        libgc_stop("another libgc was loaded first, to whose variables this one's functions are "
                   "bound: one "
                   "process can have one; stopping");
    signal_note_before();
    settings_from_environment(&options);
    if (GC_find_leak) options.policy = FH_GC_MARK; /* what is freed must be known to be at once */
    registry_start();
    if (!arena_init((size_t)4 << 40)) libgc_stop("there are no addresses for a heap; stopping");
    struct gc_heap *heap = gc_heap_create(&options, &error);
    if (heap == NULL) libgc_stop("no memory for a heap; stopping");
    heap->meets = true;
    if (heap->options.debug == 0) STORE(&heap->watch_least, WATCH_FROM);
    if (environment_watch) os_watch_allow(environment_watch);
    if (os_environment("GC_ENABLE_INCREMENTAL")) watch_ask(heap);
    kinds_init();
    uncollectable_init();
    boehm_finalizers_init();
    boehm_links_init();
    heap->weak_hook = weak_hook;
    roots_start(heap);
    bounds_publish();
    collect_start(heap);
    threads_start();
    signal_start();
    twins_look();
    return heap;
}

/* 0 not yet, 1 in progress, 2 done */
static _Atomic uint32_t start_state;

struct gc_heap *libgc_start(void)
{
    uint32_t state = 0;
    if (atomic_compare_exchange_strong(&start_state, &state, 1)) {
        struct gc_heap *heap = start_once();
        __atomic_store_n(&libgc.heap, heap, __ATOMIC_RELEASE);
        STORE_RELEASE(&start_state, 2);
        collect_sync(heap);
        pthread_atfork(handler_prepare, handler_parent, handler_child);
    }
    while (LOAD_ACQUIRE(&start_state) != 2) base_pause();
    return libgc.heap;
}

GC_API void GC_init(void)
{
    libgc_heap();
}

GC_API int GC_is_init_called(void)
{
    return __atomic_load_n(&libgc.heap, __ATOMIC_ACQUIRE) != NULL;
}

/* The end of the process does it all. */
GC_API void GC_deinit(void) {}

GC_API unsigned GC_get_version(void)
{
    enum { MAJOR = 8, MINOR = 2, MICRO = 2 };
    return MAJOR << 16 | MINOR << 8 | MICRO;
}
