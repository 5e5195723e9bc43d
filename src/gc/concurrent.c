/*
 * The concurrent cycle: a thread of the heap marks while the program runs. docs/gc-concurrent.md states
 * the protocol and why it is right; this is its order.
 *
 *   IDLE --> sweep what is left
 *   ARMED    handshake 1: each thread remembers every store from now on (SNOOP); what the store that
 *            is interrupted here may store is kept
 *            shared roots are visited; all log bits are set: any slot may have to be remembered
 *            handshake 2: what a store begun before handshake 1 may still overwrite is kept
 *   MARKING  handshake 3: each thread's own roots are found; what it allocates from here on is alive
 *            then stores are remembered once a slot (LOG)
 *            mark; handshake: what threads remember; again, until a round brings nothing new
 *   SETTLING who reads a weak reference waits; one more round
 *   WEAK     weak references to unmarked objects read as NULL, and are cleared; finalizers
 *   IDLE     the number of the cycle rises: everything is unswept
 *
 * Only the handshakes touch a thread, and each but the scan of its stack takes a few microseconds.
 *
 * Rejected: allocating with the mark already set (an instruction more in the fast path): instead a block
 * that is used during a cycle keeps a map of what was in it, and the sweep spares what is not.
 */
#include <string.h>

#include "gc/mark.h"
#include "gc/search.h"
#include "os/os.h"

/* Markers other than the collector's own are borrowed by threads that help, while marking goes on: the phase is
 * looked at after the borrowing, in one order with it (partners: cycle_settle, marking_is_drained), so that no
 * round ends with a marker in use, and nobody touches one that the next cycle makes ready. */
static struct marker *marker_borrow(struct gc_heap *heap)
{
    struct marking *marking = heap->marking_state;
    for (unsigned i = 1; i < MARKERS; i++) {
        uint32_t bit = 1u << i, before = atomic_fetch_or(&marking->borrowed, bit);
        if (before & bit) continue;
        if (atomic_load(&heap->phase) == PHASE_MARKING) return &marking->marker[i];
        atomic_fetch_and(&marking->borrowed, ~bit);
        return NULL;
    }
    return NULL;
}

static void marker_return(struct gc_heap *heap, struct marker *marker)
{
    struct marking *marking = heap->marking_state;
    marker_give_all(marker);
    atomic_fetch_and(&marking->borrowed, ~(1u << (marker - marking->marker)));
}

/* ---- what threads do in handshakes ------------------------------------------------------------------------ */

/* What a thread is about to store, plainly, is in a register or on its stack, if it was interrupted: all that
 * these refer to is kept. */
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

static void action_arm(struct gc_heap *heap, struct gc_thread *thread)
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
}

/* What an interrupted thread is about to overwrite, plainly. Slots outside of the heap are roots, and were
 * visited when all threads were armed. */
static void action_settle(struct gc_heap *heap, struct gc_thread *thread)
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
    lock_take(&heap->lock);
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

static void action_scan(struct gc_heap *heap, struct gc_thread *thread)
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

static void action_flush(struct gc_heap *heap, struct gc_thread *thread)
{
    shade_flush(heap, mutator_of(thread, heap));
}

static void handshake_noted(struct gc_heap *heap, handshake_fn *action)
{
    static handshake_fn *const kinds[] = {
        [FH_GC_HANDSHAKE_ARM] = action_arm,
        [FH_GC_HANDSHAKE_SETTLE] = action_settle,
        [FH_GC_HANDSHAKE_SCAN] = action_scan,
        [FH_GC_HANDSHAKE_FLUSH] = action_flush,
    };
    uint64_t start = os_time_ns();
    handshake(heap, action);
    heap->stats.handshakes++;
    unsigned kind = FH_GC_HANDSHAKE_ARM;
    while (kinds[kind] != action) kind++;
    gc_event_of(heap, FH_GC_EVENT_HANDSHAKE, kind, os_time_ns() - start);
}

/* ---- the cycle ------------------------------------------------------------------------------------------------ */

static void barriers_set(struct gc_heap *heap, enum fh_gc_barrier barrier)
{
    for (struct gc_thread *t = gc_threads; t; t = t->next)
        __atomic_store_n(&context_of(t, heap)->barrier, barrier, __ATOMIC_RELAXED);
}

/* Every slot of an object of the snapshot. */
static void slots_arm(struct gc_heap *heap)
{
    lock_take(&heap->lock);
    for (size_t i = 0; i < heap->blocks.count; i++) {
        uint32_t index = *(uint32_t *)vector_at(&heap->blocks, i);
        if (index == 0) continue;
        log_fill(gc_block_start(gc_block_at(index)), BLOCK_SIZE, true);
        if (i % 64 != 63) continue;
        lock_give(&heap->lock);
        lock_take(&heap->lock);
    }
    size_t large = heap->large.count;
    lock_give(&heap->lock);
    /* Large objects are only added meanwhile; a new one's slots are armed by who makes it. */
    for (size_t i = 0; i < large; i++) {
        struct gc_block *block = gc_block_at(*(uint32_t *)vector_at(&heap->large, i));
        log_fill(gc_block_start(block), LOAD(&block->bytes), true);
    }
}

static void cycle_arm(struct gc_heap *heap)
{
    world_take();
    heap->snapshot_live = size_in_use(heap);
    heap->snapshot_allocated = LOAD(&heap->allocated);
    STORE(&heap->marking_state->overflow, 0);
    STORE(&heap->phase, PHASE_ARMED);
    handshake_noted(heap, action_arm);
    lock_take(&heap->lock);
    heap->snapshots.count = 0; /* all swept: nobody has one */
    heap->mark ^= 1;
    marking_begin(heap, true, false);
    lock_give(&heap->lock);
    world_give(); /* who attaches now snoops */
}

static void cycle_snapshot(struct gc_heap *heap)
{
    cycle_arm(heap);
    roots_visit_shared(heap, &heap->marking_state->marker[0].visitor);
    slots_arm(heap);
    world_take();
    handshake_noted(heap, action_settle);
    lock_take(&heap->lock);
    STORE_RELEASE(&heap->phase, PHASE_MARKING);
    lock_give(&heap->lock);
    handshake_noted(heap, action_scan);
    barriers_set(heap, FH_GC_BARRIER_LOG);
    world_give();
    atomic_fetch_add(&heap->background_bell, 1);
    os_wake(&heap->background_bell);
}

static bool cycle_round(struct gc_heap *heap)
{
    uint64_t before = marking_objects(heap);
    world_take();
    handshake_noted(heap, action_flush);
    world_give();
    cycle_drain(heap);
    return marking_objects(heap) != before;
}

void cycle_drain(struct gc_heap *heap)
{
    enum { QUANTUM = 4096 };
    while (marking_drain_some(heap, QUANTUM) || !marking_is_drained(heap)) {
    }
}

/* The stack overflowed for want of memory: the rest is done while the program stands. What was dropped and can
 * still be reached is found again, since all roots and all that is marked are looked at anew. */
static void cycle_repair(void *data)
{
    struct gc_heap *heap = data;
    world_take();
    world_stop(heap);
    for (struct gc_thread *t = gc_threads; t; t = t->next) {
        mutator_note_hole(heap, t);
        action_flush(heap, t);
    }
    do {
        marking_repair(heap);
        while (ephemerons_settle(heap)) cycle_drain(heap);
    } while (LOAD(&heap->marking_state->overflow));
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    world_go();
    world_give();
}

static void cycle_repair_overflow(struct gc_heap *heap)
{
    if (LOAD(&heap->marking_state->overflow)) modules_hold(cycle_repair, heap);
}

/* Until neither threads nor ephemerons bring anything new. */
static void cycle_rounds(struct gc_heap *heap)
{
    for (bool more = true; more;) {
        more = cycle_round(heap);
        while (ephemerons_settle(heap)) {
            cycle_drain(heap);
            more = true;
        }
    }
}

static void cycle_settle(struct gc_heap *heap)
{
    ephemerons_hash(heap);
    cycle_rounds(heap);
    atomic_store(&heap->phase, PHASE_SETTLING); /* partner: weak_read */
    cycle_rounds(heap);
    cycle_repair_overflow(heap);
    atomic_store(&heap->phase, PHASE_WEAK);
    os_wake(&heap->phase);
}

static void cycle_end(struct gc_heap *heap, enum fh_gc_why why, uint64_t start)
{
    world_take();
    lock_take(&heap->lock);
    weak_publish(heap);
    gc_large_find_dead(heap);
    heap_unsweep(heap, false);
    heap->young.count = 0;
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_of(t, heap)->black = false;
    marking_finish(heap, false);
    rates_note(heap, start, os_time_ns());
    size_note_cycle(heap);
    size_after_collection(heap);
    STORE_RELEASE(&heap->phase, PHASE_IDLE);
    lock_give(&heap->lock);
    barriers_set(heap, FH_GC_BARRIER_OFF);
    collection_ends(heap, why, false);
    world_give();
    gc_large_free_dead(heap);
}

/* The program stands for it: a debug mode. */
static void cycle_verify(struct gc_heap *heap, bool ended)
{
    world_take();
    world_stop(heap);
    mutators_note_holes(heap);
    if (ended)
        heap_verify(heap, true, "at the end of a cycle");
    else
        fences_verify(heap, "before a cycle");
    for (struct gc_thread *t = gc_threads; t; t = t->next) mutator_unnote_hole(heap, t);
    world_go();
    world_give();
}

static void cycle_run(struct gc_heap *heap, enum fh_gc_why why)
{
    uint64_t start = os_time_ns(), cpu = os_thread_time_ns();
    heap_sweep_all(heap);
    if (heap->fenced) cycle_verify(heap, false);
    collection_begins(heap, why);
    cycle_snapshot(heap);
    gc_event(heap, FH_GC_EVENT_ROOTS, 0);
    cycle_drain(heap);
    cycle_settle(heap);
    collection_weak(heap);
    cycle_repair_overflow(heap); /* of what finalizers bring back */
    gc_event(heap, FH_GC_EVENT_MARKED, cycle_marked(heap));
    if (heap->options.debug & FH_GC_VERIFY) cycle_verify(heap, true);
    cycle_end(heap, why, start);
    finalizer_find(heap);
    heap->stats.mark_ns += os_thread_time_ns() - cpu;
    gc_event_of(heap, FH_GC_EVENT_END, FH_GC_FULL, os_time_ns() - start);
    heap_sweep_all(heap);
    heap_trim(heap);
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

static void *collector_main(void *argument)
{
    struct gc_heap *heap = argument;
    os_thread_short_slices();
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&heap->cycle_bell);
        if (LOAD_ACQUIRE(&heap->cycle_quit)) return NULL;
        uint32_t wanted = LOAD_ACQUIRE(&heap->cycles_wanted);
        if (LOAD(&heap->cycles_started) >= wanted) {
            os_wait_long(&heap->cycle_bell, bell);
            continue;
        }
        world_take(); /* who holds it sees no cycle begin: world_take_idle */
        atomic_fetch_add(&heap->cycles_started, 1);
        world_give();
        cycle_run(heap, LOAD(&heap->cycle_why));
        atomic_fetch_add(&heap->cycles_done, 1);
        os_wake(&heap->cycles_done);
    }
}

/* Cycles that were asked for are asked for again by whoever needs them. */
void collector_fork_child(struct gc_heap *heap)
{
    if (!heap->exists || !heap->has_collector) return;
    STORE(&heap->marking_state->borrowed, 0); /* by who has just seen that there is no cycle */
    STORE(&heap->cycles_wanted, LOAD(&heap->cycles_done));
    STORE(&heap->cycles_started, LOAD(&heap->cycles_done));
    heap->collector_lost = true;
}

/* In the child of a fork it is made anew; false when that is refused: who would have waited for a cycle stops
 * the world instead, from then on. Not busy. */
bool collector_find(struct gc_heap *heap)
{
    if (LIKELY(!LOAD(&heap->collector_lost))) return heap->has_collector;
    world_take();
    if (LOAD(&heap->collector_lost)) collector_start(heap);
    STORE_RELEASE(&heap->collector_lost, false);
    world_give();
    return heap->has_collector;
}

/* Asks for a cycle that begins after now; returns its number. */
uint32_t cycle_request(struct gc_heap *heap, enum fh_gc_why why, bool another)
{
    uint32_t started = LOAD(&heap->cycles_started), want = started + 1;
    if (!another && LOAD(&heap->cycles_done) != started) return started;
    uint32_t wanted = LOAD(&heap->cycles_wanted);
    while (wanted < want && !atomic_compare_exchange_weak(&heap->cycles_wanted, &wanted, want)) {
    }
    if (wanted < want) {
        STORE(&heap->cycle_why, why);
        atomic_fetch_add(&heap->cycle_bell, 1);
        os_wake(&heap->cycle_bell);
    }
    return want;
}

/* The calling thread stands until that cycle has ended. */
void cycle_wait(struct gc_heap *heap, uint32_t number)
{
    struct gc_thread *thread = thread_self();
    pause_begin(thread, heap);
    for (uint32_t done; (done = LOAD_ACQUIRE(&heap->cycles_done)) < number;)
        thread_wait(&heap->cycles_done, done);
    pause_end(thread);
}

/* A heap whose cycle goes on, or NULL. */
static struct gc_heap *cycle_find(struct gc_heap *of)
{
    for (unsigned h = 0; h < FH_GC_HEAPS; h++) {
        struct gc_heap *heap = &gc_heaps[h];
        if ((of && of != heap) || !heap->exists || !heap->has_collector) continue;
        if (LOAD_ACQUIRE(&heap->cycles_done) != LOAD(&heap->cycles_started)) return heap;
    }
    return NULL;
}

bool cycle_goes_on(struct gc_heap *heap)
{
    return cycle_find(heap) != NULL;
}

void world_take_idle(struct gc_heap *heap)
{
    for (;;) {
        world_take();
        struct gc_heap *other = cycle_find(heap);
        if (other == NULL) return;
        uint32_t done = LOAD(&other->cycles_done);
        bool ended = done == LOAD(&other->cycles_started);
        world_give();
        if (!ended) thread_wait(&other->cycles_done, done);
    }
}

/* Takes part in the marking, as a thread that assists does, until nothing is left or the phase ends. */
static bool background_mark(struct gc_heap *heap)
{
    enum { QUANTUM = 4096 };
    struct marker *marker = marker_borrow(heap);
    bool worked = false;
    while (marker && atomic_load(&heap->phase) == PHASE_MARKING && marker_assist(marker, QUANTUM))
        worked = true;
    if (marker) marker_return(heap, marker);
    return worked;
}

/* Awake from the snapshot to the end of marking; in between rounds there may be nothing for a moment. */
static void *background_main(void *argument)
{
    enum { NAP_US = 200 };
    struct gc_heap *heap = argument;
    os_thread_short_slices();
    for (;;) {
        uint32_t bell = LOAD_ACQUIRE(&heap->background_bell);
        if (LOAD_ACQUIRE(&heap->cycle_quit)) return NULL;
        while (LOAD(&heap->phase) == PHASE_MARKING)
            if (!background_mark(heap)) os_delay_us(NAP_US);
        os_wait_long(&heap->background_bell, bell);
    }
}

static void background_start(struct gc_heap *heap)
{
    unsigned wanted = heap->options.markers ? heap->options.markers : os_processors();
    wanted = (unsigned)base_min(wanted - 1, BACKGROUND_MARKERS);
    heap->background_count = 0;
    while (heap->background_count < wanted &&
           os_thread_start(&heap->background[heap->background_count], background_main, heap,
                           256 * KIB))
        heap->background_count++;
}

bool collector_start(struct gc_heap *heap)
{
    bool started = os_thread_start(&heap->collector, collector_main, heap, 512 * KIB);
    heap->has_collector = started;
    if (started) background_start(heap);
    return started;
}

void collector_stop(struct gc_heap *heap)
{
    if (!heap->has_collector) return;
    bool lost = LOAD(&heap->collector_lost);
    heap->has_collector = false;
    if (lost) return;
    STORE_RELEASE(&heap->cycle_quit, true);
    atomic_fetch_add(&heap->cycle_bell, 1);
    os_wake(&heap->cycle_bell);
    atomic_fetch_add(&heap->background_bell, 1);
    os_wake(&heap->background_bell);
    thread_wait_end(heap->collector);
    while (heap->background_count > 0) thread_wait_end(heap->background[--heap->background_count]);
}

/* ---- threads of the program help ---------------------------------------------------------------------------------- */

uint64_t cycle_marked(const struct gc_heap *heap)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < MARKERS; i++)
        bytes += __atomic_load_n(&heap->marking_state->marker[i].bytes, __ATOMIC_RELAXED);
    return bytes;
}

bool cycle_assist(struct gc_heap *heap, struct gc_thread *thread, size_t objects)
{
    if (LOAD_ACQUIRE(&heap->phase) != PHASE_MARKING) return false;
    thread_enter(thread);
    bool worked = false;
    struct marker *marker = marker_borrow(heap);
    if (marker && mutator_of(thread, heap)->black) {
        uint64_t start = os_time_ns();
        pause_begin(thread, heap);
        worked = marker_assist(marker, objects);
        pause_end(thread);
        if (worked) gc_event(heap, FH_GC_EVENT_ASSIST, os_time_ns() - start);
        __atomic_fetch_add(&heap->stats.assists, 1, __ATOMIC_RELAXED);
    }
    if (marker) marker_return(heap, marker);
    thread_leave(thread);
    return worked;
}

/* ---- other stacks -------------------------------------------------------------------------------------------------- */

/* What a thread that is not scanned yet leaves on a stack would be found neither there, if another thread runs on it
 * first, nor by its scan. */
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
