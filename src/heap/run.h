/* Blocks of 8 to 64 KiB; see run.c. Any thread, at any time. */
#ifndef HEAP_RUN_H
#define HEAP_RUN_H

#include "span/span.h"

#define RUN_MAX SLICE_SIZE

/* alignment: a power of two up to 64 KiB. NULL when memory is out. */
void *run_allocate(size_t size, size_t alignment, bool *zeroed);

/* False if p starts no live block of the slice. */
bool run_free_block(struct span *span, void *p);

/* 0 if p starts no live block. */
size_t run_usable_size(struct span *span, const void *p);

/* In place, to 1 ... RUN_MAX bytes; false if there is no room. */
bool run_resize(struct span *span, void *p, size_t size);

/* The block, or the free stretch, that holds p. */
void run_describe(struct span *span, const void *p, const char **start, size_t *size, bool *live);

/* Gives free pages back; *more if something may go at the next visit. */
size_t run_sweep(struct span *span, bool force, bool *more);

/* The same at once, giving up on the shard's lock after wait_ms; false if it did. Only pages go: the slice
 * stays, as the arena's lock would be needed. */
bool run_sweep_hurried(struct span *span, unsigned wait_ms);

void run_fork_prepare(void);
void run_fork_parent(void);
void run_fork_child(void);

#endif
