/*
 * fork: the collector in a program that forks. See gc/fork.c.
 *
 * Waits for the end of cycles, then holds all locks across the fork. In the child other threads are
 * gone: their holes are given up, and helpers are made anew when they are needed.
 */
#ifndef GC_FORK_H
#define GC_FORK_H

void gc_fork_prepare(void);
void gc_fork_parent(void);
void gc_fork_child(void);

#endif
