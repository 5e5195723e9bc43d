/*
 * `freehold check`: the promises of a memory contract, and what became of them.
 *
 *     promise   what is limited, and by how much       check.c, from the command line
 *     outcome   kept, broken, or not to be told        check_judge.c, from the figures of the run
 *     report    lines, JSON, JUnit                     check_report.c, check_junit.c
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "fields.h"
#include "run.h"

enum promise_kind {
    PROMISE_PEAK,     /* the most that Freehold held for a process */
    PROMISE_PEAK_RSS, /* the most that the kernel had resident for one */
    PROMISE_END_RSS,  /* what it had resident for the program at its end */
    PROMISE_END_LIVE, /* blocks not freed at the end, in bytes */
    PROMISE_ALLOCS,   /* blocks handed out, by all processes together */
    PROMISE_LEAKS,    /* blocks that nothing points to at the end, in bytes */
    PROMISES
};

enum outcome { OUTCOME_KEPT, OUTCOME_BROKEN, OUTCOME_UNKNOWN };

struct promise {
    bool made;
    uint64_t limit;
    enum outcome outcome;
    uint64_t found;      /* unless unknown */
    const char *unknown; /* why */
    char who[96];        /* "cc1 (pid 17)" where it is not the program itself; else "" */
    char note[64];       /* what more there is to say of what was found; "" */
};

struct check {
    struct run run;
    struct resident end;
    struct promise promises[PROMISES];
    unsigned made, broken, unknown;
};

/* "peak", as its option is called; whether it counts bytes; what its number is, in words. */
struct promise_form {
    const char *name;
    bool bytes;
    const char *what;
};
extern const struct promise_form promise_forms[PROMISES];

void check_judge(struct check *check);

/* How the program itself ended, in words; NULL if with status 0. */
const char *check_failure(const struct check *check, char *text, size_t capacity);

/* "80.2 MiB held, 16.2 MiB above the 64.0 MiB promised", or why it cannot be told. */
void promise_sentence(const struct check *check, enum promise_kind kind, char *text,
                      size_t capacity);

void check_report(const struct check *check, FILE *out, const struct palette *colours, bool quiet);
void check_json(const struct check *check, FILE *out);
void check_junit(const struct check *check, FILE *out);

#endif
