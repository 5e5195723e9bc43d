/*
 * A program is looked into as it stands at its end. See look.h.
 *
 * It is copied while it stands, and not cloned: nothing is injected into it, so that seccomp and the like do
 * not matter, and nobody is served by its going on.
 *
 * What it says in the shared file is a hint from a process that may be damaged: whatever stands there, the
 * process that is stopped and read is the one that we started.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"
#include "look_inside.h"

int look_create(struct look **look, const struct look_request *request)
{
    struct look *l = *look = calloc(1, sizeof *l);
    if (!l) return refuse(STATUS_OWN_FAILURE, "out of memory");
    l->request = *request;
    l->leaks.request.at_end = true;
    l->leaks.request.suppressions = request->suppressions;
    l->leaks.request.scratch = request->scratch;
    return leaks_prepare(&l->leaks) ? STATUS_OWN_FAILURE : 0;
}

void look_finish(struct look *l)
{
    if (l) look_children_finish(l);
    if (l) leaks_finish(&l->leaks, &l->process);
    free(l);
}

void look_expect(struct look *l, struct fh_run_slot *first, pid_t pid)
{
    l->first = first;
    l->leaks.request.pid = pid;
    first->look_by = (uint32_t)getpid();
    first->look_pid = l->request.children ? FH_LOOK_EVERY : (uint32_t)pid;
}

struct fh_run_slot *look_asking(const struct look *l, bool itself)
{
    uint32_t claimed = l->first->claimed;
    for (uint32_t i = 0; i < claimed && i < FH_RUN_SLOTS; i++) {
        struct fh_run_slot *slot = &l->first[i];
        bool is_itself = slot->pid == (uint32_t)l->leaks.request.pid;
        if (is_itself == itself && __atomic_load_n(&slot->look, __ATOMIC_ACQUIRE) == FH_LOOK_ASKED)
            return slot;
    }
    return NULL;
}

/* What `leaks` would say on stderr is told at the end instead. */
static void step(struct look *l, enum look_state then, int (*act)(struct look *l))
{
    say_into(l->why, sizeof l->why);
    int status = act(l);
    say_into(NULL, 0);
    l->state = status ? LOOK_FAILED : then;
}

static int act_picture(struct look *l)
{
    return leaks_of_process(&l->leaks, &l->process);
}

static int act_find(struct look *l)
{
    return leaks_find(&l->leaks);
}

void look_picture(struct look *l)
{
    step(l, LOOK_COPIED, act_picture);
}

void look_let_go(struct look *l)
{
    __atomic_store_n(&l->asking->look, FH_LOOK_GO_ON, __ATOMIC_RELEASE);
    syscall(SYS_futex, &l->asking->look, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Of two copies of the library in it the second one asks in vain. */
bool look_is_asked(struct look *l)
{
    l->asking = look_asking(l, true);
    if (l->asking && l->state != LOOK_EXPECTED) look_let_go(l);
    return l->asking && l->state == LOOK_EXPECTED;
}

void look_find(struct look *l)
{
    if (l->state == LOOK_COPIED) step(l, LOOK_MADE, act_find);
}

/* ---- what became of it ---------------------------------------------------------------------- */

const char *look_slot_why(const struct fh_run_slot *slot)
{
    switch ((enum fh_run_look)slot->look) {
    case FH_LOOK_LOCKED_IN:
        return "it locked itself in (prctl), and might have been killed for waiting";
    case FH_LOOK_FORBIDDEN: return "its user is another one now, which may not call this command";
    case FH_LOOK_UNFOUND: return "it could not find this command at its end, as after a chroot";
    case FH_LOOK_ASKED: return "it came to its end too late, or was ended as it waited";
    default: break;
    }
    if (!slot->finished) return "it ended without exit(), by a signal, _exit or as another program";
    return NULL;
}

static void conclude_program(struct look *l, const struct fh_run_slot *main)
{
    const char *why = main ? look_slot_why(main) : "it did not run on Freehold";
    if (!why && main->allocated > 0)
        why = "it could not ask for it: it is another user's, or its parent is not this command";
    l->state = why ? LOOK_FAILED : LOOK_MADE;
    if (why)
        snprintf(l->why, sizeof l->why, "%s", why);
    else
        strcpy(l->leaks.allocator, "Freehold"); /* there is no heap */
}

void look_conclude(struct look *l, const struct fh_run_slot *main, const struct fh_run_slot *slots,
                   size_t count)
{
    l->first = l->asking = NULL;
    if (l->state == LOOK_EXPECTED) conclude_program(l, main);
    if (l->request.children) look_children_conclude(l, slots, count);
}

bool look_was_made(const struct look *l)
{
    return l->state == LOOK_MADE;
}

const char *look_why_not(const struct look *l)
{
    return l->why;
}

uint64_t look_lost_blocks(const struct look *l)
{
    return l->leaks.told_blocks;
}

uint64_t look_lost_bytes(const struct look *l)
{
    return l->leaks.told_bytes;
}

static void show_program(const struct look *l, const char *program, FILE *out,
                         const struct palette *colours)
{
    if (l->state == LOOK_FAILED)
        fprintf(out, "%sfreehold: %s was not searched for leaks: %s%s\n", colours->warn, program,
                l->why, colours->plain);
    else if (!l->process.pid)
        fprintf(out, "%sfreehold: at the end of %s: no lost memory, it has no heap%s\n",
                colours->strong, program, colours->plain);
    else
        leaks_show(&l->leaks, out, colours);
}

void look_show(const struct look *l, const char *program, FILE *out, const struct palette *colours,
               bool quiet)
{
    if (!quiet || l->state == LOOK_FAILED || look_lost_blocks(l) > 0)
        show_program(l, program, out, colours);
    look_children_show(l, out, colours, quiet);
}

void look_json(const struct look *l, struct json *j)
{
    if (l->state == LOOK_MADE) {
        leaks_json_into(&l->leaks, j, "leaks");
    } else {
        json_open(j, "leaks", '{');
        json_text(j, "verdict", NULL);
        json_text(j, "why_not", l->why);
        json_close(j, '}');
    }
    if (l->request.children) look_children_json(l, j);
}
