/* The process that a command is to look at: its id as the user writes it, and why it cannot be looked at. */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <argp.h>

#include "process.h"

/* "self" is this command. Ends the command by argp_error if the text is no process id. */
pid_t target_parse(const char *text, struct argp_state *state);

/* The same of a text that may be something else; false if it is no process id. */
bool target_number(const char *text, pid_t *pid);

/* For the parser of a command that takes one process id and nothing else. */
error_t target_option(int key, char *argument, struct argp_state *state, pid_t *pid);

/* Name of the user whose process it is, for the advice. */
const char *target_owner(pid_t pid);

/* One line that says why process_read failed and what to do; returns the status. `command` is as in
 * "which". */
int target_refuse(int status, const char *command, enum process_error error,
                  const struct process *p);

/* It was there, and is no longer. */
int target_ended(int status, const struct process *p);

#endif
