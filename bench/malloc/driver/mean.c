#include "report.h"

#include <math.h>

double result_value(const struct bench *bench, unsigned row, unsigned allocator, enum metric metric)
{
    const struct sample *median = &bench->results[row][allocator].median;
    if (median->why[0]) return -1;
    double value = -1;
    switch (metric) {
    case TIME: value = bench->by_cpu ? median->cpu_s : median->wall_s; break;
    case CPU: value = median->cpu_s; break;
    case RSS: value = (double)median->peak_rss_kib; break;
    case END_RSS: value = (double)median->end_rss_kib; break;
    }
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

static bool row_ranked(const struct bench *bench, unsigned row, enum metric metric)
{
    return (metric != TIME && metric != CPU) || bench->rows[row].wall_ranked;
}

double geometric_mean(const struct bench *bench, unsigned allocator, enum metric metric,
                      unsigned *rows)
{
    double logarithms = 0;
    unsigned count = 0;
    for (unsigned row = 0; row < bench->row_count; row++) {
        double value = result_value(bench, row, allocator, metric);
        double best = best_peer(bench, row, metric);
        if (!row_ranked(bench, row, metric) || value < 0 || best < 0) continue;
        logarithms += log(value / best);
        count++;
    }
    if (rows) *rows = count;
    return count ? exp(logarithms / count) : -1;
}

double geometric_ratio(const struct bench *bench, unsigned allocator, unsigned other,
                       enum metric metric)
{
    double logarithms = 0;
    unsigned count = 0;
    for (unsigned row = 0; row < bench->row_count; row++) {
        double value = result_value(bench, row, allocator, metric);
        double against = result_value(bench, row, other, metric);
        if (!row_ranked(bench, row, metric) || value < 0 || against < 0) continue;
        logarithms += log(value / against);
        count++;
    }
    return count ? exp(logarithms / count) : -1;
}

int best_single_peer(const struct bench *bench, unsigned allocator, enum metric metric)
{
    int best = -1;
    double worst = -1;
    for (unsigned i = 0; i < bench->allocators.count; i++) {
        double ratio = geometric_ratio(bench, allocator, i, metric);
        if (bench->allocators.list[i].ours || ratio <= worst) continue;
        worst = ratio;
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
