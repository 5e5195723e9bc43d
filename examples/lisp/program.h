/* Programs: files, and the terminal. */
#ifndef LISP_PROGRAM_H
#define LISP_PROGRAM_H

#include "value.h"

/* Reads and runs a file; errors go to the catch. */
void program_load(value name);
/* Runs a file, or a text; false after an error, which is reported. */
bool program_run_file(const char *name);
bool program_run_text(const char *text);
/* Reads, evaluates, prints; an error ends only its form. */
void program_repl(void);
/* Ends the process as a whole, what was written flushed. */
_Noreturn void program_exit(int status);

#endif
