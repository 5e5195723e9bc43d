// Finding the real programs on this machine.
#ifndef BENCH_DRIVER_TOOL_H
#define BENCH_DRIVER_TOOL_H

#include <stdbool.h>

enum { TOOL_PATH = 1024 };

// The path of an installed program. Only real executables count: a shell script that stands in
// front of a program (as version managers install them) would have the shell measured as well.
bool tool_find(char path[TOOL_PATH], const char *name);

// The pass of a compiler that it starts by itself, such as cc1.
bool compiler_pass_find(char path[TOOL_PATH], const char *compiler, const char *pass);

#endif
