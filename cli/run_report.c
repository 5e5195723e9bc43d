/* The summary of a run: verdict first, at most 20 lines, on stderr after the program's end. */
#include <string.h>
#include <sys/wait.h>

#include "process.h"
#include "run.h"

/* The slots' clock counts milliseconds: below this the rate would be its error. */
enum { RATE_MS_MIN = 10 };

struct report {
    const struct run *run;
    FILE *out;
    const struct palette *colours;
    bool utf8;
};

static void label(const struct report *r, const char *text)
{
    fprintf(r->out, "  %s%-11s%s ", r->colours->dim, text, r->colours->plain);
}

static void warn(const struct report *r, const char *text)
{
    fprintf(r->out, "  %s%-11s%s ", r->colours->warn, text, r->colours->plain);
}

/* ---- verdict ---------------------------------------------------------------------------------- */

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* As the kernel names processes: `env prog` and the like end as another program than was asked for. */
static bool is_same_name(const char *program, const char *comm)
{
    enum { COMM_MAX = 15 };
    return strncmp(program, comm, COMM_MAX) == 0;
}

static void report_verdict(const struct report *r)
{
    const struct run *run = r->run;
    const struct fh_run_slot *s = run->subject;
    const char *least = s->finished ? "" : "at least ";
    uint64_t held = slot_peak_held(s);
    fprintf(r->out, "%sfreehold: %s: ", r->colours->strong, run->program);
    if (s != run->main)
        fprintf(r->out, "mostly its child %s (pid %u): ", base_name(s->program), s->pid);
    else if (!is_same_name(run->program, s->program))
        fprintf(r->out, "as %s: ", base_name(s->program));
    fprintf(r->out, "peak %s%s of memory for %s live (%u %% used); %s%s allocation%s in %s%s\n",
            least, HUMAN(bytes, held), HUMAN(bytes, s->peak.live),
            human_percent(s->peak.live, held), least, HUMAN(count, s->allocated),
            plural(s->allocated), HUMAN(time, run->child.elapsed_ms), r->colours->plain);
}

static void report_end(const struct report *r)
{
    const struct run *run = r->run;
    int status = run->child.status;
    if (WIFSIGNALED(status)) {
        warn(r, "ended by");
        fprintf(r->out, "signal %d, %s%s\n", WTERMSIG(status), strsignal(WTERMSIG(status)),
                WCOREDUMP(status) ? "; it left a core dump" : "");
    }
    if (run->replaced) {
        warn(r, "careful");
        fprintf(
            r->out,
            "the process ended as %s, which told nothing: static, with a cleared environment, or "
            "another user's\n",
            run->child.name);
    } else if (!run->subject->finished && run->subject->allocated) {
        label(r, "note");
        fprintf(r->out, "the last that %s noted, %s after its start: it has not ended by exit()\n",
                base_name(run->subject->program), HUMAN(time, slot_ms(run, run->subject)));
    }
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void report_rss(const struct report *r)
{
    bool alone = true;
    for (size_t i = 0; i < r->run->slot_count; i++)
        alone &= r->run->slots[i].pid == (uint32_t)r->run->child.pid;
    label(r, "peak RSS");
    fprintf(r->out, "%s with code, stacks and files%s\n", HUMAN(bytes, r->run->peak_rss),
            alone ? "" : ", of the largest process");
}

/* ", 1.1 MiB in thread lists", each part that is not 0, the first without the comma. */
static void report_part(const struct report *r, uint64_t bytes, const char *where, bool *first)
{
    if (bytes == 0) return;
    fprintf(r->out, "%s%s %s", *first ? ": " : ", ", HUMAN(bytes, bytes), where);
    *first = false;
}

static void report_free(const struct report *r)
{
    const struct fh_usage *u = &r->run->subject->peak;
    bool first = true;
    label(r, "held free");
    fprintf(r->out, "%s at that peak", HUMAN(bytes, usage_free(u)));
    report_part(r, u->free_in_slabs, "in partly used slabs", &first);
    report_part(r, u->thread_lists, "in thread lists", &first);
    report_part(r, u->remote, "freed by other threads", &first);
    report_part(r, u->dirty, "in spans until the purge", &first);
    report_part(r, u->metadata, "metadata", &first);
    fputc('\n', r->out);
}

static void report_memory(const struct report *r)
{
    const struct fh_run_slot *s = r->run->subject;
    report_rss(r);
    label(r, "peak live");
    fprintf(r->out, "%s, for which %s was held\n", HUMAN(bytes, s->peak.live),
            HUMAN(bytes, usage_total(&s->peak)));
    report_free(r);
    label(r, s->finished ? "at exit" : "last seen");
    fprintf(r->out, "%s live, %s held free", HUMAN(bytes, s->last.live),
            HUMAN(bytes, usage_free(&s->last)));
    if (s->purged_bytes)
        fprintf(r->out, "; %s given back to the kernel by then", HUMAN(bytes, s->purged_bytes));
    fputc('\n', r->out);
}

/* ---- allocations ------------------------------------------------------------------------------ */

static void report_allocated(const struct report *r)
{
    const struct fh_run_slot *s = r->run->subject;
    uint64_t ms = slot_ms(r->run, s);
    label(r, "allocated");
    fprintf(r->out, "%s block%s, %s, %s the mean", HUMAN(count, s->allocated), plural(s->allocated),
            HUMAN(bytes, s->allocated_bytes),
            HUMAN(bytes, s->allocated ? s->allocated_bytes / s->allocated : 0));
    if (ms >= RATE_MS_MIN)
        fprintf(r->out, "; %s/s, %s/s in its %s", HUMAN(count, s->allocated * 1000 / ms),
                HUMAN(bytes, s->allocated_bytes / ms * 1000), HUMAN(time, ms));
    fputc('\n', r->out);
}

/* Bucket i counts sizes up to this. */
static uint64_t bucket_top(size_t i)
{
    return 2ull << i;
}

/* The first bucket up to which at least half of the blocks lie. */
static size_t middle_bucket(const uint64_t *buckets, uint64_t all)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FH_RUN_BUCKETS; i++) {
        sum += buckets[i];
        if (sum >= all - all / 2) return i;
    }
    return FH_RUN_BUCKETS - 1;
}

static void report_sizes(const struct report *r)
{
    const uint64_t *buckets = r->run->subject->bucket;
    size_t first = FH_RUN_BUCKETS, last = 0;
    uint64_t all = 0;
    char bars[FH_RUN_BUCKETS * 4 + 1];
    for (size_t i = 0; i < FH_RUN_BUCKETS; i++) {
        if (buckets[i] == 0) continue;
        if (first == FH_RUN_BUCKETS) first = i;
        last = i;
        all += buckets[i];
    }
    if (all == 0) return;
    human_bars(bars, sizeof bars, buckets + first, last - first + 1, r->utf8);
    label(r, "sizes");
    fprintf(r->out, "%s [%s] %s, a bar each power of two; half of them up to %s\n",
            HUMAN(bytes, bucket_top(first)), bars, HUMAN(bytes, bucket_top(last)),
            HUMAN(bytes, bucket_top(middle_bucket(buckets, all))));
}

/* ---- threads and processes -------------------------------------------------------------------- */

static bool seen_before(const struct run *run, size_t slot)
{
    for (size_t i = 0; i < slot; i++) {
        if (run->slots[i].pid == run->slots[slot].pid) return true;
    }
    return false;
}

static void report_processes(const struct report *r)
{
    const struct run *run = r->run;
    const struct fh_run_slot *next = NULL;
    uint64_t allocated = 0;
    size_t processes = 0;
    for (size_t i = 0; i < run->slot_count; i++) {
        const struct fh_run_slot *slot = &run->slots[i];
        processes += !seen_before(run, i);
        allocated += slot->allocated;
        if (slot != run->subject && (!next || slot->peak.live > next->peak.live)) next = slot;
    }
    if (!next || processes < 2) return;
    label(r, "processes");
    fprintf(r->out, "%zu%s, %s allocation%s together; the next largest is %s (pid %u), %s live\n",
            processes, run->slots_claimed > FH_RUN_SLOTS ? " and more" : "",
            HUMAN(count, allocated), plural(allocated), base_name(next->program), next->pid,
            HUMAN(bytes, next->peak.live));
}

static void report_threads(const struct report *r)
{
    const struct fh_run_slot *s = r->run->subject;
    label(r, "threads");
    fprintf(r->out, "at most %u that allocate at a time; heaps made for them: %u\n",
            s->threads_peak, s->heaps);
}

/* Nothing allocated, as far as is known: there is no more to tell. */
static void report_nothing(const struct report *r)
{
    const struct run *run = r->run;
    fprintf(r->out, "%sfreehold: %s: ran on Freehold ", r->colours->strong, run->program);
    if (run->subject->finished)
        fprintf(r->out, "and allocated nothing in %s", HUMAN(time, run->child.elapsed_ms));
    else
        fprintf(r->out, "for %s; it ended without exit() and too early to say what it allocated",
                HUMAN(time, run->child.elapsed_ms));
    fprintf(r->out, "%s\n", r->colours->plain);
    report_end(r);
    report_rss(r);
}

void run_report(const struct run *run, FILE *out, const struct palette *colours, bool utf8)
{
    struct report r = {run, out, colours, utf8};
    if (run->subject->allocated == 0) {
        report_nothing(&r);
        return;
    }
    report_verdict(&r);
    report_end(&r);
    report_memory(&r);
    report_allocated(&r);
    report_sizes(&r);
    report_threads(&r);
    report_processes(&r);
}
