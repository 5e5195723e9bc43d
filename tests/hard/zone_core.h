/* What the hardened heap knows of an address, for tests that use its public headers. */
#ifndef TESTS_ZONE_CORE_H
#define TESTS_ZONE_CORE_H

#include <stdbool.h>
#include <stdint.h>

/* Of the slot that holds p: number of its region; its bucket; the zone, or NULL; the end of its slab's last page, a guard. */
unsigned core_region(const void *p);
unsigned core_bucket(const void *p);
void *core_zone(const void *p);
char *core_guard(const void *p);

/* The addresses that its region has around p. */
void core_chunk(const void *p, uintptr_t *from, uintptr_t *to);

/* Bytes of slots that the program holds. */
uint64_t core_live_bytes(void);

#endif
