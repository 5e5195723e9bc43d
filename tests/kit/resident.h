/* What the kernel counts as ours of a range, asked of the kernel: nothing else is the truth. */
#ifndef KIT_RESIDENT_H
#define KIT_RESIDENT_H

#include <stddef.h>

/* Resident bytes of [p, p + size), whole pages. */
size_t resident_bytes(const void *p, size_t size);

/* Of the whole arena: descriptors, heaps, and memory that was handed out. */
size_t resident_arena(void);

#endif
