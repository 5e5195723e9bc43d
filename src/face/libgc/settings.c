/*
 * Settings: variables and functions grown from one table, settings.def.
 */
#include <stdio.h>
#include <string.h>

#include "face/libgc/libgc.h"
#include "os/os.h"

static void *oom_standard(size_t size)
{
    (void)size;
    return NULL;
}

static void push_nothing(void) {}

static int never_stop(void)
{
    return 0;
}

static void warn_standard(char *text, GC_word argument)
{
    char line[300];
    /* The text comes from libgc_warn, or from a program that keeps to the same form. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(line, sizeof line, text, argument);
#pragma GCC diagnostic pop
    if (length > 0) os_write(log_settings.error, line, base_min((size_t)length, sizeof line - 1));
}

static void abort_standard(const char *text)
{
    if (text) libgc_say(text);
}

#define BOTH(type, name, standard)                                                                 \
    GC_API type GC_##name = standard;                                                              \
    GC_API void GC_set_##name(type value)                                                          \
    {                                                                                              \
        GC_##name = value;                                                                         \
    }                                                                                              \
    GC_API type GC_get_##name(void)                                                                \
    {                                                                                              \
        return GC_##name;                                                                          \
    }
#define CALLS(type, name, standard)                                                                \
    type setting_##name = standard;                                                                \
    GC_API void GC_set_##name(type value)                                                          \
    {                                                                                              \
        setting_##name = value;                                                                    \
    }                                                                                              \
    GC_API type GC_get_##name(void)                                                                \
    {                                                                                              \
        return setting_##name;                                                                     \
    }
#define DATA(type, name, standard) GC_API type GC_##name = standard;
#include "face/libgc/settings.def"
#undef BOTH
#undef CALLS
#undef DATA

GC_API void GC_set_abort_func(abort_fn *function)
{
    GC_on_abort = function;
}

GC_API abort_fn *GC_get_abort_func(void)
{
    return GC_on_abort;
}

GC_API void GC_ignore_warn_proc(char *text, GC_word argument)
{
    (void)text;
    (void)argument;
}

void libgc_warn(const char *format, GC_word argument)
{
    char text[200];
    snprintf(text, sizeof text, "GC Warning: %s", format);
    setting_warn_proc(text, argument);
}
