// The driver: every row on every collector, in turns, each in a process of its own.
//
//   build/bench/gc-driver [--quick] [--only REGEX] [--reps N] [--collectors a,b] [--json FILE]
//
// Writes build/bench/gc.json and prints the tables. A shared machine drifts by tens of percent within
// minutes, so the collectors take turns within a row and only ratios within one run mean anything.
#include "report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct options {
    bool quick, list;
    const char *only, *collectors, *json;
    struct passes passes;
};

static const double quick_scale = 0.2;
enum { QUICK_LIMIT_S = 15, FULL_LIMIT_S = 100 };
static const struct passes quick_passes = {1, 1, 0}, full_passes = {3, 5, 20};

static struct bench bench;

// --- options -------------------------------------------------------------------------------------

_Noreturn static void usage(int status)
{
    fputs("usage: gc-driver [options]\n"
          "  --quick            a fifth of the work, one pass, heaps of twice the live size only: "
          "under\n"
          "                     four minutes (also QUICK=1)\n"
          "  --only REGEX       rows whose name/threads/heap match, for example "
          "'^steady-1g/2/2048$'\n"
          "  --reps N           passes over the collectors per row; medians are reported\n"
          "  --scale X          of the work\n"
          "  --by-cpu           rank by cpu time instead of wall time, for a machine that is busy\n"
          "  --collectors A,B   only these\n"
          "  --json FILE        instead of gc.json beside the driver\n"
          "  --list             the rows, without running them\n",
          status ? stderr : stdout);
    exit(status);
}

static struct options options_parse(int count, char **arguments)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},       {"only", required_argument, NULL, 'o'},
        {"reps", required_argument, NULL, 'r'},  {"collectors", required_argument, NULL, 'a'},
        {"json", required_argument, NULL, 'j'},  {"list", no_argument, NULL, 'l'},
        {"scale", required_argument, NULL, 's'}, {"by-cpu", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},        {0},
    };
    struct options options = {.quick = quick_wanted()};
    for (int key; (key = getopt_long(count, arguments, "", known, NULL)) != -1;) switch (key) {
        case 'q': options.quick = true; break;
        case 'o': options.only = optarg; break;
        case 'r': options.passes = reps_parse(optarg); break;
        case 'a': options.collectors = optarg; break;
        case 'j': options.json = optarg; break;
        case 's': bench.scale = atof(optarg); break;
        case 'c': bench.by_cpu = true; break;
        case 'l': options.list = true; break;
        default: usage(key == 'h' ? 0 : 2);
        }
    if (optind < count) usage(2);
    if (!options.passes.least) options.passes = options.quick ? quick_passes : full_passes;
    bench.limit_s = options.quick ? QUICK_LIMIT_S : FULL_LIMIT_S;
    if (bench.scale <= 0) bench.scale = options.quick ? quick_scale : 1;
    return options;
}

// --- preparing -----------------------------------------------------------------------------------

static void row_name(char *name, size_t room, const struct row *row)
{
    snprintf(name, room, "%s/%u/%u", row->name, row->threads, row->heap_mib);
}

static void rows_keep(const char *only)
{
    regex_t pattern = only_parse(only);
    char name[64];
    unsigned kept = 0;
    for (unsigned row = 0; row < bench.row_count; row++) {
        row_name(name, sizeof name, &bench.rows[row]);
        if (!regexec(&pattern, name, 0, NULL, 0)) bench.rows[kept++] = bench.rows[row];
    }
    bench.row_count = kept;
    regfree(&pattern);
}

static void rows_list(void)
{
    char name[64];
    for (unsigned row = 0; row < bench.row_count; row++) {
        row_name(name, sizeof name, &bench.rows[row]);
        puts(name);
    }
}

// --- running -------------------------------------------------------------------------------------

int main(int count, char **arguments)
{
    struct options options = options_parse(count, arguments);
    char json[600];
    time_t from = time(NULL);
    folder_find(bench.folder, sizeof bench.folder);
    bench_add_workloads(&bench, options.quick);
    if (options.only) rows_keep(options.only);
    if (options.list) {
        rows_list();
        return 0;
    }
    if (!bench.row_count) fprintf(stderr, "bench: no row matches\n");
    if (!bench.row_count || !collectors_find(&bench.collectors, bench.folder, options.collectors))
        return 2;
    for (unsigned row = 0; row < bench.row_count; row++) row_run(&bench, row, options.passes);
    snprintf(json, sizeof json, "%s/gc.json", bench.folder);
    if (!json_write(&bench, options.json ? options.json : json)) {
        perror(options.json ? options.json : json);
        return 1;
    }
    machine_print(options.quick, bench.scale, options.passes, difftime(time(NULL), from));
    table_print(&bench);
    goals_print(&bench);
    return 0;
}
