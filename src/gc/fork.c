/*
 * Fork in a threaded program. The child has one thread; whatever others were in the middle of must not
 * matter to it. So no cycle goes on during a fork (it waits for the end of one), no lock is held by
 * anybody else, and what other threads had of the heap is given up in the child: their holes, which the
 * next sweep finds again, and their remembered slots, which the next collection gets.
 */
#include "gc/mark.h"

void gc_fork_prepare(void)
{
    if (gc_heap_count == 0) return;
    world_take_idle(NULL);
    /* A cycle may have been asked for since, but its first step takes the world lock. */
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        lock_take(&gc_heaps[h].lock);
        lock_take(&gc_heaps[h].marking_state->lock);
    }
    side_fork_prepare();
    types_fork_prepare();
}

static void locks_give(void)
{
    types_fork_end();
    side_fork_end();
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        lock_give(&gc_heaps[h].marking_state->lock);
        lock_give(&gc_heaps[h].lock);
    }
}

void gc_fork_parent(void)
{
    if (gc_heap_count == 0) return;
    locks_give();
    world_give();
}

void gc_fork_child(void)
{
    if (gc_heap_count == 0) return;
    locks_give();
    helpers_fork_child();
    threads_fork_child();
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        blocks_fork_child(&gc_heaps[h]);
        collector_fork_child(&gc_heaps[h]);
    }
    world_give();
}
