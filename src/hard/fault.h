/*
 * fault: SIGSEGV and SIGBUS. Faults in memory of ours (a sampled block's surroundings, a guard, a freed large
 * block, records) are reported; every other one goes on to the handler that the program has, or to what the
 * system does without one, as if nobody were in between.
 *
 * Programs have handlers of their own: to print a stack, to catch null pointers, to take part in a barrier.
 * They install them at any time, with the library long at work. So sigaction and signal are ours for just
 * these two signals: what the program installs is kept, and told when it asks; the kernel has our handler
 * with the program's flags and mask, so that the program's runs on the stack, and with the signals
 * blocked, that it asked for. (Sanitizers do the same.) A signal that the program ignores, which it may
 * hand down to what it executes, is left to the kernel.
 *
 * What goes past us: rt_sigaction by hand (the Go runtime), and handlers installed by a copy of libc of its
 * own. Then faults in our memory are the program's to handle, without a report; nothing else is lost.
 * A child made by vfork has the parent's memory and its own handlers: it changes nothing of what is kept.
 */
#ifndef HARD_FAULT_H
#define HARD_FAULT_H

#include <signal.h>

#include "base/base.h"

/* At start-up, before the program runs: takes note of what is there, and installs the handler. */
void fault_start(void);

/* Ours no longer: whatever the program installed is. */
void fault_stop(void);

void fault_fork_child(void);

/* What sigaction() is to the program. Other signals than the two go to the C library. */
int fault_action(int signal, const struct sigaction *action, struct sigaction *before);

#endif
