/*
 * `freehold compare`: one program over every allocator that is found.
 *
 *     candidates   what there is to compare                     compare_find.c
 *     run          one run of one candidate                     compare_run.c
 *     judge        medians, quartiles, ratios, the best         compare_judge.c
 *     show         table, the lines to copy, JSON               compare_show.c
 *
 * The rounds are interleaved: each runs every candidate once, beginning with another one each time. A
 * machine that becomes slower meanwhile does so for all; and ratios are taken within a round.
 */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include "run.h"

enum { CANDIDATES_MAX = 24, ROUNDS_MAX = 1000, ROUNDS_TO_TELL = 3 /* fewer: no verdict */ };

struct sample {
    bool good;                      /* it ended as the program does on its own malloc */
    uint64_t ns, cpu_ns, peak, end; /* `end` 0: not known */
    uint64_t output;                /* a hash of what it wrote */
};

struct spread {
    double median, low, high; /* the quartiles */
    size_t count;
};

struct candidate {
    char name[64];
    char library[PATH_MAX]; /* "": the malloc that the program has anyway */
    bool ours;
    struct sample *samples; /* one a round */
    unsigned failures, missing,
        other_output;                    /* of the rounds; missing: the library was not loaded */
    bool as_good;                        /* as the best, within the spread */
    char trouble[256];                   /* of the first failure */
    struct spread ns, cpu_ns, peak, end; /* over the good rounds */
    struct spread time_ratio, cpu_ratio, peak_ratio,
        score; /* to the first candidate, round by round */
};

struct compare {
    const char *program;
    char **argv;
    char path[PATH_MAX], library[PATH_MAX];
    struct candidate candidates[CANDIDATES_MAX]; /* the first is the program as it is */
    size_t count;
    size_t rounds, done;
    int status;                   /* how the program ends on its own malloc */
    const struct candidate *best; /* NULL: nothing is clearly better than the first */
    int interrupted;
};

/* Adds the program as it is, what is found, and ours. */
void candidates_find(struct compare *compare);

/* Adds a library that the user names. 0, or the status of the refusal. */
int candidates_add(struct compare *compare, const char *library);

struct stage; /* the streams of the runs */
struct stage *stage_open(void);
void stage_close(struct stage *stage);

/* One run; `round` -1 is not counted. 0, or the status of what makes it useless to go on. */
int compare_run(struct compare *compare, struct stage *stage, struct candidate *c, int round);

void compare_judge(struct compare *compare);

/* It never failed: it may be the best. */
bool candidate_is_fit(const struct compare *compare, const struct candidate *c);

void compare_show(const struct compare *compare, FILE *out, const struct palette *colours);
void compare_json(const struct compare *compare, FILE *out);

#endif
