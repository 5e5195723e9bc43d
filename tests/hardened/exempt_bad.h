/* exempt_bad.c, in a library and in the program. */
#ifndef TESTS_HARDENED_EXEMPT_BAD_H
#define TESTS_HARDENED_EXEMPT_BAD_H

void bad_in_library(const char *how);
void bad_in_program(const char *how);

#endif
