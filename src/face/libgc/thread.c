/*
 * Threads. gc/ attaches a thread when it first allocates; here are the ways in which programs of this ABI announce
 * theirs: wrapped (GC_pthread_create), registered, or waiting (GC_do_blocking); and stacks that are not those that
 * threads began with.
 *
 * A wrapped thread has a record, an uncollectable object, from before it starts until it is joined, or until its end
 * if it is detached: it keeps what the thread was given, and what it returned, which nobody else may hold.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "face/libgc/libgc.h"
#include "os/os.h"
#include "os/watch.h"

struct GC_stack_base {
    void *mem_base;
};

struct thread_info {
    struct thread_info *next;
    void *(*entry)(void *);
    void *argument, *result;
    pthread_t id;
    bool known; /* id is set */
    bool detached, ended;
};

typedef void *call_fn(void *data);

static struct thread_info *infos; /* the tables' lock */
static char *stackbottom_told;    /* what GC_stackbottom was set to by us */
static struct gc_thread *first_thread;

/* ---- wrapped threads ---------------------------------------------------------------------------------------- */

static void info_drop(struct thread_info *info)
{
    struct gc_thread *thread = libgc_lock();
    struct thread_info **at = &infos;
    while (*at && *at != info) at = &(*at)->next;
    if (*at) *at = info->next;
    libgc_unlock(thread);
    GC_free(info);
}

/* If it is there still: the thread may have ended, and been joined by somebody else. */
static void info_know(const struct thread_info *wanted, pthread_t id)
{
    struct gc_thread *thread = libgc_lock();
    struct thread_info *info = infos;
    while (info && info != wanted) info = info->next;
    if (info) info->id = id;
    if (info) info->known = true;
    libgc_unlock(thread);
}

static struct thread_info *info_find(pthread_t id)
{
    struct gc_thread *thread = libgc_lock();
    struct thread_info *info = infos;
    while (info && !(info->known && pthread_equal(info->id, id))) info = info->next;
    libgc_unlock(thread);
    return info;
}

static void info_end(void *data)
{
    struct thread_info *info = data;
    struct gc_thread *thread = libgc_lock();
    info->ended = true;
    bool drop = info->detached;
    libgc_unlock(thread);
    libgc_local.info = NULL;
    if (drop) info_drop(info);
}

static void *thread_main(void *data)
{
    struct thread_info *info = data;
    thread_self();
    libgc_local.info = info;
    struct gc_thread *thread = libgc_lock();
    info->id = pthread_self();
    info->known = true;
    libgc_unlock(thread);
    void *result;
    pthread_cleanup_push(info_end, info);
    result = info->entry(info->argument);
    info->result = result;
    pthread_cleanup_pop(1);
    return result;
}

GC_API int GC_pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                             void *(*entry)(void *), void *argument)
{
    int detached = PTHREAD_CREATE_JOINABLE;
    libgc_heap();
    struct thread_info *info = GC_malloc_uncollectable(sizeof *info);
    if (info == NULL) return EAGAIN;
    if (attributes) pthread_attr_getdetachstate(attributes, &detached);
    info->entry = entry;
    info->argument = argument;
    info->detached = detached == PTHREAD_CREATE_DETACHED;
    struct gc_thread *thread = libgc_lock();
    info->next = infos;
    infos = info;
    libgc_unlock(thread);
    int error = pthread_create(id, attributes, thread_main, info);
    if (error)
        info_drop(info);
    else
        info_know(info, *id);
    return error;
}

/* The thread's record holds the result until here; from here on the caller's variable does. It is looked for before:
 * afterwards another thread may have the same id. */
GC_API int GC_pthread_join(pthread_t id, void **result)
{
    struct thread_info *info = info_find(id);
    fh_gc_blocking_begin();
    int error = pthread_join(id, result);
    fh_gc_blocking_end();
    suspend_check();
    if (info && !error) info_drop(info);
    return error;
}

GC_API int GC_pthread_detach(pthread_t id)
{
    struct thread_info *info = info_find(id);
    int error = pthread_detach(id);
    if (info == NULL || error) return error;
    struct gc_thread *thread = libgc_lock();
    info->detached = true;
    bool drop = info->ended;
    libgc_unlock(thread);
    if (drop) info_drop(info);
    return error;
}

GC_API _Noreturn void GC_pthread_exit(void *result)
{
    if (libgc_local.info) libgc_local.info->result = result;
    pthread_exit(result);
}

GC_API int GC_pthread_cancel(pthread_t id)
{
    return pthread_cancel(id);
}

/* The signal that stops threads stays open, and that by which pages may be watched: a thread that blocks it is killed by
 * a fault. */
GC_API int GC_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    sigset_t open;
    if (set && how != SIG_UNBLOCK) {
        open = *set;
        sigdelset(&open, FH_GC_SIGNAL);
        if (os_watch_by_faults()) sigdelset(&open, SIGSEGV);
        set = &open;
    }
    return pthread_sigmask(how, set, old);
}

GC_API void *GC_dlopen(const char *path, int mode)
{
    return dlopen(path, mode);
}

/* ---- registered ones -------------------------------------------------------------------------------------------- */

GC_API void GC_allow_register_threads(void)
{
    libgc_heap();
}

GC_API int GC_register_my_thread(const struct GC_stack_base *base)
{
    (void)base; /* libc knows the whole stack */
    libgc_heap();
    if (gc_local.thread) return GC_DUPLICATE;
    thread_self();
    return GC_SUCCESS;
}

GC_API int GC_unregister_my_thread(void)
{
    fh_gc_thread_detach();
    gc_local.detached = false; /* it may come back */
    return GC_SUCCESS;
}

GC_API int GC_thread_is_registered(void)
{
    return gc_local.thread != NULL;
}

GC_API int GC_get_stack_base(struct GC_stack_base *base)
{
    uintptr_t low, high;
    if (!os_stack_bounds(&low, &high)) return GC_UNIMPLEMENTED;
    base->mem_base = (void *)high;
    return GC_SUCCESS;
}

GC_API FH_NOINLINE void *GC_call_with_stack_base(void *(*function)(struct GC_stack_base *, void *),
                                                 void *data)
{
    struct GC_stack_base base = {__builtin_frame_address(0)};
    void *result = function(&base, data);
    __asm__ volatile("" ::"r"(&base) : "memory"); /* the frame stays */
    return result;
}

GC_API void GC_register_altstack(void *stack, GC_word size, void *other, GC_word other_size)
{
    (void)stack; /* the kernel tells the handler which stack it interrupts */
    (void)size;
    (void)other;
    (void)other_size;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------ */

GC_API void *GC_do_blocking(call_fn *function, void *data)
{
    libgc_heap();
    void *result = fh_gc_blocking(function, data);
    suspend_check();
    return result;
}

/* Outside of GC_do_blocking the thread is active as it is. */
GC_API void *GC_call_with_gc_active(call_fn *function, void *data)
{
    libgc_heap();
    const struct gc_thread *thread = thread_self();
    bool waits = LOAD(&thread->state) != THREAD_RUNS;
    if (waits) fh_gc_blocking_end();
    if (waits) suspend_check();
    void *result = function(data);
    if (waits) fh_gc_blocking_begin();
    return result;
}

GC_API void *GC_call_with_alloc_lock(call_fn *function, void *data)
{
    struct gc_thread *thread = libgc_lock();
    void *result = function(data);
    libgc_unlock(thread);
    return result;
}

GC_API void GC_alloc_lock(void)
{
    libgc_lock();
}

GC_API void GC_alloc_unlock(void)
{
    libgc_unlock(gc_local.thread);
}

/* ---- other stacks --------------------------------------------------------------------------------------------------- */

/* From its pointer up to `bottom` a thread's stack is searched, if the pointer is less than this below. */
#define STACK_MOST ((uintptr_t)1 << 30)

static void stack_set(struct gc_thread *thread, uintptr_t bottom)
{
    uintptr_t low, high;
    bool own =
        thread == gc_local.thread && os_stack_bounds(&low, &high) && bottom - low <= high - low;
    thread->stack_high = own ? high : bottom;
    thread->stack_low = own ? low : bottom - base_min(bottom, STACK_MOST);
    thread->stack_left = own ? 0 : bottom; /* nothing of it while the pointer is elsewhere */
}

GC_API void *GC_get_my_stackbottom(struct GC_stack_base *base)
{
    libgc_heap();
    struct gc_thread *thread = thread_self();
    base->mem_base = (void *)thread->stack_high;
    return thread;
}

GC_API void GC_set_stackbottom(void *handle, const struct GC_stack_base *base)
{
    libgc_heap();
    stack_set(handle ? handle : thread_self(), (uintptr_t)base->mem_base);
}

/* Programs with one thread switch stacks by writing to GC_stackbottom. */
void stackbottom_sync(void)
{
    if (GC_stackbottom == stackbottom_told || first_thread == NULL) return;
    stackbottom_told = GC_stackbottom;
    stack_set(first_thread, (uintptr_t)GC_stackbottom);
}

void threads_start(void)
{
    first_thread = thread_self();
    if (GC_stackbottom == NULL) GC_stackbottom = (char *)first_thread->stack_high;
    stackbottom_told = GC_stackbottom;
}

/* ---- signals, and stopping from outside ------------------------------------------------------------------------------ */

GC_API int GC_get_suspend_signal(void)
{
    return FH_GC_SIGNAL;
}

GC_API int GC_get_thr_restart_signal(void)
{
    return FH_GC_SIGNAL; /* none: threads are woken otherwise */
}

GC_API void GC_set_suspend_signal(int signal)
{
    if (signal != FH_GC_SIGNAL && signal != -1)
        libgc_say("GC_set_suspend_signal: threads are stopped by SIGURG, which stays so");
}

GC_API void GC_set_thr_restart_signal(int signal)
{
    (void)signal;
}

GC_API void GC_start_mark_threads(void)
{
    libgc_heap(); /* they are started with the first collection */
}

GC_API void GC_stop_world_external(void)
{
    libgc_heap();
    struct gc_thread *self = thread_self();
    world_take();
    self->busy++;
    world_stop(libgc.heap);
}

GC_API void GC_start_world_external(void)
{
    struct gc_thread *self = thread_self();
    world_go();
    world_give();
    thread_leave(self);
}
