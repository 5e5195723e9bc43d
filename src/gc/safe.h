/*
 * safe: how a thread comes to stand, as thread.c, world.c and attach.c share it. gc/thread.h has
 * what others use.
 */
#ifndef GC_SAFE_H
#define GC_SAFE_H

#include "gc/thread.h"

/* What a thread is wanted for. */
enum { WANTED_STOP = 1, WANTED_ACTION = 2 };

/* What WANTED_ACTION asks for. Written with the world lock, before anybody is wanted. */
struct world_action {
    struct gc_heap *heap;
    handshake_fn *function;
};
extern struct world_action world_action;

/* Counts threads that came to stand, or have done what they were asked; who waits for them sleeps
 * on it. */
extern _Atomic uint32_t safe_bell;
void safe_bell_ring(void);

/* Publishes the calling thread's stack, and that others may stop it where it is. */
void safe_enter(struct gc_thread *thread);

/* The thread runs again, as soon as nobody stops or holds it. */
void safe_leave(struct gc_thread *thread);

/* It is not attached, or inside fh_gc_blocking, where it may fork: it holds nobody up, and stays as
 * it is. */
bool thread_stands_apart(const struct gc_thread *self);

/* The handler of FH_GC_SIGNAL. */
void thread_on_signal(int signal, siginfo_t *info, void *context);

/* Whose heap's work it is that threads stand and wait for; NULL. */
struct gc_heap *world_whose(void);

#endif
