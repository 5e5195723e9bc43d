/*
 * Who owns `malloc` in a process, and who else is there.
 *
 * The owner is the first module in lookup order that exports `malloc`; in a static program it is
 * the program. A wrapper (heaptrack and the like) is named too, but the owner is whoever it hands
 * the calls on to.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "process.h"

/* An entry of LD_PRELOAD that is not in the process, and the likely reason. */
struct ignored_preload {
    char entry[512];
    char reason[256];
};

enum { IGNORED_MAX = 8 };

struct verdict {
    const struct module *owner; /* NULL: could not be told */
    int allocator;              /* of the owner; ALLOCATOR_NONE: one that we do not know */
    bool likely;                /* rests on message texts, not on symbols */
    bool is_static;
    const struct module *wrapper; /* NULL: none */
    /* Owner of each of allocator_functions; one that differs from malloc's is a hazard. */
    const struct module *functions[FUNCTION_COUNT];
    bool mixed;
    size_t unread; /* modules of which only the name is known */
    struct ignored_preload ignored[IGNORED_MAX];
    size_t ignored_count;
};

void verdict_reach(struct verdict *v, const struct process *p);

/* The owner's allocator in words; "an allocator this command does not know" included. */
const char *verdict_name(const struct verdict *v);

/* Calls `each` with every allocator that is in the process beside the owner's. */
void verdict_others(const struct verdict *v, const struct process *p,
                    void (*each)(void *context, int allocator, const struct module *where),
                    void *context);

#endif
