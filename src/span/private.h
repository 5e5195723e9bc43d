/* What the files of span/ share among themselves. */
#ifndef SPAN_PRIVATE_H
#define SPAN_PRIVATE_H

#include "span/span.h"

/* Makes slices below `end` usable. Holds: arena.lock. */
bool arena_commit(uint32_t end);

#endif
