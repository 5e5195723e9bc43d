// The rows that are workloads of our own, and how one of them is measured.
//
// The workload program talks: "settled live_kib=N" when it is idle, "result inner_s=X" at its end,
// and stands still after each line until a byte comes. What the driver does meanwhile (sleep, read
// /proc) is not the program's time and is taken out of wall_s.
#include "common/child.h"
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct workload {
    const char *name;
    unsigned threads[4];
    unsigned idle_s;
    bool wall_ranked;
};

enum { NOTED, TIMED };
#define COUNTS(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define WORKLOAD(name, counts, idle_s, ranked, sentence) {#name, counts, idle_s, ranked == TIMED},
static const struct workload workloads[] = {
#include "../workloads.def"
};
#undef WORKLOAD

// --- a workload ----------------------------------------------------------------------------------

static long value_after(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

// Sleeping while the child sleeps; its resident memory at the end of it is the row's end_rss_kib.
static void look_idle(const struct child *child, const struct row *row, const char *line,
                      struct sample *sample)
{
    sleep(row->idle_s);
    sample->end_rss_kib = process_kib(child->pid, "smaps_rollup", "Rss:");
    sample->live_kib = value_after(line, "live_kib=");
}

// Follows the conversation to its end. Returns how long the child stood still, or -1 without a
// result.
static double converse(struct child *child, const struct row *row, struct sample *sample)
{
    char line[256];
    double still_s = 0;
    while (child_line(child, line, sizeof line)) {
        double from = clock_s();
        bool done = !strncmp(line, "result ", 7);
        if (done)
            sample->peak_rss_kib = process_kib(child->pid, "status", "VmHWM:");
        else if (!strncmp(line, "settled ", 8))
            look_idle(child, row, line, sample);
        still_s += clock_s() - from;
        child_go_on(child);
        if (done) return still_s;
    }
    return -1;
}

static void workload_measure(const struct bench *bench, const struct row *row,
                             const struct allocator *allocator, struct sample *sample)
{
    char program[600], threads[16], scale[16];
    snprintf(program, sizeof program, "%s/workload", bench->folder);
    snprintf(threads, sizeof threads, "%u", row->threads);
    snprintf(scale, sizeof scale, "%g", bench->scale);
    const char *const arguments[] = {program, row->name, threads, scale, "--hold", NULL};
    struct command command = {
        .arguments = arguments, .preload = allocator_preload(allocator, false), .talks = true};
    struct child child;
    struct usage usage;
    if (!allocator_takes_effect(allocator, program, false, bench->scratch, sample->why,
                                sizeof sample->why))
        return;
    if (!child_start(&child, &command)) {
        snprintf(sample->why, sizeof sample->why, "cannot start the workload program");
        return;
    }
    double still_s = converse(&child, row, sample);
    child_finish(&child, &usage);
    sample->wall_s = usage.ended_s - child.started_s - still_s;
    sample->cpu_s = usage.cpu_s;
    if (still_s < 0 || usage.status != 0) usage_explain(&usage, sample->why, sizeof sample->why);
}

// --- hello ---------------------------------------------------------------------------------------

static int long_compare(const void *a, const void *b)
{
    return (*(const long *)a > *(const long *)b) - (*(const long *)a < *(const long *)b);
}

// One start lasts a millisecond and its peak wavers with the page cache: 20 starts make a sample,
// their times added, the middle one of their peaks taken.
static void hello_measure(const struct bench *bench, const struct row *row,
                          const struct allocator *allocator, struct sample *sample)
{
    enum { STARTS = 20 };
    char program[600];
    long peaks[STARTS];
    snprintf(program, sizeof program, "%s/hello", bench->folder);
    const char *const arguments[] = {program, NULL};
    struct command command = {.arguments = arguments,
                              .preload = allocator_preload(allocator, false)};
    (void)row;
    if (!allocator_takes_effect(allocator, program, false, bench->scratch, sample->why,
                                sizeof sample->why))
        return;
    for (unsigned i = 0; i < STARTS; i++) {
        struct child child;
        struct usage usage;
        if (!command_run(&command, &child, &usage)) {
            usage_explain(&usage, sample->why, sizeof sample->why);
            return;
        }
        sample->wall_s += usage.ended_s - child.started_s;
        sample->cpu_s += usage.cpu_s;
        peaks[i] = usage.peak_rss_kib;
    }
    qsort(peaks, STARTS, sizeof *peaks, long_compare);
    sample->peak_rss_kib = peaks[STARTS / 2];
}

// --- the rows ------------------------------------------------------------------------------------

static void add_workload(struct bench *bench, const struct workload *workload)
{
    for (const unsigned *threads = workload->threads; *threads; threads++)
        bench_add(bench, (struct row){.name = workload->name,
                                      .threads = *threads,
                                      .idle_s = workload->idle_s,
                                      .wall_ranked = workload->wall_ranked,
                                      .measure = workload_measure});
}

void bench_add_workloads(struct bench *bench)
{
    for (unsigned i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
        add_workload(bench, &workloads[i]);
    bench_add(bench, (struct row){.name = "hello", .threads = 1, .measure = hello_measure});
}
