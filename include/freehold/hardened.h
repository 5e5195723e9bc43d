/*
 * freehold/hardened.h - what only libfreehold-hardened.so has.
 *
 * It ends a program that misuses memory, after a report. A crash reporter may see it first.
 */
#ifndef FREEHOLD_HARDENED_H
#define FREEHOLD_HARDENED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A report. All of it is the library's, and valid until the hook returns. */
struct fh_hardened_report {
    size_t size; /* of this structure, as the library has it: later versions have more behind */
    const char
        *what; /* a word that stays the same: "double-free", "overflow", "use-after-free" ... */
    const char *sentence; /* what was done, for people */
    const char *call;     /* the function that found it, or NULL: the memory was touched */
    const void *address;  /* that it was given, or that was touched */
    const void *block;    /* the block concerned, or NULL */
    size_t block_size;    /* what was asked for */
    uint32_t thread;      /* kernel's id of the thread that reports */
    uint32_t stack_count; /* return addresses of that thread, innermost first */
    const uintptr_t *stack;
    const char *text; /* as on standard error; ended by 0 */
    size_t text_length;
    const char *json; /* one object and a newline; ended by 0 */
    size_t json_length;
};

/* Has `hook` called with each report, after it is written and before the program is aborted (or goes on, by
 * option bad_free=ignore). It runs in the thread that made the mistake, perhaps in a signal handler: it may do
 * what a signal handler may, must not allocate, and a misuse of its own ends the process at once. NULL: none.
 * May be called from any thread. */
void fh_hardened_set_hook(void (*hook)(const struct fh_hardened_report *report));

#ifdef __cplusplus
}
#endif

#endif
