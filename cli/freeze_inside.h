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

/* /proc/PID/task/TID/status, and a number in it; `name` as "\nTgid:". */
bool status_read(struct file_text *text, pid_t pid, pid_t tid);
bool status_field(const char *status, const char *name, unsigned base, uint64_t *value);

/* Makes f->child of the stopped process; false with f->fallback. */
bool freeze_clone(struct freeze *f, const struct maps *maps);

/* The killed child leaves the list of the process's children. */
void freeze_reap(struct freeze *f);

/* Stops one thread that is not traced yet: false if it has ended or may not be traced (errno). */
bool thread_seize(struct freeze *f, pid_t tid);
void thread_let_go(const struct frozen_thread *t);

#endif
