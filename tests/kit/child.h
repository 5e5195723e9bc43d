/*
 * A part of a test in a process of its own, for what ends a process: aborts, limits, start-up.
 */
#ifndef KIT_CHILD_H
#define KIT_CHILD_H

#include <stddef.h>

struct child_end {
    int signal;      /* that ended it, or 0 */
    int status;      /* of exit, or -1 */
    char said[4096]; /* on stderr, cut, ended by 0 */
};

/* Forks and runs body(argument) in the child, which exits with 0 if it returns. */
struct child_end child_run(void (*body)(void *), void *argument);

#endif
