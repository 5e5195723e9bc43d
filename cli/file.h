/*
 * Small files read whole: those under /proc and /sys, whose size stat does not tell and which
 * another process may shape. Every read has a limit.
 */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_text {
    char *data; /* `size` bytes and a terminating 0 that is not counted; free() it */
    size_t size;
};

/* At most `limit` bytes, the rest is left. False, with errno, if the file cannot be read. */
bool file_read(struct file_text *text, const char *path, size_t limit);

/* The first number in a file; false if there is none. */
bool file_number(const char *path, int64_t *number);

/* Decimal digits at *at, not past `end`: moves *at behind them. False on no digit or overflow. */
bool parse_dec(const char **at, const char *end, uint64_t *number);
bool parse_hex(const char **at, const char *end, uint64_t *number);

#endif
