/* usage: where the bytes of the regions are. */
#ifndef HARD_USAGE_H
#define HARD_USAGE_H

#include <freehold/registry.h>

/* As of now; other threads go on. Walks threads and regions. */
void hard_usage(struct fh_usage *usage);

#endif
