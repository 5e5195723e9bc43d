/*
 * `freehold top`: what is resident in all processes, as it changes.
 *
 *     sample    cheap reads: one of 60 bytes for each process      top_sample.c
 *     show      once, as text or JSON                              top_show.c
 *     screen    live, in the terminal                              top_screen.c, or top_no_screen.c
 *
 * Reading /proc/PID/smaps of a large process stalls it for as long as the kernel walks its page tables,
 * so that happens only where the user asks for it, for one process. All others are read by statm, a few
 * counters that the kernel keeps anyway; they may lag by some pages for each processor.
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "human.h"

enum { TOP_HISTORY = 24, TOP_NAME = 32 };

struct top_process {
    pid_t pid;
    int fd; /* /proc/PID/statm, kept open: cheaper, and it never is another process of the same id */
    char name[TOP_NAME];
    char allocator[TOP_NAME]; /* "" until it was looked at */
    bool looked;
    bool seen;                     /* in the last sample */
    uint64_t rss, shared;          /* bytes; shared: of files and shared memory, part of rss */
    int64_t growth;                /* bytes a second, over the last interval */
    uint64_t history[TOP_HISTORY]; /* of rss, the latest last */
    size_t samples;
};

enum top_order { TOP_BY_RSS, TOP_BY_GROWTH, TOP_BY_NAME, TOP_BY_PID, TOP_ORDERS };
extern const char *const top_order_names[TOP_ORDERS];

struct top {
    struct top_process *list; /* sorted by `order` after top_sort */
    size_t count, capacity;
    pid_t only; /* 0: all */
    enum top_order order;
    uint64_t page_size;
    uint64_t sum;      /* of rss; what is shared counts in each process */
    uint64_t hidden;   /* processes that /proc does not let us see into */
    uint64_t taken_ns; /* when the last sample was taken */
    uint64_t cost_ns;  /* what it cost */
};

void top_init(struct top *top, pid_t only);
void top_finish(struct top *top);

/* Reads every process again. False if memory ran out or /proc cannot be read. */
bool top_sample(struct top *top);
void top_sort(struct top *top);

/* Finds out which allocator a process uses, once; some milliseconds. */
void top_look(struct top_process *p);

/* A line for one process, and the line above all; without a newline. */
void top_line(const struct top_process *p, char *text, size_t capacity, bool utf8);
void top_title(const struct top *top, char *text, size_t capacity);
const char *top_header(void);

void top_show(struct top *top, FILE *out, const struct palette *colours, size_t lines);
void top_json(struct top *top, FILE *out);

/* Runs until the user or the process ends it; the exit status. False: there is no screen to be had. */
bool top_screen(struct top *top, unsigned delay_ms, int *status);

#endif
