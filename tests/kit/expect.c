/* See kit/expect.h. Formats into a buffer on the stack: the heap may be what is broken. */
#include "kit/expect.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void expect_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "%s:%d: expected %s: ", file, line, condition);
    va_list arguments;
    va_start(arguments, format);
    n += vsnprintf(text + n, sizeof text - (size_t)n - 1, format, arguments);
    va_end(arguments);
    if (n > (int)sizeof text - 2) n = (int)sizeof text - 2;
    text[n++] = '\n';
    if (write(2, text, (size_t)n) < 0) _exit(99);
    abort();
}
