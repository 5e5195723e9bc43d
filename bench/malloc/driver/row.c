#include "row.h"

#include "child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_add(struct bench *bench, struct row row)
{
    if (bench->row_count == ROWS_MAX) {
        fprintf(stderr, "bench: more than %d rows\n", ROWS_MAX);
        exit(2);
    }
    bench->rows[bench->row_count++] = row;
}

// Of the row that is being measured.
static struct sample samples[ALLOCATORS_MAX][REPS_MAX];

// --- medians -------------------------------------------------------------------------------------

static int number_compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(const double *values, unsigned count)
{
    double sorted[REPS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, number_compare);
    return sorted[(count - 1) / 2];
}

#define MEDIAN_OF(samples, count, field)                                                           \
    ({                                                                                             \
        double values[REPS_MAX];                                                                   \
        for (unsigned at = 0; at < (count); at++) values[at] = (double)(samples)[at].field;        \
        median(values, count);                                                                     \
    })

static double spread(const struct sample *samples, unsigned count, double middle)
{
    double low = samples[0].wall_s, high = low;
    for (unsigned i = 1; i < count; i++) {
        low = samples[i].wall_s < low ? samples[i].wall_s : low;
        high = samples[i].wall_s > high ? samples[i].wall_s : high;
    }
    return middle > 0 ? (high - low) / middle : 0;
}

// One failed repetition makes the result an error: an allocator that crashes sometimes, crashes.
static void result_make(struct result *result, const struct sample *samples, unsigned count)
{
    result->reps = count;
    for (unsigned i = 0; i < count; i++)
        if (samples[i].why[0]) {
            result->median = samples[i];
            return;
        }
    result->median = (struct sample){
        .wall_s = MEDIAN_OF(samples, count, wall_s),
        .cpu_s = MEDIAN_OF(samples, count, cpu_s),
        .peak_rss_kib = (long)MEDIAN_OF(samples, count, peak_rss_kib),
        .end_rss_kib = (long)MEDIAN_OF(samples, count, end_rss_kib),
        .live_kib = (long)MEDIAN_OF(samples, count, live_kib),
    };
    result->wall_spread = spread(samples, count, result->median.wall_s);
}

// --- measuring -----------------------------------------------------------------------------------

static void progress(const struct bench *bench, unsigned row, unsigned pass, const char *allocator)
{
    fprintf(stderr, "bench: row %u of %u, %s at %u, pass %u: %s\n", row + 1, bench->row_count,
            bench->rows[row].name, bench->rows[row].threads, pass + 1, allocator);
}

// What the program produced must be what it produced on the first allocator that got that far.
static void product_check(struct sample *sample, uint64_t *expected)
{
    if (sample->why[0] || !sample->product) return;
    if (!*expected) *expected = sample->product;
    if (*expected != sample->product)
        snprintf(sample->why, sizeof sample->why, "its output differs from the other allocators'");
}

// Each pass begins with the next allocator, so that none always runs first or after the same one.
static void pass_run(const struct bench *bench, unsigned index, unsigned pass, uint64_t *product)
{
    const struct row *row = &bench->rows[index];
    for (unsigned turn = 0; turn < bench->allocators.count; turn++) {
        unsigned at = (turn + pass) % bench->allocators.count;
        const struct allocator *allocator = &bench->allocators.list[at];
        struct sample *sample = &samples[at][pass];
        progress(bench, index, pass, allocator->name);
        *sample = (struct sample){.end_rss_kib = -1, .live_kib = -1};
        row->measure(bench, row, allocator, sample);
        product_check(sample, product);
        if (sample->why[0]) fprintf(stderr, "bench: %s: %s\n", allocator->name, sample->why);
    }
}

// A row that takes a moment is repeated for a second: what the kernel maps around a page that a small
// program touches differs from run to run by a tenth of its memory.
void row_run(struct bench *bench, unsigned index, struct passes passes)
{
    enum { BRIEF_S = 1, BRIEF_MOST = 15 };
    uint64_t product = 0;
    double from = clock_s(), spent = 0;
    unsigned done = 0;
    while (done < passes.least || (done < passes.most && spent < passes.enough_s) ||
           (passes.enough_s > 0 && done < BRIEF_MOST && spent < BRIEF_S)) {
        pass_run(bench, index, done++, &product);
        spent = clock_s() - from;
    }
    for (unsigned at = 0; at < bench->allocators.count; at++)
        result_make(&bench->results[index][at], samples[at], done);
}
