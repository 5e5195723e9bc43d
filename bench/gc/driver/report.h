// What comes out of a run: the file for machines, the table and the goals for people.
#ifndef BENCH_GC_REPORT_H
#define BENCH_GC_REPORT_H

#include "row.h"

// Writes one object per row and collector. False when the file cannot be written.
bool json_write(const struct bench *bench, const char *path);

// Throughput, memory and gaps, as ratios to the best peer of the row.
void table_print(const struct bench *bench);

// The numbers of the Reach, each met or NOT MET.
void goals_print(const struct bench *bench);

// --- what they are computed from -----------------------------------------------------------------

enum metric { TIME, RSS, HELD_MAX, HELD_P999, PAUSE_MAX, CPU_MAX };

// The metric's value for one row and collector; -1 where there is none. TIME is wall_s, or cpu_s when
// the run was asked to rank by that.
double result_value(const struct bench *bench, unsigned row, unsigned collector,
                    enum metric metric);

// The smallest value among the peers (the collectors that are not ours), and among ours; -1 for none.
double best_peer(const struct bench *bench, unsigned row, enum metric metric);
double best_ours(const struct bench *bench, unsigned row, enum metric metric);

// Geometric mean of value / best peer over the rows where both are; -1 for none.
double geometric_mean(const struct bench *bench, unsigned collector, enum metric metric);

#endif
