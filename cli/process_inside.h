/* What process.c, modules.c and lookup.c share. */
#ifndef CLI_PROCESS_INSIDE_H
#define CLI_PROCESS_INSIDE_H

#include "process.h"

/* Finds the modules in the maps and reads their signs; in order of address. False: no memory. */
bool modules_read(struct process *p);

/* Sorts the modules into lookup order. */
void lookup_order(struct process *p);

#endif
