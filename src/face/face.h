/*
 * face: what a program sees. The malloc ABI, the C++ operators, the fh_ functions, options,
 * statistics, fork order and start-up. The only floor that knows heap, pool and gc at once.
 *
 * Start-up: the first call that finds its thread without a heap runs face_start, wherever that is:
 * in the dynamic linker, before any constructor, or in main. It uses no dlsym and no stdio,
 * and allocates nothing before the heap stands (pthread_atfork, its last step, may).
 */
#ifndef FACE_FACE_H
#define FACE_FACE_H

#include <freehold/freehold.h>

#include "face/policy.h"

#define PUBLIC __attribute__((visibility("default")))

/* ---- start-up --------------------------------------------------------------------------------- */

/* True once the arena stands; sets it up on the first call, from whichever thread comes first. */
bool face_start(void);

/* ---- options ---------------------------------------------------------------------------------- */

struct options {
    int64_t purge, purge_delay, reserve, bad_free, stats, strict, gc_debug, gc_stress, limit;
    int64_t plug, plug_age, plug_rate;
    int64_t harden, canary, zero, check, quarantine, kinds, buckets, sample, sample_slots, sweep,
        uninit;
    int64_t poison, report; /* of the hardened library; -1: as its level has it */
    int64_t calls, verify_every, verify_ms, abort_on_null, names, token_max;
    char report_path[256];
    int64_t exempt;
    char exempt_path[256];
    int64_t oom, run_file; /* 1: the path is given */
    char oom_path[256], run_file_path[256];
};

extern struct options options;

/* Reads the program's symbol and the environment. What is wrong is said, and otherwise ignored until
 * options_stop_if_strict. */
void options_read(void);
void options_stop_if_strict(void);

/* Options of the hardened library are taken: it is that one, or a test says so. */
extern bool options_hardened;

/* Reads "key=value,key=value"; `source` names it in messages. */
void options_parse(const char *text, const char *source);

/* Says why the value of an option, which is right by itself, cannot be used. */
void options_refuse(const char *name, const char *value, const char *why);

/* Says why a line of the file of option exempt is no rule; line 0: the file. */
void options_refuse_exempt(unsigned line, const char *text, size_t length, const char *why);

/* ---- ends of threads: a heap was made for the calling thread ------------------------------------ */

void face_thread_attached(void *heap);

/* ---- the parts ---------------------------------------------------------------------------------- */

/* heap_config.bad_pointer: one line that says what holds p, then abort or, by option, return. */
void face_bad_pointer(const char *caller, const void *p);

/* The same of a block that is freed with a size, or an alignment, that it does not have. */
void face_bad_size(const void *p, size_t size);
void face_bad_alignment(const void *p, size_t alignment);

/* The path in a line of /proc/self/maps, if it is of the file that holds `p` and fits. */
bool face_maps_path(const char *line, const char *end, uintptr_t p, char *path, size_t capacity);

/* For option stats: where its lines will go. */
void stats_keep_stderr(void);

/* This process's slot in the file of `freehold run`: claimed first, so that the command knows that the
 * library is there, whatever becomes of its heap. */
void run_slot_claim(void);
void run_slot_stands(void);
void run_slot_tick(void);
void run_slot_fork_child(void);

/* The first slot of that file, and the one of this process; NULL: there is none. */
struct fh_run_slot *run_slot_first(void);
struct fh_run_slot *run_slot_own(void);

/* If `freehold run --leaks` asked for it, the end of this process will wait for its look. By a constructor,
 * before the program has registered anything for its own end. */
void look_at_end(void);

/* heap_config.tick: of `freehold run` and of the plug. */
void face_tick(void);

/* The process has begun to lock itself in: see sandbox.c. */
extern bool locked_in;

#endif
