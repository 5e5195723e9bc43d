/*
 * What waits to be handed out again, when it is swept, and by whom. See reuse.h.
 *
 *     a thread's segment --64 KiB, or full--> pending --sweep--> batch --settled--> free, or kept
 *                                                         kept -->
 *
 * A segment holds addresses of slots, nothing more; all else about them is found from those. Segments lie in
 * memory of our own that no sweep looks at. Lists of them need no lock, since a thread may stand anywhere in
 * here while a sweep goes on: to `pending` single segments are added, and all are taken at once; from `spare` one
 * is taken by a head that counts. Two locks remain: `growth`, for who makes segments, and `settling`, held for one
 * segment at a time while its slots are released, so that a fork meets no slot in neither list. Locks of the
 * core are taken below both, and neither during the stop.
 *
 * A sweep runs in a helper, a thread that only the kernel knows (os_helper_start), which is there for that sweep
 * alone and has its own table of files; where there can be none, in the thread that frees.
 */
#include "base/registers.h"
#include "hard/reuse_scan.h"
#include "hard/space.h"
#include "os/pressure.h"
#include "os/thread.h"

#define SEGMENT_SIZE 1024
#define SEGMENT_ENTRIES REUSE_SLOTS
#define SEGMENTS_STEP (256 * KIB)
#define HAND_OVER (64 * KIB) /* bytes of slots that a thread keeps to itself, at most */
#define SOFT_LEAST (8 * MIB)
#define LARGE_BYTES (4 * KIB) /* what a large block counts: its pages are gone */
#define SPACE_SHARE 16 /* of all addresses, this part may be those of large blocks that wait */
#define GUARD_SIZE (64 * KIB)

/*      0      4       8       16      24      32
 *      | next | count | bytes | space | owned | addresses of slots ...                 | */
struct segment {
    uint32_t next; /* index; 0 ends */
    uint32_t count;
    uint64_t bytes;
    uint64_t space;         /* addresses of large slots */
    _Atomic uint64_t owned; /* 1: a thread's own */
    uintptr_t entry[SEGMENT_ENTRIES];
};
static_assert(sizeof(struct segment) == SEGMENT_SIZE, "segments follow each other");
static_assert(offsetof(struct segment, entry) == 32, "as drawn");

enum sweeping { SWEEP_NONE, SWEEP_BEGINS, SWEEP_BY_HELPER };

static struct {
    struct segment *segment; /* the first is never used */
    size_t room;             /* bytes reserved for them */
    _Atomic uint32_t high;   /* segments that were ever used */
    _Atomic uint64_t committed;
    _Atomic uint64_t spare; /* count << 32 | index of the first */
    _Atomic uint32_t pending;
    uint32_t batch, kept, out; /* the sweeper's lists; `out`: the segment that takes kept slots */
    struct lock growth, settling;

    _Atomic uint64_t bytes,
        kept_bytes; /* of all segments but those that threads own; of kept slots */
    _Atomic uint64_t space, kept_space;
    _Atomic uint64_t waits, lost;
    _Atomic uint32_t sweeping; /* enum sweeping */
    _Atomic uint32_t done;     /* sweeps that have ended, for who waits */
    _Atomic uint32_t ended;    /* 1: reuse_end */
    _Atomic uint32_t hooking;  /* 1: the signal's handler was seen to */
    _Atomic uint32_t alone;    /* 1: no helper can be had */
    _Atomic int helper_alive;
} reuse;

static _Thread_local uint32_t own_segment __attribute__((tls_model("initial-exec")));

/* ---- segments -------------------------------------------------------------------------------------- */

static struct segment *segment_at(uint32_t index)
{
    return &reuse.segment[index];
}

static uint32_t spare_take(void)
{
    uint64_t head = LOAD_ACQUIRE(&reuse.spare); /* partner: spare_put */
    while ((uint32_t)head) {
        /* Perhaps it is taken by now and has another next; then the head has counted. */
        uint64_t next = __atomic_load_n(&segment_at((uint32_t)head)->next, __ATOMIC_RELAXED);
        next |= ((head >> 32) + 1) << 32;
        if (atomic_compare_exchange_weak_explicit(&reuse.spare, &head, next, memory_order_acquire,
                                                  memory_order_acquire))
            return (uint32_t)head;
    }
    return 0;
}

static void spare_put(uint32_t index)
{
    uint64_t head = LOAD(&reuse.spare), next;
    do {
        __atomic_store_n(&segment_at(index)->next, (uint32_t)head, __ATOMIC_RELAXED);
        next = ((head >> 32) + 1) << 32 | index;
    } while (!atomic_compare_exchange_weak_explicit(&reuse.spare, &head, next, memory_order_release,
                                                    memory_order_relaxed));
}

static bool segment_grow(uint32_t index)
{
    size_t end = ((size_t)index + 1) * SEGMENT_SIZE;
    bool there = true;
    lock_take(&reuse.growth);
    uint64_t committed = LOAD(&reuse.committed);
    if (end > committed) {
        char *start = (char *)reuse.segment + committed;
        there = end <= reuse.room && os_vm_commit(start, SEGMENTS_STEP);
        if (there) STORE(&reuse.committed, committed + SEGMENTS_STEP);
    }
    lock_give(&reuse.growth);
    return there;
}

/* 0 when memory is out. */
static uint32_t segment_take(void)
{
    uint32_t index = spare_take();
    while (index == 0) {
        uint32_t last = LOAD(&reuse.high);
        if (!segment_grow(last + 1)) return 0;
        if (atomic_compare_exchange_strong(&reuse.high, &last, last + 1)) index = last + 1;
    }
    struct segment *segment = segment_at(index);
    segment->count = 0;
    segment->bytes = segment->space = 0;
    return index;
}

static void pending_put(uint32_t index)
{
    uint32_t first = LOAD(&reuse.pending);
    STORE(&segment_at(index)->owned, 0);
    do __atomic_store_n(&segment_at(index)->next, first, __ATOMIC_RELAXED);
    while (!atomic_compare_exchange_weak_explicit(&reuse.pending, &first, index,
                                                  memory_order_release, memory_order_relaxed));
}

/* ---- the batch of a sweep ---------------------------------------------------------------------------- */

static uint64_t entry_bytes(const struct region *region)
{
    return region->kind == REGION_LARGE ? LARGE_BYTES : region->size;
}

static uint64_t entry_space(const struct region *region)
{
    return region->kind == REGION_LARGE ? (uint64_t)1 << region->slab_shift : 0;
}

/* Looks for all slots, so that the processor fetches what is about them meanwhile. */
static uint32_t slots_find(const struct segment *segment)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < segment->count; i++) {
        struct slot *slot = &reuse_scan.room->slots.found[count];
        if (NEVER(!hard_slot_find((const void *)segment->entry[i], slot))) continue;
        slot->start = segment->entry[i];
        __builtin_prefetch(slot->word);
        count++;
    }
    return count;
}

/* Words that were found before the slot was pending count no longer. (Those of kept slots are cleared when they are
 * kept.) */
static void marks_clear(const struct segment *segment)
{
    const struct slot *found = reuse_scan.room->slots.found;
    uint32_t count = slots_find(segment);
    for (uint32_t i = 0; i < count; i++)
        if (LOAD(found[i].word) & WORD_MARKED)
            atomic_fetch_and_explicit(found[i].word, ~WORD_MARKED, memory_order_relaxed);
}

/* Kept slots first, then what is pending. (A batch is there still if the helper was lost.) */
static void batch_take(void)
{
    lock_take(&reuse.settling);
    uint32_t *end = &reuse.batch;
    while (*end) end = &segment_at(*end)->next;
    *end = reuse.kept;
    reuse.kept = 0;
    while (*end) end = &segment_at(*end)->next;
    uint32_t pending = atomic_exchange_explicit(&reuse.pending, 0, memory_order_acquire);
    *end = pending;
    lock_give(&reuse.settling);
    for (uint32_t i = pending; i; i = segment_at(i)->next) marks_clear(segment_at(i));
}

static void out_close(void)
{
    if (reuse.out == 0) return;
    atomic_fetch_add(&reuse.bytes, segment_at(reuse.out)->bytes);
    atomic_fetch_add(&reuse.space, segment_at(reuse.out)->space);
    segment_at(reuse.out)->next = reuse.kept;
    reuse.kept = reuse.out;
    reuse.out = 0;
}

static void entry_keep(uintptr_t start, const struct region *region)
{
    struct segment *out = segment_at(reuse.out);
    out->entry[out->count++] = start;
    out->bytes += entry_bytes(region);
    out->space += entry_space(region);
    atomic_fetch_add(&reuse.kept_bytes, entry_bytes(region));
    atomic_fetch_add(&reuse.kept_space, entry_space(region));
    reuse_stats.kept++;
    if (out->count == SEGMENT_ENTRIES) out_close();
}

static bool entry_is_found(const struct slot *slot)
{
    uint32_t word = LOAD(slot->word);
    if (hard_state(word) != SLOT_QUARANTINED || !(word & WORD_MARKED)) return false;
    atomic_fetch_and_explicit(slot->word, ~WORD_MARKED, memory_order_relaxed);
    return true;
}

/* What it held counts no longer; what is kept of it counts again. */
static void segment_empty(struct segment *segment)
{
    atomic_fetch_sub(&reuse.bytes, segment->bytes);
    atomic_fetch_sub(&reuse.space, segment->space);
    segment->count = 0;
    segment->bytes = segment->space = 0;
}

/* Those of one region at a time: one lock for all of them. */
static void slots_release(struct reuse_slots *all)
{
    while (all->count) {
        const struct region *region = all->region[0];
        unsigned count = 0, left = 0;
        for (unsigned i = 0; i < all->count; i++) {
            if (all->region[i] == region) {
                all->same[count++] = all->start[i];
            } else {
                all->region[left] = all->region[i];
                all->start[left++] = all->start[i];
            }
        }
        all->count = left;
        reuse_stats.released += count;
        reuse_stats.released_bytes += count * entry_bytes(region);
        hard_release(region, all->same, count);
    }
}

/* One segment; if no other is being filled with kept slots, it becomes that: what is kept is never written in front
 * of where it is read. */
static void segment_settle(uint32_t index)
{
    struct segment *segment = segment_at(index);
    struct reuse_slots *slots = &reuse_scan.room->slots;
    uint32_t count = slots_find(segment);
    bool reused = false;
    slots->count = 0;
    segment_empty(segment);
    for (uint32_t i = 0; i < count; i++) {
        const struct slot *slot = &slots->found[i];
        if (entry_is_found(slot)) {
            reused |= reuse.out == 0;
            if (reuse.out == 0) reuse.out = index;
            entry_keep(slot->start, slot->region);
        } else if (hard_state(LOAD(slot->word)) ==
                   SLOT_QUARANTINED) { /* else gone for good meanwhile */
            slots->region[slots->count] = slot->region;
            slots->start[slots->count++] = slot->start;
        }
    }
    slots_release(slots);
    if (!reused) spare_put(index);
}

static void batch_settle(void)
{
    reuse_stats.kept = 0;
    STORE(&reuse.kept_bytes, 0);
    STORE(&reuse.kept_space, 0);
    while (reuse.batch) {
        lock_take(&reuse.settling);
        uint32_t index = reuse.batch;
        reuse.batch = segment_at(index)->next;
        segment_settle(index);
        lock_give(&reuse.settling);
    }
    lock_take(&reuse.settling);
    out_close();
    lock_give(&reuse.settling);
}

/* ---- a sweep ------------------------------------------------------------------------------------------ */

static void search_before(void)
{
    enum { ROUNDS = 2, LITTLE = 1 << 20 };
    scan_others(SCAN_BULK);
    if (!reuse_scan.watched) return;
    scan_ours(true);
    for (int round = 0; round < ROUNDS && scan_ours(false) > LITTLE; round++) {
    }
}

static void search_in_the_stop(bool *settled)
{
    enum { ROUNDS = 2 };
    *settled = false;
    for (int round = 0; round < ROUNDS && !*settled; round++) {
        stop_begin();
        scan_ours(!reuse_scan.watched);
        scan_others(SCAN_REST);
        *settled = stop_is_settled();
    }
    /* Of what ran meanwhile, at least what it has moved into blocks. */
    if (!*settled && reuse_scan.watched) scan_ours(false);
}

static void search(uintptr_t stack_pointer)
{
    bool settled, unsettled = false;
    search_before();
    stop_prepare(stack_pointer);
    search_in_the_stop(&settled);
    uint64_t ns = stop_end(&unsettled);
    reuse_stats.pause_ns += ns;
    reuse_stats.pause_ns_most = base_max(reuse_stats.pause_ns_most, ns);
    reuse_stats.unsettled += unsettled || !settled;
    reuse_stats.stopped_whole += !reuse_scan.watched && !reuse_scan.small;
}

/* stack_pointer: 0 in the helper. */
static void sweep(uintptr_t stack_pointer)
{
    batch_take();
    if (!LOAD(&reuse.ended) && scan_open()) {
        search(stack_pointer);
        scan_close();
    } else {
        reuse_stats.blind++;
    }
    reuse_stats.sweeps++;
    batch_settle();
}

/* ---- when, and by whom -------------------------------------------------------------------------------- */

static uint64_t soft_bound(void)
{
    return base_max(SOFT_LEAST, hard_live_bytes() / 4);
}

/* How often what waits, and was not swept yet, makes up the bound. */
static uint64_t fill(void)
{
    uint64_t bytes = LOAD(&reuse.bytes), kept = LOAD(&reuse.kept_bytes);
    uint64_t space = LOAD(&reuse.space), kept_space = LOAD(&reuse.kept_space);
    uint64_t by_bytes = 0, by_space = 0;
    if (bytes >= kept + SOFT_LEAST) by_bytes = (bytes - kept) / soft_bound();
    if (space > kept_space) by_space = (space - kept_space) / (hard.size / SPACE_SHARE);
    return base_max(by_bytes, by_space);
}

static void sweep_ends(void)
{
    STORE_RELEASE(&reuse.sweeping, SWEEP_NONE);
    atomic_fetch_add(&reuse.done, 1);
    os_wake(&reuse.done);
}

/* See span/purger.c for what such a thread is, and lacks. */
__attribute__((no_sanitize("address"))) static void sweeper_main(void *unused)
{
    (void)unused;
    STORE_RELEASE(&reuse.sweeping, SWEEP_BY_HELPER);
    reuse_scan.own_files = os_files_leave();
    do sweep(0);
    while (!LOAD(&reuse.ended) && fill() > 0);
    sweep_ends();
    os_helper_exit();
}

static void sweeper_await_end(void)
{
    static _Atomic uint32_t never;
    while (LOAD_ACQUIRE(&reuse.helper_alive)) os_wait(&never, 0, 1);
}

static bool sweeper_start(void)
{
    if (LOAD(&reuse.alone)) return false;
    sweeper_await_end(); /* the last one is on its way out */
    struct reuse_room *room = reuse_scan.room;
    if (os_helper_start(sweeper_main, NULL, room->stack, sizeof room->stack, &reuse.helper_alive))
        return true;
    STORE(&reuse.alone, 1);
    return false;
}

/* In the thread that frees. Its callers' registers are saved above what is cut from its stack. */
static FH_NOINLINE void sweep_here(void)
{
    uintptr_t registers[BASE_REGISTERS];
    uintptr_t stack_pointer = base_registers_save(registers);
    reuse_scan.own_files = false;
    reuse_stats.by_caller++;
    sweep(stack_pointer);
    __asm__ volatile("" ::"r"(registers) : "memory");
    sweep_ends();
}

/* One is under way, or was just made here. */
static void sweep_ensure(void)
{
    uint32_t none = SWEEP_NONE;
    if (!atomic_compare_exchange_strong(&reuse.sweeping, &none, SWEEP_BEGINS)) return;
    if (LOAD(&reuse.ended)) {
        sweep_here();
        return;
    }
    if (!atomic_exchange(&reuse.hooking, 1)) stop_hook();
    if (!sweeper_start()) sweep_here();
}

/* The helper is not there, though its sweep has not ended: somebody has killed that thread, as a filter of system
 * calls does that was set up behind our back. Then no more is asked of the kernel. */
static void sweeper_note_lost(void)
{
    uint32_t by_helper = SWEEP_BY_HELPER;
    if (LOAD_ACQUIRE(&reuse.helper_alive)) return;
    if (!atomic_compare_exchange_strong(&reuse.sweeping, &by_helper, SWEEP_NONE)) return;
    STORE(&reuse.ended, 1);
}

/* Asleep, it is read from its stack pointer up; so its callers' registers are put there. */
static FH_NOINLINE void sweep_await(void)
{
    uintptr_t registers[BASE_REGISTERS];
    base_registers_save(registers);
    uint32_t done = LOAD_ACQUIRE(&reuse.done);
    while (LOAD_ACQUIRE(&reuse.sweeping) && LOAD(&reuse.done) == done) {
        os_wait(&reuse.done, done, 100);
        sweeper_note_lost();
    }
    __asm__ volatile("" ::"r"(registers) : "memory");
}

/* Twice the bound is there: who frees waits, lest more be freed than is swept. */
static void wait_for_room(void)
{
    atomic_fetch_add(&reuse.waits, 1);
    while (fill() > 1) {
        sweep_ensure();
        sweep_await();
    }
}

static void own_give(void)
{
    uint32_t index = own_segment;
    own_segment = 0;
    atomic_fetch_add(&reuse.bytes, segment_at(index)->bytes);
    atomic_fetch_add(&reuse.space, segment_at(index)->space);
    pending_put(index);
}

static FH_NOINLINE void hand_over(void)
{
    own_give();
    uint64_t times = fill();
    if (times > 0) sweep_ensure();
    if (times > 1) wait_for_room();
}

void reuse_thread_end(void)
{
    if (own_segment) hand_over();
}

/* No memory to note it: then it is not held back. */
static FH_COLD void entry_lost(uintptr_t start, const struct region *region)
{
    atomic_fetch_add(&reuse.lost, 1);
    hard_release(region, &start, 1);
}

void reuse_add(uintptr_t start, const struct region *region)
{
    reuse_pass();
    if (UNLIKELY(own_segment == 0)) {
        if (reuse.segment) own_segment = segment_take();
        if (own_segment == 0) {
            entry_lost(start, region);
            return;
        }
        STORE(&segment_at(own_segment)->owned, 1);
    }
    struct segment *segment = segment_at(own_segment);
    segment->entry[segment->count] = start;
    segment->bytes += entry_bytes(region);
    segment->space += entry_space(region);
    segment->count++;
    if (segment->count == SEGMENT_ENTRIES || segment->bytes >= HAND_OVER ||
        segment->space >= hard.size / SPACE_SHARE / 16)
        hand_over();
}

void reuse_now(void)
{
    if (!reuse.segment) return;
    if (own_segment) own_give();
    /* One that is under way may have begun before. */
    for (bool underway = true; underway;) {
        underway = LOAD(&reuse.sweeping);
        sweep_ensure();
        sweep_await();
    }
}

FH_COLD bool reuse_for_room(void)
{
    if (!reuse.segment) return false;
    /* Else, or meanwhile, who frees may have had it done: worth another look too. */
    if (own_segment || LOAD(&reuse.bytes) || LOAD(&reuse.sweeping)) reuse_now();
    return true;
}

/* ---- start and end -------------------------------------------------------------------------------------- */

void reuse_hide(uintptr_t start, size_t size)
{
    if (NEVER(reuse_scan.hidden_count == REUSE_HIDDEN)) return;
    reuse_scan.hidden[reuse_scan.hidden_count++] = (struct os_range){start, start + size};
}

/*     | guard | struct reuse_room | segments ...              | guard | */
bool reuse_start(void)
{
    size_t least = GUARD_SIZE + base_round_up(sizeof(struct reuse_room), GUARD_SIZE);
    size_t left = os_vm_address_space_left(), size = 16 * GIB;
    if (left != SIZE_MAX) size = base_min(size, base_round_down(left / 16, MIB));
    char *base = NULL;
    for (; base == NULL && size >= least + 4 * MIB; size /= 2) {
        base = os_vm_reserve(size, GUARD_SIZE);
        if (base) break;
    }
    if (base == NULL || !os_vm_commit(base + GUARD_SIZE, least - GUARD_SIZE)) return false;
    os_vm_dump(base, size, false); /* gcore writes what is not marked */
    os_vm_name(base, size, "freehold:meta");
    reuse_scan.room = (struct reuse_room *)(base + GUARD_SIZE);
    reuse_hide((uintptr_t)base, size);
    reuse_hide(space_meta(), space_meta_size());
    reuse_hide((uintptr_t)&reuse_stats, sizeof reuse_stats);
    if (hard.measures.poison) reuse_scan.poison = (uintptr_t)base;
    reuse.room = size - least - GUARD_SIZE;
    reuse.segment = (struct segment *)(base + least);
    return true;
}

void reuse_end(bool wait)
{
    STORE(&reuse.ended, 1);
    if (wait && reuse.segment) sweeper_await_end();
}

void reuse_stats_get(struct reuse_stats *stats)
{
    *stats = reuse_stats;
    stats->pending_bytes = LOAD(&reuse.bytes);
    stats->kept_bytes = LOAD(&reuse.kept_bytes);
    stats->waits = LOAD(&reuse.waits);
    stats->lost = LOAD(&reuse.lost);
}

/* ---- fork ------------------------------------------------------------------------------------------------ */

void reuse_fork_prepare(void)
{
    lock_take(&reuse.settling);
    lock_take(&reuse.growth);
}

void reuse_fork_parent(void)
{
    lock_give(&reuse.growth);
    lock_give(&reuse.settling);
}

/* The lists of a sweep that is not there, and segments of threads that are not there, become pending. */
static void segments_recover(void)
{
    out_close();
    uint32_t chains[] = {reuse.batch, reuse.kept};
    reuse.batch = reuse.kept = 0;
    for (unsigned c = 0; c < 2; c++) {
        for (uint32_t s = chains[c], next; s; s = next) {
            next = segment_at(s)->next;
            pending_put(s);
        }
    }
    for (uint32_t s = 1; s <= LOAD(&reuse.high); s++) {
        if (s == own_segment || !LOAD(&segment_at(s)->owned)) continue;
        atomic_fetch_add(&reuse.bytes, segment_at(s)->bytes);
        atomic_fetch_add(&reuse.space, segment_at(s)->space);
        pending_put(s);
    }
}

void reuse_fork_child(void)
{
    lock_reset(&reuse.growth);
    lock_reset(&reuse.settling);
    if (!reuse.segment) return;
    STORE(&reuse.sweeping, SWEEP_NONE);
    STORE(&reuse.alone, 0);
    STORE(&reuse.helper_alive, 0);
    if (!reuse_scan.own_files) scan_close(); /* of a sweep that another thread was making */
    stop_fork_child();
    segments_recover();
}
