/* The two ways to an image: a process, and its core file. Each fills l->image, files, name, threads. */
#ifndef CLI_LEAKS_PROCESS_H
#define CLI_LEAKS_PROCESS_H

#include "leaks.h"

/* 0, or an exit status after a line that says why. `p` is filled, for process_finish, in any case. */
int leaks_of_process(struct leaks *l, struct process *p);
int leaks_of_core(struct leaks *l);
void leaks_core_finish(struct leaks *l);

#endif
