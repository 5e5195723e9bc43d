/*
 * Names for addresses of code: the function by the symbols of the file, file and line by its debug information.
 *
 * Debug information is read by elfutils' libdw, loaded when the first address is asked for, as the C++ runtime is for
 * names (demangle.c): where it is not, there are functions without lines. Files without it are looked for by their
 * build id in /usr/lib/debug.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct source_place {
    char function[256]; /* "": not known */
    uint64_t offset;    /* from where it begins */
    char file[512];     /* "": not known */
    int line;
};

/* `path`: of a module; `address` as in that file. */
void source_find(const char *path, uint64_t address, struct source_place *place);

/* Of all files that were looked at. */
void source_finish(void);

#endif
