/*
 * Who holds which sixteen bytes: a bit for each of the arena's granules, set by whoever gets a block
 * and cleared before it is freed. Two live blocks that overlap meet here at once, whichever threads
 * they belong to; a pattern would show it only later, and only to a thread that looks again.
 */
#ifndef MODEL_CLAIM_H
#define MODEL_CLAIM_H

#include <stddef.h>

/* After the first allocation: reads the arena's place from the registry. */
void claim_init(void);

/* EXPECTs that nobody holds a granule of it. */
void claim_take(const void *p, size_t size);
void claim_give(const void *p, size_t size);

#endif
