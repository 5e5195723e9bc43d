// The tables. One line per row, one column per collector: time and peak RSS as ratios to the best peer
// of that row, then the gaps in microseconds. malloc by hand stands beside them and is nobody's peer.
// Losses are listed in the same words as wins.
#include "report.h"

#include <stdio.h>
#include <string.h>

// "freehold-generational" in ten columns.
static const char *short_name(const struct collector *collector)
{
    if (!collector->ours) return collector->name;
    const char *policy = strchr(collector->name, '-');
    return policy ? policy + 1 : collector->name;
}

static void head_print(const struct bench *bench, const char *best)
{
    printf("%-13s %4s %5s %9s", "workload", "thr.", "heap", best);
    for (unsigned i = 0; i < bench->collectors.count; i++)
        printf(" %c%10.10s", bench->collectors.list[i].ours ? '*' : ' ',
               short_name(&bench->collectors.list[i]));
    putchar('\n');
}

static void row_head_print(const struct row *row)
{
    printf("%-13s %4u %5u", row->name, row->threads, row->heap_mib);
}

// What stands where there is no number; false: there is one.
static bool absence_print(const struct sample *median)
{
    const char *what = strstr(median->why, "memory") ? "memory" : "error";
    if (strstr(median->why, "no end")) what = "no end";
    if (median->skipped || median->cannot) what = "-";
    bool absent = median->why[0] || median->skipped;
    if (absent) printf(" %11s", what);
    return absent;
}

// --- ratios --------------------------------------------------------------------------------------

static void ratio_print(double value, double best)
{
    if (value < 0 || best < 0)
        printf("    -");
    else
        printf("%5.2f", value / best);
}

static void ratios_print(const struct bench *bench, unsigned row)
{
    double time = best_peer(bench, row, TIME), rss = best_peer(bench, row, RSS);
    row_head_print(&bench->rows[row]);
    if (time > 0)
        printf(" %8.3fs", time);
    else
        printf(" %9s", "-");
    for (unsigned i = 0; i < bench->collectors.count; i++) {
        if (absence_print(&bench->results[row][i].median)) continue;
        putchar(' ');
        ratio_print(result_value(bench, row, i, TIME), time);
        putchar('/');
        ratio_print(result_value(bench, row, i, RSS), rss);
    }
    putchar('\n');
}

static void mean_print(const struct bench *bench, enum metric metric, const char *title)
{
    printf("%-34s", title);
    for (unsigned i = 0; i < bench->collectors.count; i++) {
        double mean = geometric_mean(bench, i, metric);
        if (mean > 0)
            printf(" %11.3f", mean);
        else
            printf(" %11s", "-");
    }
    putchar('\n');
}

// --- gaps ----------------------------------------------------------------------------------------

static void us_print(double us)
{
    if (us < 9.95)
        printf("%5.1f", us);
    else if (us < 99999)
        printf("%5.0f", us);
    else
        printf("%4.0fm", us * 1e-3);
}

static void gaps_print(const struct bench *bench, unsigned row, enum metric first,
                       enum metric second)
{
    row_head_print(&bench->rows[row]);
    printf(" %9s", "");
    for (unsigned i = 0; i < bench->collectors.count; i++) {
        if (absence_print(&bench->results[row][i].median)) continue;
        putchar(' ');
        us_print(result_value(bench, row, i, first));
        putchar('/');
        us_print(result_value(bench, row, i, second));
    }
    putchar('\n');
}

static void gaps_table(const struct bench *bench, const char *title, enum metric first,
                       enum metric second)
{
    printf("\n%s\n", title);
    head_print(bench, "");
    for (unsigned row = 0; row < bench->row_count; row++) gaps_print(bench, row, first, second);
}

// --- where ours is ahead and where behind --------------------------------------------------------

// Against the best of our policies, which is a choice that a program makes.
static void standing_print(const struct bench *bench, enum metric metric, const char *title)
{
    unsigned ahead = 0, behind = 0, alone = 0;
    for (unsigned row = 0; row < bench->row_count; row++) {
        double mine = best_ours(bench, row, metric), peer = best_peer(bench, row, metric);
        ahead += mine > 0 && peer > 0 && mine <= peer;
        behind += peer > 0 && (mine < 0 || mine > peer);
        alone += mine > 0 && peer < 0;
    }
    printf("%s: the best policy of freehold ahead of every peer in %u rows, behind in %u, alone "
           "in %u\n",
           title, ahead, behind, alone);
    for (unsigned row = 0; row < bench->row_count; row++) {
        double mine = best_ours(bench, row, metric), peer = best_peer(bench, row, metric);
        if (peer < 0 || (mine > 0 && mine <= peer)) continue;
        printf("  behind: %-13s %4u %5u ", bench->rows[row].name, bench->rows[row].threads,
               bench->rows[row].heap_mib);
        if (mine > 0)
            printf(" %.2f\n", mine / peer);
        else
            printf(" no result\n");
    }
}

static void errors_print(const struct bench *bench)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        for (unsigned i = 0; i < bench->collectors.count; i++) {
            const struct sample *median = &bench->results[row][i].median;
            if (!median->why[0]) continue;
            printf("%s: %s at %u in %u MiB on %s: %s\n", median->cannot ? "cannot" : "error",
                   bench->rows[row].name, bench->rows[row].threads, bench->rows[row].heap_mib,
                   bench->collectors.list[i].name, median->why);
        }
}

void table_print(const struct bench *bench)
{
    printf("\nTime/peak RSS as ratios to the best peer of the row (any collector that is not "
           "freehold's).%s\n* marks a policy of freehold's; \"memory\": did not fit the heap; \"no "
           "end\": not within %u s of processor time.\n",
           bench->by_cpu ? " Time is cpu time." : "", bench->limit_s);
    head_print(bench, "best peer");
    for (unsigned row = 0; row < bench->row_count; row++) ratios_print(bench, row);
    mean_print(bench, TIME, "geometric mean of time");
    mean_print(bench, RSS, "geometric mean of peak RSS");
    gaps_table(bench, "Gaps in us, without waiting for a processor: p99.9/longest (held)",
               HELD_P999, HELD_MAX);
    gaps_table(bench, "Longest gap in us: by the wall/in the thread's processor time (pause/cpu)",
               PAUSE_MAX, CPU_MAX);
    putchar('\n');
    standing_print(bench, TIME, "time");
    standing_print(bench, HELD_MAX, "longest gap");
    standing_print(bench, RSS, "peak RSS");
    errors_print(bench);
}
