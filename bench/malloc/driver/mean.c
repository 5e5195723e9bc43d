#include "report.h"

#include <math.h>

double result_value(const struct bench *bench, unsigned row, unsigned allocator, enum metric metric)
{
    const struct sample *median = &bench->results[row][allocator].median;
    if (median->why[0]) return -1;
    double value = metric == WALL  ? median->wall_s
                   : metric == RSS ? (double)median->peak_rss_kib
                                   : (double)median->end_rss_kib;
    return value > 0 ? value : -1;
}

double best_peer(const struct bench *bench, unsigned row, enum metric metric)
{
    double best = -1;
    for (unsigned i = 0; i < bench->allocators.count; i++) {
        double value = result_value(bench, row, i, metric);
        if (!bench->allocators.list[i].ours && value > 0 && (best < 0 || value < best))
            best = value;
    }
    return best;
}

// A row counts for all or for none: a mean over easier rows would flatter whoever failed the hard ones.
static bool row_counts(const struct bench *bench, unsigned row, enum metric metric)
{
    if (metric == WALL && !bench->rows[row].wall_ranked) return false;
    for (unsigned i = 0; i < bench->allocators.count; i++)
        if (result_value(bench, row, i, metric) < 0) return false;
    return best_peer(bench, row, metric) > 0;
}

double geometric_mean(const struct bench *bench, unsigned allocator, enum metric metric,
                      unsigned *rows)
{
    double logarithms = 0;
    unsigned count = 0;
    for (unsigned row = 0; row < bench->row_count; row++)
        if (row_counts(bench, row, metric)) {
            double value = result_value(bench, row, allocator, metric);
            logarithms += log(value / best_peer(bench, row, metric));
            count++;
        }
    if (rows) *rows = count;
    return count ? exp(logarithms / count) : -1;
}

int best_single_peer(const struct bench *bench, enum metric metric)
{
    int best = -1;
    for (unsigned i = 0; i < bench->allocators.count; i++) {
        if (bench->allocators.list[i].ours || geometric_mean(bench, i, metric, NULL) < 0) continue;
        if (best < 0 || geometric_mean(bench, i, metric, NULL) <
                            geometric_mean(bench, (unsigned)best, metric, NULL))
            best = (int)i;
    }
    return best;
}

int ours(const struct bench *bench)
{
    for (unsigned i = 0; i < bench->allocators.count; i++)
        if (bench->allocators.list[i].ours) return (int)i;
    return -1;
}
