/* Blocks of the hardened heap for the tests of reuse: freed ones leave the thread's quarantine at once. */
#ifndef TESTS_REUSE_CORE_H
#define TESTS_REUSE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CORE_SMALL = 48, CORE_SLOT = 64, CORE_MEDIUM = 4000, CORE_LARGE = 1 << 20 };

/* `data`: in the bucket for what has no pointers. Any thread. */
void *core_allocate(size_t size, bool data);
void core_free(void *p);

/* As malloc does it, by way of the quarantine; and what ends that. */
void core_free_later(void *p);
void core_flush(void);

/* Whether the slot that holds an address was freed and not released. */
bool core_waits(const void *p);

#endif
