/*
 * say: a line for people, on standard error, from anywhere: without allocation, libc or a lock.
 */
#ifndef OS_SAY_H
#define OS_SAY_H

#include "base/base.h"

/* "who: what". One write, so that lines of several threads stay whole; what is too long is cut. */
FH_COLD void os_say(const char *who, const char *what);

#endif
