/*
 * One thread: how it comes to stand where the collector can look at it, and goes on again.
 *
 *                 safe_enter                     world_stop
 *        RUNS -----------------> SAFE --------------------------> HELD
 *         ^                       | ^                              |
 *         +-----------------------+ +------------------------------+
 *           safe_leave, not wanted              world_go
 *
 * A SAFE thread has published where its stack and registers are. It comes there at a safepoint,
 * around a call that waits (fh_gc_blocking, the world lock), or in the handler of FH_GC_SIGNAL.
 * Inside a slow path (`busy`) the handler does nothing, since `wanted` is seen at the end of it: so
 * a thread that stands is never inside the collector, and holds none of its locks. It may be
 * anywhere else, in malloc too.
 *
 * Rejected: stopping in slow paths, with every list in a state that a collection can bear; a pipe
 * or semaphore for the handler to wait on (the state word is a futex already).
 */
#include <string.h>

#include "gc/call.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/pause.h"
#include "gc/safe.h"
#include "gc/thread.h"
#include "os/os.h"

_Thread_local struct gc_local gc_local __attribute__((tls_model("initial-exec")));

_Atomic uint32_t safe_bell;

void safe_bell_ring(void)
{
    atomic_fetch_add(&safe_bell, 1);
    os_wake(&safe_bell);
}

static void safe_publish(struct gc_thread *thread)
{
    /* In one order with the look at `wanted`; partner: world_stop, handshake. */
    atomic_store(&thread->state, THREAD_SAFE);
    if (atomic_load(&thread->wanted)) safe_bell_ring();
}

static bool safe_leave_at_once(struct gc_thread *thread)
{
    uint32_t safe = THREAD_SAFE;
    return LOAD_ACQUIRE(&thread->wanted) != WANTED_STOP &&
           atomic_compare_exchange_strong(&thread->state, &safe, THREAD_RUNS);
}

/* Becomes RUNS, as soon as nobody stops or holds it. */
void safe_leave(struct gc_thread *thread)
{
    if (safe_leave_at_once(thread)) return;
    pause_begin(thread, world_whose());
    for (;;) {
        while (LOAD_ACQUIRE(&thread->wanted) == WANTED_STOP)
            os_wait_long(&thread->wanted, WANTED_STOP);
        uint32_t safe = THREAD_SAFE;
        if (atomic_compare_exchange_strong(&thread->state, &safe, THREAD_RUNS)) break;
        os_wait_long(&thread->state, THREAD_HELD);
    }
    /* Wanted between the last look and the exchange: whoever wants us sends a signal then. */
    pause_end(thread);
}

/* The stack as of here, with registers of callers that this function and the one before it have
 * pushed: their frames may be gone while the thread is still SAFE (fh_gc_blocking_begin), or walks
 * (still_begin). */
__attribute__((no_sanitize("address", "thread"))) FH_NOINLINE void thread_publish(
    struct gc_thread *thread)
{
    thread->stack_pointer = base_registers_save(thread->registers);
    thread->register_count = BASE_REGISTERS;
    thread->interrupted = false;
    const uintptr_t *at = (const uintptr_t *)thread->stack_pointer;
    while (thread->register_count < OS_REGISTERS && (uintptr_t)at < thread->stack_high)
        thread->registers[thread->register_count++] = *at++;
}

void stack_top_publish(const struct stack_top *top)
{
    struct gc_thread *self = gc_local.thread;
    memcpy(self->registers, top->registers, sizeof top->registers);
    self->register_count = BASE_REGISTERS;
    self->stack_pointer = top->pointer;
}

FH_NOINLINE void safe_enter(struct gc_thread *thread)
{
    thread_publish(thread);
    safe_publish(thread);
}

/* The thread does what a handshake asks of it; its stack and registers are noted. */
static void action_run(struct gc_thread *thread)
{
    world_action.function(world_action.heap, thread);
    STORE_RELEASE(&thread->wanted, 0); /* partner: handshake */
    safe_bell_ring();
}

static FH_NOINLINE void action_here(struct gc_thread *thread)
{
    thread_publish(thread);
    action_run(thread);
}

FH_NOINLINE void thread_safepoint(struct gc_thread *thread)
{
    int error = errno;
    thread->busy++; /* a signal that comes now finds its work being done */
    pause_begin(thread, world_whose());
    while (LOAD_ACQUIRE(&thread->wanted)) {
        if (LOAD(&thread->wanted) == WANTED_ACTION) {
            action_here(thread);
        } else {
            safe_enter(thread);
            safe_leave(thread);
        }
    }
    pause_end(thread);
    thread->busy--;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    /* A signal that came just before found it busy and left only the note. */
    if (UNLIKELY(LOAD(&thread->wanted))) thread_safepoint(thread);
    errno = error;
}

/* Publishes what a signal has interrupted. The frame of the signal is searched too: in it are the
 * vector registers, through which compilers pass pairs of pointers. On an alternate stack there may
 * be frames of the program's own handlers as well, and in these the registers of what they have
 * interrupted. The registers as of here are for the case that somebody between the kernel and us
 * kept the signal back, and its context is of an earlier moment (the thread sanitizer). */
static FH_NOINLINE void interrupted_publish(struct gc_thread *thread, const void *context)
{
    uintptr_t pointer, low, high;
    thread->register_count = os_context_registers(context, thread->registers, &pointer);
    uintptr_t frame = base_registers_save(thread->registers + thread->register_count);
    thread->register_count += BASE_REGISTERS;
    thread->interrupted = true;
    thread->signal_low = thread->signal_high = 0;
    thread->stack_pointer = frame;
    if (!os_context_other_stack(context, &low, &high) || frame - low >= high - low) return;
    thread->signal_low = frame;
    thread->signal_high = high;
    thread->stack_pointer = pointer - BASE_RED_ZONE;
}

/* What it was interrupted for; its registers are noted. */
static void signal_serve(struct gc_thread *thread)
{
    if (LOAD(&thread->wanted) == WANTED_ACTION) {
        action_run(thread);
    } else {
        safe_publish(thread);
        safe_leave(thread);
    }
}

void thread_on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || thread->busy || !LOAD_ACQUIRE(&thread->wanted)) return;
    if (LOAD(&thread->state) != THREAD_RUNS) return;
    int error = errno;
    interrupted_publish(thread, context);
    thread->busy++; /* its pause is noted without another safepoint */
    pause_begin(thread, world_whose());
    signal_serve(thread);
    pause_end(thread);
    thread->signal_low = thread->signal_high = 0;
    thread->busy--;
    errno = error;
}

bool thread_stands_apart(const struct gc_thread *self)
{
    return self == NULL || LOAD(&self->state) != THREAD_RUNS;
}

static void wait_at_most(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    if (ms)
        os_wait(word, value, ms);
    else
        os_wait_long(word, value);
}

void thread_wait_ms(_Atomic uint32_t *word, uint32_t value, uint64_t ms)
{
    struct gc_thread *self = gc_local.thread;
    if (thread_stands_apart(self)) {
        wait_at_most(word, value, ms);
        return;
    }
    self->busy++;
    safe_enter(self);
    wait_at_most(word, value, ms);
    safe_leave(self);
    thread_leave(self);
}

void thread_wait(_Atomic uint32_t *word, uint32_t value)
{
    thread_wait_ms(word, value, 0);
}

void thread_wait_end(pthread_t other)
{
    struct gc_thread *self = gc_local.thread;
    if (self) self->busy++;
    if (self) safe_enter(self);
    pthread_join(other, NULL);
    if (self) safe_leave(self);
    if (self) thread_leave(self);
}

bool thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size)
{
    bool waits = thread_wait_begin();
    bool started = os_thread_start(thread, entry, argument, stack_size);
    if (waits) thread_wait_over();
    return started;
}

_Noreturn FH_COLD void program_misused(const char *what)
{
    gc_say(what);
    base_abort();
}

_Noreturn FH_COLD void heap_misused(void)
{
    program_misused("a heap is used that was destroyed, or never made; stopping");
}

void call_check(void)
{
    if (UNLIKELY(gc_local.tracing))
        program_misused("a call of the collector while objects are traced or walked; stopping");
    if (UNLIKELY(gc_local.listening))
        program_misused("a call of the collector in a listener; stopping");
    if (UNLIKELY(gc_local.blocking))
        program_misused("a call of the collector inside fh_gc_blocking; stopping");
}

void contexts_close(uintptr_t limits[FH_GC_HEAPS])
{
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        limits[h] = gc_local.contexts[h].limit;
        gc_local.contexts[h].limit = 0;
    }
}

void contexts_open(const uintptr_t limits[FH_GC_HEAPS])
{
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) gc_local.contexts[h].limit = limits[h];
}

GC_PUBLIC void fh_gc_safepoint(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread && thread->busy == 0 && UNLIKELY(LOAD(&thread->wanted))) thread_safepoint(thread);
}

/* Inline, since safe_enter saves the registers that it and its caller have pushed, and no more. */
FH_INLINE bool wait_begin(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || thread->busy) return false;
    thread->busy = 1; /* no signal handler of ours while SAFE */
    safe_enter(thread);
    return true;
}

void thread_wait_over(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || LOAD(&thread->state) == THREAD_RUNS) return;
    safe_leave(thread);
    thread->busy--;
    fh_gc_safepoint();
}

/* The caller's frames stay where they are; what is below them is not looked at. */
FH_NOINLINE bool thread_wait_begin(void)
{
    return wait_begin();
}

GC_PUBLIC FH_NOINLINE void fh_gc_blocking_begin(void)
{
    if (gc_local.blocking++ == 0) (void)wait_begin();
}

GC_PUBLIC void fh_gc_blocking_end(void)
{
    if (gc_local.blocking == 0)
        program_misused("fh_gc_blocking_end without fh_gc_blocking_begin; stopping");
    if (--gc_local.blocking == 0) thread_wait_over();
}

GC_PUBLIC void *fh_gc_blocking(void *(*function)(void *data), void *data)
{
    fh_gc_blocking_begin();
    void *result = function(data);
    fh_gc_blocking_end();
    return result;
}
