/*
 * `freehold gc run`: a program that is linked to the Boehm collector, on libgc.so.1 of Freehold.
 *
 * The loader finds the library by LD_LIBRARY_PATH, and is asked before the program starts whether it will: by tracing
 * what it loads, as ldd does. So a program without libgc, with its own copy inside, or with a path of its own to
 * another one is refused with the reason. At its end the library writes a line to a file without a name.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "elf_image.h"
#include "human.h"
#include "run.h"

struct gc_request {
    bool quiet;
    char **argv; /* of the program */
};

static const struct argp_option gc_options[] = {
    {"quiet", 'q', NULL, 0, "write no summary", 0},
    {0},
};

static error_t gc_parse(int key, char *argument, struct argp_state *state)
{
    struct gc_request *request = state->input;
    (void)argument;
    switch (key) {
    case 'q': request->quiet = true; return 0;
    case ARGP_KEY_ARGS: request->argv = state->argv + state->next; return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which program?"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp gc_parser = {
    gc_options,
    gc_parse,
    "[--] PROG [ARGS...]",
    "Runs a program that is linked to libgc (the Boehm collector) on Freehold's collector.",
    NULL,
    NULL,
    NULL};

/* ---- the library ------------------------------------------------------------------------------------ */

/* FREEHOLD_LIBGC, a folder; else beside the command as it was built, or as it was installed. */
static bool folder_find(char *folder)
{
    char self[PATH_MAX], file[PATH_MAX + 16];
    const char *choice = getenv("FREEHOLD_LIBGC");
    const char *const places[] = {"lib/gc", "lib/freehold/gc"};
    if (choice && *choice) return realpath(choice, folder) != NULL;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) return false;
    self[length] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return false;
        *slash = 0;
    }
    for (size_t i = 0; i < 2; i++) {
        if (snprintf(folder, PATH_MAX, "%.4000s/%s", self, places[i]) >= PATH_MAX) return false;
        snprintf(file, sizeof file, "%s/libgc.so.1", folder);
        if (access(file, R_OK) == 0) return true;
    }
    return false;
}

static bool path_prepend(const char *folder)
{
    const char *before = getenv("LD_LIBRARY_PATH");
    char *list = NULL;
    bool more = before && *before;
    if (asprintf(&list, "%s%s%s", folder, more ? ":" : "", more ? before : "") < 0) return false;
    bool done = setenv("LD_LIBRARY_PATH", list, 1) == 0;
    free(list);
    return done;
}

/* ---- whether the program can run on it --------------------------------------------------------------- */

/* What the loader would load for libgc.so.1: a path in `found`, "" if nothing. False: it could not be asked. */
static bool loader_asked(const char *path, char *found, size_t capacity)
{
    char line[PATH_MAX + 128], name[PATH_MAX];
    int ends[2];
    if (pipe(ends) != 0) return false;
    pid_t pid = fork();
    if (pid == 0) {
        setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
        dup2(ends[1], STDOUT_FILENO);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    *found = 0;
    while (lines && fgets(line, sizeof line, lines))
        if (sscanf(line, " libgc.so.1 => %4095s", name) == 1) snprintf(found, capacity, "%s", name);
    if (lines) fclose(lines);
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static int refuse_image(const char *name, const struct elf_image *image)
{
    char loader[PATH_MAX];
    struct elf_symbol symbol;
    if (!elf_image_interpreter(image, loader, sizeof loader))
        return refuse(
            STATUS_OWN_FAILURE,
            "cannot run %s: it is a static program, in which no library can be exchanged; link it "
            "with libgc.so",
            name);
    if (elf_image_symbol(image, "GC_malloc", &symbol))
        return refuse(
            STATUS_OWN_FAILURE,
            "cannot run %s: it has the Boehm collector inside, linked statically; link it with "
            "libgc.so",
            name);
    return 0;
}

static int gc_examine(const char *name, const char *path, const char *folder)
{
    char found[PATH_MAX];
    struct stat status;
    struct elf_image image;
    int refused = 0;
    if (stat(path, &status) == 0 && status.st_mode & (S_ISUID | S_ISGID) &&
        geteuid() != status.st_uid)
        return refuse(
            STATUS_OWN_FAILURE,
            "cannot run %s: it is setuid or setgid, and for such programs the loader ignores "
            "LD_LIBRARY_PATH",
            name);
    if (elf_image_open_path(&image, path)) { /* else a script: its interpreter is asked */
        refused = refuse_image(name, &image);
        elf_image_close(&image);
    }
    if (refused) return refused;
    if (!loader_asked(path, found, sizeof found))
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: the loader cannot tell what it would load", name);
    if (!*found)
        return refuse(STATUS_OWN_FAILURE,
                      "cannot run %s: it is not linked to libgc.so.1, the Boehm collector; for "
                      "other programs "
                      "there is freehold run",
                      name);
    if (strncmp(found, folder, strlen(folder)) != 0)
        return refuse(
            STATUS_OWN_FAILURE,
            "cannot run %s: it has a path of its own to %s; LD_PRELOAD=%s/libgc.so.1 may help",
            name, found, folder);
    return 0;
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

struct gc_report {
    uint64_t pid, collections, stop_ns, longest_ns, peak, allocated;
};

/* The last line of the process; false if it wrote none. */
static bool report_read(int fd, pid_t pid, struct gc_report *report)
{
    struct gc_report r;
    char line[256];
    bool found = false;
    lseek(fd, 0, SEEK_SET);
    FILE *lines = fdopen(fd, "r");
    while (lines && fgets(line, sizeof line, lines)) {
        int count =
            sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                   &r.pid, &r.collections, &r.stop_ns, &r.longest_ns, &r.peak, &r.allocated);
        if (count != 6 || r.pid != (uint64_t)pid) continue;
        *report = r;
        found = true;
    }
    return found;
}

static void report_say(const char *name, const struct child *child, const struct gc_report *r)
{
    enum { NS_PER_MS = 1000000 };
    say("%s: %s collections in %s, which stopped all of it for %s (%u %%); no thread waited longer "
        "than %.1f ms; "
        "heap at most %s, "
        "%s allocated; RSS at most %s",
        name, HUMAN(exact, r->collections), HUMAN(time, child->elapsed_ms),
        HUMAN(time, r->stop_ns / NS_PER_MS),
        human_percent(r->stop_ns / NS_PER_MS, child->elapsed_ms), (double)r->longest_ns / NS_PER_MS,
        HUMAN(bytes, r->peak), HUMAN(bytes, r->allocated),
        HUMAN(bytes, (uint64_t)child->usage.ru_maxrss * 1024));
}

static int gc_run(const struct gc_request *request)
{
    char folder[PATH_MAX], path[PATH_MAX], file[64];
    struct child child = {0};
    struct gc_report report;
    if (!folder_find(folder) || !path_prepend(folder))
        return refuse(STATUS_OWN_FAILURE,
                      "libgc.so.1 is not beside this command; set FREEHOLD_LIBGC to its folder");
    int status = program_find(request->argv[0], path, sizeof path);
    if (!status) status = gc_examine(request->argv[0], path, folder);
    if (status) return status;
    int fd = memfd_create("freehold-gc", MFD_CLOEXEC);
    if (fd < 0) return refuse(STATUS_OWN_FAILURE, "cannot make a file: %s", strerror(errno));
    snprintf(file, sizeof file, "/proc/%d/fd/%d", (int)getpid(), fd);
    setenv("FREEHOLD_GC_REPORT", file, 1);
    struct child_plan plan = {.path = path, .argv = request->argv};
    status = child_start(&child, &plan);
    if (status) return status;
    child_wait(&child);
    if (report_read(fd, child.pid, &report)) {
        if (!request->quiet) report_say(request->argv[0], &child, &report);
    } else if (!request->quiet) {
        say("%s ended without a word of the collector: by a signal, or as another program",
            request->argv[0]);
    }
    return child_repeat_end(&child);
}

int command_gc(int argc, char **argv)
{
    struct gc_request request = {0};
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0)) {
        puts("Usage: freehold gc run [--quiet] [--] PROG [ARGS...]\n`freehold gc run --help` tells "
             "more.");
        return 0;
    }
    if (argc < 2 || strcmp(argv[1], "run") != 0)
        return refuse(STATUS_OWN_FAILURE, "Usage: freehold gc run [--quiet] [--] PROG [ARGS...]");
    argv[1] = (char *)"freehold gc run";
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&gc_parser, argc - 1, argv + 1, ARGP_IN_ORDER, NULL, &request);
    return gc_run(&request);
}
