/*
 * reuse: a freed slot is handed out again when no word of the program points into it any more (level strict).
 *
 *     thread's quarantine -> reuse_add -> pending -> sweep -> no word found:   hard_release
 *                                           ^          |
 *                                           +-- kept --+  a word was found:    until the next sweep
 *
 * So who uses a pointer to what he freed meets memory that is nobody's: the slot keeps its state,
 * SLOT_QUARANTINED, all the while, and a free of it is a double free for ever.
 *
 *     reuse.c       what waits, when it is swept, and by whom
 *     reuse_scan.c  where words are looked for
 *     reuse_stop.c  the moment in which the program stands
 *
 * What a sweep sees: every aligned word of readable memory: static data of the program and of every module
 * loaded, stacks, thread-local storage, blocks (but those of the bucket for what has no pointers), objects of
 * gc heaps, the program's own mappings; and the registers of threads that run. A word that points anywhere into
 * a slot, its canary included, keeps it, whether it is a pointer or looks like one.
 *
 * What it cannot see: pointers that are not in one aligned word as they are (XOR-ed, compressed, packed,
 * unaligned, with a tag above), those that are not in readable memory of the process (in a file, a pipe, a
 * device, in another process, on pages made inaccessible), those in the bucket for data, in what was freed
 * itself, in registers of a thread that sleeps in a system call or has SIGURG blocked, and those that are
 * written, during the stop, by a thread that wakes up again and again. A pointer that is missed weakens the
 * protection of that one slot to that of the quarantine. Nothing that a correct program does can be broken
 * by a sweep, right or wrong.
 *
 * Memory: what waits and was not swept yet is at most twice max(8 MiB, a quarter of what is live), and at most
 * 96 KiB more for each thread: at once that, a sweep begins; at twice it, who frees waits for its end. To this
 * come slots to which words were found, as long as there are such. Freed large blocks, whose pages went back
 * already, count 4 KiB each; but their addresses are bounded likewise, by a sixteenth of all.
 *
 * Addresses of a region that are used up are not the end while some of its slots wait: before NULL is returned for want of
 * them, all that waits is swept. What other threads have collected, or have in quarantine, is not come by.
 *
 * Where there is no /proc nothing can be looked at, and after reuse_end nothing may be: then slots wait until as many
 * bytes were freed after them, as in a larger quarantine.
 */
#ifndef HARD_REUSE_H
#define HARD_REUSE_H

#include "hard/hard.h"

struct reuse_stats {
    uint64_t sweeps;
    uint64_t by_caller; /* of these, in a thread of the program: there was no helper */
    uint64_t
        stopped_whole; /* of these, without the kernel's word about written pages: one long stop */
    uint64_t blind;    /* of these, without a look: no /proc, or reuse_end */
    uint64_t
        unsettled; /* of these, where a thread ran in the stop that could not be made to stand */
    uint64_t scanned_bytes;           /* of all sweeps */
    uint64_t pause_ns, pause_ns_most; /* of all stops; of one */
    uint64_t pending_bytes;           /* waiting now, kept ones included */
    uint64_t kept_bytes;              /* of these, for the words that the last sweep found */
    uint64_t released, released_bytes;
    uint64_t kept;           /* slots, in the last sweep */
    uint64_t waits;          /* times that who freed had to wait */
    uint64_t lost;           /* slots released at once, since there was no memory to note them */
    uint64_t threads_unseen; /* running threads whose registers were not seen, of all stops */
    uint64_t poisoned;       /* words overwritten, by option poison */
    uintptr_t poisoned_at, poisoned_was; /* the last of these: where, and what it was */
};

/* Once, when `hard` is set up. False: no memory; then reuse_add releases at once. */
bool reuse_start(void);

/* A slot has been long enough in a thread's quarantine. No lock is held: who frees may have to wait. */
void reuse_add(uintptr_t start, const struct region *region);

/* Where a thread passes now and then as it takes and gives slots, with no lock held: if the program is to stand, it
 * does so here, which is sooner than it can be made to. */
extern _Atomic uint32_t stop_round;
void stop_visit(void);
FH_INLINE void reuse_pass(void)
{
    if (UNLIKELY(LOAD(&stop_round) & 1)) stop_visit();
}

/* The calling thread ends: what it has collected becomes everybody's. It may come again. */
void reuse_thread_end(void);

/* Sweeps now, whatever is pending, and waits for it. */
void reuse_now(void);

/* A region has no slot and no addresses left: sweeps, as reuse_now, whatever waits, but for what other threads have
 * collected. False: nothing ever waits, so nothing came back. No core lock is held. */
bool reuse_for_room(void);

/* No system calls of ours any more, no helper: the process locks itself in (face/sandbox.c). `wait`: returns when the
 * helper is gone. */
void reuse_end(bool wait);

/* Memory of our own in which addresses of slots are no references; at most 8. Before the first sweep. */
void reuse_hide(uintptr_t start, size_t size);

/* Before the locks of the core, and after them. */
void reuse_fork_prepare(void);
void reuse_fork_parent(void);
void reuse_fork_child(void);

void reuse_stats_get(struct reuse_stats *stats);

#endif
