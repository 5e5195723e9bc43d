/*
 * Fields of the files in /proc/PID that are a key and a value on each line:
 *
 *     VmHWM:	    1764 kB
 *     State:	S (sleeping)
 */
#ifndef CLI_FIELDS_H
#define CLI_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The text behind `key` (without its colon) and the blanks, up to the end of its line; its length, or -1
 * if there is no such line. */
ssize_t field_find(const char *text, size_t size, const char *key, const char **value);

/* The number there, times 1024 if "kB" follows it. */
bool field_number(const char *text, size_t size, const char *key, uint64_t *number);

/* The number there, which is written in hexadecimal digits. */
bool field_hex(const char *text, size_t size, const char *key, uint64_t *number);

/* The number of a key in /proc/PID/status; 0 if it is not there. */
uint64_t status_number(pid_t pid, const char *key);

/* What a process has resident: now, exactly, and at most so far. 0: could not be told. */
struct resident {
    uint64_t now, most;
};

struct resident resident_read(pid_t pid);

/* A task of the process that has its memory: itself; or another thread, if the first has ended by pthread_exit,
 * after which the kernel shows the memory only under the others' ids. Itself too if there is none. */
pid_t task_living(pid_t pid);

/* Its name as the kernel keeps it, cleaned for the terminal; it may hold any byte. "" if it cannot be told. */
void task_name(pid_t pid, char *to, size_t capacity);

#endif
