#include "report.h"

#include <math.h>

double result_value(const struct bench *bench, unsigned row, unsigned collector, enum metric metric)
{
    const struct sample *median = &bench->results[row][collector].median;
    if (median->why[0] || median->skipped) return -1;
    double value = -1;
    switch (metric) {
    case TIME: value = bench->by_cpu ? median->cpu_s : median->wall_s; break;
    case RSS: value = (double)median->peak_rss_kib; break;
    case HELD_MAX: value = median->held.max; break;
    case HELD_P999: value = median->held.p999; break;
    case PAUSE_MAX: value = median->pause.max; break;
    case CPU_MAX: value = median->cpu.max; break;
    }
    return value > 0 ? value : -1;
}

static double best(const struct bench *bench, unsigned row, enum metric metric, bool ours)
{
    double best = -1;
    for (unsigned i = 0; i < bench->collectors.count; i++) {
        const struct collector *collector = &bench->collectors.list[i];
        double value = result_value(bench, row, i, metric);
        if (collector->ours == ours && !collector->by_hand && value > 0 &&
            (best < 0 || value < best))
            best = value;
    }
    return best;
}

double best_peer(const struct bench *bench, unsigned row, enum metric metric)
{
    return best(bench, row, metric, false);
}

double best_ours(const struct bench *bench, unsigned row, enum metric metric)
{
    return best(bench, row, metric, true);
}

double geometric_mean(const struct bench *bench, unsigned collector, enum metric metric)
{
    double logarithms = 0;
    unsigned count = 0;
    for (unsigned row = 0; row < bench->row_count; row++) {
        double value = result_value(bench, row, collector, metric);
        double peer = best_peer(bench, row, metric);
        if (value < 0 || peer < 0) continue;
        logarithms += log(value / peer);
        count++;
    }
    return count ? exp(logarithms / count) : -1;
}
