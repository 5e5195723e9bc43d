// The members of a row's JSON object, each written behind a comma; the caller writes the first one and
// the braces.
#ifndef BENCH_COMMON_JSON_H
#define BENCH_COMMON_JSON_H

#include <stdio.h>

void json_number(FILE *file, const char *key, double value);

// Left out when it is negative, which means that there is none.
void json_count(FILE *file, const char *key, long value);

// A sentence of ours or a path; a quote or backslash in it becomes a blank.
void json_text(FILE *file, const char *key, const char *value);

#endif
