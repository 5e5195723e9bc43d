/*
 * The original's environment: every variable that its documentation lists is here, either with what reads it, or with
 * the reason why it has no effect, which is said when it is set. docs/libgc.md lists the same, and a test goes through
 * all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/format.h"
#include "face/libgc/libgc.h"
#include "os/os.h"
#include "span/purger.h"

bool environment_ignores_gcj, environment_aborts_on_leak;
unsigned environment_watch;

typedef void read_fn(struct fh_gc_options *options, const char *text);

struct variable {
    const char *name;
    read_fn *read;       /* NULL: it has no effect, */
    const char *because; /* that is why */
};

/* ---- values --------------------------------------------------------------------------------------------------- */

static void variable_say(const char *name, const char *what)
{
    char line[300];
    struct text t = TEXT(line);
    text_str(&t, name);
    text_str(&t, what);
    text_end(&t);
    libgc_say(line);
}

/* Bytes: 17, 64K, 2M, 1G. False: wrong. */
static bool number_read(const char *text, size_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = *end == 'k' || *end == 'K'   ? 10
                     : *end == 'm' || *end == 'M' ? 20
                     : *end == 'g' || *end == 'G' ? 30
                                                  : 0;
    end += shift > 0;
    if (errno || end == text || *end || *text == '-' || value > SIZE_MAX >> shift) return false;
    *number = (size_t)value << shift;
    return true;
}

/* 0: not there, empty, or wrong, which is said. */
static size_t environment_number(const char *name)
{
    const char *text = os_environment(name);
    size_t number = 0;
    if (text && *text && !number_read(text, &number))
        variable_say(name, " is no number: it is ignored");
    return number;
}

/* ---- those that have an effect ------------------------------------------------------------------------------------ */

static void read_initial(struct fh_gc_options *options, const char *text)
{
    (void)text;
    options->initial = base_max(environment_number("GC_INITIAL_HEAP_SIZE"), options->initial);
}

static void read_maximum(struct fh_gc_options *options, const char *text)
{
    (void)text;
    options->limit = environment_number("GC_MAXIMUM_HEAP_SIZE");
    if (options->limit) options->limit = base_max(options->limit, 4 * BLOCK_SIZE);
}

static void read_processors(struct fh_gc_options *options, const char *text)
{
    (void)text;
    options->markers = (uint32_t)base_min(environment_number("GC_NPROCS"), 64);
}

static void read_markers(struct fh_gc_options *options, const char *text)
{
    (void)text;
    size_t markers = environment_number("GC_MARKERS");
    if (markers) options->markers = (uint32_t)base_min(markers, 64);
}

static void read_dont_gc(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    GC_dont_gc++;
}

static void read_interior(struct fh_gc_options *options, const char *text)
{
    (void)options;
    GC_all_interior_pointers = *text != '0';
}

static void read_disable(struct fh_gc_options *options, const char *text)
{
    (void)text;
    options->policy = FH_GC_MARK;
}

static void read_find_leak(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    GC_find_leak = 1;
}

static void read_abort_on_leak(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    environment_aborts_on_leak = true;
}

static void read_force_unmap(struct fh_gc_options *options, const char *text)
{
    (void)options;
    setting_force_unmap_on_gcollect = *text != '0';
}

static void read_unmap_threshold(struct fh_gc_options *options, const char *text)
{
    (void)options;
    if (strcmp(text, "0") == 0)
        purger.enabled = false;
    else
        variable_say("GC_UNMAP_THRESHOLD", " counts no collections here: free memory goes back on "
                                           "a clock; only 0, never, is obeyed");
}

static void read_ignore_gcj(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    environment_ignores_gcj = true;
}

static void read_stats(struct fh_gc_options *options, const char *text)
{
    (void)options;
    log_settings.collections = strcmp(text, "0") != 0;
}

static void read_verbose_stats(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    log_settings.collections = log_settings.dumps = true;
}

static void read_dumps(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    log_settings.dumps = true;
}

static void read_maps(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
    log_settings.maps = true;
}

static void read_log_file(struct fh_gc_options *options, const char *text)
{
    (void)options;
    int fd = open(text, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        variable_say("GC_LOG_FILE", " names a file that cannot be opened: it is ignored");
        return;
    }
    log_settings.log = fd;
    if (!os_environment("GC_ONLY_LOG_TO_FILE")) log_settings.out = log_settings.error = fd;
}

static void read_retry(struct fh_gc_options *options, const char *text)
{
    (void)options;
    if (*text == '0')
        variable_say("GC_RETRY_SIGNALS",
                     " cannot be 0: signals are always sent again when a thread does not answer");
}

/* What is asked for is so anyway. */
static void read_nothing(struct fh_gc_options *options, const char *text)
{
    (void)options;
    (void)text;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

#define SIZES_ITSELF " has no effect: the heap sizes itself"
#define WHOLE " has no effect: collections are not cut into parts"
#define NOT_HERE " has no effect: there is nothing like it here"

static const struct variable variables[] = {
    {"GC_INITIAL_HEAP_SIZE", read_initial, NULL},
    {"GC_MAXIMUM_HEAP_SIZE", read_maximum, NULL},
    {"GC_NPROCS", read_processors, NULL},
    {"GC_MARKERS", read_markers, NULL},
    {"GC_DONT_GC", read_dont_gc, NULL},
    {"GC_ALL_INTERIOR_POINTERS", read_interior, NULL},
    {"GC_FIND_LEAK", read_find_leak, NULL},
    {"GC_ABORT_ON_LEAK", read_abort_on_leak, NULL},
    {"GC_FORCE_UNMAP_ON_GCOLLECT", read_force_unmap, NULL},
    {"GC_UNMAP_THRESHOLD", read_unmap_threshold, NULL},
    {"GC_IGNORE_GCJ_INFO", read_ignore_gcj, NULL},
    {"GC_LOG_FILE", read_log_file, NULL},
    {"GC_ONLY_LOG_TO_FILE", read_nothing, NULL},
    {"GC_PRINT_STATS", read_stats, NULL},
    {"GC_PRINT_VERBOSE_STATS", read_verbose_stats, NULL},
    {"GC_DUMP_REGULARLY", read_dumps, NULL},
    {"GC_PRINT_ADDRESS_MAP", read_maps, NULL},
    {"GC_RETRY_SIGNALS", read_retry, NULL},
    {"GC_PROMPT_DISABLED", read_nothing, NULL},
    {"GC_ENABLE_INCREMENTAL", read_nothing, NULL}, /* when there is a heap: start.c */
    {"GC_DISABLE_INCREMENTAL", read_disable, NULL},
    {"GC_NO_BLACKLIST_WARNING", read_nothing, NULL},
    {"GC_PAUSE_TIME_TARGET", NULL, WHOLE},
    {"GC_FULL_FREQUENCY", NULL, WHOLE},
    {"GC_USE_GETWRITEWATCH", NULL, WHOLE},
    {"GC_FREE_SPACE_DIVISOR", NULL, SIZES_ITSELF},
    {"GC_USE_ENTIRE_HEAP", NULL, SIZES_ITSELF},
    {"GC_LARGE_ALLOC_WARN_INTERVAL", read_nothing,
     NULL}, /* nothing warns of large objects; w3m sets it */
    {"GC_FINDLEAK_DELAY_FREE", NULL, " has no effect: objects are checked when they are freed"},
    {"GC_COLLECT_AT_MALLOC", NULL,
     " has no effect: FREEHOLD_GC_STRESS=N collects at every N-th allocation"},
    {"GC_LOOP_ON_ABORT", NULL, " has no effect: a core file has all that a loop would show"},
    {"GC_BACKTRACES", NULL, NOT_HERE},
    {"GC_PRINT_BACK_HEIGHT", NULL, NOT_HERE},
    {"GC_TRACE", NULL, NOT_HERE},
};

static void variable_read(const struct variable *variable, struct fh_gc_options *options)
{
    const char *text = os_environment(variable->name);
    if (text == NULL) return;
    if (variable->read)
        variable->read(options, text);
    else
        variable_say(variable->name, variable->because);
}

void settings_from_environment(struct fh_gc_options *options)
{
    options->initial = 2 * MIB;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        variable_read(&variables[i], options);
    options->stress = (uint32_t)environment_number("FREEHOLD_GC_STRESS");
    environment_watch = (unsigned)environment_number("FREEHOLD_GC_WATCH");
    options->debug =
        (uint32_t)environment_number("FREEHOLD_GC_DEBUG") & (FH_GC_VERIFY | FH_GC_POISON);
}
