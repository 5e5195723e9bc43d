/* See stale.h. */
#include <errno.h>

#include "base/lock.h"
#include "hard/hard.h"
#include "hard/sample.h"
#include "hard/stale.h"
#include "os/self.h"

enum { MAPS_BUFFER = 8192, AT_ONCE = 512 };

/* One search at a time: os_threads_each hands its visitor nothing. */
static struct {
    struct lock lock;
    struct os_self self;
    void (*visit)(const struct fh_stale_word *word, void *context);
    void *context;
    uint32_t own;
    long found;
    char maps[MAPS_BUFFER], tasks[4096] __attribute__((aligned(8)));
} stale;

/* The slot that a freed block had, or 0. */
static uintptr_t freed_start(const void *p)
{
    struct slot slot;
    if (sample_holds(p)) {
        const struct sample_block *block = sample_find(p);
        bool freed = block && hard_state(LOAD((slot_word *)&block->word)) == SLOT_FREE;
        return freed && (uintptr_t)p - block->start < block->size ? block->start : 0;
    }
    if (!hard_holds(p) || !hard_slot_find(p, &slot)) return 0;
    unsigned state = hard_state(LOAD(slot.word));
    bool freed = state == SLOT_QUARANTINED || state == SLOT_FREE || state == SLOT_GONE;
    return freed ? slot.start : 0;
}

static void stale_words(const uintptr_t *words, size_t count, uintptr_t at, uint32_t thread)
{
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = freed_start((const void *)words[i]);
        if (start == 0) continue;
        struct fh_stale_word word = {.word = (const void *)(at + i * sizeof(uintptr_t)),
                                     .pointer = (const void *)words[i],
                                     .start = (const void *)start,
                                     .thread = thread};
        stale.found++;
        if (stale.visit) stale.visit(&word, stale.context);
    }
}

static void stale_range(uintptr_t from, uintptr_t end, uint32_t thread)
{
    uintptr_t words[AT_ONCE];
    for (from = base_round_up(from, sizeof(uintptr_t)); from < end;) {
        size_t size = base_min(end - from, sizeof words);
        size_t have = os_self_read(&stale.self, words, from, size);
        stale_words(words, have / sizeof(uintptr_t), from, thread);
        if (have < size) return;
        from += size;
    }
    base_forget(words, sizeof words);
}

/* Where the mapping that holds p ends; 0: there is none. */
static uintptr_t mapping_end(uintptr_t p)
{
    struct os_mappings mappings;
    struct os_mapping mapping;
    uintptr_t end = 0;
    if (!os_mappings_open(&mappings, stale.maps, sizeof stale.maps)) return 0;
    while (end == 0 && os_mappings_next(&mappings, &mapping))
        if (p - mapping.start < mapping.end - mapping.start && mapping.readable) end = mapping.end;
    os_mappings_close(&mappings);
    return end;
}

/* A stack that is a block of ours ends with the block, and not with all the memory behind it. */
static uintptr_t stack_end(uintptr_t from)
{
    struct slot slot;
    if (!hard_holds((void *)from) || !hard_slot_find((void *)from, &slot)) return mapping_end(from);
    return slot.start + hard_slot_size(&slot);
}

static void stale_from(uintptr_t from, uint32_t thread)
{
    uintptr_t end = from ? stack_end(from) : 0;
    if (end) stale_range(from, end, thread);
}

static void stale_thread(uint32_t thread)
{
    uintptr_t from;
    if (thread != stale.own && os_thread_look(thread, &from) == OS_THREAD_SLEEPS)
        stale_from(from, thread);
}

long stale_search(bool all, void (*visit)(const struct fh_stale_word *word, void *context),
                  void *context)
{
    lock_take(&stale.lock);
    long found = -ENOSYS;
    if (os_self_open(&stale.self)) {
        stale.visit = visit;
        stale.context = context;
        stale.own = os_thread_id();
        stale.found = 0;
        stale_from((uintptr_t)__builtin_frame_address(0), stale.own);
        if (all) os_threads_each(stale.tasks, sizeof stale.tasks, stale_thread);
        os_self_close(&stale.self);
        found = stale.found;
    }
    lock_give(&stale.lock);
    return found;
}

void stale_fork_child(void)
{
    lock_reset(&stale.lock);
}
