// What the real programs work on, generated once per scale below build/bench/inputs: nothing is
// fetched and nothing large lies in the repository.
#ifndef BENCH_DRIVER_INPUTS_H
#define BENCH_DRIVER_INPUTS_H

#include <stdbool.h>

// A C file of many functions, `large.c` in the folder.
bool input_c_file(const char *folder, double scale);

// A git repository of some hundred commits to source-like files, `repository.git` in the folder.
bool input_repository(const char *folder, double scale);

#endif
