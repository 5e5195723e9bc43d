// What comes out of a run: the file for machines, and the table for people.
#ifndef BENCH_DRIVER_REPORT_H
#define BENCH_DRIVER_REPORT_H

#include "row.h"

// Writes one object per row and allocator. False when the file cannot be written.
bool json_write(const struct bench *bench, const char *path);

// Ratios to the best peer per row, idle memory, geometric means, and where ours is behind.
void table_print(const struct bench *bench);

// The numbers that issue by issue decide whether ours is good enough, each met or not met.
void goals_print(const struct bench *bench);

// --- what they are computed from -----------------------------------------------------------------

enum metric { TIME, CPU, RSS, END_RSS };

// The metric's value for one row and allocator; -1 where there is none. TIME is wall_s, or cpu_s
// when the run was asked to rank by that.
double result_value(const struct bench *bench, unsigned row, unsigned allocator,
                    enum metric metric);

// The smallest value among the peers (everybody but ours); -1 when no peer has one.
double best_peer(const struct bench *bench, unsigned row, enum metric metric);

// Geometric mean of value / best peer, over the rows in which this allocator has a result; `rows`
// (or NULL) receives their number. -1 when there is none.
double geometric_mean(const struct bench *bench, unsigned allocator, enum metric metric,
                      unsigned *rows);

// Geometric mean of one allocator's value / another's, over the rows that both finished; -1 if
// none.
double geometric_ratio(const struct bench *bench, unsigned allocator, unsigned other,
                       enum metric metric);

// The peer against which this allocator does worst, by geometric ratio: the best single peer; -1
// without peers.
int best_single_peer(const struct bench *bench, unsigned allocator, enum metric metric);

// The index of ours, or -1 when it was not measured.
int ours(const struct bench *bench);

#endif
