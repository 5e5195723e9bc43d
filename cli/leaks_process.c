/* From a process id to an image: which allocator it has, the announcement, the freeze, the copy. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "fields.h"
#include "freeze.h"
#include "leaks_process.h"
#include "still_words.h"
#include "verdict.h"

/* How long it will stand, measured where nothing else ran: page tables of 1 GiB of small pages take 25 to 34 ms to copy,
 * the memory itself 220 to 290 ms; 60,000 mappings 45 to 75 ms and 80 to 150 ms more; 500 threads 17 to 40 ms; tables of
 * pages that are not there a little. */
struct toll {
    uint64_t base_us, us_per_mib, ns_per_mapping, ns_per_thread, ns_per_table_kib;
};
static const struct toll toll_fork = {1000, 33, 1000, 50000, 500};
static const struct toll toll_copy = {1000, 250, 2500, 60000, 500};

/* On a machine that has other things to do, or first has to find the memory for so many mappings. */
enum { BUSY_TIMES = 4, BUSY_MS = 10 };

static int explain(enum process_error error, const struct process *p, const char *command)
{
    int pid = (int)p->pid;
    switch (error) {
    case PROCESS_NONE: return refuse(LEAKS_ERROR, "there is no process %d", pid);
    case PROCESS_FORBIDDEN:
        return refuse(LEAKS_ERROR,
                      "may not look into process %d; run as its user or as root: sudo freehold %s "
                      "%d (in a container: --cap-add SYS_PTRACE)",
                      pid, command, pid);
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
           v->allocator == ALLOCATOR_FREEHOLD || strcmp(name, "glibc") == 0 || survey_known(name);
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

static uint64_t toll_us(const struct toll *t, const struct process *p)
{
    char path[64];
    struct file_text status;
    uint64_t own = 0, tables = 0, threads = 1;
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    if (file_read(&status, path, 1 << 16)) {
        field_number(status.data, status.size, "RssAnon", &own);
        field_number(status.data, status.size, "VmPTE", &tables);
        field_number(status.data, status.size, "Threads", &threads);
        free(status.data);
    }
    return t->base_us + (own >> 20) * t->us_per_mib + p->maps.count * t->ns_per_mapping / 1000 +
           threads * t->ns_per_thread / 1000 + (tables >> 10) * t->ns_per_table_kib / 1000;
}

static void announce(const struct process *p, bool copy)
{
    unsigned ms = (unsigned)(toll_us(copy ? &toll_copy : &toll_fork, p) / 1000);
    say("stopping %s (pid %d, %s) for about %u ms, %u if the machine is busy", p->name, (int)p->pid,
        HUMAN(bytes, rss_of(p->pid)), ms, BUSY_TIMES * ms + BUSY_MS);
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
    struct image_care care = {l->request.thorough, l->request.scratch};
    bool done = !f->child || image_copy_unforked(&unforked, f->child, f->pid, care.thorough, why);
    freeze_go_on(f);
    done = done && image_copy(&l->image, freeze_source(f), f->pid, &care, why) &&
           image_join(&l->image, &unforked);
    image_finish(&unforked);
    return done;
}

struct picture {
    struct leaks *l;
    const struct process *process;
    int status;
};

static int freeze_and_copy(struct leaks *l, const struct process *p)
{
    struct freeze f;
    struct kernel_words kernel = {0};
    char why[IMAGE_WHY] = "out of memory";
    int status = 0;
    kernel_words_read(&kernel, p->pid);
    bool copy = l->request.copy || l->request.at_end;
    if (!freeze_begin(&f, p->pid, l->request.command, &p->maps, copy)) {
        status = refuse(LEAKS_ERROR, "%s", f.why);
        freeze_finish(&f);
        kernel_words_finish(&kernel);
        return status;
    }
    uint64_t began = clock_ns();
    bool done = !l->request.thorough || still_words_read(&kernel, &f, why);
    done = done && copy_memory(l, &f, why) && take_threads(l, &f);
    l->copy_us = (clock_ns() - began) / 1000;
    freeze_release(&f);
    kernel_words_read(&kernel, p->pid);
    l->image.kernel = kernel;
    l->stopped_us = f.stopped_us;
    memcpy(l->fallback, f.fallback, sizeof l->fallback);
    if (l->request.at_end) strcpy(l->fallback, "it was at its end");
    freeze_finish(&f);
    if (!done) return refuse(LEAKS_ERROR, "%s", why);
    if (!is_same_program(l, p))
        return refuse(LEAKS_ERROR, "process %d became another program meanwhile: try again",
                      (int)p->pid);
    return 0;
}

static void act_picture(void *context)
{
    struct picture *picture = context;
    picture->status = freeze_and_copy(picture->l, picture->process);
}

static int take_picture(struct leaks *l, const struct process *p)
{
    struct picture picture = {l, p, 0};
    freeze_apart(act_picture, &picture);
    return picture.status;
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
    l->began_ns = clock_ns();
    if (!freeze_possible(&possible, l->request.pid, l->request.command))
        return refuse(LEAKS_ERROR, "%s", possible.why);
    enum process_error error = process_read(p, l->request.pid, NULL);
    if (error != PROCESS_READ) return explain(error, p, l->request.command);
    memcpy(l->name, p->name, sizeof l->name);
    verdict_reach(&verdict, p);
    if (!may_be_walked(&verdict))
        return refuse(
            LEAKS_UNKNOWN,
            "%s (pid %d, %s) allocates with %s, whose heap cannot be walked from outside yet; "
            "freehold run -- PROG puts it on a heap that can",
            p->name, (int)p->pid, HUMAN(bytes, rss_of(p->pid)), verdict_name(&verdict));
    if (verdict.owner && !verdict.likely && verdict.allocator != ALLOCATOR_NONE)
        l->owner = verdict_name(&verdict);
    if (!take_files(l, p)) return refuse(LEAKS_ERROR, "out of memory");
    if (!l->request.at_end && !l->request.thorough) announce(p, l->request.copy);
    return take_picture(l, p);
}
