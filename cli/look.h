/*
 * Looking for leaks in a program that ends: `run --leaks` and `check --leaks`.
 *
 *     look_create      what is wished for is read before the program starts
 *     look_expect      the library of the program is told that its end shall wait
 *     look_is_asked    it waits                            (a signal came, see registry.h)
 *     look_picture     its memory is copied, all threads standing; it may go on after that
 *     look_let_go      it goes on
 *     look_find        the marker runs over the copy
 *
 * Children, if they are asked for, are searched one after the other as they come to their end:
 * look_children.c. SIGURG from one of them is not for the program.
 *
 * The machinery is that of `freehold leaks`. It is opaque, since two of its structures have names that are
 * also those of `run`.
 */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <freehold/registry.h>
#include <stdbool.h>
#include <sys/types.h>

#include "human.h"
#include "json.h"

struct look;

struct look_request {
    bool wanted, children;
    const char *suppressions, *scratch; /* as of `leaks`; NULL: none */
};

/* 0 and the look; or a status after a line that says what is wrong. */
int look_create(struct look **look, const struct look_request *request);
void look_finish(struct look *look);

/* `first` is slot 0 of the file of the run. */
void look_expect(struct look *look, struct fh_run_slot *first, pid_t pid);
bool look_is_asked(struct look *look);
void look_picture(struct look *look);
void look_let_go(struct look *look);
void look_find(struct look *look);

/* Does all of this for each child that waits. */
void look_children(struct look *look);

/* The program has ended. `main`: its slot, as it was left, or NULL; `slots`: those of all. Says why it was not looked
 * at, if so, and of its children. */
void look_conclude(struct look *look, const struct fh_run_slot *main,
                   const struct fh_run_slot *slots, size_t count);

/* After look_conclude. */
bool look_was_made(const struct look *look);
const char *look_why_not(const struct look *look);
uint64_t look_lost_blocks(
    const struct look *look); /* of it alone; suppressed ones are not counted */
uint64_t look_lost_bytes(const struct look *look);
bool look_child_leaks(const struct look *look);
bool look_child_missed(const struct look *look); /* one was wanted, and could not be looked into */

/* `quiet`: only of those that have lost something, or could not be looked into. */
void look_show(const struct look *look, const char *program, FILE *out,
               const struct palette *colours, bool quiet);
void look_json(const struct look *look, struct json *j);

#endif
