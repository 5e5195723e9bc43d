/*
 * What is not here yet says so in one line, and the program ends: a call that did nothing would be found much later.
 * docs/libgc.md lists the same, and a test compares the two.
 */
#include "face/libgc/libgc.h"

#define MISSING(name)                                                                              \
    GC_API void name(void)                                                                         \
    {                                                                                              \
        libgc_stop(#name " is not supported by this library (docs/libgc.md); stopping");           \
    }

MISSING(GC_suspend_thread)
MISSING(GC_resume_thread)
MISSING(GC_is_thread_suspended)
