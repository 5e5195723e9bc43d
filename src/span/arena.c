/* The reserved range: how it is cut, committed and bounded. See span/span.h. */
#include "base/format.h"
#include "os/os.h"
#include "os/say.h"
#include "span/span.h"

#define ASSERT_MIRROR(field)                                                                       \
    static_assert(offsetof(struct span, field) == offsetof(struct fh_span, field), #field)
static_assert(sizeof(struct span) == 64, "one descriptor a cache line");
static_assert(sizeof(struct span) == sizeof(struct fh_span), "tools see what we see");
ASSERT_MIRROR(owner);
ASSERT_MIRROR(free);
ASSERT_MIRROR(countdown);
ASSERT_MIRROR(rest);
ASSERT_MIRROR(carved);
ASSERT_MIRROR(uncarved);
ASSERT_MIRROR(clean);
ASSERT_MIRROR(kind);
ASSERT_MIRROR(size_class);
ASSERT_MIRROR(state);
ASSERT_MIRROR(flags);
ASSERT_MIRROR(remote);
ASSERT_MIRROR(remote_tail);
ASSERT_MIRROR(shard);
ASSERT_MIRROR(pending_next);
ASSERT_MIRROR(next);
ASSERT_MIRROR(prev);
ASSERT_MIRROR(slices);
ASSERT_MIRROR(bytes);

enum {
    ARENA_ALIGN = 2 << 20, /* so that huge pages can lie on spans */
    RECORD_STEP = 64 << 10,
};
#define ARENA_MIN (16 * MIB)

struct arena arena;

static void arena_refused(size_t size)
{
    char line[160];
    struct text t = TEXT(line);
    text_str(&t, "cannot reserve address space (even ");
    text_size(&t, size);
    text_str(&t, " was refused); raise RLIMIT_AS (ulimit -v)");
    text_end(&t);
    os_say("freehold", line);
}

/* Under RLIMIT_AS three quarters of what is left are ours; stacks and files need the rest. */
static char *arena_reserve(size_t *size)
{
    size_t left = os_vm_address_space_left();
    if (left != SIZE_MAX) *size = base_min(*size, base_round_down(left / 4 * 3, ARENA_ALIGN));
    for (; *size >= ARENA_MIN; *size = base_round_down(*size / 2, ARENA_ALIGN)) {
        char *base = os_vm_reserve(*size, ARENA_ALIGN);
        if (base != NULL) return base;
    }
    return NULL;
}

bool arena_init(size_t reserve)
{
    size_t size = base_round_down(base_max(reserve, ARENA_MIN), ARENA_ALIGN);
    char *base = arena_reserve(&size);
    if (base == NULL) {
        arena_refused(ARENA_MIN);
        return false;
    }
    size_t descriptors = base_round_up((size >> SLICE_SHIFT) * sizeof(struct span), SLICE_SIZE);
    size_t records = base_round_up(base_max(size >> 14, MIB), SLICE_SIZE);
    size_t all_records = records * RECORD_KINDS;
    size_t meta = base_round_up(descriptors + all_records, ARENA_ALIGN);
    if (!os_vm_readable(base, descriptors + all_records)) return false;
    /* Named once and whole: parts with other names would not merge as they are committed. */
    os_vm_dump(base, size, false); /* terabytes of nothing: only what is in use belongs in a core */
    os_vm_name(base, meta, "freehold:meta");
    os_vm_name(base + meta, size - meta, "freehold:heap");

    /* Not the one behind the records, whose end is here in our own static data: a collector that
     * searches that would take it for a reference to what lies there. */
    arena.first = (uint32_t)(meta >> SLICE_SHIFT) + 1;
    arena.end = (uint32_t)(size >> SLICE_SHIFT);
    arena.committed = arena.first;
    arena.heaps = (uintptr_t)base + descriptors;
    arena.heaps_end = arena.heaps + records;
    for (size_t kind = 0; kind < RECORD_KINDS; kind++) {
        uintptr_t start = arena.heaps + kind * records;
        arena.records[kind] = (struct records){start, start, start + records};
    }
    /* Descriptors below `first` are never used: the array's first page to be written is that of
     * the first slice. */
    size_t start = base_round_down(arena.first * sizeof(struct span), os_page_size());
    arena.descriptors_committed = start;
    arena.base = (uintptr_t)base;
    arena.size = size;

    fh_registry.base = (uintptr_t)base;
    fh_registry.limit = (uintptr_t)base + size;
    fh_registry.span_bytes = descriptors;
    fh_registry.heaps = arena.heaps;
    fh_registry.first_slice = fh_registry.high = arena.first;
    return true;
}

/* Makes memory usable, and part of core dumps. The range up to `end` is not in use yet. To the kernel
 * what is left out of dumps is another mapping, and there may be no more of them: with all of the range
 * in, a commit only moves a boundary. */
static bool commit(char *start, size_t size, uintptr_t end)
{
    if (NEVER(!os_vm_commit(start, size))) {
        os_vm_dump(start, end - (uintptr_t)start, true);
        return os_vm_commit(start, size);
    }
    os_vm_dump(start, size, true);
    return true;
}

static bool meta_commit(uintptr_t start, size_t size, uintptr_t end)
{
    if (!commit((char *)start, size, end)) return false;
    fh_registry.meta_committed += size;
    return true;
}

void *arena_record(enum record_kind kind, size_t size)
{
    struct records *records = &arena.records[kind];
    size = base_round_up(size, 64);
    lock_take(&arena.lock);
    void *record = (void *)records->next;
    if (records->next + size > records->end) record = NULL;
    if (record && records->next + size > records->committed) {
        size_t step = base_round_up(size, RECORD_STEP);
        step = base_min(step, records->end - records->committed);
        if (meta_commit(records->committed, step, records->end))
            records->committed += step;
        else
            record = NULL;
    }
    if (record) records->next += size;
    lock_give(&arena.lock);
    return record;
}

/* Makes the descriptors of all slices below `index` writable. */
static bool arena_commit_descriptors(uint32_t index)
{
    size_t need = base_round_up(index * sizeof(struct span), RECORD_STEP);
    if (need <= arena.descriptors_committed) return true;
    size_t step = need - arena.descriptors_committed;
    if (!meta_commit(arena.base + arena.descriptors_committed, step, arena.heaps)) return false;
    arena.descriptors_committed = need;
    return true;
}

/* Commits a little more than is needed, in proportion to what there is, so that growth costs few
 * system calls; retries with the bare need where overcommit is strict. */
bool arena_commit(uint32_t end)
{
    if (end > arena.end) return false;
    if (!arena_commit_descriptors(end)) return false;
    if (end <= arena.committed) return true;
    uint32_t used = arena.committed - arena.first, need = end - arena.committed;
    uint32_t step = (uint32_t)base_max(need, base_min(base_max(used / 8, 16), 1024));
    step = (uint32_t)base_min(step, arena.end - arena.committed);
    char *start = (char *)span_start(span_at(arena.committed));
    uintptr_t limit = arena.base + arena.size;
    if (!commit(start, (size_t)step << SLICE_SHIFT, limit)) {
        step = need;
        if (!commit(start, (size_t)step << SLICE_SHIFT, limit)) return false;
    }
    arena.committed += step;
    fh_registry.committed = (uint64_t)(arena.committed - arena.first) << SLICE_SHIFT;
    return true;
}
