/*
 * calls: sprintf and its kin. A size that lies does no harm as long as what is written fits: so where more is allowed than
 * there is room for, it is measured first. libc then prints as it would: no byte of the result may depend on us, not even
 * where a program prints a text into itself.
 */
#include "face/hardened/calls_state.h"

/* `most`: what the call may write, terminator and all. */
static void check(struct calls_site site, const char *to, size_t most, const char *format,
                  va_list arguments)
{
    va_list again;
    size_t room = calls_room((uintptr_t)to, true);
    if (LIKELY(most <= room)) return;
    va_copy(again, arguments);
    int n = calls_next()->vsnprintf(NULL, 0, format, again);
    va_end(again);
    size_t size = n < 0 ? 0 : base_min((size_t)n + 1, most);
    if (UNLIKELY(size > room)) calls_refuse(site, to, size, true);
}

PUBLIC int vsnprintf(char *restrict to, size_t most, const char *restrict format, va_list arguments)
{
    check(SITE("vsnprintf"), to, most, format, arguments);
    return calls_next()->vsnprintf(to, most, format, arguments);
}

PUBLIC int snprintf(char *restrict to, size_t most, const char *restrict format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    check(SITE("snprintf"), to, most, format, arguments);
    int n = calls_next()->vsnprintf(to, most, format, arguments);
    va_end(arguments);
    return n;
}

PUBLIC int vsprintf(char *restrict to, const char *restrict format, va_list arguments)
{
    check(SITE("vsprintf"), to, SIZE_MAX, format, arguments);
    return calls_next()->vsprintf(to, format, arguments);
}

PUBLIC int sprintf(char *restrict to, const char *restrict format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    check(SITE("sprintf"), to, SIZE_MAX, format, arguments);
    int n = calls_next()->vsprintf(to, format, arguments);
    va_end(arguments);
    return n;
}

/* ---- fortified ---------------------------------------------------------------------------------------------------- */

PUBLIC int __vsnprintf_chk(char *to, size_t most, int flag, size_t bound, const char *format,
                           va_list arguments)
{
    check(SITE("vsnprintf"), to, most, format, arguments);
    return calls_next()->__vsnprintf_chk(to, most, flag, bound, format, arguments);
}

PUBLIC int __snprintf_chk(char *to, size_t most, int flag, size_t bound, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    check(SITE("snprintf"), to, most, format, arguments);
    int n = calls_next()->__vsnprintf_chk(to, most, flag, bound, format, arguments);
    va_end(arguments);
    return n;
}

PUBLIC int __vsprintf_chk(char *to, int flag, size_t bound, const char *format, va_list arguments)
{
    check(SITE("vsprintf"), to, SIZE_MAX, format, arguments);
    return calls_next()->__vsprintf_chk(to, flag, bound, format, arguments);
}

PUBLIC int __sprintf_chk(char *to, int flag, size_t bound, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    check(SITE("sprintf"), to, SIZE_MAX, format, arguments);
    int n = calls_next()->__vsprintf_chk(to, flag, bound, format, arguments);
    va_end(arguments);
    return n;
}
