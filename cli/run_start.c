/*
 * From a request to a program that has ended: what `run`, `check` and `compare` have in common.
 *
 * The program must not notice: its arguments, environment (but two variables), standard streams,
 * process group, signals and end are what they would be without us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocators.h"
#include "cli.h"
#include "library.h"
#include "process.h"
#include "run.h"

/* ---- the environment of the program ----------------------------------------------------------- */

/* Says so if another allocator is preloaded already: ours goes before it and wins. */
static bool warn_of_allocator(void *context, const char *entry)
{
    struct elf_image image;
    struct allocator_signs signs;
    (void)context;
    if (!strchr(entry, '/') || !elf_image_open_path(&image, entry)) return true;
    allocator_signs_read(&signs, &image, base_name(entry));
    elf_image_close(&image);
    int allocator = allocator_first(signs.allocators);
    if (signs.exported & 1u << FUNCTION_MALLOC && allocator != ALLOCATOR_FREEHOLD)
        say("LD_PRELOAD already has %s (%s); Freehold goes before it and is used instead", entry,
            allocator_name(allocator));
    return true;
}

static const char *nonempty(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

char *preload_with(const char *library)
{
    char *list = NULL;
    const char *before = nonempty("LD_PRELOAD");
    if (before) preload_each(before, warn_of_allocator, NULL);
    int n = asprintf(&list, "%s%s%s", library, before ? ":" : "", before ? before : "");
    return n < 0 ? NULL : list;
}

/* The user's options, then those of the command line, then ours: later ones win. */
static char *options_with(const char *more, const struct slots *slots)
{
    char *list = NULL;
    const char *before = nonempty("FREEHOLD_OPTIONS");
    int n = asprintf(&list, "%s%s%s%srun_file=%s", before ? before : "", before ? "," : "",
                     more ? more : "", more ? "," : "", slots->path);
    return n < 0 ? NULL : list;
}

/* ---- streams and files ------------------------------------------------------------------------ */

static bool stdout_was_closed;

void streams_fill(void)
{
    int fd;
    stdout_was_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* A standard output that was closed is /dev/null by now: see streams_fill. */
int output_open(const char *option, const char *name, FILE **out)
{
    if (!*name) return refuse(STATUS_OWN_FAILURE, "%s: the file's name is empty", option);
    if (strcmp(name, "-") == 0 && stdout_was_closed)
        return refuse(STATUS_OWN_FAILURE, "cannot write -: standard output is closed");
    *out = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");
    if (*out) return 0;
    return refuse(STATUS_OWN_FAILURE, "cannot write %s: %s", name, strerror(errno));
}

int output_close(FILE *out, const char *name)
{
    if (!out) return 0;
    bool failed = ferror(out) | fflush(out);
    if (failed) return refuse(STATUS_OWN_FAILURE, "cannot write %s: %s", name, strerror(errno));
    return 0;
}

/* ---- the run ---------------------------------------------------------------------------------- */

int run_prepare(struct run *run, char **argv)
{
    char why[PATH_MAX + 256];
    run->argv = argv;
    run->program = base_name(argv[0]);
    if (!library_locate(run->hardened != NULL, run->library, sizeof run->library, why, sizeof why))
        return refuse(STATUS_OWN_FAILURE, "%s", why);
    int status = program_find(argv[0], run->path, sizeof run->path);
    return status ? status : program_examine(argv[0], run->path, run->library);
}

/* What stands in front of libc goes before what it asks. */
static char *preload_list(const struct run *run)
{
    char both[2 * PATH_MAX];
    snprintf(both, sizeof both, "%s%s%s", run->calls, *run->calls ? ":" : "", run->library);
    return preload_with(both);
}

static int run_start(struct run *run, const char *options, const struct slots *slots)
{
    int status = STATUS_OWN_FAILURE;
    char *preload = preload_list(run), *list = options_with(options, slots);
    run->plan.path = run->path;
    run->plan.argv = run->argv;
    run->plan.preload = preload;
    run->plan.options = list;
    run->plan.first = slots->first;
    if (preload && list)
        status = child_start(&run->child, &run->plan);
    else
        say("out of memory");
    run->plan.preload = run->plan.options = NULL;
    free(preload);
    free(list);
    return status;
}

int run_program(struct run *run, const char *options)
{
    struct slots slots;
    int status = slots_create(&slots);
    if (status) return status;
    status = run_start(run, options, &slots);
    if (status == 0) {
        child_wait(&run->child);
        run->slots = slots_read(&slots, &run->slot_count, &run->slots_claimed);
        if (!run->slots) status = refuse(STATUS_OWN_FAILURE, "out of memory");
    }
    if (status == 0) run_conclude(run);
    if (status == 0 && run->plan.look)
        look_conclude(run->plan.look, run->main, run->slots, run->slot_count);
    slots_finish(&slots);
    return status;
}

void run_finish(struct run *run)
{
    free(run->slots);
    run->slots = NULL;
    look_finish(run->plan.look);
    run->plan.look = NULL;
}

/* ---- whether it worked ------------------------------------------------------------------------ */

static int no_effect(const struct run *run)
{
    say("%s did NOT run on Freehold: its loader did not load %s, or it ended before that, or it "
        "may "
        "not open /proc/%d/fd of this command; no figures (freehold which PID tells more while it "
        "runs)",
        run->program, run->library, (int)getpid());
    return STATUS_OWN_FAILURE;
}

static int no_start(const struct run *run)
{
    say("%s did NOT run on Freehold: the library was loaded but did not start, as it says above",
        run->program);
    return STATUS_OWN_FAILURE;
}

int run_took_effect(const struct run *run)
{
    if (run->slots_claimed == 0) return no_effect(run);
    if (run->subject && !run->subject->stands) return no_start(run);
    return 0;
}
