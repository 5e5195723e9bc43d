// Rows: what is measured, and what came out of it for each collector.
#ifndef BENCH_GC_ROW_H
#define BENCH_GC_ROW_H

#include "collector.h"
#include "common/median.h"
#include "common/run.h"

#include <stdint.h>

enum { SAMPLE_WHY = 160 };

// Times between two ticks of a mutator, in microseconds.
struct gaps {
    double p50, p99, p999, max;
};

// One run of one program.
struct sample {
    double wall_s, cpu_s, setup_s; // the measured part, and what prepared it
    long peak_rss_kib, end_rss_kib;
    long collections;
    struct gaps pause, held, cpu; // on the wall; without waiting for a processor; processor time
    uint64_t product;             // of the workload; 0: not compared
    char why[SAMPLE_WHY];         // why there is no result; empty when there is one
    bool cannot;                  // because the collector has no such thing
    bool skipped;                 // because the row is the same for it as another one
};

// The medians of the repetitions.
struct result {
    struct sample median;
    double wall_spread; // (slowest - fastest) / median
    unsigned reps;
};

struct row {
    const char *name;
    unsigned threads;
    unsigned heap_mib;
    double multiple; // of what is live at most
};

enum { ROWS_MAX = 96 };

// Everything that a run knows.
struct bench {
    bool by_cpu; // rank by cpu_s: for a machine that others keep busy
    double scale;
    unsigned limit_s; // of processor time: a collector may not get on at all in a tight heap
    char folder[512]; // of the driver: build/bench
    struct collectors collectors;
    struct row rows[ROWS_MAX];
    unsigned row_count;
    struct result results[ROWS_MAX][COLLECTORS_MAX];
};

// The rows of workloads.def: quick ones at twice the live size; or all, at 1.5, 2 and 3 times.
void bench_add_workloads(struct bench *bench, bool quick);

// Runs one row on every collector in turn, pass after pass, and keeps the medians.
void row_run(struct bench *bench, unsigned row, struct passes passes);

#endif
