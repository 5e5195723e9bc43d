/*
 * freehold run: runs a program on Freehold and tells what its memory did.
 *
 * The program must not notice: its arguments, environment (but two variables), standard streams,
 * process group, signals and end are what they would be without us.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocators.h"
#include "cli.h"
#include "library.h"
#include "process.h"
#include "run.h"

struct request {
    const char *json; /* a file's name, "-" for stdout; NULL: none */
    const char *options;
    bool quiet;
    char **argv;
};

static const char documentation[] =
    "Runs PROG with Freehold as its malloc, and tells at the end, on stderr, what its memory did."
    "\vThe exit status is that of PROG; a PROG that a signal killed kills freehold with the same "
    "signal. 125: freehold itself failed, or PROG would not have run on Freehold; 126: PROG cannot "
    "be executed; 127: there is no PROG.";

static const struct argp_option options[] = {
    {"json", 'j', "FILE", 0, "write all numbers as JSON; - is stdout", 0},
    {"quiet", 'q', 0, 0, "say nothing unless something is wrong", 0},
    {"options", 'o', "K=V,...", 0, "options of the library; they win over FREEHOLD_OPTIONS", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'j': request->json = argument; return 0;
    case 'q': request->quiet = true; return 0;
    case 'o': request->options = argument; return 0;
    case ARGP_KEY_ARG: /* the program: all that follows is its own */
        request->argv = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which program? freehold run -- PROG ARGS"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options, parse_option, "[--] PROG [ARGS...]", documentation, 0, 0, 0};

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

/* "library:what was there" */
static char *preload_of(const char *library)
{
    char *list = NULL;
    const char *before = nonempty("LD_PRELOAD");
    if (before) preload_each(before, warn_of_allocator, NULL);
    int n = asprintf(&list, "%s%s%s", library, before ? ":" : "", before ? before : "");
    return n < 0 ? NULL : list;
}

/* The user's options, then those of --options, then ours: later ones win. */
static char *options_of(const struct request *request, const struct slots *slots)
{
    char *list = NULL;
    const char *before = nonempty("FREEHOLD_OPTIONS"), *more = request->options;
    int n = asprintf(&list, "%s%s%s%srun_file=%s", before ? before : "", before ? "," : "",
                     more ? more : "", more ? "," : "", slots->path);
    return n < 0 ? NULL : list;
}

/* ---- the end ---------------------------------------------------------------------------------- */

/* Written whole, so that lines of processes that outlive the program do not fall into it. */
static void write_summary(const struct run *run)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct palette colours = palette_for(STDERR_FILENO);
    if (!out) return;
    run_report(run, out, &colours, human_utf8());
    fclose(out);
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written; /* a broken stderr has nobody to be told */
    free(text);
}

/* 0, or the status of the failure. */
static int write_json(const struct run *run, FILE *out, const char *name)
{
    if (!out) return 0;
    run_json(run, out);
    bool failed = ferror(out) | fflush(out);
    if (failed) return refuse(STATUS_OWN_FAILURE, "cannot write %s: %s", name, strerror(errno));
    return 0;
}

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

/* Tells and returns the exit status; the program's own failure goes before ours. */
static int conclude(struct run *run, const struct request *request, FILE *json)
{
    int own = 0;
    run_conclude(run);
    if (run->slots_claimed == 0)
        own = no_effect(run);
    else if (run->subject && !run->subject->stands)
        own = no_start(run);
    else if (run->subject && !request->quiet)
        write_summary(run);
    int written = write_json(run, json, request->json);
    if (!own) own = written;
    bool succeeded = WIFEXITED(run->child.status) && WEXITSTATUS(run->child.status) == 0;
    return succeeded ? own : child_repeat_end(&run->child);
}

/* ---- the run ---------------------------------------------------------------------------------- */

/* If we were started with a standard stream closed, our own files must not take its number. It stays
 * closed for the program. */
static bool stdout_was_closed;

static void fill_standard_streams(void)
{
    int fd;
    stdout_was_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;
    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

/* A standard output that was closed is /dev/null by now: see fill_standard_streams. */
static int open_json(const char *name, FILE **json)
{
    if (!*name) return refuse(STATUS_OWN_FAILURE, "--json: the file's name is empty");
    if (strcmp(name, "-") == 0 && stdout_was_closed)
        return refuse(STATUS_OWN_FAILURE, "cannot write -: standard output is closed");
    *json = strcmp(name, "-") == 0 ? stdout : fopen(name, "we");
    if (*json) return 0;
    return refuse(STATUS_OWN_FAILURE, "cannot write %s: %s", name, strerror(errno));
}

static int prepare(const struct request *request, char *library, char *path, FILE **json)
{
    char why[PATH_MAX + 256];
    if (!library_locate(library, PATH_MAX, why, sizeof why))
        return refuse(STATUS_OWN_FAILURE, "%s", why);
    int status = program_find(request->argv[0], path, PATH_MAX);
    if (!status) status = program_examine(request->argv[0], path, library);
    if (status || !request->json) return status;
    return open_json(request->json, json);
}

static int start(struct run *run, const struct request *request, const char *path,
                 struct slots *slots)
{
    int status = slots_create(slots);
    if (status) return status;
    status = STATUS_OWN_FAILURE;
    char *preload = preload_of(run->library), *list = options_of(request, slots);
    if (preload && list)
        status = child_start(&run->child, path, request->argv, preload, list);
    else
        say("out of memory");
    free(preload);
    free(list);
    return status;
}

int command_run(int argc, char **argv)
{
    struct request request = {0};
    char library[PATH_MAX], path[PATH_MAX];
    struct slots slots;
    FILE *json = NULL;
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
    fill_standard_streams();
    int status = prepare(&request, library, path, &json);
    if (status) return status;
    struct run run = {
        .program = base_name(request.argv[0]), .argv = request.argv, .library = library};
    status = start(&run, &request, path, &slots);
    if (status) return status;
    child_wait(&run.child);
    run.slots = slots_read(&slots, &run.slot_count, &run.slots_claimed);
    if (!run.slots) return refuse(STATUS_OWN_FAILURE, "out of memory");
    status = conclude(&run, &request, json);
    free(run.slots);
    return status;
}
