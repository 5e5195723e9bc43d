/*
 * What the commands of `freehold` share: their entry points, exit statuses and how they speak.
 *
 * The command looks at processes from outside. Of the library it knows include/freehold/ only, so
 * that it is a proof that the registry is enough, and so that it can look at a process that runs an
 * older or newer library than the one installed beside it.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdarg.h>
#include <stddef.h>

/* Statuses of freehold's own failures in `run`, as env and nohup have them, so that they are told
 * from those of the program. */
enum {
    STATUS_OWN_FAILURE = 125,
    STATUS_NOT_EXECUTABLE = 126,
    STATUS_NOT_FOUND = 127,
};

/* Wrong arguments, or nowhere to write, in the commands other than `run`. */
enum { STATUS_USAGE = 2 };

/* argv[0] is what the usage line shows: "freehold run". Each returns the exit status. */
int command_run(int argc, char **argv);
int command_which(int argc, char **argv);
int command_leaks(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_gc(int argc, char **argv);
int command_check(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_map(int argc, char **argv);
int command_top(int argc, char **argv);
int command_plug(int argc, char **argv);

/* "freehold: ...\n" on stderr, in one write, so that it does not mix with the program's output. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, returning `status`: for `return refuse(STATUS_OWN_FAILURE, ...)`. */
int refuse(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From now on lines of say and refuse go into `line` instead, which keeps the first; NULL: to stderr again. For
 * what a command does on the side, and tells of in its own report. */
void say_into(char *line, size_t capacity);

/* Flushes standard output: `status`, or after a word STATUS_USAGE if not everything could be written. */
int output_end(int status);

#endif
