/* What `freehold which` found out, on its way to text or JSON. */
#ifndef CLI_WHICH_H
#define CLI_WHICH_H

#include <stdio.h>

#include "heap_view.h"
#include "human.h"
#include "verdict.h"

/* Exit statuses; promised in freehold(1). 2 is an error: no such process, not permitted. */
enum { WHICH_FREEHOLD = 0, WHICH_OTHER = 1, WHICH_ERROR = 2, WHICH_UNKNOWN = 3 };

struct which {
    struct process process;
    struct verdict verdict;
    /* Of a process on Freehold. */
    enum heap_view_error view_error;
    struct heap_view view;
    /* Of a process with Freehold's libgc, whatever its malloc is; NULL: there is none. */
    const struct module *libgc;
    enum heap_view_error libgc_error;
    struct heap_view libgc_view;
    const struct module *calls; /* libfreehold-hardened-calls.so.1; NULL: it is not loaded */
    int status;
};

void which_show(const struct which *w, FILE *out, const struct palette *colours);
void which_json(const struct which *w, FILE *out);

#endif
