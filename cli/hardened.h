/*
 * `freehold run --hardened`: the options that it stands for, and what it makes of the reports that the library wrote.
 *
 * The library tells a misuse on standard error as it happens, with addresses: it reads no files then. It writes the
 * same as JSON to a file in memory of this command's (option report), and when the program has ended its stacks
 * are told once more, with functions, files and lines.
 *
 * Calls of libc are checked by a library of their own, which is preloaded beside the hardened one if they are to be:
 * else memcpy and its kin stay libc's, at no cost.
 */
#ifndef CLI_HARDENED_H
#define CLI_HARDENED_H

#include <stdio.h>

#include "human.h"
#include "json.h"

struct hardened {
    const char *level; /* NULL: the library's own choice */
    int fd;            /* of the reports */
    char *text;        /* what was read of them; lines */
    size_t size;
    size_t reports;
};

/* 0, or the status of the refusal. */
int hardened_level(const char *argument, struct hardened *h);

/* The options as a new list; free() it. 0, or the status of the refusal. hardened_finish in any case. */
int hardened_option(struct hardened *h, const char *options, char **list);
void hardened_finish(struct hardened *h);

/* Whether calls of libc are to be checked; `options` as hardened_option made them. Those of the level are: all but
 * light; option calls may say otherwise. */
bool hardened_wants_calls(const char *options);

/* After the program's end. */
void hardened_read(struct hardened *h);
void hardened_show(const struct hardened *h, FILE *out, const struct palette *colours);
void hardened_json(const struct hardened *h, struct json *j);

/* One report, which is a line of JSON of `size` bytes and a 0, and is changed; false if it is none. For tests too. */
bool hardened_show_one(char *line, size_t size, FILE *out, const struct palette *colours);

#endif
