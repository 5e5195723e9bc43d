/* calls: the same for wide characters. Counts and the bounds of the fortified forms are in characters. */
#include "face/hardened/calls_state.h"

#define BYTES(n) calls_bytes((n), sizeof(wchar_t))

static FH_NOINLINE wchar_t *copy(struct calls_site site, wchar_t *to, const wchar_t *from, size_t n)
{
    calls_write(site, to, BYTES(n));
    calls_read(site, from, BYTES(n));
    calls_move(to, from, n * sizeof(wchar_t));
    return to;
}

/* wcsnlen, no further than the block; a report if that says no end. */
static size_t length(struct calls_site site, const wchar_t *s, size_t most)
{
    size_t room = calls_room((uintptr_t)s, false) / sizeof(wchar_t), n = 0;
    if (room == SIZE_MAX / sizeof(wchar_t) && most == SIZE_MAX) return calls_next()->wcslen(s);
    while (n < most && n < room && s[n]) n++;
    if (UNLIKELY(n == room && n < most)) calls_refuse(site, s, FH_CALLS_ON, false);
    while (n == room && n < most && s[n]) n++, room++;
    return n;
}

static FH_NOINLINE wchar_t *copy_string(struct calls_site site, wchar_t *to, const wchar_t *from,
                                        size_t bound)
{
    size_t n = length(site, from, SIZE_MAX);
    calls_write(site, to, BYTES(n + 1));
    if (UNLIKELY(n >= bound)) __chk_fail();
    calls_move(to, from, (n + 1) * sizeof(wchar_t));
    return to;
}

static FH_NOINLINE wchar_t *copy_padded(struct calls_site site, wchar_t *to, const wchar_t *from,
                                        size_t n)
{
    calls_write(site, to, BYTES(n));
    size_t characters = length(site, from, n);
    calls_move(to, from, characters * sizeof(wchar_t));
    calls_fill(to + characters, 0, (n - characters) * sizeof(wchar_t));
    return to;
}

static wchar_t *fill(struct calls_site site, wchar_t *to, wchar_t value, size_t n)
{
    calls_write(site, to, BYTES(n));
    return calls_next()->wmemset(to, value, n);
}

PUBLIC wchar_t *wmemcpy(wchar_t *restrict to, const wchar_t *restrict from, size_t n)
{
    return copy(SITE("wmemcpy"), to, from, n);
}

PUBLIC wchar_t *__wmemcpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t bound)
{
    calls_fortified(SITE("wmemcpy"), to, BYTES(n), BYTES(bound));
    return copy(SITE("wmemcpy"), to, from, n);
}

PUBLIC wchar_t *wmemmove(wchar_t *to, const wchar_t *from, size_t n)
{
    return copy(SITE("wmemmove"), to, from, n);
}

PUBLIC wchar_t *__wmemmove_chk(wchar_t *to, const wchar_t *from, size_t n, size_t bound)
{
    calls_fortified(SITE("wmemmove"), to, BYTES(n), BYTES(bound));
    return copy(SITE("wmemmove"), to, from, n);
}

PUBLIC wchar_t *wmempcpy(wchar_t *restrict to, const wchar_t *restrict from, size_t n)
{
    return copy(SITE("wmempcpy"), to, from, n) + n;
}

PUBLIC wchar_t *__wmempcpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t bound)
{
    calls_fortified(SITE("wmempcpy"), to, BYTES(n), BYTES(bound));
    return copy(SITE("wmempcpy"), to, from, n) + n;
}

PUBLIC wchar_t *wmemset(wchar_t *to, wchar_t value, size_t n)
{
    return fill(SITE("wmemset"), to, value, n);
}

PUBLIC wchar_t *__wmemset_chk(wchar_t *to, wchar_t value, size_t n, size_t bound)
{
    calls_fortified(SITE("wmemset"), to, BYTES(n), BYTES(bound));
    return fill(SITE("wmemset"), to, value, n);
}

PUBLIC wchar_t *wcscpy(wchar_t *restrict to, const wchar_t *restrict from)
{
    return copy_string(SITE("wcscpy"), to, from, SIZE_MAX);
}

PUBLIC wchar_t *__wcscpy_chk(wchar_t *to, const wchar_t *from, size_t bound)
{
    return copy_string(SITE("wcscpy"), to, from, bound);
}

PUBLIC wchar_t *wcsncpy(wchar_t *restrict to, const wchar_t *restrict from, size_t n)
{
    return copy_padded(SITE("wcsncpy"), to, from, n);
}

PUBLIC wchar_t *__wcsncpy_chk(wchar_t *to, const wchar_t *from, size_t n, size_t bound)
{
    calls_fortified(SITE("wcsncpy"), to, BYTES(n), BYTES(bound));
    return copy_padded(SITE("wcsncpy"), to, from, n);
}
