/* registry: what tools in other processes are told of the hardened heap; see freehold/registry.h. */
#ifndef HARD_REGISTRY_H
#define HARD_REGISTRY_H

#include "hard/hard.h"

struct sample_block;

/* Once, when the space and the samples stand. */
void hard_registry_start(void);

/* Where the records of sampled blocks lie, one a slot; those of slots never used are zero. */
void hard_registry_samples(const struct sample_block *blocks, uint32_t count);

/* So many regions of the table may be looked at: those of zones as well. */
void hard_registry_regions(uint32_t count);

/* Another thread got a record. */
void hard_registry_thread(uint32_t threads);

#endif
