/*
 * Where words that point to freed slots are looked for. See reuse.h.
 *
 * Blocks lie in chunks of ours. Before the stop all of their resident pages are read once while the kernel
 * notes which are written to meanwhile; those are read again, in rounds and at last in the stop. So at its
 * end every word of a block has been seen as it was in the stop. Resident pages are found and put under
 * watch in one step (os_watch_take_resident): a page that appears later counts as written.
 *
 * Memory that is not ours is read in the stop: to be told what is written to it we would have to register it
 * with userfaultfd, and a program that does that itself would then be refused. Only where it is much,
 * SCAN_BULK_MOST, is it read before the stop and not again: what is moved there from a root during the
 * sweep, and from nowhere else to be seen, is missed.
 *
 * All is read by the kernel into a buffer (os_self_read), since what was there a moment ago may be unmapped, or be a
 * guard by now; a fault here would end a correct program.
 *
 * But slots smaller than a page are read where they are: their slab cannot go. Only live slots are looked at:
 * all others are clear, or hold what nobody may use.
 */
#include "hard/reuse_scan.h"
#include "hard/space.h"

#define SCAN_BULK (16 * MIB)      /* bytes of a mapping that is read before the stop */
#define SCAN_BULK_MOST (64 * MIB) /* resident bytes of all such that are read again in it */
#define SCAN_UNKNOWN_MOST GIB     /* of a mapping of which it is unknown what is resident */
#define SCAN_RANGES 64

/* Closed, since the child of a fork closes what is open: 0 is somebody's number. */
struct reuse_scan reuse_scan = {
    .reach_ms = 100, .small_most = 32 * MIB, .self = OS_SELF_CLOSED, .watch = OS_WATCH_CLOSED};
struct reuse_stats reuse_stats;

/* ---- words ----------------------------------------------------------------------------------------- */

/* Found words are looked at some at a time, so that the processor can fetch what is about them meanwhile. */
enum { SCAN_FOUND = 32 };
static struct {
    slot_word *word[SCAN_FOUND];
    unsigned count;
} found;

/* Who took a slot out of quarantine meanwhile (for good, by a call of the program's) wins. */
static void word_mark(slot_word *word)
{
    uint32_t old = LOAD(word);
    while (hard_state(old) == SLOT_QUARANTINED && !(old & WORD_MARKED))
        if (atomic_compare_exchange_weak_explicit(word, &old, old | WORD_MARKED,
                                                  memory_order_relaxed, memory_order_relaxed))
            return;
}

static void found_mark(void)
{
    for (unsigned i = 0; i < found.count; i++) word_mark(found.word[i]);
    found.count = 0;
}

static FH_NOINLINE void found_add(uintptr_t value)
{
    struct slot slot;
    if (!hard_slot_find((const void *)value, &slot)) return;
    __builtin_prefetch(slot.word);
    found.word[found.count++] = slot.word;
    if (found.count == SCAN_FOUND) found_mark();
}

static void words_search(const uintptr_t *word, size_t count)
{
    uintptr_t base = hard.base;
    size_t size = hard.size;
    for (size_t i = 0; i < count; i++)
        if (UNLIKELY(word[i] - base < size)) found_add(word[i]);
}

/* A word of a live block, smaller than a page, that points to a freed one is made to point to a guard, if it is the same still. */
static bool word_poison(uintptr_t at, uintptr_t value)
{
    struct slot slot, holder;
    if (!hard_slot_find((const void *)value, &slot)) return false;
    if (hard_state(LOAD(slot.word)) != SLOT_QUARANTINED) return false;
    if (!hard_slot_find((const void *)at, &holder)) return false;
    if (hard_state(LOAD(holder.word)) != SLOT_LIVE) return false;
    uintptr_t poison = reuse_scan.poison + (value & 0xfff), was = value;
    if (!__atomic_compare_exchange_n((uintptr_t *)at, &was, poison, false, __ATOMIC_RELAXED,
                                     __ATOMIC_RELAXED))
        return false;
    reuse_stats.poisoned++;
    reuse_stats.poisoned_at = at;
    reuse_stats.poisoned_was = value;
    return true;
}

static void words_poison(const uintptr_t *word, size_t count, uintptr_t at)
{
    for (size_t i = 0; i < count; i++)
        if (word[i] - hard.base < hard.size && !word_poison(at + i * sizeof *word, word[i]))
            found_add(word[i]);
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

/* The first hidden range that begins before `end` and ends behind `start`. */
static bool hidden_find(uintptr_t start, uintptr_t end, struct os_range *next)
{
    *next = (struct os_range){end, end};
    for (unsigned i = 0; i < reuse_scan.hidden_count; i++) {
        const struct os_range *hidden = &reuse_scan.hidden[i];
        if (hidden->end > start && hidden->start < next->start) *next = *hidden;
    }
    return next->start < end;
}

/* What cannot be read is left out, a page at a time. */
static void words_read(uintptr_t start, uintptr_t end)
{
    const uintptr_t *words = (const uintptr_t *)reuse_scan.room->buffer;
    size_t page = os_page_size();
    while (start < end) {
        size_t size = base_min(end - start, REUSE_BUFFER);
        size_t have = os_self_read(&reuse_scan.self, reuse_scan.room->buffer, start, size);
        words_search(words, have / sizeof *words);
        reuse_stats.scanned_bytes += have;
        start += have;
        if (have < size) start = base_round_down(start, page) + page;
    }
    found_mark();
}

static void range_search(uintptr_t start, uintptr_t end)
{
    struct os_range hidden;
    while (start < end && hidden_find(start, end, &hidden)) {
        words_read(start, hidden.start);
        start = base_min(hidden.end, end);
    }
    words_read(start, end);
}

/* ---- blocks ---------------------------------------------------------------------------------------- */

/* Live slots of one slab, as far as they lie in start..end, read where they are: a slab of slots smaller than a page
 * stays readable, since nobody can take a page of it away that holds nothing but his own block. (But a zone may be
 * destroyed: its slots are read as larger ones are.) */
static void slab_search(const struct region *region, uint32_t number, uintptr_t start,
                        uintptr_t end)
{
    const struct slab *slab = slab_at(number, region);
    const slot_word *words = slab_words(number, region);
    uintptr_t base = slab_start(number);
    uint32_t i = start > base ? (uint32_t)((start - base) / region->size) : 0;
    uint32_t count = __atomic_load_n(&slab->carved, __ATOMIC_RELAXED);
    for (; i < count; i++) {
        uintptr_t at = base + (uintptr_t)i * region->size;
        if (at >= end) return;
        if (hard_state(LOAD(&words[i])) != SLOT_LIVE) continue;
        uintptr_t from = base_max(at, start), to = base_min(at + region->size, end);
        size_t length = (to - from) / sizeof(uintptr_t);
        reuse_stats.scanned_bytes += to - from;
        if (reuse_scan.poison)
            words_poison((const uintptr_t *)from, length, from);
        else
            words_search((const uintptr_t *)from, length);
    }
}

static void slabs_search(const struct region *region, uintptr_t start, uintptr_t end)
{
    size_t size = (size_t)1 << region->slab_shift;
    for (uintptr_t next; start < end; start = next) {
        uintptr_t first = base_round_down(start - hard.base, size) + hard.base;
        next = base_min(first + size, end);
        slab_search(region, (uint32_t)((first - hard.base) >> 16), start, next);
    }
    found_mark();
}

/* Larger slots, by way of the kernel. */
static void slots_search(const struct region *region, uintptr_t start, uintptr_t end)
{
    struct slot slot;
    for (uintptr_t next; start < end; start = next) {
        next = base_round_down(start, os_page_size()) + os_page_size();
        if (!hard_slot_find((const void *)start, &slot)) continue;
        next = slot.start + region->size;
        if (hard_state(LOAD(slot.word)) == SLOT_LIVE) range_search(start, base_min(next, end));
    }
}

static bool is_read_in_place(const struct region *region)
{
    return region->kind == REGION_SMALL && region->size < os_page_size() &&
           !reuse_scan.hides_blocks && !region_is_zone(region);
}

static void block_range_search(const struct region *region, uintptr_t start, uintptr_t end)
{
    if (region->kind != REGION_SMALL)
        range_search(start, end);
    else if (is_read_in_place(region))
        slabs_search(region, start, end);
    else
        slots_search(region, start, end);
}

static size_t ranges_of_ours(uintptr_t *from, uintptr_t end, bool all, struct os_range *range)
{
    struct reuse_scan *scan = &reuse_scan;
    long count = -1;
    if (scan->watched)
        count = os_watch_take_resident(&scan->watch, from, end, all, range, SCAN_RANGES);
    if (count >= 0) return (size_t)count;
    /* No watch, or the kernel fails: all of it, now as well as next time. */
    return os_self_resident(&scan->self, from, end, false, true, range, SCAN_RANGES);
}

static uint64_t chunk_search(const struct region *region, uintptr_t start, uintptr_t end, bool all)
{
    struct os_range range[SCAN_RANGES];
    uint64_t bytes = 0;
    for (size_t count; (count = ranges_of_ours(&start, end, all, range));) {
        for (size_t i = 0; i < count; i++) {
            block_range_search(region, range[i].start, range[i].end);
            bytes += range[i].end - range[i].start;
        }
    }
    return bytes;
}

/* All slabs of a chunk, as their records tell; they are made one after the other. (A slab whose memory went back is
 * queued, and nothing is carved from it.) */
static uint64_t slabs_walk(const struct region *region, uint32_t chunk)
{
    size_t size = (size_t)1 << region->slab_shift;
    uint64_t before = reuse_stats.scanned_bytes;
    for (uint32_t i = 0; i < region_slabs(region); i++) {
        uint32_t number = slab_number(chunk, i, region);
        const struct slab *slab = slab_at(number, region);
        bool carved = __atomic_load_n(&slab->carved, __ATOMIC_RELAXED) != 0;
        if (!carved && !__atomic_load_n(&slab->queued, __ATOMIC_RELAXED)) break;
        if (carved) slab_search(region, number, slab_start(number), slab_start(number) + size);
    }
    found_mark();
    return reuse_stats.scanned_bytes - before;
}

/* Chunk by chunk: to go through addresses of which there is nothing costs the kernel some time, too. */
uint64_t scan_ours(bool all)
{
    uint64_t bytes = 0;
    size_t chunks = hard.size >> hard.chunk_shift;
    for (size_t c = 0; c < chunks; c++) {
        unsigned owner = __atomic_load_n(&hard.owner[c], __ATOMIC_ACQUIRE);
        if (owner == 0) continue;
        const struct region *region = &hard.region[owner - 1];
        if (region->kind == REGION_ZERO) continue;
        if (region->kind == REGION_SMALL && region->bucket == HARD_BUCKET_DATA) continue;
        if (!reuse_scan.watched && is_read_in_place(region)) {
            bytes += slabs_walk(region, (uint32_t)c);
            continue;
        }
        uintptr_t start = hard.base + (c << hard.chunk_shift);
        bytes += chunk_search(region, start, start + ((uintptr_t)1 << hard.chunk_shift), all);
    }
    return bytes;
}

/* ---- all else --------------------------------------------------------------------------------------- */

static uint64_t piece_search(const struct os_mapping *m, uintptr_t start, uintptr_t end)
{
    struct os_range range[SCAN_RANGES];
    uint64_t bytes = 0;
    bool else_all = m->writable && end - start <= SCAN_UNKNOWN_MOST;
    for (size_t count; (count = os_self_resident(&reuse_scan.self, &start, end, m->shared, else_all,
                                                 range, SCAN_RANGES));) {
        uint64_t before = reuse_stats.scanned_bytes;
        for (size_t i = 0; i < count; i++) range_search(range[i].start, range[i].end);
        bytes += reuse_stats.scanned_bytes - before;
    }
    return bytes;
}

/* But for what is ours: blocks are searched otherwise. */
static uint64_t mapping_search(const struct os_mapping *m, uintptr_t start)
{
    uintptr_t base = hard.base, limit = base + hard.size;
    uint64_t bytes = 0;
    if (start < base) bytes += piece_search(m, start, base_min(base, m->end));
    if (m->end > limit) bytes += piece_search(m, base_max(start, limit), m->end);
    return bytes;
}

/* What is below the stack pointer of the lowest thread in a stack is not in use; what it holds would keep slots
 * for no reason. Only in what is nothing but a stack: that of the first thread, and what lies on a guard as
 * libc makes it. */
static uintptr_t mapping_start(const struct os_mapping *m)
{
    bool libcs = m->kind == OS_MAPPING_ANONYMOUS && m->after_guard && m->end - m->start < SCAN_BULK;
    if (m->kind != OS_MAPPING_STACK && !libcs) return m->start;
    uintptr_t lowest = stop_lowest(m->start, m->end);
    if (lowest == 0) return m->start;
    return base_round_down(lowest, sizeof(uintptr_t));
}

static void other_search(const struct os_mapping *m, enum scan_part part)
{
    bool bulk = m->end - m->start >= SCAN_BULK && m->kind != OS_MAPPING_STACK;
    if (part == SCAN_BULK) {
        if (bulk) reuse_scan.bulk_bytes += mapping_search(m, m->start);
        return;
    }
    if (bulk && reuse_scan.bulk_bytes > SCAN_BULK_MOST && !stop_lowest(m->start, m->end)) return;
    mapping_search(m, mapping_start(m));
}

void scan_others(enum scan_part part)
{
    struct os_mappings mappings;
    struct os_mapping mapping;
    if (!os_mappings_open(&mappings, reuse_scan.room->text, REUSE_TEXT)) return;
    while (os_mappings_next(&mappings, &mapping))
        if (mapping.readable && mapping.kind != OS_MAPPING_DEVICE) other_search(&mapping, part);
    os_mappings_close(&mappings);
}

/* ---- the kernel's side ------------------------------------------------------------------------------- */

bool scan_open(void)
{
    struct reuse_scan *scan = &reuse_scan;
    struct os_mappings mappings;
    scan->bulk_bytes = 0;
    if (!os_mappings_open(&mappings, scan->room->text, REUSE_TEXT)) return false;
    os_mappings_close(&mappings);
    if (!os_self_open(&scan->self)) return false;
    scan->small = hard_live_bytes() <= scan->small_most;
    scan->watched = !scan->small && os_watch_open(&scan->watch, OS_WATCH_ONLY_PROTECT) &&
                    os_watch_add(&scan->watch, (void *)hard.base, hard.size);
    return true;
}

void scan_close(void)
{
    os_watch_close(&reuse_scan.watch);
    os_self_close(&reuse_scan.self);
    reuse_scan.watched = false;
}
