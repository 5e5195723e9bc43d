/* The type that a symbol is the virtual table of, as it is written in C++. */
#ifndef CLI_DEMANGLE_H
#define CLI_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>

enum { SYMBOL_MAX = 2048 }; /* a longer one is cut, and stays as it is */

/* Any symbol; one that is no C++ name stays as it is. What does not fit ends in "...". */
void demangle_type(const char *symbol, char *to, size_t capacity);

#endif
