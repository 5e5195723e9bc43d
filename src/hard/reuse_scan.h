/* Where words are looked for: what the files of reuse share. One sweep at a time uses all of this. */
#ifndef HARD_REUSE_SCAN_H
#define HARD_REUSE_SCAN_H

#include "hard/reuse.h"
#include "os/self.h"

#define REUSE_SLOTS 124 /* of a segment */
#define REUSE_BUFFER (64 * KIB)
#define REUSE_TEXT (16 * KIB)
#define REUSE_THREADS 4096
#define REUSE_HIDDEN 12

/* A thread of the program, as of one stop. See reuse_stop.c. */
struct stop_thread {
    uint32_t id;
    _Atomic uint32_t state;
    int timer;      /* -1: none */
    bool seen;      /* in the list that was read last */
    uint32_t known; /* its state when its stack was looked at */
    uint64_t turns;
    /* Stack pointers: of its last step before it fell asleep; in the handler, written by itself, and before. */
    uintptr_t sleeps_at, stands_at, interrupted_at;
};

/* All that is large, in memory of our own that is not searched. */
/* Slots of one segment, as they are settled: those that are found at all, and of these, those to which no word points. */
struct reuse_slots {
    struct slot found[REUSE_SLOTS];
    unsigned count;
    const struct region *region[REUSE_SLOTS];
    uintptr_t start[REUSE_SLOTS], same[REUSE_SLOTS];
};

struct reuse_room {
    char stack[128 * KIB]; /* the helper's */
    char buffer[REUSE_BUFFER];
    char text[REUSE_TEXT];
    struct stop_thread thread[REUSE_THREADS];
    uintptr_t pointer[REUSE_THREADS * 2 + 1]; /* of all threads, in order */
    struct reuse_slots slots;
};

struct reuse_scan {
    struct reuse_room *room;
    struct os_range hidden[REUSE_HIDDEN];
    unsigned hidden_count;
    bool hides_blocks; /* hidden ranges may lie in slabs: tests */
    uint32_t reach_ms; /* for running threads to come to a stand: ticks of the clock */
    uintptr_t poison;  /* an address that faults; 0: do not poison */
    struct os_self self;
    struct os_watch watch;
    uint64_t
        small_most; /* bytes of blocks that are searched in the stop: noting what is written costs more */
    bool small;
    bool watched;        /* the kernel tells which pages of ours were written to */
    bool own_files;      /* descriptors are not in the program's table */
    uint64_t bulk_bytes; /* of mappings that were searched before the stop */
};

extern struct reuse_scan reuse_scan;
extern struct reuse_stats reuse_stats; /* the sweeper's; others read it as it is */

/* False: nothing can be looked at. */
bool scan_open(void);
void scan_close(void);

/* Blocks: all, or what is on pages that were written to since the last time. Returns bytes. */
uint64_t scan_ours(bool all);

/* Mappings that are not ours: BULK, before the stop, those so large that they would make it long; REST, in
 * the stop: all but these, and these too if it does not take long. */
enum scan_part { SCAN_BULK, SCAN_REST };
void scan_others(enum scan_part part);

/* The calling thread's, if it is one of the program's, in which the sweep runs: its stack from here up. */
void stop_prepare(uintptr_t stack_pointer);

/* The program stands from now on, as far as it can be made to. Called again in the same stop, for who has run
 * since. */
void stop_begin(void);

/* Whether all that is known of threads is as it was at stop_begin. */
bool stop_is_settled(void);

/* Returns ns that the stop has lasted; *unsettled is set if not all stood to its end. */
uint64_t stop_end(bool *unsettled);

/* The lowest stack pointer in start..end, or 0. */
uintptr_t stop_lowest(uintptr_t start, uintptr_t end);

/* The program's threads are interrupted by SIGURG from now on, if the program does not use it. */
void stop_hook(void);
void stop_fork_child(void);

#endif
