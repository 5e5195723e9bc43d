/* See sample.h. */
#include "hard/sample.h"

#include <string.h>

#include "hard/registry.h"
#include "hard/report.h"
#include "hard/sample_watch.h"
#include "os/guard.h"

enum { FIRST_SLOTS = 16, LIVE_PER_SLOT = 1 << 20, KEEP_ONE_OF = 4 };

struct sample_region sample_region;

static struct {
    struct lock lock;
    struct sample_block *block; /* one a slot */
    uint32_t *queue;            /* free slots, a ring: the one freed first at `head` */
    uint32_t most;              /* slots, a power of two */
    _Atomic uint32_t open;      /* of them, so far */
    uint32_t head, free;
    uint32_t watched; /* how many of `most` lie in front, and are watched */
    uint32_t serial;
    uint64_t random;
    uint8_t key; /* what the edges are filled with; not zero, with which strings end */
    bool guards; /* of the kernel's that cost no mapping */
    size_t page, stride;
} sample;

/* ---- where a slot is --------------------------------------------------------------------------------- */

/* Slots that are watched lie in front, so that they are one range: every eighth as they are opened. */
static uint32_t slot_place(uint32_t i)
{
    if (sample.watched == 0) return i;
    uint32_t before = (i + WATCH_ONE_OF - 1) / WATCH_ONE_OF; /* watched ones with smaller numbers */
    return i % WATCH_ONE_OF == 0 ? before : sample.watched + i - before;
}

static uint32_t slot_at_place(uint32_t place)
{
    if (sample.watched == 0) return place;
    if (place < sample.watched) return place * WATCH_ONE_OF;
    uint32_t other = place - sample.watched;
    return other + other / (WATCH_ONE_OF - 1) + 1;
}

static uintptr_t slot_data(uint32_t i)
{
    return sample_region.base + sample.page + slot_place(i) * sample.stride;
}

static size_t data_size(void)
{
    return sample.stride - sample.page;
}

static uint32_t slot_of(const struct sample_block *block)
{
    return (uint32_t)(block - sample.block);
}

static bool slot_is_watched(uint32_t i)
{
    return sample.watched && i % WATCH_ONE_OF == 0;
}

static uintptr_t first_page(const struct sample_block *block)
{
    return base_round_down(block->start, sample.page);
}

static uintptr_t end_page(const struct sample_block *block)
{
    return base_round_up(block->start + block->size, sample.page);
}

/* ---- pages that fault ---------------------------------------------------------------------------------- */

static bool pages_hide(uintptr_t start, uintptr_t end)
{
    if (sample.guards && os_vm_guard((void *)start, end - start)) return true;
    return os_vm_decommit((void *)start, end - start);
}

static bool pages_show(uintptr_t start, uintptr_t end)
{
    if (sample.guards && !os_vm_unguard((void *)start, end - start)) return false;
    return os_vm_commit((void *)start, end - start);
}

/* ---- the pattern ----------------------------------------------------------------------------------------- */

/* Into the page at `to`, which is or will be the one at `page`, what of it is beside the block. */
void sample_edges(const struct sample_block *block, uintptr_t page, uint8_t *to)
{
    uintptr_t end = page + sample.page, block_end = block->start + block->size;
    if (block->start > page) memset(to, sample.key, base_min(block->start, end) - page);
    if (block_end < end)
        memset(to + (base_max(page, block_end) - page), sample.key,
               end - base_max(page, block_end));
}

static void edges_write(const struct sample_block *block)
{
    uintptr_t last = end_page(block) - sample.page;
    if (block->watched) return; /* the helper does it */
    sample_edges(block, first_page(block), (uint8_t *)first_page(block));
    if (last != first_page(block)) sample_edges(block, last, (uint8_t *)last);
}

/* Where bytes are not all this one; `to`: they are. */
static uintptr_t edge_find_other(uintptr_t from, uintptr_t to, uint8_t byte)
{
    uint64_t word = byte * 0x0101010101010101ull;
    while (from < to && from % sizeof word && *(const uint8_t *)from == byte) from++;
    if (from % sizeof word == 0)
        while (from + sizeof word <= to && *(const uint64_t *)from == word) from += sizeof word;
    while (from < to && *(const uint8_t *)from == byte) from++;
    return from;
}

/* A page of a watched block that came when there was no helper (in the child of a fork) is all zeros. */
struct sample_damage sample_damage(const struct sample_block *block, bool front)
{
    uintptr_t from = front ? first_page(block) : block->start + block->size;
    uintptr_t to = front ? block->start : end_page(block);
    struct sample_damage damage = {.first = edge_find_other(from, to, sample.key)};
    if (damage.first == to || (block->watched && edge_find_other(from, to, 0) == to)) return damage;
    for (uintptr_t p = damage.first; p < to; p++) damage.count += *(const uint8_t *)p != sample.key;
    return damage;
}

/* ---- free slots; all of it under the lock ------------------------------------------------------------------ */

static uint64_t sample_random(void)
{
    sample.random ^= sample.random << 13;
    sample.random ^= sample.random >> 7;
    return sample.random ^= sample.random << 17;
}

static uint32_t *free_at(uint32_t n)
{
    return &sample.queue[(sample.head + n) & (sample.most - 1)];
}

static void free_give(uint32_t i)
{
    *free_at(sample.free++) = i;
}

/* One of the half that was freed first. */
static uint32_t free_take(void)
{
    uint32_t n = (uint32_t)(sample_random() % (sample.free / 2 + 1));
    uint32_t chosen = *free_at(n);
    *free_at(n) = *free_at(0);
    sample.head++;
    sample.free--;
    return chosen;
}

static bool sample_slot_open(uint32_t i)
{
    uintptr_t data = slot_data(i);
    if (!os_vm_commit((void *)data, sample.stride)) return false;
    os_vm_dump((void *)data, sample.stride, true);
    return pages_hide(data, data + sample.stride);
}

/* Twice as many slots as before, within what the heap allows. */
static void sample_slots_open(void)
{
    uint64_t allowed = base_max(hard_live_bytes() / LIVE_PER_SLOT, FIRST_SLOTS);
    uint32_t want = sample.open ? 2 * sample.open : FIRST_SLOTS;
    want = (uint32_t)base_min(base_min(want, allowed), sample.most);
    if (want <= sample.open) return;
    size_t records = base_round_up(want * sizeof *sample.block, sample.page);
    if (!os_vm_commit(sample.block, records)) return;
    while (sample.open < want && sample_slot_open(sample.open)) free_give(sample.open++);
}

/* A quarter of the slots stays freed, to be touched by mistake. */
static bool free_find(uint32_t *i, bool *right)
{
    lock_take(&sample.lock);
    if (sample.free <= sample.open / KEEP_ONE_OF) sample_slots_open();
    bool found = sample.free > sample.open / KEEP_ONE_OF;
    if (found) *i = free_take();
    *right = sample.random >> 20 & 1;
    lock_give(&sample.lock);
    return found;
}

static void free_put_back(uint32_t i)
{
    lock_take(&sample.lock);
    free_give(i);
    lock_give(&sample.lock);
}

/* ---- blocks ------------------------------------------------------------------------------------------------ */

/* The histories are written for every sampled block and read for hardly any: a stack is some microseconds. */
static FH_NOINLINE void history_take(struct sample_history *history)
{
    history->thread = os_thread_id();
    history->count = stack_take(history->stack, STACK_MOST, 1);
}

static uintptr_t block_place(uint32_t i, size_t size, size_t alignment, bool right)
{
    uintptr_t data = slot_data(i);
    return right ? base_round_down(data + data_size() - size, alignment) : data;
}

static void block_record(struct sample_block *block, size_t size, size_t alignment, unsigned kind)
{
    block->size = size;
    block->alignment = (uint32_t)alignment;
    block->was_read = 0;
    STORE(&block->may_be_read, 0);
    block->serial = __atomic_add_fetch(&sample.serial, 1, __ATOMIC_RELAXED);
    block->freed.thread = block->freed.count = 0;
    history_take(&block->made);
    STORE(&block->word, SLOT_LIVE | kind << WORD_KIND_SHIFT);
}

static bool block_show(struct sample_block *block)
{
    block->watched = slot_is_watched(slot_of(block)) && sample_watch_begin();
    if (!pages_show(first_page(block), end_page(block))) {
        if (block->watched) sample_watch_end();
        return false;
    }
    edges_write(block);
    return true;
}

void *sample_allocate(size_t size, size_t alignment, unsigned kind)
{
    uint32_t i;
    bool right;
    if (sample_region.size == 0 || size == 0 || size > SAMPLE_MOST || alignment > sample.page)
        return NULL;
    if (!free_find(&i, &right)) return NULL;
    struct sample_block *block = &sample.block[i];
    block->start = block_place(i, size, base_max(alignment, 1), right);
    block_record(block, size, base_max(alignment, 1), kind);
    if (block_show(block)) return (void *)block->start;
    STORE(&block->word, SLOT_FREE);
    free_put_back(i);
    return NULL;
}

/* The record of the slot at a place in the region; NULL: none there yet. */
static const struct sample_block *block_at_place(uintptr_t place)
{
    if (place >= sample.most) return NULL;
    uint32_t i = slot_at_place((uint32_t)place);
    return i < LOAD(&sample.open) && sample.block[i].start ? &sample.block[i] : NULL;
}

/* In the guard between two slots: whose is nearer? */
const struct sample_block *sample_find(const void *p)
{
    uintptr_t at = (uintptr_t)p, offset = at - sample_region.base;
    if (offset >= sample_region.size) return NULL;
    if (offset < sample.page) return block_at_place(0);
    uintptr_t place = (offset - sample.page) / sample.stride;
    const struct sample_block *block = block_at_place(place);
    if ((offset - sample.page) % sample.stride < data_size()) return block;
    const struct sample_block *next = block_at_place(place + 1);
    if (block == NULL || next == NULL) return block ? block : next;
    return next->start - at < at - (block->start + block->size) ? next : block;
}

/* ---- what is wrong with a call ---------------------------------------------------------------------------- */

static void sample_wrong(enum hard_what what, const struct sample_block *block, const void *p,
                         const char *call, size_t size, size_t right, unsigned kind)
{
    hard_report(&(struct hard_fault){.what = what,
                                     .call = call,
                                     .address = p,
                                     .size = size,
                                     .right = right,
                                     .kind = kind,
                                     .sample = block});
}

/* The live block at p, or NULL after a report. */
static struct sample_block *block_live(const void *p, const char *call, enum hard_what when_freed)
{
    struct sample_block *block = (struct sample_block *)sample_find(p);
    bool at_start = block && block->start == (uintptr_t)p;
    unsigned state = block ? hard_state(LOAD(&block->word)) : SLOT_NEVER;
    if (at_start && state == SLOT_LIVE) return block;
    sample_wrong(at_start && state == SLOT_FREE ? when_freed : HARD_NOT_A_BLOCK, block, p, call, 0,
                 0, 0);
    return NULL;
}

static void check_call(const struct sample_block *block, unsigned kind, size_t size,
                       size_t alignment, const char *call)
{
    void *p = (void *)block->start;
    unsigned made = hard_kind(LOAD(&block->word));
    if (hard.measures.kinds && kind != made && kind != KIND_ANY && made != KIND_ANY)
        sample_wrong(HARD_KIND, block, p, call, 0, 0, kind);
    if (size != SIZE_MAX && size != block->size)
        sample_wrong(HARD_SIZE, block, p, call, size, block->size, kind);
    if (alignment && alignment != block->alignment && block->start % alignment)
        sample_wrong(HARD_ALIGNMENT, block, p, call, alignment, block->alignment, kind);
}

static void check_surroundings(struct sample_block *block, const char *call)
{
    void *p = (void *)block->start;
    sample_unwatch(p); /* we are about to read it */
    if (sample_damage(block, false).count) sample_wrong(HARD_OVERFLOWED, block, p, call, 0, 0, 0);
    if (sample_damage(block, true).count) sample_wrong(HARD_UNDERFLOWED, block, p, call, 0, 0, 0);
}

/* Freed, and hidden. NULL: it was no live block, or cannot be hidden. */
static struct sample_block *sample_end(void *p, unsigned kind, size_t size, size_t alignment,
                                       const char *call)
{
    struct sample_block *block = block_live(p, call, HARD_DOUBLE_FREE);
    if (block == NULL) return NULL;
    check_call(block, kind, size, alignment, call);
    check_surroundings(block, call);
    uint32_t word = LOAD(&block->word);
    if (hard_state(word) != SLOT_LIVE ||
        !atomic_compare_exchange_strong(&block->word, &word, (word & ~WORD_STATE) | SLOT_FREE)) {
        sample_wrong(HARD_DOUBLE_FREE, block, p, call, 0, 0,
                     kind); /* another thread at the same moment */
        return NULL;
    }
    if (block->watched) sample_watch_end();
    history_take(&block->freed);
    /* Also what sample_open has opened. Memory that can be hidden by no means stays out of use for good. */
    uintptr_t data = slot_data(slot_of(block));
    return pages_hide(data, data + sample.stride) ? block : NULL;
}

void sample_free(void *p, unsigned kind, size_t size, size_t alignment, const char *call)
{
    const struct sample_block *block = sample_end(p, kind, size, alignment, call);
    if (block) free_put_back(slot_of(block));
}

void sample_free_permanently(void *p, unsigned kind, const char *call)
{
    sample_end(p, kind, SIZE_MAX, 0, call);
}

size_t sample_usable(const void *p, const char *call)
{
    const struct sample_block *block = block_live(p, call, HARD_USE_FREED);
    return block ? block->size : 0;
}

/* What is missing of them comes by being read, now that this is not told any more. */
static void pages_settle(struct sample_block *block, uintptr_t start, uintptr_t end)
{
    STORE(&block->may_be_read, 1); /* before the reads, and so before the helper learns of them */
    atomic_thread_fence(memory_order_seq_cst);
    for (; start < end; start += sample.page) (void)*(volatile char *)start;
}

void sample_unwatch(const void *p)
{
    struct sample_block *block = (struct sample_block *)sample_find(p);
    if (block && block->watched && hard_state(LOAD(&block->word)) == SLOT_LIVE)
        pages_settle(block, first_page(block), end_page(block));
}

/* ---- faults -------------------------------------------------------------------------------------------------- */

void sample_explain(const void *p, struct hard_fault *fault)
{
    const struct sample_block *block = sample_find(p);
    uintptr_t at = (uintptr_t)p;
    unsigned state = block ? hard_state(LOAD(&block->word)) : SLOT_NEVER;
    fault->sample = state == SLOT_NEVER ? NULL : block;
    if (state == SLOT_NEVER)
        fault->what = HARD_TOUCHED_NONE;
    else if (state == SLOT_FREE)
        fault->what = HARD_TOUCHED_FREED;
    else if (at >= first_page(block) && at < end_page(block) && LOAD(&block->was_read))
        fault->what = HARD_UNINITIALISED;
    else
        fault->what = at >= block->start + block->size ? HARD_TOUCHED_BEHIND : HARD_TOUCHED_FRONT;
}

void sample_open(const void *p)
{
    uintptr_t page = base_round_down((uintptr_t)p, sample.page);
    struct sample_block *block = (struct sample_block *)sample_find(p);
    pages_show(page, page + sample.page);
    if (block && block->watched) pages_settle(block, page, page + sample.page);
}

/* ---- all of them ----------------------------------------------------------------------------------------------- */

void sample_each(void (*visit)(const struct sample_block *block, void *context), void *context)
{
    uint32_t open = sample_region.size ? LOAD(&sample.open) : 0;
    for (uint32_t i = 0; i < open; i++)
        if (hard_state(LOAD(&sample.block[i].word)) != SLOT_NEVER) visit(&sample.block[i], context);
}

void sample_count(size_t *live, size_t *open)
{
    *open = sample.open;
    *live = sample.open - sample.free;
}

static bool sample_guards_work(void)
{
    void *page = (void *)sample_region.base;
    return os_vm_commit(page, sample.page) && os_vm_guard_try(page);
}

static bool sample_reserve(uint32_t slots)
{
    sample.page = os_page_size();
    sample.stride = base_round_up(SAMPLE_MOST, sample.page) + sample.page;
    size_t size = sample.page + slots * sample.stride;
    size_t records = base_round_up(slots * sizeof *sample.block, sample.page);
    size_t queue = base_round_up(slots * sizeof *sample.queue, sample.page);
    char *region = os_vm_reserve(size, sample.page);
    /* A page that faults behind each. */
    sample.block = os_vm_reserve(records + sample.page, sample.page);
    sample.queue = os_vm_reserve(queue + sample.page, sample.page);
    if (!region || !sample.block || !sample.queue || !os_vm_commit(sample.queue, queue))
        return false;
    os_vm_dump(region, size, false); /* gcore writes what is not marked */
    os_vm_name(region, size, "freehold:sample");
    sample_region.base = (uintptr_t)region;
    sample.guards = sample_guards_work() && !sample_region.no_guards;
    if (!pages_hide(sample_region.base, sample_region.base + sample.page)) return false;
    sample.most = slots;
    sample_region.size = size;
    return true;
}

bool sample_start(unsigned uninit)
{
    uint32_t slots = hard.measures.sample_slots;
    if (hard.measures.sample == 0 || slots == 0) return true;
    slots = (uint32_t)base_min(base_max(slots, FIRST_SLOTS), SAMPLE_SLOTS_MOST);
    if (!base_is_pow2(slots)) slots = 1u << (base_log2(slots) + 1);
    sample.random = os_random() | 1;
    sample.key = (uint8_t)(sample.random >> 32) | 0x80;
    if (!sample_reserve(slots)) return false;
    hard_registry_samples(sample.block, sample.most);
    if (uninit == UNINIT_NO || !sample.guards) return true;
    sample.watched = slots / WATCH_ONE_OF;
    uintptr_t start = slot_data(0);
    if (!sample_watch_start(uninit, start, start + sample.watched * sample.stride))
        sample.watched = 0;
    return true;
}

void sample_fork_prepare(void)
{
    lock_take(&sample.lock);
}

void sample_fork_parent(void)
{
    lock_give(&sample.lock);
}

void sample_fork_child(void)
{
    lock_reset(&sample.lock);
    sample_watch_fork_child();
}
