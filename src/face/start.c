/* Start-up, thread ends and fork. See face/face.h. */
#include <pthread.h>

#include "face/face.h"
#include "face/oom.h"
#include "face/plug.h"
#include "gc/gc.h"
#include "os/os.h"
#include "span/purger.h"

/* ---- thread ends ---------------------------------------------------------------------------------- */

static pthread_key_t thread_end_key;
static bool thread_end_known;

/* Other destructors may run after this one and allocate again: the thread then gets a heap anew, and
 * the key's destructor another round (POSIX: at least four). */
static void thread_end(void *heap)
{
    policy_thread_end(heap);
}

void face_thread_attached(void *heap)
{
    if (thread_end_known) pthread_setspecific(thread_end_key, heap);
}

/* ---- fork ------------------------------------------------------------------------------------------- */

/* Handlers registered early run last before the fork and first after it: whatever other libraries'
 * handlers allocate, they do it with the heap in order. Lock order: heaps, then the arena. */
static void fork_prepare(void)
{
    gc_fork_prepare();
    policy_fork_prepare();
    span_fork_prepare();
}

static void fork_parent(void)
{
    span_fork_parent();
    policy_fork_parent();
    gc_fork_parent();
}

static void fork_child(void)
{
    span_fork_child();
    purger_fork_child();
    policy_fork_child();
    fh_registry.pid = os_process_id();
    __atomic_store_n(&fh_registry.threads_peak, policy_has_heap(), __ATOMIC_RELAXED);
    run_slot_fork_child();
    oom_fork_child();
    plug_fork_child();
    gc_fork_child();
}

void face_tick(void)
{
    run_slot_tick();
    plug_tick();
}

/* ---- start-up ------------------------------------------------------------------------------------- */

static void registry_start(void)
{
    fh_registry.pid = os_process_id();
    fh_registry.page_size = (uint32_t)os_page_size();
    fh_registry.started_ms = os_clock_ms();
    policy_class_sizes(fh_registry.class_size);
}

static bool start_once(void)
{
    options_read();
    registry_start();
    purger.sweep = policy_sweep;
    thread_end_known = pthread_key_create(&thread_end_key, thread_end) == 0;
    run_slot_claim();
    options_stop_if_strict();
    if (!arena_init(policy_reserve((size_t)options.reserve)) || !policy_start()) return false;
    run_slot_stands();
    if (options.stats) stats_keep_stderr();
    if (options.limit) span_bound.limit = (uint32_t)((uint64_t)options.limit >> SLICE_SHIFT);
    oom_start();
    plug_start();
    options_stop_if_strict();
    return true;
}

/* With options given, start even in a program that never allocates: `freehold run` shall see it, and
 * a wrong option shall be said. */
__attribute__((constructor)) static void start_if_asked(void)
{
    if (os_environment("FREEHOLD_OPTIONS") && face_start()) look_at_end();
}

/* 0 not yet, 1 in progress, 2 done, 3 failed */
static _Atomic uint32_t start_state;

bool face_start(void)
{
    uint32_t state = LOAD_ACQUIRE(&start_state);
    if (state == 0 && atomic_compare_exchange_strong(&start_state, &state, 1)) {
        bool done = start_once();
        STORE_RELEASE(&start_state, done ? 2 : 3);
        /* May allocate, so after everything else. */
        if (done) pthread_atfork(fork_prepare, fork_parent, fork_child);
        return done;
    }
    while ((state = LOAD_ACQUIRE(&start_state)) == 1) base_pause();
    return state == 2;
}
