/*
 * `freehold doctor`: what on this machine will bite a program's memory.
 *
 * A check finds one fact and says whether it is fine. What is not fine comes with what follows from
 * it and with the command that changes it. "bad" is what makes programs fail or be killed; a "note"
 * is what explains a surprise. Where a kernel may claim what it does not do, the check tries it.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stddef.h>

enum level { LEVEL_OK, LEVEL_NOTE, LEVEL_BAD };

struct finding {
    enum level level;
    const char *what;
    char value[400];
    const char *so_what; /* NULL if it is fine */
    const char *remedy;  /* NULL if it is fine or nothing helps */
};

enum { FINDINGS_MAX = 64 };

struct doctor {
    struct finding findings[FINDINGS_MAX];
    size_t count;
};

/* Adds a finding whose value is formatted. */
void doctor_find(struct doctor *d, enum level level, const char *what, const char *so_what,
                 const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The checks, by subject. */
void doctor_memory(struct doctor *d); /* pages, huge pages, overcommit, mappings, what is left */
void doctor_limits(struct doctor *d); /* of this shell: control group, ulimit */
void doctor_kernel(struct doctor *d); /* what the kernel can do, by trying it */
void doctor_tools(struct doctor *d);  /* what debuggers and profilers may do; preloading */

#endif
