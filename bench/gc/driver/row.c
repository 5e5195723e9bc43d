#include "row.h"

#include "common/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

// --- the rows ------------------------------------------------------------------------------------

struct workload {
    const char *name;
    unsigned live_mib;
    unsigned threads[4];
    bool quick;
};

enum { FULL, QUICK };
#define COUNTS(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define WORKLOAD(name, function, parameter, live_mib, counts, when, sentence)                      \
    {name, live_mib, counts, when == QUICK},
static const struct workload workloads[] = {
#include "../workloads.def"
};
#undef WORKLOAD

static void row_add(struct bench *bench, struct row row)
{
    if (bench->row_count == ROWS_MAX) {
        fprintf(stderr, "bench: more than %d rows\n", ROWS_MAX);
        exit(2);
    }
    bench->rows[bench->row_count++] = row;
}

static void workload_add(struct bench *bench, const struct workload *workload, double multiple)
{
    for (const unsigned *threads = workload->threads; *threads; threads++)
        row_add(bench, (struct row){.name = workload->name,
                                    .threads = *threads,
                                    .heap_mib = (unsigned)(workload->live_mib * multiple + 0.5),
                                    .multiple = multiple});
}

void bench_add_workloads(struct bench *bench, bool quick)
{
    static const double multiples[] = {1.5, 2, 3};
    for (unsigned i = 0; i < sizeof workloads / sizeof workloads[0]; i++)
        for (unsigned m = 0; m < 3; m++)
            if (!quick || (workloads[i].quick && multiples[m] == 2))
                workload_add(bench, &workloads[i], multiples[m]);
}

// --- one run -------------------------------------------------------------------------------------

static double value_after(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at ? strtod(at + strlen(key), NULL) : -1;
}

static struct gaps gaps_read(const char *line, const char *name)
{
    struct gaps gaps;
    char key[32];
    const struct {
        const char *suffix;
        double *value;
    } fields[] = {{"p50", &gaps.p50}, {"p99", &gaps.p99}, {"p999", &gaps.p999}, {"max", &gaps.max}};
    for (unsigned i = 0; i < 4; i++) {
        snprintf(key, sizeof key, " %s_%s_us=", name, fields[i].suffix);
        *fields[i].value = value_after(line, key);
    }
    return gaps;
}

static void result_read(const char *line, struct sample *sample)
{
    const char *product = strstr(line, " product=");
    sample->wall_s = value_after(line, " wall_s=");
    sample->cpu_s = value_after(line, " cpu_s=");
    sample->setup_s = value_after(line, " setup_s=");
    sample->peak_rss_kib = (long)value_after(line, " peak_rss_kib=");
    sample->end_rss_kib = (long)value_after(line, " end_rss_kib=");
    sample->collections = (long)value_after(line, " collections=");
    sample->product = product ? strtoull(product + 9, NULL, 10) : 0;
    sample->pause = gaps_read(line, "pause");
    sample->held = gaps_read(line, "held");
    sample->cpu = gaps_read(line, "cpu");
}

// The program says one line: "result ...", "error WHY", or "cannot WHY".
static bool line_read(const char *line, struct sample *sample)
{
    bool good = !strncmp(line, "result ", 7);
    sample->cannot = !strncmp(line, "cannot ", 7);
    if (good)
        result_read(line, sample);
    else if (sample->cannot || !strncmp(line, "error ", 6))
        snprintf(sample->why, sizeof sample->why, "%.*s", SAMPLE_WHY - 1, strchr(line, ' ') + 1);
    return good || sample->why[0];
}

// By the limit of processor time. The kernel keeps it by whole ticks, on a shared machine seconds before
// what it then reports; and not by SIGXCPU, which MPS uses itself.
static bool was_ended(const struct usage *usage, unsigned limit_s)
{
    return WIFSIGNALED(usage->status) && WTERMSIG(usage->status) == SIGKILL && !usage->late &&
           usage->cpu_s > (double)limit_s / 2;
}

static void measure(const struct bench *bench, const struct row *row,
                    const struct collector *collector, struct sample *sample)
{
    char threads[16], heap[16], scale[16], line[2048];
    snprintf(threads, sizeof threads, "%u", row->threads);
    snprintf(heap, sizeof heap, "%u", row->heap_mib);
    snprintf(scale, sizeof scale, "%g", bench->scale);
    const char *const arguments[] = {collector->path, row->name, threads, heap, scale, NULL};
    struct command command = {.arguments = arguments, .talks = true, .cpu_limit_s = bench->limit_s};
    struct child child;
    struct usage usage;
    if (!child_start(&child, &command)) {
        snprintf(sample->why, sizeof sample->why, "cannot be started");
        return;
    }
    bool said = child_line(&child, line, sizeof line) && line_read(line, sample);
    child_finish(&child, &usage);
    if (!said && was_ended(&usage, bench->limit_s))
        snprintf(sample->why, sizeof sample->why, "no end within %u s of processor time",
                 bench->limit_s);
    else if (!said || (usage.status != 0 && !sample->why[0]))
        usage_explain(&usage, sample->why, sizeof sample->why);
}

// --- medians -------------------------------------------------------------------------------------

// Of the row that is being measured.
static struct sample samples[COLLECTORS_MAX][REPS_MAX];

static struct gaps gaps_median(const struct gaps *gaps, unsigned count)
{
    return (struct gaps){.p50 = MEDIAN_OF(gaps, count, p50),
                         .p99 = MEDIAN_OF(gaps, count, p99),
                         .p999 = MEDIAN_OF(gaps, count, p999),
                         .max = MEDIAN_OF(gaps, count, max)};
}

#define GAPS_MEDIAN(samples, count, field)                                                         \
    ({                                                                                             \
        struct gaps gaps_[REPS_MAX] = {0};                                                         \
        for (unsigned at_ = 0; at_ < (count); at_++) gaps_[at_] = (samples)[at_].field;            \
        gaps_median(gaps_, count);                                                                 \
    })

// One failed repetition makes the result an error: a collector that crashes sometimes, crashes.
static void result_make(struct result *result, const struct sample *samples, unsigned count)
{
    result->reps = count;
    for (unsigned i = 0; i < count; i++)
        if (samples[i].why[0] || samples[i].skipped) {
            result->median = samples[i];
            return;
        }
    result->median = (struct sample){
        .wall_s = MEDIAN_OF(samples, count, wall_s),
        .cpu_s = MEDIAN_OF(samples, count, cpu_s),
        .setup_s = MEDIAN_OF(samples, count, setup_s),
        .peak_rss_kib = (long)MEDIAN_OF(samples, count, peak_rss_kib),
        .end_rss_kib = (long)MEDIAN_OF(samples, count, end_rss_kib),
        .collections = (long)MEDIAN_OF(samples, count, collections),
        .pause = GAPS_MEDIAN(samples, count, pause),
        .held = GAPS_MEDIAN(samples, count, held),
        .cpu = GAPS_MEDIAN(samples, count, cpu),
    };
    result->wall_spread = SPREAD_OF(samples, count, wall_s);
}

// --- measuring -----------------------------------------------------------------------------------

static void progress(const struct bench *bench, unsigned row, unsigned pass, const char *collector)
{
    fprintf(stderr, "bench: row %u of %u, %s at %u in %u MiB, pass %u: %s\n", row + 1,
            bench->row_count, bench->rows[row].name, bench->rows[row].threads,
            bench->rows[row].heap_mib, pass + 1, collector);
}

// What the workload computed must be what it computed on the first collector that got that far.
static void product_check(struct sample *sample, uint64_t *expected)
{
    if (sample->why[0] || !sample->product) return;
    if (!*expected) *expected = sample->product;
    if (*expected != sample->product)
        snprintf(sample->why, sizeof sample->why, "its result differs from the others'");
}

// malloc keeps no limit: one size of the heap stands for all. Who has failed in a pass fails in all.
static bool is_skipped(const struct row *row, const struct collector *collector, unsigned at,
                       unsigned pass)
{
    return (collector->by_hand && row->multiple != 2) || (pass > 0 && samples[at][0].why[0]);
}

// Each pass begins with the next collector, so that none always runs first or after the same one.
static void pass_run(const struct bench *bench, unsigned index, unsigned pass, uint64_t *product)
{
    const struct row *row = &bench->rows[index];
    for (unsigned turn = 0; turn < bench->collectors.count; turn++) {
        unsigned at = (turn + pass) % bench->collectors.count;
        const struct collector *collector = &bench->collectors.list[at];
        struct sample *sample = &samples[at][pass];
        *sample = (struct sample){.skipped = is_skipped(row, collector, at, pass)};
        if (sample->skipped) continue;
        progress(bench, index, pass, collector->name);
        measure(bench, row, collector, sample);
        product_check(sample, product);
        if (sample->why[0]) fprintf(stderr, "bench: %s: %s\n", collector->name, sample->why);
    }
}

void row_run(struct bench *bench, unsigned index, struct passes passes)
{
    uint64_t product = 0;
    double from = clock_s();
    unsigned done = 0;
    while (done < passes.least || (done < passes.most && clock_s() - from < passes.enough_s))
        pass_run(bench, index, done++, &product);
    for (unsigned at = 0; at < bench->collectors.count; at++)
        result_make(&bench->results[index][at], samples[at], done);
}
