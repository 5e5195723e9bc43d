/*
 * policy: malloc's policy, as the rest of this floor sees it: heap/, or in the hardened library hard/. What is the
 * same for both stands in files of this floor that know neither.
 */
#ifndef FACE_POLICY_H
#define FACE_POLICY_H

#include <freehold/freehold.h>
#include <freehold/registry.h>

#include "base/base.h"

#ifdef FH_HARDENED
#include "hard/hard.h"
#define POLICY_CLASSES HARD_CLASSES
#define POLICY_IS_HARDENED true
#else
#include "heap/fast.h"
#define POLICY_CLASSES CLASSES
#define POLICY_IS_HARDENED false
#endif

/* At start-up, when the options are read and the arena stands. False: a line said why. */
bool policy_start(void);

/* An option was read, or changed. */
void policy_options(void);

/* How much address space the arena is to have, of what option reserve says. */
size_t policy_reserve(size_t wanted);

/* To be called now and then as memory is taken, outside of locks. */
void policy_set_tick(void (*tick)(void));

/* A thread ends, whose heap face_thread_attached was told. */
void policy_thread_end(void *heap);

/* Whether the calling thread has a heap. */
bool policy_has_heap(void);

void policy_fork_prepare(void);
void policy_fork_parent(void);
void policy_fork_child(void);

/* The process is about to lock itself in: from now on nothing is asked of the kernel that need not be. */
void policy_confined(void);

/* See purger.h. */
bool policy_sweep(bool force);

/* Heaps, one a thread, that there ever were. */
uint32_t policy_heaps(void);

void policy_usage(struct fh_usage *usage);

/* What malloc_stats says of the policy's own, `remote` of policy_usage included: calls `line` for each, with a text or a
 * number of bytes. */
struct stats_line {
    const char *what, *value; /* value NULL: `bytes` */
    uint64_t bytes;
    const char *why;
};
void policy_stats(const struct fh_usage *usage, void (*line)(int fd, const struct stats_line *line),
                  int fd);
uint32_t policy_class_size(unsigned size_class);
void policy_class_sizes(uint32_t sizes[FH_CLASSES]);

/* Blocks of each class ever handed out. */
void policy_allocated(uint64_t blocks[POLICY_CLASSES]);

/* What of the policy's holds p; false: nothing. `p` lies in the arena, in that span, or nowhere (NULL). */
bool policy_describe(struct span *span, const char *p, struct fh_description *d);

#endif
