/*
 * `freehold run`: the parts, in the order in which they act.
 *
 *     program   what is asked for, and whether preloading can work on it     run_program.c
 *     slots     the shared file in which the library of each process writes   run_slots.c
 *     child     starting it, signals, its end                                  run_child.c, run_hold.c
 *     look      what it has lost by its end, if that is asked                   look.c, leaks*.c
 *     hardened  its options, and its reports with names                        run_hardened.c, source.c
 *     plug      who gives back what it loses, if that is asked                 run_plug.c, plug*.c
 *     start     from a request to a program that has ended                     run_start.c
 *     report    what its memory did: text and JSON                             run_report.c, run_json.c
 *
 * `check` and `compare` run programs by the same parts.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <freehold/registry.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "human.h"
#include "look.h"

/* ---- program ---------------------------------------------------------------------------------- */

/* Where the program is, by PATH if it has no slash. 0, or the status of the refusal. */
int program_find(const char *name, char *path, size_t capacity);

/* Refuses what the loader would not preload into, saying what, why and what to do. 0 if it works. */
int program_examine(const char *name, const char *path, const char *library);

/* ---- slots ------------------------------------------------------------------------------------ */

struct slots {
    int fd;
    char path[64];             /* for the option run_file; lives as long as this process */
    struct fh_run_slot *first; /* mapped */
};

/* 0, or the status of the refusal. */
int slots_create(struct slots *slots);
void slots_finish(struct slots *slots);

/* The slots that were claimed, in a new array; what the processes wrote is made safe to print.
 * *claimed may be larger than *count: no more than FH_RUN_SLOTS are kept. NULL if memory ran out. */
struct fh_run_slot *slots_read(const struct slots *slots, size_t *count, size_t *claimed);

/* ---- child ------------------------------------------------------------------------------------ */

/* `run --plug`; see run_plug.c. */
struct plug_wish {
    bool wanted, quiet;
    uint64_t age_ms, rate; /* 0: as the library has it */
};

/* The options, and the plug's, as a new list; free() it. 0, or the status of the refusal. */
int plug_option(const struct plug_wish *wish, const char *options, char **list);

/* Starts who looks; `ready` makes signals in there what they were. */
void plug_begin(const struct plug_wish *wish, struct fh_run_slot *first, pid_t pid,
                void (*ready)(void));

/* What is to be started, and how it differs from a plain start. */
struct child_plan {
    const char *path;
    char **argv;
    const char *preload,
        *options;       /* the variables LD_PRELOAD and FREEHOLD_OPTIONS; NULL: as they are */
    const int *streams; /* three descriptors for its standard streams; NULL: ours */
    /* Called when the program's main thread is about to end, all its memory still there; NULL: not. */
    void (*at_end)(void *context, pid_t pid);
    void *context;
    /* The program is looked into when it ends by exit(), with what it wrote to this slot; NULL: not. */
    struct look *look;
    struct fh_run_slot *first;
    const struct plug_wish *plug; /* NULL: none */
};

struct child {
    pid_t pid;
    int status; /* as wait gives it */
    struct rusage usage;
    char name[32]; /* of the program it was running at its end: exec may have changed it */
    uint64_t elapsed_ms, elapsed_ns; /* without the time that at_end took */
    int interrupted;                 /* the last signal that asked us to end; 0 */
    bool held;                       /* it could be arranged that at_end is called */
    const struct child_plan *plan;
};

/* 0, or the status of the refusal. The plan must live until the child has ended. */
int child_start(struct child *child, const struct child_plan *plan);

/* Passes signals on until it has ended. */
void child_wait(struct child *child);

/* Ends this process as the program ended: its exit status, or killed by the same signal. Returns
 * 128 + signal where a process cannot kill itself (as PID 1 of a container). */
int child_repeat_end(const struct child *child);

/* How a child is held at its end; see run_hold.c. */
bool hold_begin(pid_t pid);
/* Looks into it, and its children, if they ask for it. */
void hold_look(struct child *child);
/* It stopped, with `status` as wait gives it. True if it did because somebody stopped its group. */
bool hold_stopped(struct child *child, int status);

/* ---- report ----------------------------------------------------------------------------------- */

/* Everything that the report is made of. */
struct run {
    const char *program; /* as it was asked for, without directories */
    char **argv;
    char library[PATH_MAX], path[PATH_MAX];
    char calls[PATH_MAX]; /* the library that checks calls of libc, preloaded as well; "": none */
    struct hardened *hardened; /* on the hardened library; NULL: on the other one */
    struct child_plan plan;
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

/* ---- start ------------------------------------------------------------------------------------ */

/* If we were started with a standard stream closed, our own files must not take its number: to be
 * called first. It stays closed for the program. */
void streams_fill(void);

/* Opens what an option names for writing; "-" is standard output. 0, or the status of the refusal. */
int output_open(const char *option, const char *name, FILE **out);

/* Flushes what output_open opened; 0, or the status of the failure. NULL is well. */
int output_close(FILE *out, const char *name);

/* Finds library and program, and refuses what would not run on Freehold. 0, or the status. */
int run_prepare(struct run *run, char **argv);

/* The options, and the black box in this file, as a new list; free() it. 0, or the status of the refusal. */
int oom_option(const char *file, const char *options, char **list);

/* Runs it with these options of the library (or NULL) to its end, and concludes. 0, or the status of the
 * refusal; run_finish in any case. `plan` may hold streams, at_end and look. */
int run_program(struct run *run, const char *options);
void run_finish(struct run *run);

/* 0, or, after a word, the status that says that the library was not there or did not start. */
int run_took_effect(const struct run *run);

/* LD_PRELOAD with the library before what is there; says so if another allocator is. free() it. */
char *preload_with(const char *library);

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
