/*
 * Lines and dumps for people: what a program asks to be printed, and what the environment has printed at collections.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "os/os.h"

struct log_settings log_settings = {.out = 1, .error = 2, .log = 2};

static uint64_t stopped_ns; /* the longest of the collection that goes on: the world lock's */

GC_API void GC_set_log_fd(int fd)
{
    log_settings.log = fd;
}

/* ---- dumps -------------------------------------------------------------------------------------------------- */

static void dump_line(const char *name, uint64_t value, bool bytes)
{
    char line[120];
    struct text t = TEXT(line);
    text_str(&t, name);
    text_str(&t, ": ");
    if (bytes)
        text_size(&t, value);
    else
        text_dec(&t, value);
    text_char(&t, '\n');
    os_write(log_settings.log, line, t.length);
}

GC_API void GC_dump_named(const char *name)
{
    struct fh_gc_stats stats;
    fh_gc_stats_get(&libgc_heap()->public, &stats);
    if (name) os_write(log_settings.log, name, strlen(name));
    if (name) os_write(log_settings.log, "\n", 1);
    dump_line("collections", stats.collections, false);
    dump_line("heap", stats.heap_bytes, true);
    dump_line("highest", stats.heap_bytes_peak, true);
    dump_line("live at the last collection", stats.live_bytes, true);
    dump_line("allocated ever", stats.allocated_bytes, true);
    dump_line("large objects", stats.large.count, false);
    dump_line("longest pause in us", stats.pauses.max_ns / 1000, false);
    dump_line("threads", stats.threads, false);
}

GC_API void GC_dump(void)
{
    GC_dump_named(NULL);
}

GC_API void GC_dump_regions(void)
{
    GC_dump_named(NULL);
}

GC_API void GC_print_free_list(int kind, size_t granules)
{
    (void)kind; /* memory that is free is in no list by size */
    (void)granules;
}

/* ---- at collections ------------------------------------------------------------------------------------------- */

static void maps_print(void)
{
    char room[4096];
    int fd = os_file_open("/proc/self/maps");
    if (fd < 0) return;
    for (long got; (got = os_file_read(fd, room, sizeof room)) > 0;)
        os_write(log_settings.error, room, (size_t)got);
    os_file_close(fd);
}

void log_start(void)
{
    stopped_ns = 0;
    if (log_settings.maps) maps_print();
}

void log_stopped(uint64_t ns)
{
    stopped_ns = base_max(stopped_ns, ns);
}

static void collection_print(const struct gc_heap *heap)
{
    char line[240];
    struct text t = TEXT(line);
    text_str(&t, "freehold: libgc: collection ");
    text_dec(&t, LOAD(&heap->epoch));
    text_str(&t, " stopped all for ");
    text_dec(&t, stopped_ns / 1000);
    text_str(&t, " us: live ");
    text_size(&t, LOAD(&heap->live));
    text_str(&t, ", heap ");
    text_size(&t, heap_bytes(heap));
    text_str(&t, ", the next at ");
    text_size(&t, LOAD(&heap->target));
    text_char(&t, '\n');
    os_write(log_settings.log, line, t.length);
}

/* It may not ask the library for numbers while its lock is held: so a dump here is of what lies open. */
void log_collection(const struct gc_heap *heap)
{
    if (log_settings.collections) collection_print(heap);
    if (!log_settings.dumps) return;
    dump_line("collections", LOAD(&heap->epoch), false);
    dump_line("heap", heap_bytes(heap), true);
    dump_line("live at the last collection", LOAD(&heap->live), true);
    dump_line("allocated ever", LOAD(&heap->allocated), true);
    dump_line("large objects", heap->large.count, false);
}

/* ---- by call ---------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 0))) static void print_to(int fd, const char *format,
                                                           va_list arguments)
{
    char text[1024];
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length > 0) os_write(fd, text, base_min((size_t)length, sizeof text - 1));
}

#define PRINT(name, fd)                                                                            \
    GC_API __attribute__((format(printf, 1, 2))) void name(const char *format, ...)                \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        print_to(fd, format, arguments);                                                           \
        va_end(arguments);                                                                         \
    }
PRINT(GC_printf, log_settings.out)
PRINT(GC_err_printf, log_settings.error)
PRINT(GC_log_printf, log_settings.log)
#undef PRINT
