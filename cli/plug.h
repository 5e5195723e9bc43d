/*
 * `freehold plug`: what a running program has lost is found from outside, twice, and the library in it gives it back.
 *
 *     plug.c         what is asked for, and when to look
 *     plug_look.c    one look, and what of it was lost in the one before too
 *     plug_box.c     the mailbox in the process (freehold/plug.h)
 *     plug_show.c    what goes back, by size and content
 *
 * The guarantee rests on both halves: see docs/plug.md, and docs/decisions/0012-plug.md for what was rejected.
 */
#ifndef CLI_PLUG_H
#define CLI_PLUG_H

#include <freehold/plug.h>
#include <stdbool.h>

#include "leaks_process.h"

/* Exit statuses; promised in freehold(1). */
enum { PLUG_ENDED = 0, PLUG_ERROR = 2, PLUG_CANNOT = 3 };

/* ---- the mailbox ---------------------------------------------------------------------------- */

/* Reached through one descriptor of /proc/PID/mem, which belongs to this image of the process: after an execve, or in
 * another process of that number, it leads nowhere. */
struct plug_box {
    int fd; /* -1: closed */
    pid_t pid;
    uint64_t address;
    struct fh_plug_box state; /* as it was last read; without the entries of its list */
};

enum plug_box_error { PLUG_BOX_OPEN, PLUG_BOX_NONE, PLUG_BOX_FORBIDDEN, PLUG_BOX_VERSION };

/* `address` is the registry's word. */
enum plug_box_error plug_box_open(struct plug_box *box, pid_t pid, uint64_t address);
void plug_box_close(struct plug_box *box);

/* False: the program that it was in is gone. */
bool plug_box_read(struct plug_box *box);

/* It is ours from now on: another that has it sees that before it writes, and ends. False: the program is gone. */
bool plug_box_claim(struct plug_box *box);
bool plug_box_is_ours(const struct plug_box *box);

/* One list, as of a look that saw `version`. False: the program is gone. */
bool plug_box_write(struct plug_box *box, uint64_t look, uint64_t version,
                    const struct fh_plug_entry *entries, uint64_t count);

/* The library is done with the last list. */
bool plug_box_is_free(const struct plug_box *box);

/* ---- a look --------------------------------------------------------------------------------- */

struct plug_lost {
    struct fh_plug_entry entry;
    uint64_t since_ms; /* of the first look that saw it so */
    bool listed;       /* it goes back: what lies there at the next look is another block */
};

struct plug_losts {
    struct plug_lost *list; /* ascending */
    size_t count, capacity;
};

struct plug_request {
    pid_t pid;
    uint64_t age_ms, every_ms; /* 0: as the process has it */
    uint64_t times;            /* 0: until the process ends */
    const char *scratch;
    bool launched; /* by the library of the process */
    bool by_run;
    bool quiet;
};

struct plug {
    struct plug_request request;
    struct plug_box box;
    struct leaks leaks;
    struct process process;
    struct plug_losts before;
    uint64_t age_ms, every_ms;
    uint64_t looks;
    uint64_t look, version; /* of the last one */
    size_t listed;
    uint64_t listed_bytes;
    uint64_t cpu_us; /* that the last one took of this process */
    char name[64];
};

/* Looks, and makes `before` the list of what is lost now, of which `listed` are to go back. 0, or a status after a
 * line that says why not. */
int plug_look(struct plug *p);

/* What of it goes on to the list: lost since `age_ms`. Both ascend; `now` becomes `before`. For tests too. */
void plug_judge(const struct plug_losts *before, struct plug_losts *now, uint64_t now_ms,
                uint64_t age_ms);

/* Tells of what is listed; the image of the look is still there. */
void plug_show(struct plug *p);

#endif
