/*
 * The moment in which the program stands, so that no word moves from where it was not looked for yet to where
 * it was. See reuse.h.
 *
 *     a thread   asleep in a system call   is left alone; its stack is read from where it left the program
 *                                          (its callee-saved registers are not seen); if it has run
 *                                          since, the stop goes on for another round
 *                runs                      is interrupted by a timer (os/self.h says why it is no signal
 *                                          that is sent), and waits in the handler; its registers are
 *                                          in the frame that the kernel made for that
 *                frees or allocates        stands by itself (reuse_pass): most are here before the timer goes off
 *                runs, SIGURG blocked      cannot be stopped: its stack is read, its registers are not
 *
 * Nobody is harmed by it, since:
 *  - No system call is cut short: a sleeping thread gets no signal, a running one only between two calls.
 *  - Nothing here or in reuse_scan.c takes a lock, allocates, or waits for a thread without a limit:
 *    threads stand wherever they are, with locks of ours, libc's or their own held. What needs locks of
 *    the core, the release of slots, comes when they run again.
 *  - A thread waits in the handler for a limited time, a second, even if the sweeper itself is held up by one
 *    that stands (a page of a file system that the program itself serves). Then the stop counts as unsettled.
 *  - Where the program has a handler for SIGURG, it keeps it, and no thread is interrupted. It is ignored by
 *    default, so that one which comes late, or after a change of handlers, does nothing. The collector's own
 *    use of it is beside ours (os_signal_hook); threads that collector stops are asleep for us, and a
 *    collector that we stop goes on afterwards.
 *  - The handler touches no thread-local storage, and leaves errno alone.
 *
 * What is missed: a word that a thread moves which cannot be stopped, or which woke up in every round. That is
 * counted (reuse_stats.unsettled).
 */
#include "base/registers.h"
#include "hard/reuse_scan.h"
#include "os/thread.h"

enum {
    STAND_TIMES = 10, /* of reach_ms: that a thread stands, at most */
    STOP_SIGNAL = SIGURG,
};

enum stop_state {
    STOP_NEW,
    STOP_SLEEPS,
    STOP_RUNS,   /* its timer is set */
    STOP_STANDS, /* in the handler, or on its way out of it */
    STOP_BEYOND, /* runs, and cannot be interrupted */
};

_Atomic uint32_t stop_round; /* odd: threads shall stand */

static struct {
    _Atomic uint32_t arrivals; /* changes whenever one has come to stand */
    unsigned count;            /* of threads in the table */
    unsigned cursor;           /* where the next of the list is likely to be */
    unsigned pointers;
    uint32_t self;
    uintptr_t self_pointer;
    bool crowded; /* there are more threads than the table holds */
    bool hooked;  /* the signal was ours when we began */
    bool rings;   /* threads can be interrupted */
    uint64_t start_ns, start_ms;
} stop;

/* ---- in the threads of the program ------------------------------------------------------------------- */

static bool stop_entry_is_mine(const struct stop_thread *thread)
{
    size_t offset = (uintptr_t)thread - (uintptr_t)reuse_scan.room->thread;
    return offset < sizeof reuse_scan.room->thread && offset % sizeof *thread == 0 &&
           thread->id == os_thread_id();
}

static void stop_stand(uint32_t round)
{
    uint64_t limit = STAND_TIMES * reuse_scan.reach_ms, end = os_clock_ms() + limit;
    atomic_fetch_add(&stop.arrivals, 1);
    os_wake(&stop.arrivals);
    while (LOAD_ACQUIRE(&stop_round) == round && os_clock_ms() < end)
        os_wait(&stop_round, round, limit);
}

/* Above this frame lies that of the signal, and in it all registers, on the stack that is in use or on the alternate
 * one; in that case there is another stack, from the interrupted pointer up. */
static FH_NOINLINE void stop_on_signal(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    uint32_t round = LOAD_ACQUIRE(&stop_round);
    uintptr_t registers[OS_REGISTERS], interrupted = 0;
    struct stop_thread *thread = info->si_value.sival_ptr;
    if (info->si_code != SI_TIMER || !(round & 1) || !stop_entry_is_mine(thread)) return;
    uint32_t state = LOAD(&thread->state);
    if (state != STOP_RUNS && state != STOP_SLEEPS) return;
    os_context_registers(context, registers, &interrupted);
    thread->stands_at = (uintptr_t)__builtin_frame_address(0);
    thread->interrupted_at = interrupted - BASE_RED_ZONE;
    /* After what it has written, pointers and all. Partner: stop_seek. */
    if (atomic_compare_exchange_strong_explicit(&thread->state, &state, STOP_STANDS,
                                                memory_order_release, memory_order_relaxed))
        stop_stand(round);
}

static struct stop_thread *stop_entry_of(uint32_t id)
{
    for (unsigned i = 0; i < __atomic_load_n(&stop.count, __ATOMIC_ACQUIRE); i++)
        if (reuse_scan.room->thread[i].id == id) return &reuse_scan.room->thread[i];
    return NULL;
}

/* As in the handler, with its callers' registers here. A timer that goes off meanwhile finds that it stands. */
FH_NOINLINE void stop_visit(void)
{
    uintptr_t registers[BASE_REGISTERS];
    uint32_t round = LOAD_ACQUIRE(&stop_round);
    struct stop_thread *thread = round & 1 ? stop_entry_of(os_thread_id()) : NULL;
    if (thread == NULL) return;
    uint32_t state = LOAD(&thread->state);
    if (state == STOP_STANDS) return; /* it has stood for as long as one may */
    thread->stands_at = base_registers_save(registers);
    thread->interrupted_at = 0;
    while (!atomic_compare_exchange_weak_explicit(&thread->state, &state, STOP_STANDS,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    stop_stand(round);
    __asm__ volatile("" ::"r"(registers) : "memory");
}

void stop_hook(void)
{
    stop.hooked = os_thread_timers_are_polite() && os_signal_hook(STOP_SIGNAL, stop_on_signal);
}

/* ---- the list of threads ------------------------------------------------------------------------------ */

static struct stop_thread *stop_entry(unsigned i)
{
    return &reuse_scan.room->thread[i];
}

/* The kernel lists them in the order of their making: so the next is where the cursor is, as a rule. */
static void stop_note(uint32_t id)
{
    if (id == stop.self) return;
    for (unsigned i = 0; i < stop.count; i++) {
        unsigned at = (stop.cursor + i) % stop.count;
        if (stop_entry(at)->id != id) continue;
        stop_entry(at)->seen = true;
        stop.cursor = at + 1;
        return;
    }
    if (stop.count == REUSE_THREADS) {
        stop.crowded = true;
        return;
    }
    struct stop_thread *thread = stop_entry(stop.count);
    thread->timer = -1;
    thread->id = id;
    thread->seen = true;
    STORE(&thread->state, STOP_NEW);
    __atomic_store_n(&stop.count, stop.count + 1, __ATOMIC_RELEASE); /* partner: stop_entry_of */
}

static void stop_forget(unsigned i)
{
    if (stop_entry(i)->timer >= 0) os_thread_ring_end(stop_entry(i)->timer);
    stop_entry(i)->timer = -1;
    stop_entry(i)->id = 0; /* the place stays: a late signal may name it */
}

/* True if somebody is new. */
static bool stop_list(void)
{
    unsigned before = stop.count;
    for (unsigned i = 0; i < stop.count; i++) stop_entry(i)->seen = false;
    if (!os_threads_each(reuse_scan.room->text, REUSE_TEXT, stop_note)) stop.crowded = true;
    for (unsigned i = 0; i < stop.count; i++)
        if (stop_entry(i)->id && !stop_entry(i)->seen) stop_forget(i);
    return stop.count > before;
}

/* ---- one thread ---------------------------------------------------------------------------------------- */

/* Turns first: if it runs between the two looks, that will be noticed. */
static void stop_look(unsigned i)
{
    struct stop_thread *thread = stop_entry(i);
    uintptr_t pointer;
    uint64_t turns = os_thread_turns(thread->id);
    enum os_thread_state looks = os_thread_look(thread->id, &pointer);
    uint32_t state = LOAD(&thread->state), next = STOP_SLEEPS;
    if (state == STOP_STANDS) return;
    if (looks == OS_THREAD_GONE) {
        stop_forget(i);
        return;
    }
    if (looks == OS_THREAD_RUNS) {
        if (state == STOP_RUNS || state == STOP_BEYOND) return;
        next = STOP_RUNS;
    }
    if (!atomic_compare_exchange_strong(&thread->state, &state, next))
        return; /* it stands by now */
    if (next == STOP_RUNS) return;
    thread->turns = turns;
    thread->sleeps_at = pointer ? pointer - BASE_RED_ZONE : 0;
}

/* A thread that was seen to run gets a timer, once. */
static void stop_ring(unsigned i)
{
    struct stop_thread *thread = stop_entry(i);
    if (thread->id == 0 || LOAD(&thread->state) != STOP_RUNS || thread->timer >= 0) return;
    if (stop.rings && !os_thread_blocks(thread->id, STOP_SIGNAL))
        thread->timer = os_thread_ring(thread->id, STOP_SIGNAL, thread);
    if (thread->timer >= 0) return;
    uint32_t runs = STOP_RUNS;
    atomic_compare_exchange_strong(&thread->state, &runs, STOP_BEYOND);
}

/* How many run that will come to a stand. */
static unsigned stop_seek(void)
{
    unsigned running = 0;
    for (unsigned i = 0; i < stop.count; i++) {
        uint32_t state = LOAD_ACQUIRE(&stop_entry(i)->state); /* partner: stop_on_signal */
        if (stop_entry(i)->id == 0 || state == STOP_STANDS || state == STOP_SLEEPS) continue;
        stop_look(i);
        stop_ring(i);
        running += stop_entry(i)->id && LOAD(&stop_entry(i)->state) == STOP_RUNS;
    }
    return running;
}

/* ---- the stop ------------------------------------------------------------------------------------------- */

void stop_prepare(uintptr_t stack_pointer)
{
    for (unsigned i = 0; i < stop.count; i++) stop_forget(i);
    stop.count = stop.cursor = 0;
    stop.crowded = false;
    stop.self = os_thread_id();
    stop.self_pointer = stack_pointer;
    stop.rings = stop.hooked && os_signal_is_hooked(STOP_SIGNAL);
    /* Most threads are asleep for long: what is to be known of them is found before the program stands. */
    stop_list();
    for (unsigned i = 0; i < stop.count; i++) stop_look(i);
}

static void pointer_note(uintptr_t pointer)
{
    if (pointer) reuse_scan.room->pointer[stop.pointers++] = pointer;
}

/* In order, for stop_lowest (Shell's sort). */
static void pointers_sort(void)
{
    uintptr_t *p = reuse_scan.room->pointer;
    for (unsigned gap = stop.pointers / 2; gap > 0; gap /= 2) {
        for (unsigned i = gap; i < stop.pointers; i++) {
            uintptr_t value = p[i];
            unsigned k = i;
            for (; k >= gap && p[k - gap] > value; k -= gap) p[k] = p[k - gap];
            p[k] = value;
        }
    }
}

/* Of a thread that runs all the same nothing is known: then its stack is read as a whole, since no pointer
 * leads into it. */
static void pointers_collect(void)
{
    stop.pointers = 0;
    pointer_note(stop.self_pointer);
    for (unsigned i = 0; i < stop.count; i++) {
        struct stop_thread *thread = stop_entry(i);
        thread->known = LOAD_ACQUIRE(&thread->state);
        if (thread->id == 0) continue;
        if (thread->known == STOP_SLEEPS) pointer_note(thread->sleeps_at);
        if (thread->known != STOP_STANDS) continue;
        pointer_note(thread->stands_at);
        pointer_note(thread->interrupted_at);
    }
    pointers_sort();
}

uintptr_t stop_lowest(uintptr_t start, uintptr_t end)
{
    const uintptr_t *p = reuse_scan.room->pointer;
    unsigned low = 0, high = stop.pointers;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (p[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stop.pointers && p[low] < end ? p[low] : 0;
}

void stop_begin(void)
{
    if (!(LOAD(&stop_round) & 1)) {
        stop.start_ns = os_time_ns();
        stop.start_ms = os_clock_ms();
        atomic_fetch_add(&stop_round, 1);
    }
    uint64_t end = os_clock_ms() + reuse_scan.reach_ms;
    do {
        uint32_t arrivals = LOAD_ACQUIRE(&stop.arrivals);
        unsigned running = stop_seek();
        if (running == 0 && !stop_list()) break;
        if (running > 0) os_wait(&stop.arrivals, arrivals, 1);
    } while (os_clock_ms() < end);
    pointers_collect();
}

/* A thread that was asleep has run since: it is looked at anew. Of one that has run all the time there is no more
 * to be known. */
static bool stop_is_awake(unsigned i)
{
    struct stop_thread *thread = stop_entry(i);
    uint32_t sleeps = STOP_SLEEPS;
    if (thread->known == STOP_SLEEPS && LOAD(&thread->state) == STOP_STANDS) return true;
    if (LOAD(&thread->state) != STOP_SLEEPS) return false;
    if (os_thread_turns(thread->id) == thread->turns) return false;
    if (atomic_compare_exchange_strong(&thread->state, &sleeps, STOP_NEW) && thread->timer >= 0) {
        os_thread_ring_end(thread->timer);
        thread->timer = -1;
    }
    return true;
}

bool stop_is_settled(void)
{
    bool settled = !stop.crowded && !stop_list();
    for (unsigned i = 0; i < stop.count; i++)
        if (stop_entry(i)->id && stop_is_awake(i)) settled = false;
    return settled;
}

uint64_t stop_end(bool *unsettled)
{
    unsigned unseen = 0;
    for (unsigned i = 0; i < stop.count; i++) {
        uint32_t state = LOAD(&stop_entry(i)->state);
        unseen += stop_entry(i)->id && (state == STOP_RUNS || state == STOP_BEYOND);
    }
    uint64_t ms = os_clock_ms() - stop.start_ms;
    if (unseen || stop.crowded || ms >= STAND_TIMES * reuse_scan.reach_ms) *unsettled = true;
    atomic_fetch_add(&stop_round, 1);
    os_wake(&stop_round);
    uint64_t ns = os_time_ns() - stop.start_ns;
    for (unsigned i = 0; i < stop.count; i++) stop_forget(i);
    reuse_stats.threads_unseen += unseen;
    return ns;
}

void stop_fork_child(void)
{
    /* Timers are not inherited, and nobody else is there. */
    for (unsigned i = 0; i < stop.count; i++) stop_entry(i)->timer = -1;
    stop.count = 0;
    if (LOAD(&stop_round) & 1) atomic_fetch_add(&stop_round, 1);
}
