/*
 * Threads that the program suspends, and the handler of the signal for it.
 *
 * A suspended thread stands as one in GC_do_blocking does: SAFE to the collector, its stack and registers published, so
 * that collections go on and search it. It comes there by a note in its own thread-local memory:
 *
 *      runs                      --note, signal--------> stands in the handler
 *      in a slow path (busy)     --note, signals-------> stands in the handler, once it is out
 *      in GC_do_blocking         --note----------------> counts as suspended; stands at its end
 *      stands                    --the note is cleared-> goes on
 *
 * There are no counts: the first resume ends it, however often it was suspended, as in the original. The note goes with
 * the thread. Who suspends holds suspend_lock, so he is not suspended himself meanwhile, and finds the thread anew under
 * the world lock at each look: it may end.
 *
 * Another thread's variables are found from its record: they are initial-exec, so all lie at the same distance from
 * where a thread's memory begins, as does what pthread_self says.
 *
 * Rejected: standing in gc/'s handler as who is stopped by a collection (the next collection's end would let it go); a
 * signal of its own (programs know and keep open the one that there is).
 */
#include <signal.h>

#include "face/libgc/libgc.h"
#include "gc/safe.h"
#include "os/os.h"

static struct lock suspend_lock;
static struct sigaction handler_before; /* what the signal did when this library came */

/* ---- of another thread ------------------------------------------------------------------------------------- */

static ptrdiff_t distance(const struct gc_thread *thread)
{
    return (char *)thread->contexts - (char *)gc_local.contexts;
}

static struct libgc_local *local_of(const struct gc_thread *thread)
{
    return (struct libgc_local *)((char *)&libgc_local + distance(thread));
}

static bool is_blocking(const struct gc_thread *thread)
{
    const struct gc_local *local = (struct gc_local *)((char *)&gc_local + distance(thread));
    return __atomic_load_n(&local->blocking, __ATOMIC_RELAXED) > 0 &&
           atomic_load(&thread->state) != THREAD_RUNS;
}

/* NULL: not registered, or ended. Holds: the world lock. */
static struct gc_thread *thread_of(pthread_t id)
{
    struct gc_thread *thread = gc_threads;
    while (thread && (uintptr_t)pthread_self() + (uintptr_t)distance(thread) != (uintptr_t)id)
        thread = thread->next;
    return thread;
}

/* ---- to stand ------------------------------------------------------------------------------------------------ */

/* Its stack is published, and it is busy: no handler of gc/'s serves it. */
static void stand(struct gc_thread *thread)
{
    /* In one order with the look at `wanted`; partner: world_stop. */
    atomic_store(&thread->state, THREAD_SAFE);
    if (atomic_load(&thread->wanted)) safe_bell_ring();
    STORE_RELEASE(&libgc_local.stands, true);
    while (LOAD_ACQUIRE(&libgc_local.suspended)) os_wait_long(&libgc_local.suspended, 1);
    STORE(&libgc_local.stands, false);
    safe_leave(thread);
}

static FH_NOINLINE void stand_here(struct gc_thread *thread)
{
    thread_enter(thread);
    thread_publish(thread);
    stand(thread);
    thread_leave(thread);
}

void suspend_check(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (atomic_load(&libgc_local.suspended) && thread && thread->busy == 0) stand_here(thread);
}

/* What was interrupted is on the stack, above this frame; on an alternate stack it is apart. */
static void stack_publish_interrupted(struct gc_thread *thread, const void *context)
{
    uintptr_t low, high, pointer, registers[OS_REGISTERS];
    thread_publish(thread);
    thread->interrupted = true;
    uintptr_t frame = thread->stack_pointer;
    if (!os_context_other_stack(context, &low, &high) || frame - low >= high - low) return;
    os_context_registers(context, registers, &pointer);
    thread->signal_low = frame;
    thread->signal_high = high;
    thread->stack_pointer = pointer - BASE_RED_ZONE;
}

static void stand_interrupted(const void *context)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || thread->busy || LOAD(&thread->state) != THREAD_RUNS) return;
    int error = errno;
    thread->busy++;
    stack_publish_interrupted(thread, context);
    stand(thread);
    thread->signal_low = thread->signal_high = 0;
    thread->busy--; /* a signal that came meanwhile is delivered when the handler has returned */
    errno = error;
}

/* ---- the signal ------------------------------------------------------------------------------------------------ */

static void handler_call_before(int signal, siginfo_t *info, void *context)
{
    if (handler_before.sa_flags & SA_SIGINFO)
        handler_before.sa_sigaction(signal, info, context);
    else if (handler_before.sa_handler != SIG_DFL && handler_before.sa_handler != SIG_IGN)
        handler_before.sa_handler(signal);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    bool ours = thread_was_signalled();
    thread_on_signal(signal, info, context);
    if (LOAD_ACQUIRE(&libgc_local.suspended)) stand_interrupted(context);
    if (!ours) handler_call_before(signal, info, context);
}

/* A program's own, or that of another copy of this library. */
void signal_note_before(void)
{
    sigaction(FH_GC_SIGNAL, NULL, &handler_before);
}

void signal_start(void)
{
    CHECK(os_signal_handle(FH_GC_SIGNAL, on_signal));
}

void suspend_fork_child(void)
{
    suspend_lock = (struct lock){0};
    STORE(&libgc_local.suspended, 0);
}

/* ---- the door ---------------------------------------------------------------------------------------------------- */

/* Whether there is no more to wait for: the thread stands, or has ended, or was resumed meanwhile. */
static bool suspend_look(pthread_t id, bool first)
{
    world_take();
    struct gc_thread *thread = thread_of(id);
    struct libgc_local *local = thread ? local_of(thread) : NULL;
    if (local && first) atomic_store(&local->suspended, 1); /* before the look at its state */
    bool done =
        local == NULL || LOAD(&local->stands) || !LOAD(&local->suspended) || is_blocking(thread);
    if (!done) thread_signal(thread);
    world_give();
    return done;
}

/* A thread is busy for microseconds, or while it waits for others. */
static void suspend_other(pthread_t id)
{
    enum { DELAY_US = 20, DELAY_US_MAX = 2000 };
    lock_take(&suspend_lock);
    bool done = suspend_look(id, true);
    for (uint64_t delay = DELAY_US; !done; delay = base_min(delay * 2, DELAY_US_MAX)) {
        os_delay_us(delay);
        done = suspend_look(id, false);
    }
    lock_give(&suspend_lock);
}

GC_API void GC_suspend_thread(pthread_t id)
{
    libgc_heap();
    if (id != pthread_self()) {
        suspend_other(id);
        return;
    }
    if (thread_self()->busy)
        libgc_stop("GC_suspend_thread of itself by who has the lock; stopping");
    atomic_store(&libgc_local.suspended, 1);
    suspend_check();
}

GC_API void GC_resume_thread(pthread_t id)
{
    libgc_heap();
    world_take();
    const struct gc_thread *thread = thread_of(id);
    if (thread) STORE_RELEASE(&local_of(thread)->suspended, 0);
    if (thread) os_wake(&local_of(thread)->suspended);
    world_give();
}

GC_API int GC_is_thread_suspended(pthread_t id)
{
    libgc_heap();
    world_take();
    const struct gc_thread *thread = thread_of(id);
    bool suspended = thread && LOAD(&local_of(thread)->suspended);
    world_give();
    return suspended;
}
