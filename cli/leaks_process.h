/* The two ways to an image: a process, and its core file. Each fills l->image, files, name, threads. */
#ifndef CLI_LEAKS_PROCESS_H
#define CLI_LEAKS_PROCESS_H

#include "leaks.h"

/* 0, or an exit status after a line that says why. `p` is filled, for process_finish, in any case. */
int leaks_of_process(struct leaks *l, struct process *p);
int leaks_of_core(struct leaks *l);
void leaks_core_finish(struct leaks *l);

/* ---- for whoever looks for leaks: in this order. 0, or an exit status after a line ----------- */

/* Reads what is not to be told, and tries what is needed later. */
int leaks_prepare(struct leaks *l);

/* leaks_of_process or leaks_of_core, and then what of it is lost: groups, names, l->told_*. */
int leaks_find(struct leaks *l);
void leaks_finish(struct leaks *l, struct process *p);

#endif
