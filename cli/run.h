/*
 * `freehold run`: the parts, in the order in which they act.
 *
 *     program   what is asked for, and whether preloading can work on it     run_program.c
 *     slots     the shared file in which the library of each process writes   run_slots.c
 *     child     starting it, signals, its end                                  run_child.c
 *     report    what its memory did: text and JSON                             run_report.c, run_json.c
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <freehold/registry.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "human.h"

/* ---- program ---------------------------------------------------------------------------------- */

/* Where the program is, by PATH if it has no slash. 0, or the status of the refusal. */
int program_find(const char *name, char *path, size_t capacity);

/* Refuses what the loader would not preload into, saying what, why and what to do. 0 if it works. */
int program_examine(const char *name, const char *path, const char *library);

/* ---- slots ------------------------------------------------------------------------------------ */

struct slots {
    int fd;
    char path[64]; /* for the option run_file; lives as long as this process */
};

/* 0, or the status of the refusal. */
int slots_create(struct slots *slots);

/* The slots that were claimed, in a new array; what the processes wrote is made safe to print.
 * *claimed may be larger than *count: no more than FH_RUN_SLOTS are kept. NULL if memory ran out. */
struct fh_run_slot *slots_read(const struct slots *slots, size_t *count, size_t *claimed);

/* ---- child ------------------------------------------------------------------------------------ */

struct child {
    pid_t pid;
    int status; /* as wait gives it */
    struct rusage usage;
    char name[32]; /* of the program it was running at its end: exec may have changed it */
    uint64_t elapsed_ms;
};

/* Starts it with these variables set, if not NULL. 0, or the status of the refusal. */
int child_start(struct child *child, const char *path, char **argv, const char *preload,
                const char *options);

/* Passes signals on until it has ended. */
void child_wait(struct child *child);

/* Ends this process as the program ended: its exit status, or killed by the same signal. Returns
 * 128 + signal where a process cannot kill itself (as PID 1 of a container). */
int child_repeat_end(const struct child *child);

/* ---- report ----------------------------------------------------------------------------------- */

/* Everything that the report is made of. */
struct run {
    const char *program; /* as it was asked for, without directories */
    char **argv;
    const char *library;
    struct child child;
    struct fh_run_slot *slots;
    size_t slot_count, slots_claimed;
    const struct fh_run_slot *main; /* of the program itself; NULL: it never loaded the library */
    const struct fh_run_slot *subject; /* of the process that the verdict is about */
    uint64_t peak_rss;                 /* of the largest process */
    bool
        replaced; /* the program's process ended as another program that did not load the library */
};

/* Finds main and subject, and what follows from them. */
void run_conclude(struct run *run);

void run_report(const struct run *run, FILE *out, const struct palette *colours, bool utf8);
void run_json(const struct run *run, FILE *out);

/* All bytes of the heap, and those of them that the program does not use. */
uint64_t usage_total(const struct fh_usage *usage);
uint64_t usage_free(const struct fh_usage *usage);

/* The most that the heap of a slot held at any time, used or not. */
uint64_t slot_peak_held(const struct fh_run_slot *slot);

/* How long the process of the slot ran, at least 1 ms. */
uint64_t slot_ms(const struct run *run, const struct fh_run_slot *slot);

#endif
