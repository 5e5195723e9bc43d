/*
 * Handshakes: what a thread does when a cycle asks it, or has done for it while it stands. Each is
 * short, but for the search of its stack, and takes no lock for longer than a few steps.
 *
 *      arm      remember every store from now on; keep the value of the one that may be under way
 *      settle   keep what that store may be about to overwrite
 *      scan     find your own roots; what you allocate from here on is no part of the snapshot
 *      flush    hand over what you remember
 *
 * The store that may be under way: a signal may have interrupted the thread between the barrier's
 * test and the store, which will then be done plainly, at any later time. Nobody knows which word
 * on the stack is its value, or its slot: so all are taken for both. A thread that no signal has
 * interrupted is in no store, but for one that it has announced.
 *
 * docs/gc-protocol.md says what has to hold (C1 to C7).
 *
 * Rejected: waiting until the thread has got beyond the store, by its program counter or by time: a
 * guess at -O0, in signal handlers of the program, and under sanitizers.
 */
#include <string.h>

#include "gc/barrier.h"
#include "gc/call.h"
#include "gc/cycle.h"
#include "gc/heap.h"
#include "gc/mark.h"
#include "gc/roots.h"
#include "gc/search.h"

/* What a thread is about to store, plainly, is in a register or on its stack, if it was
 * interrupted: all that these refer to is kept. */
static void values_keep(struct gc_heap *heap, struct gc_thread *thread, bool stack)
{
    struct marker marker;
    if (!marker_make(heap, &marker)) {
        STORE(&heap->marking_state->overflow, 1);
        return;
    }
    if (stack) roots_visit_stack(thread, &marker.visitor);
    marker_add(&marker, thread->will_store[1]);
    marker_give_all(&marker);
}

void action_arm(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct fh_gc_context *context = context_of(thread, heap);
    mutator_sweep_blocks(heap, thread);
    mutator->log_count = 0;
    __atomic_store_n(&context->barrier, FH_GC_BARRIER_SNOOP, __ATOMIC_RELAXED);
    values_keep(heap, thread, thread->interrupted);
}

/* Whether a word in the memory of blocks and large objects lies there. */
static bool is_slot(const struct gc_heap *heap, uintptr_t slot)
{
    const struct gc_block *block = gc_block_of((void *)slot);
    uint8_t kind = LOAD_ACQUIRE(&block->kind);
    if (slot % sizeof(void *)) return false;
    if (kind == FH_SPAN_GC_BLOCK) return LOAD(&block->owner) == heap;
    if (kind == FH_SPAN_SLAB || kind == FH_SPAN_RUNS) return false;
    block = (struct gc_block *)span_find((void *)slot);
    if (!block || LOAD(&block->kind) != FH_SPAN_GC_LARGE || LOAD(&block->owner) != heap)
        return false;
    return slot - (uintptr_t)gc_block_start(block) + sizeof(void *) <= LOAD(&block->bytes);
}

static void slots_look_into(struct marker *marker, const uintptr_t *word, size_t count)
{
    for (size_t i = 0; i < count; i++) __builtin_prefetch((void *)word[i]);
    for (size_t i = 0; i < count; i++)
        if (is_slot(marker->visitor.heap, word[i])) marker_add(marker, word_load((void *)word[i]));
}

/* A visitor of registers and stacks: not they, but what is at the addresses in them. */
static NO_SANITIZE void look_into_range(struct fh_gc_visitor *visitor, const uintptr_t *start,
                                        size_t words)
{
    enum { AHEAD = 32 };
    uintptr_t word[AHEAD + SEARCH_WORDS] = {0};
    struct search search = search_begin();
    size_t count = 0;
    for (size_t i = 0; i < words;) {
        if (words - i >= SEARCH_WORDS) {
            count += search_eight(&search, (uintptr_t)(start + i), word + count);
            i += SEARCH_WORDS;
        } else {
            word[count] = word_load(start + i++);
            count += search_is(&search, word[count]);
        }
        if (count < AHEAD) continue;
        slots_look_into((struct marker *)visitor, word, count);
        count = 0;
    }
    slots_look_into((struct marker *)visitor, word, count);
    base_forget(word, sizeof word);
}

/* What an interrupted thread is about to overwrite, plainly. Slots outside of the heap are roots,
 * and were visited when all threads were armed. */
void action_settle(struct gc_heap *heap, struct gc_thread *thread)
{
    struct marker marker;
    if (!marker_make(heap, &marker)) {
        STORE(&heap->marking_state->overflow, 1);
        return;
    }
    marker.visitor.range = look_into_range;
    if (thread->interrupted) roots_visit_stack(thread, &marker.visitor);
    look_into_range(&marker.visitor, &thread->will_store[0], 1);
    marker_give_all(&marker);
}

/* From here on what the thread allocates is no part of the snapshot. */
static void mutator_blacken(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    mutator_note_hole(heap, thread);
    gc_lock_take(&heap->lock);
    uint32_t block[] = {mutator->block, mutator->medium_block};
    for (unsigned i = 0; i < 2; i++) {
        if (block[i] == 0) continue;
        if (!block_note_snapshot(heap, gc_block_at(block[i])))
            STORE(&heap->marking_state->overflow, 1);
        gc_block_at(block[i])->busy_from = gc_block_at(block[i])->busy_to = 0;
    }
    mutator->black = true;
    lock_give(&heap->lock);
    if (mutator->block) {
        uintptr_t made = mutator_made(mutator, context_of(thread, heap));
        log_fill((void *)made, mutator->hole_end - made, false);
    }
}

void action_scan(struct gc_heap *heap, struct gc_thread *thread)
{
    struct mutator *mutator = mutator_of(thread, heap);
    struct marker marker;
    if (marker_make(heap, &marker)) {
        roots_visit_thread(thread, &marker.visitor);
        marker_give_all(&marker);
    } else {
        STORE(&heap->marking_state->overflow, 1);
    }
    mutator_blacken(heap, thread);
    shade_flush(heap, mutator);
}

void action_flush(struct gc_heap *heap, struct gc_thread *thread)
{
    shade_flush(heap, mutator_of(thread, heap));
}

/* What a thread that is not scanned yet leaves on a stack would be found neither there, if another
 * thread runs on it first, nor by its scan. */
static void stack_keep(struct gc_thread *thread)
{
    for (unsigned h = 0; h < FH_GC_HEAPS; h++)
        if (gc_heaps[h].exists && __atomic_load_n(&context_of(thread, &gc_heaps[h])->barrier,
                                                  __ATOMIC_RELAXED) == FH_GC_BARRIER_SNOOP)
            values_keep(&gc_heaps[h], thread, true);
}

GC_PUBLIC FH_NOINLINE void fh_gc_stack_switch(void)
{
    enum { SAVED = 1024 }; /* where the program's switch may save registers */
    struct gc_thread *thread = gc_local.thread;
    if (thread == NULL) return;
    thread_enter(thread);
    uintptr_t pointer = thread->stack_pointer = base_registers_save(thread->registers);
    thread->register_count = BASE_REGISTERS;
    bool own = pointer >= thread->stack_low && pointer < thread->stack_high;
    if (own) thread->stack_left = base_max(thread->stack_low, pointer - SAVED);
    if (!own) stack_keep(thread);
    thread_leave(thread);
}
