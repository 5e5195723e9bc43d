/*
 * thread: a thread as the collector knows it, how it is asked to stand, and how all of them are.
 *
 *      thread.c   one: how it comes to stand, and goes on      attach.c   its two ends
 *      world.c    all: stopped, or asked by handshakes
 *
 * A thread that is `busy`, in a slow path, is not stopped; anywhere else it can be: at a safepoint,
 * in a call that waits, or by a signal.
 */
#ifndef GC_THREAD_H
#define GC_THREAD_H

#include <pthread.h>

#include "base/lock.h"
#include "base/registers.h"
#include "gc/mutator.h"
#include "os/thread.h"

struct gc_heap;

enum thread_state {
    THREAD_RUNS = 0,
    THREAD_SAFE = 1, /* its stack and registers are published; it may not touch objects */
    THREAD_HELD = 2, /* SAFE, and whoever stopped it has not let go */
};

struct gc_thread {
    struct gc_thread *next;
    _Atomic uint32_t state;     /* enum thread_state; changed by compare-and-swap from SAFE on */
    _Atomic uint32_t wanted;    /* 1: become SAFE as soon as you can */
    _Atomic uint32_t signalled; /* 1: the next FH_GC_SIGNAL that it gets is ours */
    uint32_t busy;              /* depth of slow paths; its own thread's alone */
    uint32_t id;                /* the kernel's */
    uintptr_t stack_low, stack_high;
    uintptr_t tls_low, tls_high;       /* thread-local variables outside of the stack */
    uintptr_t stack_pointer;           /* while SAFE */
    uintptr_t stack_left;              /* its own, while it is on another; 0 unknown */
    uintptr_t signal_low, signal_high; /* in use of the alternate stack, while a signal holds it */
    uintptr_t registers[OS_REGISTERS];
    unsigned register_count;
    bool interrupted; /* it was reached by a signal, perhaps in the middle of a store */
    struct fh_gc_frame *frames;
    struct fh_gc_context *contexts;
    uintptr_t will_store[2]; /* slot and value of its last fh_gc_will_store; 0 when that is over */
    unsigned pause_depth;    /* pause.c: of pauses in each other, and the outermost one */
    uint64_t pause_start;
    struct gc_heap *pause_heap;
    struct mutator mutator[FH_GC_HEAPS];
};

struct gc_local {
    struct fh_gc_context contexts[FH_GC_HEAPS];
    struct gc_thread *thread;
    bool tracing;      /* in a trace function, or while the heap is looked at */
    bool listening;    /* in a listener */
    unsigned blocking; /* depth of fh_gc_blocking */
    bool detached;     /* by call */
    bool limited;      /* in a heap's callback at the limit: what it allocates is refused there */
    bool refused;      /* its last allocation failed because the arena or the kernel had no more */
};

extern _Thread_local struct gc_local gc_local __attribute__((tls_model("initial-exec")));
extern struct gc_thread *gc_threads; /* guarded by the world lock */

/* ---- one ------------------------------------------------------------------------------------- */

/* This thread's record, attached if need be; NULL when memory is out. */
struct gc_thread *thread_attach(void);

/* The calling thread's record, attached; ends the program with a line if memory is out. */
struct gc_thread *thread_self(void);

size_t gc_thread_count(void);

/* Slow paths: between enter and leave the thread is not stopped. */
FH_INLINE void thread_enter(struct gc_thread *thread)
{
    thread->busy++;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void thread_safepoint(struct gc_thread *thread);

FH_INLINE void thread_leave(struct gc_thread *thread)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (--thread->busy == 0 && UNLIKELY(LOAD(&thread->wanted))) thread_safepoint(thread);
}

/* A lock that the collector takes while threads stand, too: who is stopped must not have it. */
FH_INLINE void gc_lock_take(struct lock *lock)
{
    struct gc_thread *self = gc_local.thread;
    (void)self;
    ASSERT(self == NULL || self->busy || LOAD(&self->state) != THREAD_RUNS);
    lock_take(lock);
}

#define SOME 256 /* entries of a list that are looked at without letting go of its lock */

/* Who waits for a lock gets it, and then the caller again. */
FH_INLINE void lock_breathe(struct lock *lock)
{
    bool wanted = LOAD(&lock->word) == 2;
    lock_give(lock);
    for (unsigned spin = 0; wanted && spin < 1000 && !lock_is_held(lock); spin++) base_pause();
    gc_lock_take(lock);
}

FH_INLINE void thread_signal(struct gc_thread *thread)
{
    atomic_store(&thread->signalled, 1);
    os_thread_signal(thread->id, FH_GC_SIGNAL);
}

/* The calling thread handles the signal. */
FH_INLINE bool thread_was_signalled(void)
{
    struct gc_thread *self = gc_local.thread;
    return self && atomic_exchange(&self->signalled, 0);
}

/* The calling thread is in a call, so what it announced by fh_gc_will_store is stored by now. */
FH_INLINE void thread_has_stored(struct gc_thread *thread)
{
    thread->will_store[0] = thread->will_store[1] = 0;
}

/* The thread is SAFE from here to there: for calls that wait. False: it is busy, and stays as it
 * is. */
bool thread_wait_begin(void);
void thread_wait_over(void);

/* Sleeps while *word == value, or for the end of another thread, SAFE meanwhile. Not busy. */
void thread_wait(_Atomic uint32_t *word, uint32_t value);
void thread_wait_ms(_Atomic uint32_t *word, uint32_t value, uint64_t ms); /* 0: for ever */
void thread_wait_end(pthread_t other);

/* os_thread_start, SAFE meanwhile: it waits for a lock of the linker's with all signals blocked,
 * and who has that may wait for us to stand. Not busy, and without the world lock. */
bool thread_start(pthread_t *thread, void *(*entry)(void *), void *argument, size_t stack_size);

/* The inline path finds no room from here to there, so that allocations come to where they are
 * refused. */
void contexts_close(uintptr_t limits[FH_GC_HEAPS]);
void contexts_open(const uintptr_t limits[FH_GC_HEAPS]);

/* Notes where the calling thread's stack and registers are, for who searches them while it stays in
 * a frame that is not below its caller's. */
void thread_publish(struct gc_thread *thread);

/* Where the stack of a thread that stops others begins: in the caller's frame, which is not
 * inlined, not in those of libc below it with what they leave uninitialised. */
struct stack_top {
    uintptr_t pointer, registers[BASE_REGISTERS];
};

#define STACK_TOP(top)                                                                             \
    do {                                                                                           \
        (top)->pointer = base_registers_save((top)->registers);                                    \
    } while (0)

void stack_top_publish(const struct stack_top *top);

void threads_fork_child(void);

/* ---- all of them: world.c -------------------------------------------------------------------- */

/* The world lock: whoever waits for it may be stopped meanwhile. */
void world_take(void);
void world_give(void);

/* The same while no cycle goes on, of this heap or, without one, of any; the next one waits for the
 * lock. Not for the collector's thread. */
void world_take_idle(struct gc_heap *heap);

/* Whose pauses those are that follow from here on. Holds: the world lock. */
void world_is_for(struct gc_heap *heap);

/* All attached threads but the caller's stand from here to there, for this heap's sake; NULL: for
 * none's. Holds: the world lock. */
void world_stop(struct gc_heap *heap);
void world_go(void);

/* The same for one thing that each thread is to do by itself, or is done for it where it is SAFE;
 * returns when all have. The caller is not attached. Holds: the world lock. */
typedef void handshake_fn(struct gc_heap *heap, struct gc_thread *thread);
void handshake(struct gc_heap *heap, handshake_fn *action);

#endif
