/*
 * One run of one candidate: its streams, its measures, whether the library was there.
 *
 * What the program writes goes to files without names and is only hashed, so that the terminal's speed
 * is not measured and another output is noticed. Its input is the file that is ours, from where it
 * stands; a pipe or a terminal can be read once only, so then it is empty.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "compare.h"
#include "fields.h"
#include "verdict.h"

struct stage {
    bool input;        /* ours is a file, */
    off_t input_start; /* which begins here */
    int streams[3];
};

/* ---- streams ---------------------------------------------------------------------------------- */

/* On a disk rather than in memory: the program may write more than there is of that. */
static int nameless_file(void)
{
    const char *folder = getenv("TMPDIR");
    int fd = open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : memfd_create("freehold-compare", MFD_CLOEXEC);
}

struct stage *stage_open(void)
{
    struct stat status;
    struct stage *stage = calloc(1, sizeof *stage);
    if (!stage) return NULL;
    stage->input = fstat(STDIN_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    stage->input_start = stage->input ? lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
    stage->streams[0] = -1;
    stage->streams[1] = nameless_file();
    stage->streams[2] = nameless_file();
    if (stage->streams[1] >= 0 && stage->streams[2] >= 0) return stage;
    stage_close(stage);
    return NULL;
}

void stage_close(struct stage *stage)
{
    for (int i = 0; stage && i < 3; i++) {
        if (stage->streams[i] >= 0) close(stage->streams[i]);
    }
    free(stage);
}

static bool stage_reset(struct stage *stage)
{
    if (stage->streams[0] >= 0) close(stage->streams[0]);
    stage->streams[0] = open(stage->input ? "/proc/self/fd/0" : "/dev/null", O_RDONLY | O_CLOEXEC);
    if (stage->streams[0] < 0) return false;
    if (stage->input) lseek(stage->streams[0], stage->input_start, SEEK_SET);
    for (int i = 1; i < 3; i++) {
        if (ftruncate(stage->streams[i], 0) != 0) return false;
        lseek(stage->streams[i], 0, SEEK_SET);
    }
    return true;
}

/* FNV-1a, of 64 bits. */
static uint64_t output_hash(int fd)
{
    unsigned char piece[1 << 14];
    uint64_t hash = 0xcbf29ce484222325;
    ssize_t n;
    for (off_t at = 0; (n = pread(fd, piece, sizeof piece, at)) > 0; at += n) {
        for (ssize_t i = 0; i < n; i++) hash = (hash ^ piece[i]) * 0x100000001b3;
    }
    return hash;
}

/* The last line that is not empty, cleaned. */
static void last_line(int fd, char *line, size_t capacity)
{
    char tail[1024];
    off_t size = lseek(fd, 0, SEEK_END),
          from = size > (off_t)sizeof tail - 1 ? size - (off_t)sizeof tail + 1 : 0;
    ssize_t n = pread(fd, tail, sizeof tail - 1, from);
    *line = 0;
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r')) n--;
    if (n <= 0) return;
    tail[n] = 0;
    const char *newline = strrchr(tail, '\n');
    human_clean(line, capacity, newline ? newline + 1 : tail);
}

/* ---- at its end ------------------------------------------------------------------------------- */

struct ending {
    const char *library;
    struct resident resident;
    bool looked, loaded;
    char allocator[48]; /* of the program as it is */
};

static bool is_loaded(const struct maps *maps, const char *library)
{
    struct stat status;
    if (stat(library, &status) != 0) return false;
    for (size_t i = 0; i < maps->count; i++) {
        if (maps->list[i].inode == status.st_ino && strcmp(maps->list[i].path, library) == 0)
            return true;
    }
    return false;
}

/* Which malloc the program has by itself. */
static void note_allocator(struct ending *e, pid_t pid)
{
    struct process process;
    struct verdict verdict;
    if (process_read(&process, pid, NULL) == PROCESS_READ) {
        verdict_reach(&verdict, &process);
        if (verdict.owner)
            snprintf(e->allocator, sizeof e->allocator, "%s", verdict_name(&verdict));
    }
    process_finish(&process);
}

static void note_ending(void *context, pid_t pid)
{
    struct ending *e = context;
    struct maps maps;
    e->resident = resident_read(pid);
    if (!*e->library) {
        note_allocator(e, pid);
        return;
    }
    e->looked = maps_read(&maps, pid);
    if (e->looked) e->loaded = is_loaded(&maps, e->library);
    maps_finish(&maps);
}

/* ---- what came of it -------------------------------------------------------------------------- */

/* The kernel counts what this command held when it forked into the program's peak. That matters only
 * below it, and there the program's own high water is known if it was held at its end. */
static uint64_t peak_of(const struct child *child, const struct ending *e)
{
    struct rusage own;
    uint64_t peak = (uint64_t)child->usage.ru_maxrss * 1024;
    bool ours = getrusage(RUSAGE_SELF, &own) == 0 && child->usage.ru_maxrss <= own.ru_maxrss;
    if (ours && e->resident.most) peak = e->resident.most;
    return peak > e->resident.now ? peak : e->resident.now; /* its counters lag */
}

static uint64_t ns_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

static void sample_take(struct sample *s, const struct child *child, const struct ending *e)
{
    *s = (struct sample){
        .good = true,
        .ns = child->elapsed_ns,
        .cpu_ns = ns_of(child->usage.ru_utime) + ns_of(child->usage.ru_stime),
        .peak = peak_of(child, e),
        .end = e->resident.now,
    };
}

static void describe_end(char *text, size_t capacity, int status, int errors)
{
    char line[128];
    last_line(errors, line, sizeof line);
    if (WIFSIGNALED(status))
        snprintf(text, capacity, "signal %d, %s", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, capacity, "exit status %d", WEXITSTATUS(status));
    if (*line) {
        size_t length = strlen(text);
        snprintf(text + length, capacity - length, ": %s", line);
    }
}

static void note_failure(struct candidate *c, int status, const struct stage *stage)
{
    if (c->failures++ == 0) describe_end(c->trouble, sizeof c->trouble, status, stage->streams[2]);
}

/* The program as it is says how it is to end; if a signal ends it, there is nothing to compare. */
static int note_standard(struct compare *compare, int status, const struct stage *stage,
                         const struct ending *e)
{
    char how[256];
    struct candidate *c = compare->candidates;
    compare->status = status;
    if (*e->allocator) snprintf(c->name, sizeof c->name, "%s, as it is", e->allocator);
    if (!WIFSIGNALED(status)) return 0;
    describe_end(how, sizeof how, status, stage->streams[2]);
    return refuse(STATUS_OWN_FAILURE, "%s fails on its own malloc already: %s", compare->program,
                  how);
}

static int take_result(struct compare *compare, const struct stage *stage, struct candidate *c,
                       int round, const struct child *child, const struct ending *e)
{
    bool first = c == compare->candidates;
    if (round < 0) return first ? note_standard(compare, child->status, stage, e) : 0;
    if (e->looked && !e->loaded) {
        c->missing++;
    } else if (child->status != compare->status) {
        note_failure(c, child->status, stage);
    } else {
        sample_take(&c->samples[round], child, e);
        c->samples[round].output = output_hash(stage->streams[1]);
    }
    return 0;
}

int compare_run(struct compare *compare, struct stage *stage, struct candidate *c, int round)
{
    struct ending ending = {.library = c->library};
    struct child child = {0};
    char *preload = *c->library ? preload_with(c->library) : NULL;
    struct child_plan plan = {.path = compare->path,
                              .argv = compare->argv,
                              .preload = preload,
                              .streams = stage->streams,
                              .at_end = note_ending,
                              .context = &ending};
    if (!stage_reset(stage))
        return refuse(STATUS_OWN_FAILURE, "cannot make a file for the output: %s", strerror(errno));
    int status = child_start(&child, &plan);
    if (status == 0) {
        child_wait(&child);
        compare->interrupted = child.interrupted;
    }
    free(preload);
    if (status || child.interrupted) return status;
    return take_result(compare, stage, c, round, &child, &ending);
}
