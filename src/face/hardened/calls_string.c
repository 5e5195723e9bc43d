/*
 * calls: strcpy and its kin. Where a block of ours is meant they are made of a length and a copy: how much will be
 * written is to be known before it is.
 */
#include <stdlib.h>

#include "face/hardened/calls_state.h"

/* `bound` is that of the fortified forms. Returns the terminator's place. */
static FH_NOINLINE char *copy(struct calls_site site, char *to, const char *from, size_t bound)
{
    size_t n = calls_length(site, from, SIZE_MAX);
    calls_write(site, to, n + 1);
    if (UNLIKELY(n >= bound)) __chk_fail();
    calls_move(to, from, n + 1);
    return to + n;
}

/* All of n bytes are written, zeros behind the string. Returns the first zero's place, or to + n. */
static FH_NOINLINE char *copy_padded(struct calls_site site, char *to, const char *from, size_t n)
{
    calls_write(site, to, n);
    size_t length = calls_length(site, from, n);
    calls_move(to, from, length);
    calls_fill(to + length, 0, n - length);
    return to + length;
}

static FH_NOINLINE char *append(struct calls_site site, char *to, const char *from, size_t most,
                                size_t bound)
{
    size_t before = calls_length_written(to), n = calls_length(site, from, most);
    calls_write(site, to, before + n + 1);
    if (UNLIKELY(before + n >= bound)) __chk_fail();
    calls_move(to + before, from, n);
    calls_fill(to + before + n, 0, 1);
    return to;
}

/* ---- copied ----------------------------------------------------------------------------------------------------- */

PUBLIC char *strcpy(char *restrict to, const char *restrict from)
{
    if (calls_need_none(to, from)) return calls.next.strcpy(to, from);
    copy(SITE("strcpy"), to, from, SIZE_MAX);
    return to;
}

PUBLIC char *__strcpy_chk(char *to, const char *from, size_t bound)
{
    copy(SITE("strcpy"), to, from, bound);
    return to;
}

PUBLIC char *stpcpy(char *restrict to, const char *restrict from)
{
    if (calls_need_none(to, from)) return calls.next.stpcpy(to, from);
    return copy(SITE("stpcpy"), to, from, SIZE_MAX);
}

PUBLIC char *__stpcpy(char *restrict to, const char *restrict from)
{
    return copy(SITE("stpcpy"), to, from, SIZE_MAX);
}

PUBLIC char *__stpcpy_chk(char *to, const char *from, size_t bound)
{
    return copy(SITE("stpcpy"), to, from, bound);
}

PUBLIC char *strncpy(char *restrict to, const char *restrict from, size_t n)
{
    if (calls_need_none(to, from)) return calls.next.strncpy(to, from, n);
    copy_padded(SITE("strncpy"), to, from, n);
    return to;
}

PUBLIC char *__strncpy_chk(char *to, const char *from, size_t n, size_t bound)
{
    calls_fortified(SITE("strncpy"), to, n, bound);
    copy_padded(SITE("strncpy"), to, from, n);
    return to;
}

PUBLIC char *stpncpy(char *restrict to, const char *restrict from, size_t n)
{
    if (calls_need_none(to, from)) return calls.next.stpncpy(to, from, n);
    return copy_padded(SITE("stpncpy"), to, from, n);
}

PUBLIC char *__stpncpy(char *restrict to, const char *restrict from, size_t n)
{
    return copy_padded(SITE("stpncpy"), to, from, n);
}

PUBLIC char *__stpncpy_chk(char *to, const char *from, size_t n, size_t bound)
{
    calls_fortified(SITE("stpncpy"), to, n, bound);
    return copy_padded(SITE("stpncpy"), to, from, n);
}

/* ---- appended --------------------------------------------------------------------------------------------------- */

PUBLIC char *strcat(char *restrict to, const char *restrict from)
{
    if (calls_need_none(to, from)) return calls.next.strcat(to, from);
    return append(SITE("strcat"), to, from, SIZE_MAX, SIZE_MAX);
}

PUBLIC char *__strcat_chk(char *to, const char *from, size_t bound)
{
    return append(SITE("strcat"), to, from, SIZE_MAX, bound);
}

PUBLIC char *strncat(char *restrict to, const char *restrict from, size_t n)
{
    if (calls_need_none(to, from)) return calls.next.strncat(to, from, n);
    return append(SITE("strncat"), to, from, n, SIZE_MAX);
}

PUBLIC char *__strncat_chk(char *to, const char *from, size_t n, size_t bound)
{
    return append(SITE("strncat"), to, from, n, bound);
}

/* ---- read --------------------------------------------------------------------------------------------------------- */

PUBLIC size_t strlen(const char *s)
{
    if (calls_outside(calls.read, s)) return calls.next.strlen(s);
    return calls_length(SITE("strlen"), s, SIZE_MAX);
}

PUBLIC size_t strnlen(const char *s, size_t n)
{
    if (calls_outside(calls.read, s)) return calls.next.strnlen(s, n);
    return calls_length(SITE("strnlen"), s, n);
}

PUBLIC char *strdup(const char *s)
{
    if (UNLIKELY(!calls_outside(calls.read, s))) calls_length(SITE("strdup"), s, SIZE_MAX);
    return calls_next()->strdup(s);
}

PUBLIC char *__strdup(const char *s)
{
    if (UNLIKELY(!calls_outside(calls.read, s))) calls_length(SITE("strdup"), s, SIZE_MAX);
    return calls_next()->strdup(s);
}

PUBLIC char *strndup(const char *s, size_t n)
{
    if (UNLIKELY(!calls_outside(calls.read, s))) calls_length(SITE("strndup"), s, n);
    return calls_next()->strndup(s, n);
}

PUBLIC char *__strndup(const char *s, size_t n)
{
    if (UNLIKELY(!calls_outside(calls.read, s))) calls_length(SITE("strndup"), s, n);
    return calls_next()->strndup(s, n);
}
