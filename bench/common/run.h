// What the drivers' command lines and reports have in common.
#ifndef BENCH_COMMON_RUN_H
#define BENCH_COMMON_RUN_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

// How often a row is measured: at least `least` times over all that compete, then again until `most` or
// until the row has taken `enough_s`: short rows waver most and are cheap to repeat.
struct passes {
    unsigned least, most;
    double enough_s;
};

// QUICK in the environment, unless it is empty or 0.
bool quick_wanted(void);

// What --reps and --only say; an unusable text ends the driver with status 2.
struct passes reps_parse(const char *text);
regex_t only_parse(const char *text);

// The folder that the driver itself lies in, or the driver ends: what it runs lies around it.
void folder_find(char *folder, size_t room);

// When and where it ran, how, and for how long.
void machine_print(bool quick, double scale, struct passes passes, double seconds);

#endif
