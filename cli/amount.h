/*
 * Sizes and counts as a person writes them: 64M, 1.5GiB, 4096; 10k, 2.5M.
 *
 * Of sizes every unit is a power of 1024, whether it is written K, KB or KiB: nobody who limits a
 * program's memory to 64MB wants to be told of the difference. Of counts it is a power of 1000.
 */
#ifndef CLI_AMOUNT_H
#define CLI_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

/* All of the text must be one amount that fits into 64 bits. */
bool amount_bytes(const char *text, uint64_t *bytes);
bool amount_count(const char *text, uint64_t *count);

/* 60s, 500ms, 2m, 1.5h; a number alone is of seconds. In milliseconds, at least 1. */
bool amount_ms(const char *text, uint64_t *ms);

/* The same, after a line that says what is wrong with the value of this option. */
bool amount_bytes_of(const char *option, const char *text, uint64_t *bytes);
bool amount_count_of(const char *option, const char *text, uint64_t *count);
bool amount_ms_of(const char *option, const char *text, uint64_t *ms);

#endif
