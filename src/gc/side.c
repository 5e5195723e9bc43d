/* The side tables: reserved once, committed as the arena grows. See gc/meta.h. */
#include <string.h>

#include "gc/heap.h"
#include "gc/meta.h"
#include "os/os.h"

struct gc_side gc_side;

enum { SIDE_STEP = 64 }; /* slices; 256 KiB of mark bytes */

bool side_init(void)
{
    if (gc_side.marks_bias) return true;
    size_t marks = arena.size >> GC_SHIFT, logs = arena.size >> 6;
    size_t guard = MIB;
    char *base = os_vm_reserve(marks + guard + logs + guard, MIB);
    if (base == NULL) return false;
    os_vm_name(base, marks + guard + logs + guard, "freehold:gc-marks");
    gc_side.hidden_base = ~(arena.base + ((uintptr_t)arena.first << SLICE_SHIFT));
    gc_side.logs_bias = (uintptr_t)base + marks + guard - (arena.base >> 6);
    gc_side.committed = arena.first;
    gc_side.marks_bias = (uintptr_t)base - (arena.base >> GC_SHIFT);
    return true;
}

void side_publish(struct fh_gc_heap *heap)
{
    gc_lock_take(&gc_side.lock);
    heap->marks = gc_side.marks_bias;
    heap->logs = gc_side.logs_bias;
    heap->minus_base = -side_base();
    heap->range = gc_side.range;
    lock_give(&gc_side.lock);
}

/* One table for slices from..to. */
static bool side_commit_table(uintptr_t bias, unsigned shift, uint32_t from, uint32_t to)
{
    size_t page = os_page_size();
    uintptr_t start = bias + ((arena.base + ((uintptr_t)from << SLICE_SHIFT)) >> shift);
    uintptr_t end = bias + ((arena.base + ((uintptr_t)to << SLICE_SHIFT)) >> shift);
    start = base_round_down(start, page);
    end = base_round_up(end, page) + page; /* eight bytes are read at a time, also from the last */
    return os_vm_commit((void *)start, end - start);
}

bool side_commit(uint32_t end)
{
    size_t need = (size_t)(end - arena.first) << SLICE_SHIFT;
    if (need <= __atomic_load_n(&gc_side.range, __ATOMIC_ACQUIRE)) return true;
    gc_lock_take(&gc_side.lock);
    uint32_t from = gc_side.committed;
    /* In proportion to what there is, so that growth costs few system calls. */
    uint32_t to = (uint32_t)base_round_up(end + (from - arena.first) / 8, SIDE_STEP);
    to = (uint32_t)base_min(to, arena.end);
    bool done = from >= end;
    if (!done && side_commit_table(gc_side.marks_bias, GC_SHIFT, from, to) &&
        side_commit_table(gc_side.logs_bias, 6, from, to)) {
        done = true;
        gc_side.committed = to;
        size_t range = (size_t)(to - arena.first) << SLICE_SHIFT;
        __atomic_store_n(&gc_side.range, range, __ATOMIC_RELEASE);
        for (unsigned h = 0; h < FH_GC_HEAPS; h++)
            __atomic_store_n(&gc_heaps[h].public.range, range, __ATOMIC_RELEASE);
    }
    lock_give(&gc_side.lock);
    return done;
}

/* The bytes of whole words; other threads read them meanwhile. */
static void log_set(uint8_t *byte, size_t count, uint8_t value)
{
#ifdef FH_TSAN
    for (size_t i = 0; i < count; i++) __atomic_store_n(byte + i, value, __ATOMIC_RELAXED);
#else
    memset(byte, value, count);
#endif
}

void log_fill(const void *start, size_t size, bool set)
{
    uintptr_t p = (uintptr_t)start, end = p + size;
    /* Neighbours share the first and the last byte. */
    for (; p < end && p & 63; p += 8) {
        if (set)
            __atomic_fetch_or(log_byte((void *)p), log_bit((void *)p), __ATOMIC_RELAXED);
        else
            __atomic_fetch_and(log_byte((void *)p), (uint8_t)~log_bit((void *)p), __ATOMIC_RELAXED);
    }
    size_t whole = (end - p) & ~(size_t)63;
    if (p < end) log_set(log_byte((void *)p), whole >> 6, set ? 0xff : 0);
    for (p += p < end ? whole : 0; p < end; p += 8) {
        if (set)
            __atomic_fetch_or(log_byte((void *)p), log_bit((void *)p), __ATOMIC_RELAXED);
        else
            __atomic_fetch_and(log_byte((void *)p), (uint8_t)~log_bit((void *)p), __ATOMIC_RELAXED);
    }
}

void side_fork_prepare(void)
{
    gc_lock_take(&gc_side.lock);
}

void side_fork_end(void)
{
    lock_give(&gc_side.lock);
}
