/*
 * purger: memory goes back to the kernel on a clock, also while every thread of the program sleeps.
 *
 * A helper thread exists only while there is something to give back: it is started by the first
 * free that leaves enough behind, looks around a few times a second, and ends when two rounds in a
 * row found nothing. A program that is done with its spike thus has one thread for a second or two.
 *
 * It is a bare kernel thread that libc does not know, for what a pthread would break: a process
 * that was single-threaded stays so for libc (stdio and shared_ptr keep their cheap paths,
 * pthread_exit in main still ends the process). It blocks all signals, uses no thread-local storage
 * and no libc. It does not follow a setuid() of the process: it notices within half a second and ends
 * (docs/decisions/0003).
 */
#ifndef SPAN_PURGER_H
#define SPAN_PURGER_H

#include "span/span.h"

/* Slices of free memory below which a thread costs more than it returns: 4 MiB. */
#define PURGER_WORTH (4 * MIB >> SLICE_SHIFT)

struct purger_config {
    bool enabled;
    uint64_t delay_ms; /* age at which free memory goes back */
    /* The heap floor's share: gives back free pages inside slabs that were left alone since the
     * last round (`force`: at once); true if there may be more to do in a later round. */
    bool (*sweep)(bool force);
    /* Another floor's use of the helper, every so many ms while it is there (0: none). It holds the helper for as long as
     * it returns true. Set before the first note. */
    bool (*look)(void);
    uint64_t look_ms;
};

extern struct purger_config purger;

/* Something was freed that may be worth giving back: start the helper if it is not there. Cheap
 * when it is; called with locks held. */
void purger_note_slow(void);
extern _Atomic uint32_t purger_state;

FH_INLINE void purger_note(void)
{
    if (UNLIKELY(LOAD(&purger_state) == 0)) purger_note_slow();
}

/* Switches the helper off, and returns when it is gone. Not from inside the allocator: the helper may
 * have to take a lock before it ends. */
void purger_stop(void);

/* Everything that can go back does, now. Returns bytes given back by spans. */
size_t purger_run_now(void);

/* The child of a fork has no helper. */
void purger_fork_child(void);

#endif
