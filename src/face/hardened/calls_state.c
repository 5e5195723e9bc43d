/* See calls_state.h. */
#include "face/hardened/calls_state.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

struct calls calls;

/* ---- start ------------------------------------------------------------------------------------------------------ */

static void range_set(struct calls_range *range, bool wanted, uintptr_t base, uintptr_t size)
{
    bool none = !wanted || size == 0;
    range->base = none ? UINTPTR_MAX : base; /* nothing starts there */
    range->minus_size = none ? UINTPTR_MAX : -size;
}

/* `next` and the ranges lead every call: nobody is to write there any more. Its own pages: see the alignment. */
static void calls_seal(void)
{
    if (calls.with.size) mprotect(&calls, sizeof calls, PROT_READ);
}

/* From here on the fast path is taken. `next` is complete; the ranges come after it. */
static void ranges_open(void)
{
    const struct fh_calls *with = &calls.with;
    bool write = with->level >= 1, read = with->level >= 2;
    atomic_thread_fence(
        memory_order_release); /* a thread that reads the ranges then reads `next` */
    range_set(&calls.written[0], write, with->heap_base, with->heap_size);
    range_set(&calls.written[1], write, with->sample_base, with->sample_size);
    range_set(&calls.read[0], read, with->heap_base, with->heap_size);
    range_set(&calls.read[1], read, with->sample_base, with->sample_size);
    calls_seal();
}

static _Noreturn FH_COLD void say_missing(const char *name)
{
    dprintf(STDERR_FILENO, "freehold: libfreehold-hardened-calls.so.1: libc has no %s; stopping\n",
            name);
    abort();
}

static void *look_up(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) say_missing(name);
    return function;
}

/* A copy of its own: many threads may fill it at once, and the other one is sealed by then. */
const struct calls_next *calls_next_early(void)
{
    static struct calls_next early;
    int kept = errno;
#define CALLS_LOOK_UP(name) early.name = (__typeof__(name) *)look_up(#name);
    CALLS_NEXT(CALLS_LOOK_UP)
#undef CALLS_LOOK_UP
    errno = kept;
    return &early;
}

__attribute__((constructor)) static void calls_start(void)
{
    calls.next = *calls_next_early();
    calls.resolved = true;
    ranges_open();
}

/* By the heap, once, and no later than its first block is handed out. It may be in the middle of its start: no dlsym,
 * which may allocate. */
PUBLIC void fh_calls_begin(const struct fh_calls *with)
{
    if (with->size != sizeof *with || calls.with.size) return;
    calls.with.level = with->level;
    calls.with.space = with->space;
    calls.with.heap_base = with->heap_base;
    calls.with.heap_size = with->heap_size;
    calls.with.sample_base = with->sample_base;
    calls.with.sample_size = with->sample_size;
    calls.with.own_base = with->own_base;
    calls.with.own_size = with->own_size;
    calls.with.room = with->room;
    calls.with.refuse = with->refuse;
    calls.with.size = with->size;
    if (calls.resolved) ranges_open();
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

FH_NOINLINE void calls_check(struct calls_site site, uintptr_t p, size_t n, bool writes)
{
    if (n > calls_room(p, writes)) calls_refuse(site, (const void *)p, n, writes);
}

/* ---- parts -------------------------------------------------------------------------------------------------------- */

void calls_move_early(void *to, const void *from, size_t n)
{
    uint8_t *at = to;
    const uint8_t *byte = from;
    if ((uintptr_t)to - (uintptr_t)from >= n)
        for (size_t i = 0; i < n; i++, calls_stay_loop()) at[i] = byte[i];
    else
        for (; n--; calls_stay_loop()) at[n] = byte[n];
}

void calls_fill(void *to, int value, size_t n)
{
    if (LIKELY(calls.resolved))
        calls.next.memset(to, value, n);
    else
        for (size_t i = 0; i < n; i++, calls_stay_loop()) ((uint8_t *)to)[i] = (uint8_t)value;
}

const void *calls_find(const void *in, int value, size_t n)
{
    if (LIKELY(calls.resolved)) return calls.next.memchr(in, value, n);
    for (const uint8_t *at = in; n--; at++, calls_stay_loop())
        if (*at == (uint8_t)value) return at;
    return NULL;
}

/* SIZE_MAX as `most` is left to strlen: strnlen of old libcs adds it to s. */
static size_t string_length(const char *s, size_t most)
{
    size_t n = 0;
    if (LIKELY(calls.resolved))
        return most == SIZE_MAX ? calls.next.strlen(s) : calls.next.strnlen(s, most);
    for (; n < most && s[n]; n++) calls_stay_loop();
    return n;
}

size_t calls_length(struct calls_site site, const char *s, size_t most)
{
    size_t room = calls_room((uintptr_t)s, false), limit = base_min(most, room);
    size_t n = string_length(s, limit);
    if (LIKELY(n < limit || limit == most)) return n;
    calls_refuse(site, s, FH_CALLS_ON, false);
    return string_length(s, most);
}

size_t calls_length_written(const char *s)
{
    return string_length(s, calls_room((uintptr_t)s, true));
}
