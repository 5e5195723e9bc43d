/*
 * oom: the black box. When memory is about to run out, what this process holds is written to a file, then memory
 * is trimmed, and what that gave is added: so that a process that is killed for its memory has said why.
 *
 *     oom.c          the watcher: a bare kernel thread (docs/decisions/0003), its start, end and fork
 *     oom_judge.c    whether it is time
 *     oom_census.c   what the heap holds, from descriptors
 *     oom_maps.c     what is resident, from the kernel
 *     oom_report.c   the text
 *
 * Invariants, of all that runs in the watcher:
 *   - nothing is allocated, and no libc is called: one buffer, and a stack that is kept resident;
 *   - no lock that the program may hold while it stands is waited for without bound (heap_trim_hurried);
 *   - what needs no lock of the kernel's is written first: the groups come from descriptors alone. What follows
 *     asks the kernel about mappings, for which it may wait for a thread that is changing one just now.
 *
 * Rejected: a signal handler or the allocation that fails as the place to write from: the kernel kills a process that
 * is over its limit while it stands in a page fault, not in a call. A second process: it would have to be there
 * beforehand, in every program, and counts for the same limit.
 */
#ifndef FACE_OOM_H
#define FACE_OOM_H

#include <freehold/gc.h>

#include "base/format.h"
#include "face/face.h"
#include "os/cgroup.h"

/* ---- when ---------------------------------------------------------------------------------------- */

enum oom_cause { OOM_NONE, OOM_LIMIT, OOM_MAX, OOM_HIGH, OOM_STALL, OOM_CAUSES };

struct oom_level {
    uint64_t used, limit; /* CGROUP_NONE: there is none */
};

struct oom_judge {
    bool spent[OOM_CAUSES]; /* told, and not yet far from it since */
    bool told;
    uint64_t told_ms, stalled_ms;
};

enum { OOM_PAUSE_MS = 10000 }; /* between two reports */

/* The bytes from which on a limit is near; below OOM_FAR of it one that was told may be told again. */
uint64_t oom_near(uint64_t limit);
uint64_t oom_far(uint64_t limit);

/* Whether to report now, and why. `level` is indexed by cause; OOM_STALL's is not looked at. */
enum oom_cause oom_judge(struct oom_judge *judge, const struct oom_level level[OOM_CAUSES],
                         bool stalled, uint64_t now_ms);

/* Whether there is a limit not far off, 7/10 or more of it in use, of which was not told yet. */
bool oom_is_close(const struct oom_judge *judge, const struct oom_level level[OOM_CAUSES]);

/* Bytes that may yet be taken before the nearest of the limits that were not told is near. CGROUP_NONE: no end. */
uint64_t oom_room(const struct oom_judge *judge, const struct oom_level level[OOM_CAUSES]);

/* ---- what ---------------------------------------------------------------------------------------- */

enum { OOM_RUNS = 64, OOM_GROUPS = POLICY_CLASSES + OOM_RUNS + 1, OOM_LARGEST = 10 };
enum { OOM_LARGE = OOM_GROUPS - 1 }; /* the group of large blocks */

/* Blocks of one size: a size class, blocks of so many granules, or all large ones. `live` includes what waits in
 * threads' lists, at most 16 KiB a class and thread. */
struct oom_group {
    uint64_t live, count, free; /* bytes in use, blocks, bytes touched and free beside them */
};

struct oom_space {
    uint64_t blocks, large; /* bytes of the collector's heap of this number */
};

struct oom_census {
    struct oom_group group[OOM_GROUPS];
    struct {
        uint64_t bytes;
        const void *start;
    } largest[OOM_LARGEST]; /* large blocks */
    struct oom_space space[FH_GC_HEAPS];
    uint64_t live, free, remote, dirty, metadata;
};

/* Touches no memory but descriptors. */
void oom_census(struct oom_census *census);

/* Bytes of a group's blocks. */
uint64_t oom_group_size(unsigned group);

/* Resident bytes by owner; they add up to `resident` with `rest`, which may be negative: memory that came or went
 * while it was counted, or was not looked at any more. */
enum oom_owner {
    OWN_LIVE,
    OWN_FREE,
    OWN_LISTS,
    OWN_SPANS,
    OWN_META,
    OWN_GC,
    OWN_GC_TABLES,
    OWN_BREAK,
    OWN_STACK,
    OWN_STACKS,
    OWN_CODE,
    OWN_FILES,
    OWN_SHARED,
    OWN_ANONYMOUS,
    OWN_KERNEL,
    OWNERS
};

enum { OOM_MAPPINGS = 5, OOM_NAME = 96 };

struct oom_ledger {
    uint64_t owner[OWNERS];
    uint64_t resident; /* as the kernel counts, before and after: the mean */
    int64_t rest;
    bool cut; /* there was no time for all mappings */
    struct {
        uint64_t bytes;
        char name[OOM_NAME];
    } mapping[OOM_MAPPINGS]; /* the largest outside of the heap */
};

void oom_ledger(struct oom_ledger *ledger);

/* Of /proc/self/status, bytes; threads. */
struct oom_process {
    uint64_t resident, anonymous, file, shared, swapped, threads;
};

void oom_process(struct oom_process *process);
/* The text of the file, for tests. */
void oom_process_parse(struct oom_process *process, const char *text, size_t length);

/* One line of /proc/self/smaps, for tests and oom_ledger: the first line of a mapping or a "Name: n kB". */
struct oom_smaps {
    uintptr_t start, end, guard; /* guard: the end of an inaccessible mapping right before, or 0 */
    enum oom_owner owner;
    char name[OOM_NAME];
};
bool oom_smaps_parse(struct oom_smaps *at, const char *line, size_t length, uint64_t *resident);

/* ---- text ---------------------------------------------------------------------------------------- */

struct oom_reason {
    enum oom_cause cause;
    struct oom_level level;
    const char *where; /* the group's directory; for others NULL */
    uint64_t refused;  /* OOM_LIMIT: bytes of the request that it refused; 0: it only comes near */
};

/* What begins every part of a report, and so the file. */
#define OOM_MAGIC "freehold oom: process "

void oom_print_groups(struct text *t, uint32_t number, const struct oom_reason *reason,
                      const struct oom_process *process, const struct oom_census *census);
void oom_print_ledger(struct text *t, uint32_t number, const struct oom_ledger *ledger);
void oom_print_trim(struct text *t, uint32_t number, uint64_t before, uint64_t after,
                    uint64_t given, unsigned passed, uint64_t ms);
void oom_print_date(struct text *t, uint64_t seconds);

/* The name of this process, read when the watcher starts. */
extern char oom_name[32];

/* ---- the watcher ----------------------------------------------------------------------------------- */

enum { OOM_FILE_MAX = 1 << 20 }; /* a file that is larger is begun anew by the next report */

/* All of one report, to `fd`; the watcher's part, for tests. `told` (or NULL) is called when it is written and memory is
 * about to be trimmed: whoever waits for it may hold the lock of what there is to trim. */
void oom_report(int fd, const struct oom_reason *reason, void (*told)(void));

/* If option oom is given: starts the watcher, and says in one line if that cannot be. The arena stands. */
void oom_start(void);

/* Ends it for good, and returns when it is gone. */
void oom_stop(void);

void oom_fork_child(void);

#endif
