/* What freeze.c, freeze_check.c and freeze_clone.c share. */
#ifndef CLI_FREEZE_INSIDE_H
#define CLI_FREEZE_INSIDE_H

#include <stdarg.h>

#include "file.h"
#include "freeze.h"

/* Writes `why`; false. */
bool freeze_refuse(struct freeze *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `why` of a process that may not be traced; false. */
bool freeze_forbidden(struct freeze *f);

/* `why` of one of which a thread does not stop; false. */
bool freeze_late(struct freeze *f, pid_t tid);

/* Nothing is stopped yet, and nothing is seen that stands against it. */
bool freeze_may_begin(struct freeze *f);

/* Those that wait in freeze_apart, ended by 0; and whether one of them does. */
extern const int freeze_signals[];
bool freeze_interrupted(void);

/* /proc/PID/task/TID/status. */
bool status_read(struct file_text *text, pid_t pid, pid_t tid);

/* Makes f->child of the stopped process; false with f->fallback. */
bool freeze_clone(struct freeze *f, const struct maps *maps);

/* What is asked of a thread before a call is made in it. Room: so many bytes of its stack that are dead. */
bool freeze_find_gadgets(struct machine_gadgets *g, const struct memory *memory,
                         const struct maps *maps);
bool freeze_has_room(const struct maps *maps, uint64_t stack_pointer, uint64_t bytes);
bool freeze_is_confined(pid_t pid, pid_t tid);

/* The child that was waited for leaves the list of the process's children, whose threads stand. What takes time is
 * read before they do. */
struct freeze_reaping {
    struct process_memory context;
    struct memory memory;
    struct maps maps;
    bool possible;
};
void freeze_reap_prepare(struct freeze_reaping *r, struct freeze *f);
void freeze_reap(const struct freeze_reaping *r, struct freeze *f);
void freeze_reap_finish(struct freeze_reaping *r);

/* Stops one thread that is not traced yet: false if it has ended, may not be traced, or does not stop (errno). */
bool thread_seize(struct freeze *f, pid_t tid);
void thread_let_go(const struct frozen_thread *t);

#endif
