/* What Freehold's registry says of one address of another process, as fh_describe says it inside. */
#ifndef CLI_HEAP_DESCRIBE_H
#define CLI_HEAP_DESCRIBE_H

#include <freehold/registry.h>

#include "memory.h"

/* A sentence; false if the address is not of the arena, or cannot be read. `r` is one that registry_read
 * let pass. */
bool heap_describe(const struct fh_registry *r, const struct memory *memory, uint64_t address,
                   char *text, size_t capacity);

#endif
