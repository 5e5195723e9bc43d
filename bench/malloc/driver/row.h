// Rows: what is measured, and what came out of it for each allocator.
#ifndef BENCH_DRIVER_ROW_H
#define BENCH_DRIVER_ROW_H

#include "allocator.h"
#include "common/median.h"
#include "common/run.h"

#include <stdint.h>

enum { SAMPLE_WHY = 200 };

// One run of one program on one allocator.
struct sample {
    double wall_s; // of the whole process, standing still taken out
    double cpu_s;
    long peak_rss_kib;
    long end_rss_kib;     // after the idle time; -1 where there is none
    long live_kib;        // what the workload then still held; -1 where it does not say
    uint64_t product;     // a hash of what the program produced; 0 where it is not compared
    char why[SAMPLE_WHY]; // why there is no result; empty when there is one
};

struct bench;
struct row;
typedef void row_measure(const struct bench *bench, const struct row *row,
                         const struct allocator *allocator, struct sample *sample);

struct row {
    const char *name;
    unsigned threads;
    unsigned idle_s;
    bool wall_ranked;    // false: the time is noted but enters no comparison
    const void *subject; // what `measure` knows the row by
    row_measure *measure;
};

// The medians of the repetitions; with an even number of them the lower middle one.
struct result {
    struct sample median;
    double wall_spread; // (slowest - fastest) / median
    unsigned reps;
};

enum { ROWS_MAX = 128 };

// Everything that a run knows.
struct bench {
    bool by_cpu;       // rank by cpu_s: for a loop on a machine that others keep busy
    double scale;      // 1 is the full run
    char folder[512];  // of the driver, the workload program and hello: build/bench
    char scratch[512]; // below it: generated inputs of this scale
    char scripts[512]; // bench/malloc/programs
    struct allocators allocators;
    struct row rows[ROWS_MAX];
    unsigned row_count;
    struct result results[ROWS_MAX][ALLOCATORS_MAX];
};

// The rows of workloads.def, and those of the real programs that are installed.
void bench_add_workloads(struct bench *bench);
void bench_add_programs(struct bench *bench);
void bench_add(struct bench *bench, struct row row);

// Runs one row on every allocator in turn, pass after pass, and keeps the medians.
void row_run(struct bench *bench, unsigned row, struct passes passes);

#endif
