/*
 * Fork in a threaded program. The child has one thread; whatever others were in the middle of must
 * not matter to it. So no cycle goes on during a fork (it waits for the end of one), no lock is
 * held by anybody else, and what other threads had of the heap is given up in the child: their
 * holes, which the next sweep finds again, and their remembered slots, which the next collection
 * gets.
 */
#include "gc/cycle.h"
#include "gc/finalizer.h"
#include "gc/fork.h"
#include "gc/large.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/type.h"
#include "os/os.h"

/* Also where there is no heap: another thread may be making the first. */
void gc_fork_prepare(void)
{
    for (;;) {
        world_take_idle(NULL);
        if (modules_fork_prepare()) break;
        world_give(); /* who is at the linker's list may wait for it */
        os_delay_us(20);
    }
    if (gc_local.thread) thread_enter(gc_local.thread);
    /* A cycle may have been asked for since, but its first step takes the world lock. */
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        gc_lock_take(&gc_heaps[h].lock);
        gc_lock_take(&gc_heaps[h].marking_state->lock);
    }
    side_fork_prepare();
    types_fork_prepare();
}

/* Granules of the object whose first byte this is; 0 if it was never finished. */
static size_t object_whole(const uint8_t *meta, const uint8_t *end)
{
    for (const uint8_t *at = meta; at < end; at++) {
        if (at > meta && meta_load(at) & META_STATE) return 0;
        if (meta_load(at) & META_END) return (size_t)(at - meta) + 1;
    }
    return 0;
}

/* What a thread was in the middle of making goes: nobody refers to it yet. */
void block_mend(struct gc_block *block)
{
    uint8_t *meta = meta_of(gc_block_start(block)), *end = meta + BLOCK_GRANULES;
    while (meta < end) {
        size_t granules = meta_load(meta) & META_STATE ? object_whole(meta, end) : 0;
        if (granules == 0 && meta_load(meta)) meta_store(meta, 0);
        meta += base_max(granules, 1);
    }
}

static void locks_give(void)
{
    modules_fork_end();
    types_fork_end();
    side_fork_end();
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        lock_give(&gc_heaps[h].marking_state->lock);
        lock_give(&gc_heaps[h].lock);
    }
}

static void world_released(void)
{
    world_give();
    if (gc_local.thread) thread_leave(gc_local.thread);
}

void gc_fork_parent(void)
{
    locks_give();
    world_released();
}

void gc_fork_child(void)
{
    locks_give();
    helpers_fork_child();
    threads_fork_child();
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        if (!gc_heaps[h].exists) continue;
        blocks_fork_child(&gc_heaps[h]);
        gc_large_fork_child(&gc_heaps[h]);
        collector_fork_child(&gc_heaps[h]);
        finalizer_fork_child(&gc_heaps[h]);
    }
    world_released();
}
