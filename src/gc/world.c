/*
 * All threads: the lock under which they are stopped, how all of them are, and how each is asked
 * for one thing.
 *
 * A stop wants every thread to stand at once. A handshake has each do one thing in its own time, or
 * does it for those that are SAFE, and no thread waits for another. Both write `wanted` before they
 * look at a thread's state, and a thread publishes its state before it looks at `wanted`: one of
 * the two sees the other. Who was busy when the signal came looks at the end of its slow path; and
 * signals are repeated, as one may come in the last instruction of one.
 *
 * docs/gc-protocol.md numbers what has to hold here (H1 to H4), and tests/protocol/handshake.pml
 * checks it.
 */
#include "base/format.h"
#include "gc/call.h"
#include "gc/event.h"
#include "gc/heap.h"
#include "gc/pause.h"
#include "gc/safe.h"
#include "os/os.h"

struct gc_thread *gc_threads;
struct world_action world_action;

static struct lock world_lock;
static struct gc_heap *_Atomic world_heap; /* the world lock's */

struct gc_heap *world_whose(void)
{
    return LOAD(&world_heap);
}

void world_take(void)
{
    struct gc_thread *self = gc_local.thread;
    if (UNLIKELY(gc_local.tracing || gc_local.listening)) call_check();
    if (lock_try(&world_lock)) return;
    if (thread_stands_apart(self)) {
        lock_take(&world_lock);
        return;
    }
    self->busy++;
    pause_begin(self, world_whose());
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

/* Threads have been waited for since `start`: if that is long, says for whom, once. */
static void wait_tell(const struct gc_thread *self, uint64_t start, bool *said)
{
    enum { LONG_S = 5 };
    if (*said || os_time_ns() - start < LONG_S * 1000000000ull) return;
    const struct gc_thread *t = gc_threads;
    while (t && (t == self || LOAD(&t->state) != THREAD_RUNS || !LOAD(&t->wanted))) t = t->next;
    if (t == NULL) return;
    *said = true;
    char line[300];
    struct text text = TEXT(line);
    text_str(&text, "a collection waits for thread ");
    text_dec(&text, t->id);
    text_str(
        &text,
        ", which has not answered FH_GC_SIGNAL (SIGURG) for 5 s: it blocks the signal and comes "
        "to no safepoint, or is stopped; all who need the collector wait with it");
    text_end(&text);
    gc_say(line);
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
        if (!thread_hold(t)) thread_signal(t);
    }
    bool said = false;
    for (uint64_t start = os_time_ns();; wait_tell(self, start, &said)) {
        uint32_t bell = LOAD_ACQUIRE(&safe_bell);
        if (world_stands(self)) return;
        /* A signal may have come while the thread was busy for the last instruction: ask again. */
        os_wait(&safe_bell, bell, 20);
        for (struct gc_thread *t = gc_threads; t; t = t->next)
            if (t != self && LOAD(&t->state) == THREAD_RUNS && LOAD(&safe_bell) == bell)
                thread_signal(t);
    }
}

/* Does a thread's part for it, if it is SAFE; true once it is done, by whomever. */
static bool action_for(struct gc_heap *heap, handshake_fn *action, struct gc_thread *thread)
{
    uint32_t safe = THREAD_SAFE;
    if (LOAD_ACQUIRE(&thread->wanted) == 0) return true;
    if (!atomic_compare_exchange_strong(&thread->state, &safe, THREAD_HELD)) return false;
    if (LOAD_ACQUIRE(&thread->wanted)) action(heap, thread);
    STORE_RELEASE(&thread->wanted, 0);
    STORE_RELEASE(&thread->state, THREAD_SAFE);
    os_wake(&thread->state);
    return true;
}

void handshake(struct gc_heap *heap, handshake_fn *action)
{
    struct gc_thread *self = gc_local.thread;
    world_action = (struct world_action){heap, action};
    ASSERT(self == NULL);
    (void)self;
    world_is_for(heap);
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        if (heap->options.debug & FH_GC_RANDOM_DELAY) os_delay_us(os_random() % 200);
        atomic_store(&t->wanted, WANTED_ACTION);
        if (!action_for(heap, action, t)) thread_signal(t);
    }
    bool said = false;
    for (uint64_t start = os_time_ns();; wait_tell(NULL, start, &said)) {
        uint32_t bell = LOAD_ACQUIRE(&safe_bell);
        bool all = true;
        for (struct gc_thread *t = gc_threads; t; t = t->next) all &= action_for(heap, action, t);
        if (all) return;
        os_wait(&safe_bell, bell, 5);
        if (LOAD(&safe_bell) != bell) continue;
        for (struct gc_thread *t = gc_threads; t; t = t->next)
            if (LOAD(&t->wanted) && LOAD(&t->state) == THREAD_RUNS) thread_signal(t);
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
