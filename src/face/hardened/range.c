/*
 * freehold/zone.h: how much of a block is left behind an address; and the same for libfreehold-hardened-calls
 * (calls_state.h), which asks before it lets libc write.
 */
#include <freehold/zone.h>

#include <errno.h>

#include "face/hardened/calls.h"
#include "face/hardened/hardened.h"
#include "face/hardened/room.h"
#include "hard/large.h"
#include "hard/report.h"
#include "hard/sample.h"

struct room {
    size_t left;
    bool freed; /* p is in what is no live block any more */
};

static struct room room_in(uintptr_t p, uintptr_t start, size_t size, unsigned state)
{
    if (state == SLOT_LIVE)
        return (struct room){p >= start && p - start <= size ? size - (p - start) : 0, false};
    return (struct room){0, state != SLOT_NEVER};
}

static struct room room_behind(const void *p)
{
    struct slot slot;
    if (sample_holds(p)) {
        const struct sample_block *block = sample_find(p);
        if (block == NULL) return (struct room){0, false};
        return room_in((uintptr_t)p, block->start, block->size,
                       hard_state(LOAD((slot_word *)&block->word)));
    }
    if (!hard_holds(p)) return (struct room){SIZE_MAX, false};
    if (!hard_slot_find(p, &slot)) return (struct room){0, false};
    return room_in((uintptr_t)p, slot.start, hard_slot_size(&slot), hard_state(LOAD(slot.word)));
}

PUBLIC size_t fh_object_size(const void *p)
{
    return hard_holds(p) ? room_quick(&hard, (uintptr_t)p) : room_behind(p).left;
}

static FH_COLD void range_report(const char *name, const void *p, size_t n, enum os_access access,
                                 const void *caller)
{
    struct slot slot;
    struct room room = room_behind(p);
    struct hard_fault fault = {.what = room.freed ? HARD_USE_FREED : HARD_CHECKED,
                               .call = name,
                               .address = p,
                               .size = n,
                               .right = room.left,
                               .access = access,
                               .caller = (uintptr_t)caller};
    if (sample_holds(p))
        fault.sample = sample_find(p);
    else if (hard_slot_find(p, &slot))
        fault.slot = &slot;
    hard_report(&fault);
}

PUBLIC int fh_check_range(const void *p, size_t n)
{
    if (LIKELY(n <= fh_object_size(p))) return 0;
    range_report("fh_check_range", p, n, OS_ACCESS_UNKNOWN, NULL);
    return -EFAULT;
}

/* ---- for libfreehold-hardened-calls.so.1 ----------------------------------------------------------------------- */

static size_t calls_room(uintptr_t p)
{
    return fh_object_size((const void *)p);
}

static void calls_refuse(const char *name, const void *p, size_t n, bool writes, const void *caller)
{
    range_report(name, p, n, writes ? OS_WRITE : OS_READ, caller);
}

void calls_offer(int level)
{
    extern const char __ehdr_start[] __attribute__((visibility("hidden"))); /* the linker's */
    extern const char etext[] __attribute__((visibility("hidden")));
    if (fh_calls_begin == NULL) return;
    struct fh_calls with = {.size = sizeof with,

                            .level = level,
                            .space = &hard,
                            .heap_base = hard.base,
                            .heap_size = hard.size,
                            .sample_base = sample_region.base,
                            .sample_size = sample_region.size,
                            .own_base = (uintptr_t)__ehdr_start,
                            .own_size = (uintptr_t)etext - (uintptr_t)__ehdr_start,
                            .room = calls_room,
                            .refuse = calls_refuse};
    fh_calls_begin(&with);
}
