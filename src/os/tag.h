/*
 * tag: memory tagging (MTE, aarch64). Each 16 bytes of memory have a tag of four bits, and so has a pointer in
 * its bits 56 to 59: where they differ, the access faults, before it is done. The contract is that of os.h.
 *
 * A thread looks at tags from os_tag_start on, and so do those that it makes afterwards. Memory has the tag 0 until
 * it is given another, and so have plain pointers. Machines without it answer false to os_tag_start; nothing
 * else may be called there.
 */
#ifndef OS_TAG_H
#define OS_TAG_H

#include "os/os.h"

#define OS_TAG_GRANULE 16
#define OS_TAG_SHIFT 56
#define OS_TAG_MASK 15u

/* Whether this machine has tags; then the calling thread's accesses are checked from now on, at once each. Again: nothing. */
bool os_tag_start(void);

/* Committed pages can be tagged from now on; what they hold stays. False: the kernel refuses. */
bool os_tag_memory(void *p, size_t size);

/* Gives memory, whole granules, this tag, from 0 to 15. */
void os_tag_set(void *p, size_t size, unsigned tag);

/* The tag of the granule at p. */
unsigned os_tag_get(const void *p);

/* Whether the accesses of this thread are checked: for who reads and writes what he has tagged himself, a moment. */
void os_tag_check(bool yes);

FH_INLINE unsigned os_tag_of(const void *p)
{
    return (uintptr_t)p >> OS_TAG_SHIFT & OS_TAG_MASK;
}

FH_INLINE void *os_tag_with(void *p, unsigned tag)
{
    return (void *)((uintptr_t)p | (uintptr_t)tag << OS_TAG_SHIFT);
}

#endif
