// The goals, each with the number it is judged by. A goal whose rows were not measured is not
// judged.
#include "report.h"

#include <stdio.h>
#include <string.h>

static void goal(const char *what, double value, double limit, const char *unit)
{
    printf("  %-8s %-66s %8.2f of at most %.2f %s\n", value <= limit ? "met" : "NOT MET", what,
           value, limit, unit);
}

static int row_named(const struct bench *bench, const char *name)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        if (!strcmp(bench->rows[row].name, name)) return (int)row;
    return -1;
}

static void goal_mean(const struct bench *bench, unsigned mine, enum metric metric,
                      const char *what, double limit)
{
    int peer = best_single_peer(bench, mine, metric);
    char line[128];
    if (peer < 0) return;
    snprintf(line, sizeof line, "%s, against the best single peer (%s)", what,
             bench->allocators.list[peer].name);
    goal(line, geometric_ratio(bench, mine, (unsigned)peer, metric), limit, "");
}

static void goal_worst_row(const struct bench *bench, unsigned mine)
{
    double worst = -1;
    char line[128];
    for (unsigned row = 0; row < bench->row_count; row++) {
        double value = result_value(bench, row, mine, TIME), best = best_peer(bench, row, TIME);
        if (!bench->rows[row].wall_ranked || value < 0 || best < 0 || value / best <= worst)
            continue;
        worst = value / best;
        snprintf(line, sizeof line, "time of the worst row (%s at %u), against its best peer",
                 bench->rows[row].name, bench->rows[row].threads);
    }
    if (worst > 0) goal(line, worst, 1.15, "");
}

static void goal_resident(const struct bench *bench, unsigned mine, const char *workload,
                          enum metric metric, const char *what, double limit_mib)
{
    int row = row_named(bench, workload);
    double kib = row < 0 ? -1 : result_value(bench, (unsigned)row, mine, metric);
    if (kib > 0 && limit_mib > 0) goal(what, kib / 1024, limit_mib, "MiB");
}

// glibc's peak for hello plus 200 KiB, in MiB; -1 without glibc.
static double hello_limit_mib(const struct bench *bench)
{
    int row = row_named(bench, "hello");
    for (unsigned i = 0; row >= 0 && i < bench->allocators.count; i++)
        if (bench->allocators.list[i].builtin && result_value(bench, (unsigned)row, i, RSS) > 0)
            return (result_value(bench, (unsigned)row, i, RSS) + 200) / 1024;
    return -1;
}

static double idle999_limit_mib(const struct bench *bench, unsigned mine)
{
    int row = row_named(bench, "idle999");
    long live_kib = row < 0 ? -1 : bench->results[row][mine].median.live_kib;
    return live_kib > 0 ? 1.3 * (double)live_kib / 1024 + 12 : -1;
}

void goals_print(const struct bench *bench)
{
    if (ours(bench) < 0 || bench->allocators.count < 2) return;
    unsigned mine = (unsigned)ours(bench);
    printf("\ngoals\n");
    goal_mean(bench, mine, TIME, "geometric mean of time", 0.95);
    goal_worst_row(bench, mine);
    goal_mean(bench, mine, RSS, "geometric mean of peak RSS", 1.0);
    goal_resident(bench, mine, "idle90", END_RSS, "120 MB made, 90 % freed, 3 s later: 0.85 of it",
                  0.85 * 120e6 / (1 << 20));
    goal_resident(bench, mine, "idle999", END_RSS,
                  "480 MB made, 99.9 % freed, 5 s later: 1.3 of live + 12 MiB",
                  idle999_limit_mib(bench, mine));
    goal_resident(bench, mine, "threads200", END_RSS, "200 threads with 8 blocks each", 8);
    goal_resident(bench, mine, "hello", RSS, "peak of hello: glibc's + 200 KiB",
                  hello_limit_mib(bench));
}
