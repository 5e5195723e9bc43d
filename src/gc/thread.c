/*
 * Attached threads, and how they are stopped.
 *
 *                 safe_enter                     world_stop
 *        RUNS -----------------> SAFE --------------------------> HELD
 *         ^                       | ^                              |
 *         +-----------------------+ +------------------------------+
 *           safe_leave, not wanted              world_go
 *
 * A SAFE thread has published where its stack and registers are. It comes there at a safepoint, around a
 * call that waits (fh_gc_blocking, the world lock), or in the handler of FH_GC_SIGNAL. Inside a slow path
 * (`busy`) the handler does nothing, since `wanted` is seen at the end of it: so a thread that stands
 * is never inside the collector, and holds none of its locks. It may be anywhere else, in malloc too.
 *
 * Rejected: stopping in slow paths, with every list in a state that a collection can bear; a pipe or
 * semaphore for the handler to wait on (the state word is a futex already).
 */
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "base/syscall.h"
#include "gc/mark.h"
#include "os/os.h"

_Thread_local struct gc_local gc_local __attribute__((tls_model("initial-exec")));

struct gc_thread *gc_threads;

static struct lock world_lock;
static struct gc_thread *thread_pool; /* records of threads that ended; the world lock's */
static size_t thread_count;
static pthread_key_t thread_key;
static _Atomic uint32_t handler_state; /* 0 not installed, 1 in progress, 2 installed */

/* Counts threads that came to stand; who stops them sleeps on it. */
static _Atomic uint32_t safe_bell;

enum { WANTED_STOP = 1, WANTED_ACTION = 2 };

/* Whose heap's work it is that threads stand and wait for; the world lock's. */
static struct gc_heap *_Atomic world_heap;

/* What WANTED_ACTION asks for; the world lock's. */
static struct gc_heap *action_heap;
static handshake_fn *action_function;

/* ---- SAFE ---------------------------------------------------------------------------------------- */

static void bell_ring(void)
{
    atomic_fetch_add(&safe_bell, 1);
    os_wake(&safe_bell);
}

static void safe_publish(struct gc_thread *thread)
{
    /* In one order with the look at `wanted`; partner: world_stop, handshake. */
    atomic_store(&thread->state, THREAD_SAFE);
    if (atomic_load(&thread->wanted)) bell_ring();
}

static bool safe_leave_at_once(struct gc_thread *thread)
{
    uint32_t safe = THREAD_SAFE;
    return LOAD_ACQUIRE(&thread->wanted) != WANTED_STOP &&
           atomic_compare_exchange_strong(&thread->state, &safe, THREAD_RUNS);
}

/* Becomes RUNS, as soon as nobody stops or holds it. */
static void safe_leave(struct gc_thread *thread)
{
    if (safe_leave_at_once(thread)) return;
    pause_begin(thread, LOAD(&world_heap));
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

/* The stack as of here, with registers of callers that this function and the one before it have pushed: their
 * frames may be gone while the thread is still SAFE (fh_gc_blocking_begin), or walks (still_begin). */
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

static FH_NOINLINE void safe_enter(struct gc_thread *thread)
{
    thread_publish(thread);
    safe_publish(thread);
}

/* The thread does what a handshake asks of it; its stack and registers are noted. */
static void action_run(struct gc_thread *thread)
{
    action_function(action_heap, thread);
    STORE_RELEASE(&thread->wanted, 0); /* partner: handshake */
    bell_ring();
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
    pause_begin(thread, LOAD(&world_heap));
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

/* Publishes what a signal has interrupted. The frame of the signal is searched too: in it are the vector
 * registers, through which compilers pass pairs of pointers. On an alternate stack there may be frames of
 * the program's own handlers as well, and in these the registers of what they have interrupted. The registers as of
 * here are for the case that somebody between the kernel and us kept the signal back, and its context is of an earlier
 * moment (the thread sanitizer). */
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

static void on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || thread->busy || !LOAD_ACQUIRE(&thread->wanted)) return;
    if (LOAD(&thread->state) != THREAD_RUNS) return;
    int error = errno;
    interrupted_publish(thread, context);
    thread->busy++; /* its pause is noted without another safepoint */
    pause_begin(thread, LOAD(&world_heap));
    signal_serve(thread);
    pause_end(thread);
    thread->signal_low = thread->signal_high = 0;
    thread->busy--;
    errno = error;
}

/* It is not attached, or inside fh_gc_blocking, where it may fork: it holds nobody up, and stays as it is. */
static bool thread_stands_apart(const struct gc_thread *self)
{
    return self == NULL || LOAD(&self->state) != THREAD_RUNS;
}

void thread_wait(_Atomic uint32_t *word, uint32_t value)
{
    struct gc_thread *self = gc_local.thread;
    if (thread_stands_apart(self)) {
        os_wait_long(word, value);
        return;
    }
    self->busy++;
    safe_enter(self);
    os_wait_long(word, value);
    safe_leave(self);
    thread_leave(self);
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

/* ---- the world ------------------------------------------------------------------------------------- */

void world_take(void)
{
    struct gc_thread *self = gc_local.thread;
    if (lock_try(&world_lock)) return;
    if (thread_stands_apart(self)) {
        lock_take(&world_lock);
        return;
    }
    self->busy++;
    pause_begin(self, LOAD(&world_heap));
    safe_enter(self);
    lock_take(&world_lock);
    safe_leave(self); /* at once: nobody stops threads but who has the lock */
    pause_end(self);
    self->busy--;
}

void world_give(void)
{
    lock_give(&world_lock);
}

/* SAFE to HELD; false if it runs. */
static bool thread_hold(struct gc_thread *thread)
{
    uint32_t safe = THREAD_SAFE;
    return LOAD(&thread->state) == THREAD_HELD ||
           atomic_compare_exchange_strong(&thread->state, &safe, THREAD_HELD);
}

static bool world_stands(struct gc_thread *self)
{
    bool all = true;
    for (struct gc_thread *t = gc_threads; t; t = t->next)
        if (t != self && !thread_hold(t)) all = false;
    return all;
}

void world_is_for(struct gc_heap *heap)
{
    STORE(&world_heap, heap);
}

void world_stop(struct gc_heap *heap)
{
    struct gc_thread *self = gc_local.thread;
    world_is_for(heap); /* before anybody is wanted */
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        if (t == self) continue;
        atomic_store(&t->wanted,
                     WANTED_STOP); /* before the look at its state; partner: safe_publish */
        if (!thread_hold(t)) os_thread_signal(t->id, FH_GC_SIGNAL);
    }
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&safe_bell);
        if (world_stands(self)) return;
        /* A signal may have come while the thread was busy for the last instruction: ask again. */
        os_wait(&safe_bell, bell, 20);
        for (struct gc_thread *t = gc_threads; t; t = t->next)
            if (t != self && LOAD(&t->state) == THREAD_RUNS && LOAD(&safe_bell) == bell)
                os_thread_signal(t->id, FH_GC_SIGNAL);
    }
}

/* Does a thread's part for it, if it is SAFE; true once it is done, by whomever. */
static bool action_for(struct gc_thread *thread)
{
    uint32_t safe = THREAD_SAFE;
    if (LOAD_ACQUIRE(&thread->wanted) == 0) return true;
    if (!atomic_compare_exchange_strong(&thread->state, &safe, THREAD_HELD)) return false;
    if (LOAD_ACQUIRE(&thread->wanted)) action_function(action_heap, thread);
    STORE_RELEASE(&thread->wanted, 0);
    STORE_RELEASE(&thread->state, THREAD_SAFE);
    os_wake(&thread->state);
    return true;
}

void handshake(struct gc_heap *heap, handshake_fn *action)
{
    struct gc_thread *self = gc_local.thread;
    action_heap = heap;
    action_function = action;
    ASSERT(self == NULL);
    (void)self;
    world_is_for(heap);
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        if (heap->options.debug & FH_GC_RANDOM_DELAY) os_delay_us(os_random() % 200);
        atomic_store(&t->wanted, WANTED_ACTION);
        if (!action_for(t)) os_thread_signal(t->id, FH_GC_SIGNAL);
    }
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&safe_bell);
        bool all = true;
        for (struct gc_thread *t = gc_threads; t; t = t->next) all &= action_for(t);
        if (all) return;
        os_wait(&safe_bell, bell, 5);
        if (LOAD(&safe_bell) != bell) continue;
        for (struct gc_thread *t = gc_threads; t; t = t->next)
            if (LOAD(&t->wanted) && LOAD(&t->state) == THREAD_RUNS)
                os_thread_signal(t->id, FH_GC_SIGNAL);
    }
}

void world_go(void)
{
    struct gc_thread *self = gc_local.thread;
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        if (t == self) continue;
        STORE_RELEASE(&t->wanted, 0);
        STORE_RELEASE(&t->state, THREAD_SAFE);
        os_wake(&t->wanted);
        os_wake(&t->state);
    }
}

/* ---- attaching ---------------------------------------------------------------------------------------- */

/* Adds the calling thread's part of a module's thread-local variables. */
static int tls_add(struct dl_phdr_info *info, size_t size, void *data)
{
    struct gc_thread *thread = data;
    if (size < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof info->dlpi_tls_data) return 1;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_TLS || info->dlpi_tls_data == NULL) continue;
        uintptr_t start = (uintptr_t)info->dlpi_tls_data, end = start + header->p_memsz;
        /* Static ones lie together below the thread pointer (above it on arm). */
        uintptr_t pointer = (uintptr_t)__builtin_thread_pointer();
        if (start > pointer + MIB || pointer > end + MIB) continue;
        if (start < thread->tls_low) thread->tls_low = start;
        if (end > thread->tls_high) thread->tls_high = end;
    }
    return 0;
}

static void thread_find_memory(struct gc_thread *thread)
{
    if (!os_stack_bounds(&thread->stack_low, &thread->stack_high)) {
        gc_say("a thread's stack cannot be found; it keeps nothing alive");
        thread->stack_low = thread->stack_high = 0;
    }
    thread->tls_low = UINTPTR_MAX;
    thread->tls_high = 0;
    modules_enter();
    dl_iterate_phdr(tls_add, thread);
    modules_leave();
    bool inside = thread->tls_low >= thread->stack_low && thread->tls_high <= thread->stack_high;
    if (thread->tls_high == 0 || inside) thread->tls_low = thread->tls_high = 0;
}

static void gc_thread_end(void *unused);

/* Once, by whichever thread is first. */
static void handler_install(void)
{
    uint32_t state = 0;
    if (LOAD_ACQUIRE(&handler_state) == 2) return;
    if (atomic_compare_exchange_strong(&handler_state, &state, 1)) {
        pthread_key_create(&thread_key, gc_thread_end);
        CHECK(os_signal_handle(FH_GC_SIGNAL, on_signal));
        STORE_RELEASE(&handler_state, 2);
    }
    while (LOAD_ACQUIRE(&handler_state) != 2) base_pause();
}

static struct gc_thread *thread_record(void)
{
    struct gc_thread *thread = thread_pool;
    if (thread)
        thread_pool = thread->next;
    else
        thread = arena_record(RECORD_GC, sizeof *thread);
    if (thread) memset(thread, 0, sizeof *thread);
    return thread;
}

struct gc_thread *thread_attach(void)
{
    if (gc_local.thread) return gc_local.thread;
    handler_install();
    world_take();
    struct gc_thread *thread = thread_record();
    world_give();
    if (thread == NULL) return NULL;
    thread->id = os_thread_id();
    thread->contexts = gc_local.contexts;
    thread_find_memory(thread); /* may allocate: outside of the lock */
    pthread_setspecific(thread_key, thread);
    world_take();
    thread->next = gc_threads;
    gc_threads = thread;
    gc_local.thread = thread;
    gc_local.detached = false;
    thread_count++;
    for (unsigned h = 0; h < FH_GC_HEAPS; h++)
        if (gc_heaps[h].exists) thread_join_heap(thread, &gc_heaps[h]);
    world_give();
    return thread;
}

static FH_COLD void thread_misused(const char *what)
{
    gc_say(what);
    base_abort();
}

void thread_check(struct gc_thread *thread)
{
    if (UNLIKELY(gc_local.tracing))
        thread_misused("a call of the collector while objects are traced or walked; stopping");
    if (UNLIKELY(LOAD(&thread->state) != THREAD_RUNS))
        thread_misused("a call of the collector inside fh_gc_blocking; stopping");
}

struct gc_thread *thread_self(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (LIKELY(thread)) return thread;
    if (gc_local.detached) thread_misused("a detached thread uses a heap; stopping");
    thread = thread_attach();
    if (thread) return thread;
    gc_say("no memory for the record of a thread; stopping");
    base_abort();
}

GC_PUBLIC int fh_gc_thread_attach(void)
{
    return arena.size == 0 || thread_attach() ? 0 : -ENOMEM;
}

static int thread_detach(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL) return -ESRCH;
    if (thread->busy) return -EBUSY;
    world_take();
    for (unsigned h = 0; h < FH_GC_HEAPS; h++)
        if (gc_heaps[h].exists) thread_leave_heap(thread, &gc_heaps[h]);
    struct gc_thread **at = &gc_threads;
    while (*at != thread) at = &(*at)->next;
    *at = thread->next;
    gc_local.thread = NULL;
    memset(gc_local.contexts, 0, sizeof gc_local.contexts);
    thread->next = thread_pool;
    thread_pool = thread;
    thread_count--;
    pthread_setspecific(thread_key, NULL);
    world_give();
    return 0;
}

GC_PUBLIC int fh_gc_thread_detach(void)
{
    int result = thread_detach();
    if (result == 0) gc_local.detached = true;
    return result;
}

static void gc_thread_end(void *unused)
{
    struct gc_thread *thread = gc_local.thread;
    (void)unused;
    /* It ended inside fh_gc_blocking: cancelled, or left by an exception. */
    if (thread && LOAD(&thread->state) != THREAD_RUNS) fh_gc_blocking_end();
    thread_detach(); /* what other destructors do may attach it once more */
}

void threads_fork_child(void)
{
    struct gc_thread *self = gc_local.thread;
    for (struct gc_thread *t = gc_threads, *next; t; t = next) {
        next = t->next;
        if (t == self) continue;
        for (unsigned h = 0; h < FH_GC_HEAPS; h++)
            if (gc_heaps[h].exists) thread_forget_heap(t, &gc_heaps[h]);
        t->next = thread_pool;
        thread_pool = t;
    }
    gc_threads = self;
    thread_count = self != NULL;
    if (self == NULL) return;
    self->next = NULL;
    self->id = os_thread_id();
    STORE(&self->wanted, 0);
}

size_t gc_thread_count(void)
{
    return thread_count;
}

/* ---- the door --------------------------------------------------------------------------------------- */

GC_PUBLIC void fh_gc_safepoint(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread && thread->busy == 0 && UNLIKELY(LOAD(&thread->wanted))) thread_safepoint(thread);
}

/* The caller's frames stay where they are; what is below them is not looked at. */
GC_PUBLIC FH_NOINLINE void fh_gc_blocking_begin(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || thread->busy) return;
    thread->busy = 1; /* no signal handler of ours while SAFE */
    safe_enter(thread);
}

GC_PUBLIC void fh_gc_blocking_end(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL || LOAD(&thread->state) == THREAD_RUNS) return;
    safe_leave(thread);
    thread->busy = 0;
    fh_gc_safepoint();
}

GC_PUBLIC void *fh_gc_blocking(void *(*function)(void *data), void *data)
{
    fh_gc_blocking_begin();
    void *result = function(data);
    fh_gc_blocking_end();
    return result;
}

GC_PUBLIC void fh_gc_frame_enter(struct fh_gc_frame *frame)
{
    struct gc_thread *thread = thread_self();
    frame->outer = thread->frames;
    thread->frames = frame;
}

GC_PUBLIC void fh_gc_frame_leave(struct fh_gc_frame *frame)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread && thread->frames == frame) thread->frames = frame->outer;
}
