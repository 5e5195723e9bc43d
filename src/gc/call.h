/*
 * call: what the functions that programs call have in common, and what they say of a program that
 * calls them where it must not.
 */
#ifndef GC_CALL_H
#define GC_CALL_H

#include "base/base.h"

#define GC_PUBLIC __attribute__((visibility("default")))

/* Ends the program if the caller may not allocate, collect or walk where it is. */
void call_check(void);

/* Says what a program has done that it must not, and ends it. */
_Noreturn FH_COLD void program_misused(const char *what);

#endif
