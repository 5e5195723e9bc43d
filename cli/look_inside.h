/* What look.c and look_children.c share. */
#ifndef CLI_LOOK_INSIDE_H
#define CLI_LOOK_INSIDE_H

#include "leaks_process.h"
#include "look.h"

enum look_state {
    LOOK_EXPECTED,
    LOOK_COPIED, /* its memory is here */
    LOOK_MADE,
    LOOK_FAILED, /* `why` says it */
};

struct look_block {
    uint64_t start, size;
};

/* What is left of a child when it was searched. */
struct look_child {
    pid_t pid;
    char name[64], verdict[256], why[1024]; /* `why` is "" if it was searched */
    uint64_t lost_blocks, lost_bytes;
    char *report; /* text, if something was lost; may be NULL */
    struct look_block *
        lost; /* as far as they were kept; until it is known which of them the program has lost too */
    size_t lost_count, lost_capacity;
    uint64_t inherited_blocks, inherited_bytes; /* those: they were lost before the fork */
};

struct look {
    struct look_request request;
    struct leaks leaks;
    struct process process;
    struct fh_run_slot *first, *asking;
    enum look_state state;
    char why[1024];
    struct look_child *children;
    size_t child_count;
};

/* The next slot in which a process asks, of the program itself or of others; NULL: none does. */
struct fh_run_slot *look_asking(const struct look *look, bool itself);

/* Why the process of a slot could not be looked into; NULL: it could, as far as is known. */
const char *look_slot_why(const struct fh_run_slot *slot);

/* Adds those that never asked, or not in time. */
void look_children_conclude(struct look *look, const struct fh_run_slot *slots, size_t count);

void look_children_show(const struct look *look, FILE *out, const struct palette *colours,
                        bool quiet);
void look_children_json(const struct look *look, struct json *j);
void look_children_finish(struct look *look);

#endif
