/* From a process id to an image: which allocator it has, the announcement, the freeze, the copy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "freeze.h"
#include "leaks_process.h"
#include "verdict.h"

/* Page tables of 1 GiB of small pages take 25 to 34 ms to copy, the memory itself 220 to 290 ms. */
enum { FORK_US_PER_MIB = 33, COPY_US_PER_MIB = 250 };

static int explain(enum process_error error, const struct process *p)
{
    int pid = (int)p->pid;
    switch (error) {
    case PROCESS_NONE: return refuse(LEAKS_ERROR, "there is no process %d", pid);
    case PROCESS_FORBIDDEN:
        return refuse(
            LEAKS_ERROR,
            "may not look into process %d; run as its user or as root: sudo freehold leaks "
            "%d (in a container: --cap-add SYS_PTRACE)",
            pid, pid);
    case PROCESS_EMPTY:
        return refuse(LEAKS_ERROR,
                      "process %d (%s) has no memory of its own: a kernel thread, or it "
                      "has ended",
                      pid, p->name);
    case PROCESS_NO_PROC:
        return refuse(LEAKS_ERROR, "/proc is not mounted here: mount -t proc proc /proc");
    default: return refuse(LEAKS_ERROR, "out of memory while looking at process %d", pid);
    }
}

/* Those of which the heap can be walked, and those of which nothing is known: they are tried. */
static bool may_be_walked(const struct verdict *v)
{
    const char *name = verdict_name(v);
    return !v->owner || v->likely || v->allocator == ALLOCATOR_NONE ||
           v->allocator == ALLOCATOR_FREEHOLD || strcmp(name, "glibc") == 0;
}

static uint64_t rss_of(pid_t pid)
{
    char path[64];
    struct file_text text;
    uint64_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!file_read(&text, path, 4096)) return 0;
    const char *at = strchr(text.data, ' '), *end = text.data + text.size;
    if (at) {
        at++;
        parse_dec(&at, end, &pages);
    }
    free(text.data);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void announce(const struct process *p, bool copy)
{
    uint64_t rss = rss_of(p->pid), each = copy ? COPY_US_PER_MIB : FORK_US_PER_MIB;
    say("stopping %s (pid %d, %s) for about %u ms", p->name, (int)p->pid, HUMAN(bytes, rss),
        (unsigned)((rss >> 20) * each / 1000 + 1));
}

static bool take_threads(struct leaks *l, const struct freeze *f)
{
    l->threads = l->image.thread_count = f->count;
    l->image.threads = calloc(f->count + 1, sizeof *l->image.threads);
    for (size_t i = 0; l->image.threads && i < f->count; i++)
        l->image.threads[i] = (struct image_thread){f->threads[i].tid, f->threads[i].registers};
    return l->image.threads != NULL;
}

/* The picture is of the program that was looked at before. */
static bool is_same_program(const struct leaks *l, const struct process *p)
{
    const struct module *program = process_executable(p);
    if (!program) return true;
    for (size_t i = 0; i < l->image.maps.count; i++) {
        const struct mapping *m = &l->image.maps.list[i];
        if (m->start == program->start && strcmp(m->path, program->path) == 0) return true;
    }
    return false;
}

/* First, while all stand, what the child did not get; then what it has, while they run. */
static bool copy_memory(struct leaks *l, struct freeze *f, char why[IMAGE_WHY])
{
    struct image unforked = {0};
    bool done = !f->child || image_copy_unforked(&unforked, f->child, f->pid, why);
    freeze_go_on(f);
    done = done && image_copy(&l->image, freeze_source(f), f->pid, l->request.scratch, why) &&
           image_join(&l->image, &unforked);
    image_finish(&unforked);
    return done;
}

static int take_picture(struct leaks *l, const struct process *p)
{
    struct freeze f;
    struct kernel_words kernel = {0};
    char why[IMAGE_WHY] = "out of memory";
    int status = 0;
    kernel_words_read(&kernel, p->pid);
    if (!freeze_begin(&f, p->pid, &p->maps, l->request.copy)) {
        status = refuse(LEAKS_ERROR, "%s", f.why);
        freeze_finish(&f);
        kernel_words_finish(&kernel);
        return status;
    }
    bool done = copy_memory(l, &f, why) && take_threads(l, &f);
    freeze_release(&f);
    kernel_words_read(&kernel, p->pid);
    l->image.kernel = kernel;
    l->stopped_us = f.stopped_us;
    memcpy(l->fallback, f.fallback, sizeof l->fallback);
    freeze_finish(&f);
    if (!done) return refuse(LEAKS_ERROR, "%s", why);
    if (!is_same_program(l, p))
        return refuse(LEAKS_ERROR, "process %d became another program meanwhile: try again",
                      (int)p->pid);
    return 0;
}

static bool take_files(struct leaks *l, const struct process *p)
{
    l->files = calloc(p->module_count + 1, sizeof *l->files);
    for (size_t i = 0; l->files && i < p->module_count; i++) {
        const struct module *m = &p->modules[i];
        l->files[l->file_count++] = (struct named_file){
            m->start, m->end, m->bias, m->path, m->source == MODULE_UNREAD ? NULL : &m->image};
    }
    return l->files != NULL;
}

int leaks_of_process(struct leaks *l, struct process *p)
{
    struct freeze possible;
    struct verdict verdict;
    *p = (struct process){.pid = l->request.pid};
    if (!freeze_possible(&possible, l->request.pid)) return refuse(LEAKS_ERROR, "%s", possible.why);
    enum process_error error = process_read(p, l->request.pid, NULL);
    if (error != PROCESS_READ) return explain(error, p);
    memcpy(l->name, p->name, sizeof l->name);
    verdict_reach(&verdict, p);
    if (!may_be_walked(&verdict))
        return refuse(
            LEAKS_UNKNOWN,
            "%s (pid %d, %s) allocates with %s, whose heap cannot be walked from outside yet; "
            "freehold run -- PROG puts it on a heap that can",
            p->name, (int)p->pid, HUMAN(bytes, rss_of(p->pid)), verdict_name(&verdict));
    if (!take_files(l, p)) return refuse(LEAKS_ERROR, "out of memory");
    announce(p, l->request.copy);
    return take_picture(l, p);
}
