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

// --- what they are computed from ------------------------------------------------------------------------

enum metric { WALL, RSS, END_RSS, METRICS };

// The metric's value for one row and allocator; -1 where there is none.
double result_value(const struct bench *bench, unsigned row, unsigned allocator,
                    enum metric metric);

// The smallest value among the peers (everybody but ours); -1 when no peer has one.
double best_peer(const struct bench *bench, unsigned row, enum metric metric);

// Geometric mean over the rows of value / best peer, over those rows in which every allocator has a
// result; `rows` (or NULL) receives their number. -1 when there is no such row.
double geometric_mean(const struct bench *bench, unsigned allocator, enum metric metric,
                      unsigned *rows);

// The peer with the lowest geometric mean; -1 without peers.
int best_single_peer(const struct bench *bench, enum metric metric);

// The index of ours, or -1 when it was not measured.
int ours(const struct bench *bench);

#endif
