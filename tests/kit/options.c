/*
 * The link-time options of the test programs.
 *
 * ThreadSanitizer knows addresses by where they lie, and an arena of 16 TiB lies in its shadow; and
 * it cannot follow the purger's helper, which is no thread of libc's: there a thread of the test does
 * the purger's work (see model/stress_test.c).
 */
#include <freehold/freehold.h>

#include "kit/options.h"

#if KIT_THREAD_SANITIZER
const char *const freehold_options = "reserve=64G,purge=0";
#else
const char *const freehold_options = "reserve=1T";
#endif
