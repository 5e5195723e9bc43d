// The goals, each with the number it is judged by, for each policy of freehold's that it asks. A goal
// whose rows were not measured is not judged.
#include "report.h"

#include <stdio.h>
#include <string.h>

static void goal(const char *what, double value, double limit, const char *unit)
{
    printf("  %-8s %-78s %8.2f of at most %.2f %s\n", value <= limit ? "met" : "NOT MET", what,
           value, limit, unit);
}

static int row_find(const struct bench *bench, const char *name, unsigned threads, double multiple)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        if (!strcmp(bench->rows[row].name, name) && bench->rows[row].threads == threads &&
            bench->rows[row].multiple == multiple)
            return (int)row;
    return -1;
}

static int collector_find(const struct bench *bench, const char *name)
{
    for (unsigned i = 0; i < bench->collectors.count; i++)
        if (!strcmp(bench->collectors.list[i].name, name)) return (int)i;
    return -1;
}

// --- short pauses: 1 GB, two threads, twice the live size ----------------------------------------

static void goal_gap(const struct bench *bench, unsigned row, const char *policy)
{
    int at = collector_find(bench, policy);
    char line[128];
    if (at < 0 || result_value(bench, row, (unsigned)at, TIME) < 0) return;
    snprintf(line, sizeof line, "%s: longest gap held, 1 GB live, 2 threads, 2x", policy);
    goal(line, result_value(bench, row, (unsigned)at, HELD_MAX) * 1e-3, 1, "ms");
    snprintf(line, sizeof line, "%s: p99.9 held", policy);
    goal(line, result_value(bench, row, (unsigned)at, HELD_P999), 200, "us");
    snprintf(line, sizeof line, "%s: longest gap in processor time, which misses waiting", policy);
    goal(line, result_value(bench, row, (unsigned)at, CPU_MAX) * 1e-3, 1, "ms");
    printf("           longest by the wall %.2f ms\n",
           result_value(bench, row, (unsigned)at, PAUSE_MAX) * 1e-3);
}

static void goal_against(const struct bench *bench, unsigned row, const char *policy,
                         const char *peer)
{
    int mine = collector_find(bench, policy), other = collector_find(bench, peer);
    char line[128];
    if (mine < 0 || other < 0) return;
    double time = result_value(bench, row, (unsigned)mine, TIME);
    double against = result_value(bench, row, (unsigned)other, TIME);
    if (time < 0 || against < 0) return;
    snprintf(line, sizeof line, "%s: time of that row, against %s", policy, peer);
    goal(line, time / against, 1, "");
}

static void control_print(const struct bench *bench, unsigned row)
{
    int at = collector_find(bench, "malloc");
    if (at < 0 || result_value(bench, row, (unsigned)at, TIME) < 0) return;
    printf("           the machine's own noise, malloc by hand: longest by the wall %.2f ms, held "
           "%.2f ms\n",
           result_value(bench, row, (unsigned)at, PAUSE_MAX) * 1e-3,
           result_value(bench, row, (unsigned)at, HELD_MAX) * 1e-3);
}

// --- throughput and memory -----------------------------------------------------------------------

static void goal_throughput(const struct bench *bench, const char *name)
{
    for (unsigned row = 0; row < bench->row_count; row++) {
        double mine = best_ours(bench, row, TIME), peer = best_peer(bench, row, TIME);
        char line[128];
        if (strncmp(bench->rows[row].name, name, strlen(name)) != 0 || mine < 0 || peer < 0)
            continue;
        snprintf(line, sizeof line, "time of %s at %u in %u MiB, best policy against best peer",
                 bench->rows[row].name, bench->rows[row].threads, bench->rows[row].heap_mib);
        goal(line, mine / peer, 0.7, "");
    }
}

static void goal_memory(const struct bench *bench)
{
    for (unsigned i = 0; i < bench->collectors.count; i++) {
        char line[128];
        if (!bench->collectors.list[i].ours || geometric_mean(bench, i, RSS) < 0) continue;
        snprintf(line, sizeof line, "%s: geometric mean of peak RSS, against the row's best peer",
                 bench->collectors.list[i].name);
        goal(line, geometric_mean(bench, i, RSS), 1, "");
    }
}

void goals_print(const struct bench *bench)
{
    int row = row_find(bench, "steady-1g", 2, 2);
    puts("\ngoals");
    if (row >= 0) {
        goal_gap(bench, (unsigned)row, "freehold-concurrent");
        control_print(bench, (unsigned)row);
        goal_against(bench, (unsigned)row, "freehold-concurrent", "boehm");
        goal_against(bench, (unsigned)row, "freehold-concurrent", "boehm-new");
    }
    goal_throughput(bench, "gcbench");
    goal_throughput(bench, "quads");
    goal_memory(bench);
}
