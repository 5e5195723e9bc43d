/*
 * Numbers as a person reads them, and what the terminal can show.
 *
 * Each human_* writes into the buffer that it is given and returns it, so that several fit into
 * one printf:  printf("%s of %s", HUMAN(bytes, used), HUMAN(bytes, all)).
 */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct human {
    char text[32];
};

#define HUMAN(kind, n) human_##kind(&(struct human){0}, (n))

const char *human_bytes(struct human *h, uint64_t bytes); /* 17 B, 41.2 MiB */
const char *human_count(struct human *h, uint64_t count); /* 950, 12.3 k, 1.2 M */
const char *human_time(struct human *h, uint64_t ms);     /* 850 ms, 1.9 s, 3 min 20 s */
const char *human_exact(struct human *h, uint64_t count); /* 65,530 */

/* part of whole in percent, rounded to nearest; 0 if whole is 0. */
unsigned human_percent(uint64_t part, uint64_t whole);

/* One bar for each of the `count` values, the highest full. A value above 0 always shows, 0 is
 * blank. `capacity` of 4 bytes a bar is enough. Plain ASCII unless `utf8`. */
void human_bars(char *text, size_t capacity, const uint64_t *values, size_t count, bool utf8);

/* Whether the locale of this shell writes UTF-8. */
bool human_utf8(void);

/* Escape sequences for what is written to `fd`; all empty unless it is a terminal and neither
 * NO_COLOR nor TERM=dumb says no. */
struct palette {
    const char *strong, *dim, *good, *warn, *bad, *plain;
};
struct palette palette_for(int fd);

/* Copies a name that another process chose, with what would steer a terminal replaced by '?'. */
void human_clean(char *to, size_t capacity, const char *from);

#endif
