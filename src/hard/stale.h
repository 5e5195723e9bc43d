/*
 * stale: words of stacks that point into freed blocks. The caller's own stack is read as it stands; those of
 * other threads only while they sleep in the kernel, from where they left their program on, and by the
 * kernel, so that a thread that ends meanwhile takes nothing away from under the search.
 */
#ifndef HARD_STALE_H
#define HARD_STALE_H

#include <freehold/zone.h>

#include "base/base.h"

/* Returns how many there are; -ENOSYS: without /proc nothing can be said. One thread at a time: others wait. */
long stale_search(bool all, void (*visit)(const struct fh_stale_word *word, void *context),
                  void *context);

void stale_fork_child(void);

#endif
