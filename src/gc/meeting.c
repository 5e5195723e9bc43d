/*
 * Where a cycle stops the program. Threads can be stopped anywhere but in the collector's own steps; but a program
 * may have functions that look at its own structures while it stands (mark procedures, root pushing), and if it has
 * one thread only, it may count on standing where it allocates and nowhere else: so it always was with a collector
 * that works inside of malloc. guile's procedure for the stack of its virtual machine is such a one.
 *
 *      collector's thread               a thread
 *      NONE --> WANTED  meeting_await
 *                                       WANTED --> HELD  meeting_attend: it came to allocate
 *      stops the program                it stands
 *      HELD --> NONE    meeting_end     it goes on
 *
 * Who waits for the cycle to end has come too. With several threads one stands where it allocates and the others
 * anywhere, as ever.
 *
 * A program that does not allocate is not stopped: its cycle stays open, which costs it nothing but the first write to
 * each page.
 *
 * Rejected: the thread makes the stop itself: all that the collector's thread does under a stop would be done by
 * threads of either kind.
 */
#include "gc/cycle.h"
#include "gc/heap.h"
#include "gc/pause.h"
#include "os/os.h"

static bool meeting_come(struct gc_heap *heap)
{
    uint32_t wanted = MEETING_WANTED;
    if (!atomic_compare_exchange_strong(&heap->meeting, &wanted, MEETING_HELD)) return false;
    os_wake(&heap->meeting);
    return true;
}

/* It may hold a lock that the stop needs, the linker's: so it does not stand for ever. */
void meeting_attend(struct gc_heap *heap)
{
    enum { STAND_MS = 50 };
    struct gc_thread *thread = thread_self();
    if (!meeting_come(heap)) return;
    pause_begin(thread, heap);
    thread_wait_ms(&heap->meeting, MEETING_HELD, STAND_MS);
    pause_end(thread);
}

void meeting_wait_begin(struct gc_heap *heap)
{
    atomic_fetch_add(&heap->cycle_waiters,
                     1); /* before the look at `meeting`; partner: meeting_await */
    meeting_come(heap);
}

void meeting_wait_end(struct gc_heap *heap)
{
    atomic_fetch_sub(&heap->cycle_waiters, 1);
}

void meeting_quit(struct gc_heap *heap)
{
    meeting_come(heap);
}

static bool nobody_came(struct gc_heap *heap)
{
    return atomic_load(&heap->meeting) == MEETING_WANTED &&
           atomic_load(&heap->cycle_waiters) == 0 && !atomic_load(&heap->cycle_quit);
}

bool meeting_await(struct gc_heap *heap, uint64_t ms)
{
    if (!heap->meets) return true;
    uint32_t wanted = MEETING_WANTED;
    atomic_store(&heap->meeting, wanted); /* before the look at who waits */
    uint64_t until_ns = os_time_ns() + ms * 1000000;
    while (nobody_came(heap)) {
        if (ms == 0) {
            os_wait_long(&heap->meeting, wanted);
            continue;
        }
        os_wait(&heap->meeting, wanted, ms);
        /* Who came at the last moment stands already. */
        if (os_time_ns() >= until_ns)
            return !atomic_compare_exchange_strong(&heap->meeting, &wanted, MEETING_NONE);
    }
    return true;
}

void meeting_end(struct gc_heap *heap)
{
    if (!heap->meets) return;
    atomic_store(&heap->meeting, MEETING_NONE);
    os_wake(&heap->meeting);
}
