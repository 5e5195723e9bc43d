// The table. One line per row, one column per allocator; a cell is time/memory as ratios to the
// best peer of that row, so that 1.00 is the best peer and ours can be below it. Losses are listed
// after it in the same words as wins.
#include "report.h"

#include <stdio.h>

static const double behind_from = 1.15; // "behind" in a row: more than this times the best peer

static void ratio_print(double value, double best)
{
    if (value < 0 || best < 0)
        printf("    -");
    else if (value / best < 100)
        printf(" %4.2f", value / best);
    else
        printf(" %4.0f", value / best);
}

// --- the rows ------------------------------------------------------------------------------------

static void head_print(const struct bench *bench)
{
    printf("\n%-13s %4s %9s %8s ", "workload", "thr.", "best time", "best RSS");
    for (unsigned i = 0; i < bench->allocators.count; i++)
        printf(" %10.10s", bench->allocators.list[i].name);
    putchar('\n');
}

static void cell_print(const struct bench *bench, unsigned row, unsigned allocator)
{
    if (bench->results[row][allocator].median.why[0]) {
        printf(" %10s", "error");
        return;
    }
    ratio_print(result_value(bench, row, allocator, TIME), best_peer(bench, row, TIME));
    putchar(bench->rows[row].wall_ranked ? '/' : '|');
    double rss = result_value(bench, row, allocator, RSS), best = best_peer(bench, row, RSS);
    if (best < 0 || rss < 0)
        printf("    -");
    else
        printf("%-5.2f", rss / best);
}

// A number in its column, or a dash where no peer finished.
static void number_print(int width, int digits, double number, const char *unit)
{
    if (number > 0)
        printf(" %*.*f%s", width, digits, number, unit);
    else
        printf(" %*s%s", width, "-", unit);
}

static void row_print(const struct bench *bench, unsigned row)
{
    printf("%-13s %4u", bench->rows[row].name, bench->rows[row].threads);
    number_print(8, 3, best_peer(bench, row, TIME), "s");
    number_print(6, 1, best_peer(bench, row, RSS) / 1024, "MB ");
    for (unsigned i = 0; i < bench->allocators.count; i++) cell_print(bench, row, i);
    putchar('\n');
}

// --- idle memory ---------------------------------------------------------------------------------

static void idle_row_print(const struct bench *bench, unsigned row)
{
    long live_kib = -1;
    for (unsigned i = 0; i < bench->allocators.count; i++)
        if (bench->results[row][i].median.live_kib > live_kib)
            live_kib = bench->results[row][i].median.live_kib;
    printf("%-13s %4u %8us", bench->rows[row].name, bench->rows[row].threads,
           bench->rows[row].idle_s);
    number_print(6, 1, (double)live_kib / 1024, "MB ");
    for (unsigned i = 0; i < bench->allocators.count; i++)
        number_print(10, 1, result_value(bench, row, i, END_RSS) / 1024, "");
    putchar('\n');
}

static void idle_print(const struct bench *bench)
{
    bool any = false;
    for (unsigned row = 0; row < bench->row_count; row++)
        if (bench->rows[row].idle_s) {
            if (!any)
                printf("\nresident memory in MB after sitting idle\n%-13s %4s %9s %8s\n",
                       "workload", "thr.", "idle for", "live");
            any = true;
            idle_row_print(bench, row);
        }
}

// --- means ---------------------------------------------------------------------------------------

static void mean_line(const struct bench *bench, enum metric metric, const char *title)
{
    printf("%-39s", title);
    for (unsigned i = 0; i < bench->allocators.count; i++)
        number_print(10, 3, geometric_mean(bench, i, metric, NULL), "");
    putchar('\n');
}

static void rows_line(const struct bench *bench, enum metric metric, const char *title)
{
    printf("%-39s", title);
    for (unsigned i = 0; i < bench->allocators.count; i++) {
        unsigned rows;
        geometric_mean(bench, i, metric, &rows);
        printf(" %10u", rows);
    }
    putchar('\n');
}

static void against_line(const struct bench *bench, enum metric metric, const char *title)
{
    printf("%-39s", title);
    for (unsigned i = 0; i < bench->allocators.count; i++)
        number_print(10, 3, geometric_ratio(bench, (unsigned)ours(bench), i, metric), "");
    putchar('\n');
}

static void means_print(const struct bench *bench)
{
    printf("\ngeometric means, over the rows that an allocator finished\n");
    mean_line(bench, TIME, "time, the row's best peer = 1");
    mean_line(bench, CPU, "cpu time, the row's best peer = 1");
    mean_line(bench, RSS, "peak RSS, the row's best peer = 1");
    rows_line(bench, TIME, "rows with a time that ranks");
    rows_line(bench, RSS, "rows with a peak RSS");
    if (ours(bench) < 0) return;
    against_line(bench, TIME, "freehold's time / this one's");
    against_line(bench, CPU, "freehold's cpu time / this one's");
    against_line(bench, RSS, "freehold's peak RSS / this one's");
}

// --- where ours is behind, and where ahead -------------------------------------------------------

static void behind_print(const struct bench *bench, enum metric metric, const char *title)
{
    int mine = ours(bench);
    unsigned behind = 0, ahead = 0, level = 0;
    for (unsigned row = 0; row < bench->row_count; row++) {
        double value = result_value(bench, row, (unsigned)mine, metric);
        double best = best_peer(bench, row, metric);
        if ((metric == TIME && !bench->rows[row].wall_ranked) || value < 0 || best < 0) continue;
        ahead += value < best;
        level += value >= best && value <= best * behind_from;
        if (value <= best * behind_from) continue;
        if (!behind++)
            printf("\nfreehold behind the row's best peer by more than %.2f in %s:\n", behind_from,
                   title);
        printf("  %-13s %4u  %.2f\n", bench->rows[row].name, bench->rows[row].threads,
               value / best);
    }
    printf(
        "\n%s: freehold ahead of every peer in %u rows, within %.2f of the best in %u, behind in "
        "%u\n",
        title, ahead, behind_from, level, behind);
}

static void errors_print(const struct bench *bench)
{
    for (unsigned row = 0; row < bench->row_count; row++)
        for (unsigned i = 0; i < bench->allocators.count; i++)
            if (bench->results[row][i].median.why[0])
                printf("error: %s at %u on %s: %s\n", bench->rows[row].name,
                       bench->rows[row].threads, bench->allocators.list[i].name,
                       bench->results[row][i].median.why);
}

void table_print(const struct bench *bench)
{
    printf(
        "\nEach cell: time/peak RSS as ratios to the best peer of the row (a peer is everybody but "
        "freehold).\nAfter a | the time is noted but not ranked.%s\n",
        bench->by_cpu ? " Time is cpu time." : "");
    head_print(bench);
    for (unsigned row = 0; row < bench->row_count; row++) row_print(bench, row);
    idle_print(bench);
    means_print(bench);
    if (ours(bench) >= 0) {
        behind_print(bench, TIME, "time");
        behind_print(bench, RSS, "peak RSS");
    }
    errors_print(bench);
}
