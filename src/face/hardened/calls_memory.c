/* calls: memcpy and its kin. */
#include <strings.h>

#include "face/hardened/calls_state.h"

/* ---- copied --------------------------------------------------------------------------------------------------- */

static FH_NOINLINE void *copy(struct calls_site site, void *to, const void *from, size_t n)
{
    if (!calls_own(site)) {
        calls_write(site, to, n);
        calls_read(site, from, n);
    }
    calls_move(to, from, n);
    return to;
}

PUBLIC void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    if (calls_need_none(to, from)) return calls.next.memmove(to, from, n);
    return copy(SITE("memcpy"), to, from, n);
}

PUBLIC void *memmove(void *to, const void *from, size_t n)
{
    if (calls_need_none(to, from)) return calls.next.memmove(to, from, n);
    return copy(SITE("memmove"), to, from, n);
}

PUBLIC void *mempcpy(void *restrict to, const void *restrict from, size_t n)
{
    if (calls_need_none(to, from)) return (char *)calls.next.memmove(to, from, n) + n;
    return (char *)copy(SITE("mempcpy"), to, from, n) + n;
}

PUBLIC void *__mempcpy(void *restrict to, const void *restrict from, size_t n)
{
    return (char *)copy(SITE("mempcpy"), to, from, n) + n;
}

PUBLIC void bcopy(const void *from, void *to, size_t n)
{
    copy(SITE("bcopy"), to, from, n);
}

PUBLIC void *__memcpy_chk(void *to, const void *from, size_t n, size_t bound)
{
    calls_fortified(SITE("memcpy"), to, n, bound);
    if (calls_need_none(to, from)) return calls.next.memmove(to, from, n);
    return copy(SITE("memcpy"), to, from, n);
}

PUBLIC void *__memmove_chk(void *to, const void *from, size_t n, size_t bound)
{
    calls_fortified(SITE("memmove"), to, n, bound);
    if (calls_need_none(to, from)) return calls.next.memmove(to, from, n);
    return copy(SITE("memmove"), to, from, n);
}

PUBLIC void *__mempcpy_chk(void *to, const void *from, size_t n, size_t bound)
{
    calls_fortified(SITE("mempcpy"), to, n, bound);
    return (char *)copy(SITE("mempcpy"), to, from, n) + n;
}

/* What is copied ends with the first byte `value`: the rest of n is neither read nor written. */
PUBLIC void *memccpy(void *restrict to, const void *restrict from, int value, size_t n)
{
    struct calls_site site = SITE("memccpy");
    if (calls_need_none(to, from)) return calls.next.memccpy(to, from, value, n);
    size_t room = calls_room((uintptr_t)from, false);
    const char *last = calls_find(from, value, base_min(n, room));
    size_t size = last ? (size_t)(last - (const char *)from) + 1 : n;
    calls_read(site, from, size);
    calls_write(site, to, size);
    if (n > room && !last) return calls_next()->memccpy(to, from, value, n);
    calls_move(to, from, size);
    return last ? (char *)to + size : NULL;
}

PUBLIC void swab(const void *restrict from, void *restrict to, ssize_t n)
{
    struct calls_site site = SITE("swab");
    size_t size = n > 0 ? (size_t)n & ~(size_t)1 : 0;
    calls_write(site, to, size);
    calls_read(site, from, size);
    calls_next()->swab(from, to, n);
}

/* ---- filled ----------------------------------------------------------------------------------------------------- */

static FH_NOINLINE void *fill(struct calls_site site, void *to, int value, size_t n)
{
    if (!calls_own(site)) calls_write(site, to, n);
    calls_fill(to, value, n);
    return to;
}

PUBLIC void *memset(void *to, int value, size_t n)
{
    if (calls_outside(calls.written, to)) return calls.next.memset(to, value, n);
    return fill(SITE("memset"), to, value, n);
}

PUBLIC void *__memset_chk(void *to, int value, size_t n, size_t bound)
{
    calls_fortified(SITE("memset"), to, n, bound);
    if (calls_outside(calls.written, to)) return calls.next.memset(to, value, n);
    return fill(SITE("memset"), to, value, n);
}

PUBLIC void bzero(void *to, size_t n)
{
    fill(SITE("bzero"), to, 0, n);
}

/* The call cannot be left out: it is another library's. */
PUBLIC void explicit_bzero(void *to, size_t n)
{
    fill(SITE("explicit_bzero"), to, 0, n);
}

PUBLIC void __explicit_bzero_chk(void *to, size_t n, size_t bound)
{
    calls_fortified(SITE("explicit_bzero"), to, n, bound);
    fill(SITE("explicit_bzero"), to, 0, n);
}

/* ---- read --------------------------------------------------------------------------------------------------------- */

static int compare_bytes(const uint8_t *a, const uint8_t *b, size_t n)
{
    if (LIKELY(calls.resolved)) return calls.next.memcmp(a, b, n);
    for (size_t i = 0; i < n; i++, calls_stay_loop())
        if (a[i] != b[i]) return a[i] - b[i];
    return 0;
}

/* What lies behind the first difference is not read, and nobody's business. */
static FH_NOINLINE int compare(struct calls_site site, const void *a, const void *b, size_t n)
{
    if (LIKELY(calls_fit(a, n, false) && calls_fit(b, n, false))) return compare_bytes(a, b, n);
    size_t room_a = calls_room((uintptr_t)a, false), room_b = calls_room((uintptr_t)b, false);
    size_t limit = base_min(n, base_min(room_a, room_b));
    int order = compare_bytes(a, b, limit);
    if (order || limit == n) return order;
    calls_read(site, a, n);
    calls_read(site, b, n);
    return compare_bytes(a, b, n);
}

PUBLIC int memcmp(const void *a, const void *b, size_t n)
{
    if (calls_outside(calls.read, a) && calls_outside(calls.read, b))
        return calls.next.memcmp(a, b, n);
    return compare(SITE("memcmp"), a, b, n);
}

PUBLIC int bcmp(const void *a, const void *b, size_t n)
{
    if (calls_outside(calls.read, a) && calls_outside(calls.read, b))
        return calls.next.memcmp(a, b, n);
    return compare(SITE("bcmp"), a, b, n);
}

static FH_NOINLINE void *find(struct calls_site site, const void *in, int value, size_t n)
{
    size_t room = calls_room((uintptr_t)in, false);
    const void *at = calls_find(in, value, base_min(n, room));
    if (LIKELY(at || n <= room)) return (void *)at;
    calls_refuse(site, in, FH_CALLS_ON, false);
    return (void *)calls_find(in, value, n);
}

PUBLIC void *memchr(const void *in, int value, size_t n)
{
    if (calls_outside(calls.read, in)) return calls.next.memchr(in, value, n);
    return find(SITE("memchr"), in, value, n);
}
