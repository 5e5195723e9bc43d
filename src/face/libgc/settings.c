/*
 * Settings: variables and functions grown from one table, settings.def; and the original's environment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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
    if (length > 0) os_write(2, line, base_min((size_t)length, sizeof line - 1));
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

/* ---- the environment -------------------------------------------------------------------------------------- */

/* Bytes: 17, 64K, 2M, 1G. 0: not there, or wrong, which is said. */
static size_t environment_size(const char *name)
{
    const char *text = os_environment(name);
    char *end = NULL;
    if (text == NULL || *text == 0) return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = *end == 'k' || *end == 'K'   ? 10
                     : *end == 'm' || *end == 'M' ? 20
                     : *end == 'g' || *end == 'G' ? 30
                                                  : 0;
    end += shift > 0;
    if (errno || end == text || *end || value > SIZE_MAX >> shift) {
        libgc_say("an environment variable for a size has no number; it is ignored");
        return 0;
    }
    return (size_t)value << shift;
}

static bool environment_set(const char *name)
{
    return os_environment(name) != NULL;
}

/* What would be missed; what only tunes the original is passed over. */
static void environment_refuse(void)
{
    if (environment_set("GC_FIND_LEAK"))
        libgc_say(
            "GC_FIND_LEAK is not supported and is ignored; `freehold run --leaks` finds leaks");
}

void settings_from_environment(struct fh_gc_options *options)
{
    options->initial = base_max(environment_size("GC_INITIAL_HEAP_SIZE"), 4 * MIB);
    options->limit = environment_size("GC_MAXIMUM_HEAP_SIZE");
    if (options->limit) options->limit = base_max(options->limit, 4 * BLOCK_SIZE);
    size_t markers = environment_size("GC_MARKERS");
    if (markers == 0) markers = environment_size("GC_NPROCS");
    options->markers = (uint32_t)base_min(markers, 64);
    if (environment_set("GC_DONT_GC")) GC_dont_gc++;
    if (environment_set("GC_DISABLE_INCREMENTAL")) options->policy = FH_GC_MARK;
    if (os_environment("GC_ALL_INTERIOR_POINTERS"))
        GC_all_interior_pointers = os_environment("GC_ALL_INTERIOR_POINTERS")[0] != '0';
    options->stress = (uint32_t)environment_size("FREEHOLD_GC_STRESS");
    options->debug =
        (uint32_t)environment_size("FREEHOLD_GC_DEBUG") & (FH_GC_VERIFY | FH_GC_POISON);
    environment_refuse();
}
