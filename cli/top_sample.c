/* One read for each process and interval, through descriptors that stay open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "fields.h"
#include "file.h"
#include "top.h"
#include "verdict.h"

const char *const top_order_names[TOP_ORDERS] = {"RSS", "growth", "name", "process id"};

/* A descriptor for each process needs more than the 1,024 that are usual. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void top_init(struct top *top, pid_t only)
{
    *top = (struct top){.only = only, .page_size = (uint64_t)sysconf(_SC_PAGESIZE)};
    raise_limit();
}

void top_finish(struct top *top)
{
    for (size_t i = 0; i < top->count; i++) close(top->list[i].fd);
    free(top->list);
    *top = (struct top){0};
}

/* ---- one process ------------------------------------------------------------------------------ */

/* "size resident shared ...", in pages. */
static bool read_statm(const struct top *top, struct top_process *p)
{
    char text[128];
    uint64_t size, resident, shared;
    ssize_t n = pread(p->fd, text, sizeof text, 0);
    const char *at = text, *end = text + (n > 0 ? n : 0);
    if (!parse_dec(&at, end, &size) || at++ >= end || !parse_dec(&at, end, &resident) ||
        at++ >= end || !parse_dec(&at, end, &shared))
        return false;
    p->rss = resident * top->page_size;
    p->shared = shared * top->page_size;
    return true;
}

static void note_history(struct top_process *p, uint64_t before, uint64_t elapsed_ns)
{
    memmove(p->history, p->history + 1, sizeof p->history - sizeof *p->history);
    p->history[TOP_HISTORY - 1] = p->rss;
    double seconds = (double)elapsed_ns / 1e9;
    bool known = p->samples++ > 0 && seconds > 0;
    p->growth = known ? (int64_t)(((double)p->rss - (double)before) / seconds) : 0;
}

/* Kernel threads and zombies have no memory: they are left out until they have. */
static void sample_process(struct top *top, struct top_process *p, uint64_t elapsed_ns)
{
    enum { NAME_EVERY = 16 }; /* a name changes when the process executes another program */
    uint64_t before = p->rss;
    p->seen = read_statm(top, p) && p->rss > 0;
    if (!p->seen) return;
    note_history(p, before, elapsed_ns);
    if (p->samples % NAME_EVERY == 0) task_name(p->pid, p->name, sizeof p->name);
    top->sum += p->rss;
}

/* ---- all of them ------------------------------------------------------------------------------ */

static int order_by_pid(const void *a, const void *b)
{
    const struct top_process *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool is_known(const struct top *top, size_t known, pid_t pid)
{
    struct top_process key = {.pid = pid};
    return bsearch(&key, top->list, known, sizeof key, order_by_pid) != NULL;
}

static bool grow(struct top *top)
{
    if (top->count < top->capacity) return true;
    size_t more = top->capacity ? top->capacity * 2 : 256;
    struct top_process *grown = reallocarray(top->list, more, sizeof *grown);
    if (!grown) return false;
    top->list = grown;
    top->capacity = more;
    return true;
}

/* Through one of its tasks. */
static struct top_process open_process(struct top *top, pid_t pid, pid_t task)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)task);
    struct top_process p = {.pid = pid, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (p.fd >= 0) sample_process(top, &p, 0);
    return p;
}

static bool add_process(struct top *top, pid_t pid)
{
    if (!grow(top)) return false;
    struct top_process p = open_process(top, pid, pid);
    if (p.fd < 0) {
        top->hidden += errno == EACCES || errno == EPERM || errno == EMFILE;
        return true;
    }
    pid_t living = p.seen ? pid : task_living(pid);
    if (living != pid) {
        close(p.fd);
        p = open_process(top, pid, living);
    }
    if (p.seen) {
        task_name(p.pid, p.name, sizeof p.name);
        top->list[top->count++] = p;
    } else if (p.fd >= 0) {
        close(p.fd);
    }
    return true;
}

static void drop_ended(struct top *top)
{
    size_t kept = 0;
    for (size_t i = 0; i < top->count; i++) {
        if (top->list[i].seen)
            top->list[kept++] = top->list[i];
        else
            close(top->list[i].fd);
    }
    top->count = kept;
}

static bool add_new(struct top *top)
{
    size_t known = top->count;
    DIR *folder = opendir("/proc");
    bool good = folder != NULL;
    for (struct dirent *entry; good && (entry = readdir(folder));) {
        uint64_t pid;
        const char *at = entry->d_name, *end = at + strlen(at);
        if (!parse_dec(&at, end, &pid) || at != end || pid > INT32_MAX) continue;
        if (!is_known(top, known, (pid_t)pid)) good = add_process(top, (pid_t)pid);
    }
    if (folder) closedir(folder);
    return good;
}

bool top_sample(struct top *top)
{
    uint64_t began = clock_ns(), elapsed = top->taken_ns ? began - top->taken_ns : 0;
    top->taken_ns = began;
    top->sum = top->hidden = 0;
    for (size_t i = 0; i < top->count; i++) sample_process(top, &top->list[i], elapsed);
    drop_ended(top);
    if (top->count) qsort(top->list, top->count, sizeof *top->list, order_by_pid);
    bool good = true;
    if (!top->only)
        good = add_new(top);
    else if (top->count == 0)
        good = add_process(top, top->only);
    top->cost_ns = clock_ns() - began;
    return good;
}

/* ---- order ------------------------------------------------------------------------------------ */

static int compare_growth(int64_t a, int64_t b)
{
    return (a < b) - (a > b);
}

static int order_by(const void *a, const void *b, void *order)
{
    const struct top_process *x = a, *y = b;
    int by_rss = (x->rss < y->rss) - (x->rss > y->rss), by = by_rss;
    switch (*(enum top_order *)order) {
    case TOP_BY_GROWTH: by = compare_growth(x->growth, y->growth); break;
    case TOP_BY_NAME: by = strcmp(x->name, y->name); break;
    case TOP_BY_PID: by = order_by_pid(a, b); break;
    default: break;
    }
    if (by == 0) by = by_rss;
    return by ? by : order_by_pid(a, b);
}

void top_sort(struct top *top)
{
    if (top->count) qsort_r(top->list, top->count, sizeof *top->list, order_by, &top->order);
}

void top_look(struct top_process *p)
{
    struct process process;
    struct verdict verdict;
    if (p->looked) return;
    p->looked = true;
    snprintf(p->allocator, sizeof p->allocator, "?");
    if (process_read(&process, p->pid, NULL) == PROCESS_READ) {
        verdict_reach(&verdict, &process);
        if (verdict.owner && verdict.allocator != ALLOCATOR_NONE)
            human_clean(p->allocator, sizeof p->allocator, verdict_name(&verdict));
    }
    process_finish(&process);
}
