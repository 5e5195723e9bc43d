// The driver: every row on every allocator, in turns, each in a process of its own.
//
//   build/bench/driver [--quick] [--only REGEX] [--reps N] [--allocators a,b] [--json FILE]
//
// Writes build/bench/malloc.json and prints the table. A shared machine drifts by tens of percent
// within minutes, so the allocators take turns within a row and only ratios within one run mean
// anything. QUICK=1 in the environment is --quick; PEERS="name=path.so ..." adds allocators.
#include "report.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#ifndef BENCH_SOURCES
#error "define BENCH_SOURCES as the path of bench/malloc"
#endif

struct options {
    bool quick, list;
    const char *only, *allocators, *json;
    bool list_allocators;
    struct passes passes;
};

static const double quick_scale = 0.2;
static const struct passes quick_passes = {1, 3, 1.6}, full_passes = {3, 5, 8};

static struct bench bench;

// --- options -------------------------------------------------------------------------------------

_Noreturn static void usage(int status)
{
    fputs("usage: driver [options]\n"
          "  --quick            a fifth of the work, fewer passes: under four minutes (also "
          "QUICK=1)\n"
          "  --only REGEX       rows whose name/threads match, for example '^tree/8$'\n"
          "  --reps N           passes over the allocators per row; medians are reported\n"
          "  --by-cpu           rank by cpu time instead of wall time, for a machine that is busy\n"
          "  --allocators A,B   only these; PEERS='name=path.so ...' adds others\n"
          "  --json FILE        instead of malloc.json beside the driver\n"
          "  --list             the rows, without running them\n"
          "  --list-allocators  names and paths\n",
          status ? stderr : stdout);
    exit(status);
}

static struct options options_parse(int count, char **arguments)
{
    static const struct option known[] = {
        {"quick", no_argument, NULL, 'q'},      {"only", required_argument, NULL, 'o'},
        {"reps", required_argument, NULL, 'r'}, {"allocators", required_argument, NULL, 'a'},
        {"json", required_argument, NULL, 'j'}, {"list", no_argument, NULL, 'l'},
        {"by-cpu", no_argument, NULL, 'c'},     {"list-allocators", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},       {0},
    };
    struct options options = {.quick = quick_wanted()};
    for (int key; (key = getopt_long(count, arguments, "", known, NULL)) != -1;) switch (key) {
        case 'q': options.quick = true; break;
        case 'o': options.only = optarg; break;
        case 'r': options.passes = reps_parse(optarg); break;
        case 'a': options.allocators = optarg; break;
        case 'j': options.json = optarg; break;
        case 'c': bench.by_cpu = true; break;
        case 'l': options.list = true; break;
        case 'L': options.list_allocators = true; break;
        default: usage(key == 'h' ? 0 : 2);
        }
    if (optind < count) usage(2);
    if (!options.passes.least) options.passes = options.quick ? quick_passes : full_passes;
    return options;
}

// --- preparing -----------------------------------------------------------------------------------

// The folder that this program lies in; the others that it runs lie beside it.
static void folders_prepare(bool quick)
{
    folder_find(bench.folder, sizeof bench.folder - 32);
    snprintf(bench.scripts, sizeof bench.scripts, "%s/programs", BENCH_SOURCES);
    int whole = snprintf(bench.scratch, sizeof bench.scratch, "%s/inputs", bench.folder);
    mkdir(bench.scratch, 0755);
    snprintf(bench.scratch + whole, sizeof bench.scratch - (size_t)whole,
             quick ? "/quick" : "/full");
    if (mkdir(bench.scratch, 0755) && errno != EEXIST) {
        perror(bench.scratch);
        exit(2);
    }
}

static void rows_keep(const char *only)
{
    regex_t pattern = only_parse(only);
    unsigned kept = 0;
    for (unsigned row = 0; row < bench.row_count; row++) {
        char name[64];
        snprintf(name, sizeof name, "%s/%u", bench.rows[row].name, bench.rows[row].threads);
        if (!regexec(&pattern, name, 0, NULL, 0)) bench.rows[kept++] = bench.rows[row];
    }
    bench.row_count = kept;
    regfree(&pattern);
}

static void rows_list(void)
{
    for (unsigned row = 0; row < bench.row_count; row++)
        printf("%s/%u\n", bench.rows[row].name, bench.rows[row].threads);
}

static bool bench_prepare(const struct options *options)
{
    char library[600];
    const char *peers = getenv("PEERS");
    bench.scale = options->quick ? quick_scale : 1;
    folders_prepare(options->quick);
    bench_add_workloads(&bench);
    bench_add_programs(&bench);
    if (options->only) rows_keep(options->only);
    if (!bench.row_count) fprintf(stderr, "bench: no row matches\n");
    snprintf(library, sizeof library, "%s/../lib/libfreehold.so.1", bench.folder);
    return bench.row_count &&
           allocators_find(&bench.allocators, library, peers ? peers : "", options->allocators);
}

// --- running -------------------------------------------------------------------------------------

static void allocators_list(void)
{
    for (unsigned i = 0; i < bench.allocators.count; i++)
        printf("  %-10s %s\n", bench.allocators.list[i].name, bench.allocators.list[i].path);
}

int main(int count, char **arguments)
{
    struct options options = options_parse(count, arguments);
    char json[600];
    time_t from = time(NULL);
    if (!bench_prepare(&options)) return 2;
    if (options.list) rows_list();
    if (options.list_allocators) allocators_list();
    if (options.list || options.list_allocators) return 0;
    for (unsigned row = 0; row < bench.row_count; row++) row_run(&bench, row, options.passes);
    snprintf(json, sizeof json, "%s/malloc.json", bench.folder);
    if (!json_write(&bench, options.json ? options.json : json)) {
        perror(options.json ? options.json : json);
        return 1;
    }
    machine_print(options.quick, bench.scale, options.passes, difftime(time(NULL), from));
    allocators_list();
    table_print(&bench);
    goals_print(&bench);
    return 0;
}
