/* Tests of the hardened heap that run in a process of their own. */
#ifndef CHILD_TESTS_H
#define CHILD_TESTS_H

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kit/child.h"
#include "kit/unit.h"

/* Must be stopped with these words. */
static inline void stops(void (*body)(void *), void *argument, const char *words)
{
    struct child_end end = child_run(body, argument);
    if (end.signal != SIGABRT || !strstr(end.said, words)) fail_msg("%d: %s", end.signal, end.said);
}

static inline void goes_on(void (*body)(void *), void *argument)
{
    struct child_end end = child_run(body, argument);
    if (end.signal || end.status) fail_msg("signal %d, %d: %s", end.signal, end.status, end.said);
}

#define EXPECT_OR_EXIT(condition)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(2, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                             \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#endif
