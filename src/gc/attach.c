/*
 * Threads that come and go: what the collector has to know of one, from its first call to its end.
 *
 * A thread is found by its own calls; its end by the destructor of a key. Its record is used again
 * for another thread, and never given back. What may allocate or take a lock of libc's (the bounds
 * of the stack, the list of modules) is asked for outside of the world lock, since a thread that
 * stands may hold such a lock.
 */
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "base/syscall.h"
#include "gc/call.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/roots.h"
#include "gc/safe.h"
#include "os/os.h"

static struct gc_thread *thread_pool; /* records of threads that ended; the world lock's */
static size_t thread_count;
static pthread_key_t thread_key;
static _Atomic uint32_t handler_state; /* 0 not installed, 1 in progress, 2 installed */

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

/* The values of pthread_setspecific: glibc has those of the first 32 keys in the thread's own
 * record, pairs of a number and the value. That is at the thread pointer, above it on x86-64 and
 * below it on aarch64; in the memory of the stack, which is searched to its end, but the main
 * thread's is apart, behind its thread-local variables. Ours tells where they are. */
static void specific_add(struct gc_thread *thread)
{
#ifdef __GLIBC__
    enum { KEYS = 32, RECORD_WORDS = 256 };
#ifdef __aarch64__
    const intptr_t step = -1;
#else
    const intptr_t step = 1;
#endif
    const uintptr_t *at = __builtin_thread_pointer();
    if (thread_key >= KEYS) return;
    for (unsigned i = 0; i < RECORD_WORDS; i++, at += step) {
        if (*at != (uintptr_t)thread) continue;
        const uintptr_t *start = at - 1 - 2 * thread_key;
        thread->tls_low = base_min(thread->tls_low, (uintptr_t)start);
        thread->tls_high = base_max(thread->tls_high, (uintptr_t)(start + 2 * KEYS));
        return;
    }
#else
    (void)thread;
#endif
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
    specific_add(thread);
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
        CHECK(os_signal_handle(FH_GC_SIGNAL, thread_on_signal));
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
    pthread_setspecific(thread_key, thread);
    thread_find_memory(thread); /* may allocate: outside of the lock */
    world_take();
    thread->next = gc_threads;
    gc_threads = thread;
    thread_enter(thread);
    gc_local.thread = thread;
    gc_local.detached = false;
    thread_count++;
    for (unsigned h = 0; h < FH_GC_HEAPS; h++)
        if (gc_heaps[h].exists) thread_join_heap(thread, &gc_heaps[h]);
    world_give();
    thread_leave(thread);
    return thread;
}

struct gc_thread *thread_self(void)
{
    struct gc_thread *thread = gc_local.thread;
    if (LIKELY(thread)) return thread;
    if (gc_local.detached) program_misused("a detached thread uses a heap; stopping");
    thread = thread_attach();
    if (thread) return thread;
    program_misused("no memory for the record of a thread; stopping");
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
    thread_enter(thread); /* for good */
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
    if (thread && LOAD(&thread->state) != THREAD_RUNS) thread_wait_over();
    gc_local.blocking = 0;
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

/* The outer one is this one, or lies where the thread's stack has not come to by now: `low` is the end of
 * the caller's. */
static bool frame_was_left(const struct gc_thread *thread, const struct fh_gc_frame *frame,
                           uintptr_t low)
{
    uintptr_t outer = (uintptr_t)thread->frames;
    bool own = low >= thread->stack_low && low < thread->stack_high;
    return thread->frames == frame || (own && outer >= thread->stack_low && outer < low);
}

GC_PUBLIC FH_NOINLINE void fh_gc_frame_enter(struct fh_gc_frame *frame)
{
    struct gc_thread *thread = thread_self();
    if (thread->frames && frame_was_left(thread, frame, (uintptr_t)__builtin_frame_address(0)))
        program_misused("an FH_GC_FRAME was left by longjmp; stopping");
    frame->outer = thread->frames;
    thread->frames = frame;
}

GC_PUBLIC void fh_gc_frame_leave(struct fh_gc_frame *frame)
{
    struct gc_thread *thread = gc_local.thread;
    if (thread && thread->frames == frame) thread->frames = frame->outer;
}
