/*
 * freehold plug PID: looks into a process each interval, until it ends, and puts what is lost into its mailbox.
 *
 *     attach --> look --> what was lost before too --> list, as many as it takes --> the library is done with it
 *                 ^                                                                            |
 *                 +-------------------------------- an interval later -------------------------+
 *
 * While a list is not done with there is no look: who takes no memory loses none. If this command dies at any point
 * the process goes on: a list that is whole stays right, since what is lost stays lost, and another is not taken.
 *
 * `freehold run --plug` and the library itself start it too; then it waits for the program to begin, and is silent about
 * its end.
 */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "amount.h"
#include "cli.h"
#include "clock.h"
#include "heap_view.h"
#include "plug.h"
#include "target.h"
#include "verdict.h"

enum { KEY_AGE = 256, KEY_EVERY, KEY_TIMES, KEY_SCRATCH, KEY_LAUNCHED, KEY_BY_RUN };
enum { BEGIN_MS = 100, TAKEN_MS = 20, PATIENCE_MS = 10000, AGAIN_MS = 300, TRIES = 4 };
enum { ENDS = -1 };

static const char documentation[] =
    "Finds what a running process has lost, twice, and lets Freehold in that process give it back. "
    "The process must run on Freehold with option plug. It is stopped for the time of a fork at "
    "each "
    "look."
    "\vTIME is a number with ms, s, m or h; without, of seconds. Exit status: 0 the process has "
    "ended, "
    "or the looks are done; 2 no such process, not permitted, or wrong arguments; 3 it does not "
    "run on "
    "Freehold with option plug.";

static const struct argp_option options[] = {
    {"age", KEY_AGE, "TIME", 0, "how far two looks must lie apart (as option plug_age: 60s)", 0},
    {"every", KEY_EVERY, "TIME", 0, "how often to look (as the age)", 0},
    {"times", KEY_TIMES, "N", 0, "look so many times, then end", 0},
    {"scratch", KEY_SCRATCH, "DIR", 0, "keep the copy in a file there instead of in memory", 0},
    {"quiet", 'q', 0, 0, "do not tell what goes back", 0},
    {"launched", KEY_LAUNCHED, 0, OPTION_HIDDEN, "by the library of the process", 0},
    {"by-run", KEY_BY_RUN, 0, OPTION_HIDDEN, "by freehold run", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct plug_request *r = state->input;
    bool good = true;
    switch (key) {
    case KEY_AGE: good = amount_ms_of("age", argument, &r->age_ms); break;
    case KEY_EVERY: good = amount_ms_of("every", argument, &r->every_ms); break;
    case KEY_TIMES: good = amount_count_of("times", argument, &r->times); break;
    case KEY_SCRATCH: r->scratch = argument; break;
    case 'q': r->quiet = true; break;
    case KEY_LAUNCHED: r->launched = true; break;
    case KEY_BY_RUN: r->by_run = true; break;
    default: return target_option(key, argument, state, &r->pid);
    }
    if (!good) exit(PLUG_ERROR);
    return 0;
}

static const struct argp parser = {options, parse_option, "PID", documentation, 0, 0, 0};

/* ---- the end of the process ----------------------------------------------------------------- */

static int process_fd = -1;

static uint64_t now_ms(void)
{
    return clock_ns() / 1000000;
}

/* True: it has ended. */
static bool wait_for_end(const struct plug *p, uint64_t ms)
{
    int timeout = ms > 3600000 ? 3600000 : (int)ms;
    struct pollfd end = {.fd = process_fd, .events = POLLIN};
    if (process_fd >= 0) return poll(&end, 1, timeout) > 0;
    nanosleep(&(struct timespec){timeout / 1000, timeout % 1000 * 1000000L}, NULL);
    return kill(p->request.pid, 0) != 0 && errno == ESRCH;
}

/* ---- attaching ------------------------------------------------------------------------------ */

static int refuse_allocator(const struct process *p, const struct verdict *v)
{
    return refuse(PLUG_CANNOT,
                  "plug: %s (pid %d) allocates with %s; what is lost can be given back on Freehold "
                  "only: freehold run --plug -- PROG",
                  p->name, (int)p->pid, verdict_name(v));
}

static int refuse_option(const struct process *p)
{
    return refuse(
        PLUG_CANNOT,
        "plug: %s (pid %d) runs on Freehold without option plug, which must be there from "
        "the start: FREEHOLD_OPTIONS=plug, or freehold run --plug -- PROG",
        p->name, (int)p->pid);
}

static int open_box(struct plug *p, const struct process *process, uint64_t address)
{
    int pid = (int)process->pid;
    switch (plug_box_open(&p->box, process->pid, address)) {
    case PLUG_BOX_NONE: return refuse_option(process);
    case PLUG_BOX_FORBIDDEN:
        return refuse(
            PLUG_ERROR,
            "plug: may not write to the memory of process %d; run as its user or as root: "
            "sudo freehold plug %d (in a container: --cap-add SYS_PTRACE)",
            pid, pid);
    case PLUG_BOX_VERSION:
        return refuse(PLUG_CANNOT, "plug: process %d runs on another version of Freehold", pid);
    case PLUG_BOX_OPEN: break;
    }
    if (p->request.launched && p->box.state.looker) return ENDS; /* somebody was faster */
    return plug_box_claim(&p->box) ? 0 : refuse_option(process);
}

static int attach_to(struct plug *p, struct process *process)
{
    struct verdict verdict;
    struct fh_registry registry;
    if (process->task != process->pid)
        return refuse(PLUG_ERROR,
                      "plug: the first thread of process %d has ended while others run: it cannot "
                      "be looked into",
                      (int)process->pid);
    verdict_reach(&verdict, process);
    const struct module *owner = verdict.owner;
    memcpy(p->name, process->name, sizeof p->name);
    if (!owner || verdict.allocator != ALLOCATOR_FREEHOLD || !owner->signs.registry)
        return refuse_allocator(process, &verdict);
    if (registry_read(&registry, &process->memory, owner->bias + owner->signs.registry) !=
        HEAP_VIEW_READ)
        return refuse(PLUG_CANNOT, "plug: process %d has not begun to use Freehold, or damaged it",
                      (int)process->pid);
    return open_box(p, process, registry.plug);
}

static int attach(struct plug *p)
{
    struct process process = {.pid = p->request.pid};
    enum process_error error = process_read(&process, p->request.pid, NULL);
    int status = error == PROCESS_READ ? attach_to(p, &process)
                                       : target_refuse(PLUG_ERROR, "plug", error, &process);
    process_finish(&process);
    if (status) return status;
    p->age_ms = p->request.age_ms ? p->request.age_ms : p->box.state.age_ms;
    p->every_ms = p->request.every_ms ? p->request.every_ms : p->age_ms;
    free(p->before.list);
    p->before = (struct plug_losts){0};
    return 0;
}

/* The program of `run` may still be a shell that is about to become it. */
static int attach_when_ready(struct plug *p)
{
    char why[512];
    int status;
    do {
        if (!p->request.by_run) return attach(p);
        say_into(why, sizeof why);
        status = attach(p);
        say_into(NULL, 0);
    } while (status && !wait_for_end(p, BEGIN_MS));
    return status;
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* False: the process has ended, or is another program; or with so many looks to be made and no more, it does not come by
 * for memory. */
static bool await_taken(struct plug *p)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    while (plug_box_read(&p->box)) {
        if (plug_box_is_free(&p->box)) return true;
        if (wait_for_end(p, TAKEN_MS) || (p->request.times && now_ms() > end)) return false;
    }
    return false;
}

static size_t fill(const struct plug *p, struct fh_plug_entry *entries, size_t *from)
{
    size_t count = 0;
    for (; *from < p->before.count && count < FH_PLUG_ENTRIES; ++*from) {
        if (p->before.list[*from].listed) entries[count++] = p->before.list[*from].entry;
    }
    return count;
}

static void send_lists(struct plug *p)
{
    static struct fh_plug_entry entries[FH_PLUG_ENTRIES];
    size_t from = 0, count;
    while ((count = fill(p, entries, &from)) > 0) {
        if (!plug_box_write(&p->box, p->look, p->version, entries, count)) return;
        if (!await_taken(p)) return;
    }
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void end_look(struct plug *p)
{
    leaks_finish(&p->leaks, &p->process);
    p->leaks = (struct leaks){0};
    p->process = (struct process){0};
}

/* A look that failed is made again, and what stood against it said once. If the first ones fail, so will all. */
static int round_of(struct plug *p)
{
    static char before[512];
    static int failed;
    char why[512];
    say_into(why, sizeof why);
    int status = plug_look(p);
    say_into(NULL, 0);
    if (!status) {
        plug_show(p);
        before[0] = 0;
        failed = 0;
    }
    end_look(p);
    if (!status && p->listed) send_lists(p);
    if (!status || wait_for_end(p, 0)) return 0;
    failed++;
    bool over = p->looks == 0 && (failed == TRIES || status == PLUG_CANNOT);
    if (strcmp(why, before) != 0 && (p->looks > 0 || over)) {
        say("%s", why);
        memcpy(before, why, sizeof before);
    }
    return over ? status : 0;
}

/* Another program in the same process, or another command that looks after it: if the library started us, it starts another for that. */
static int follow(struct plug *p)
{
    if (plug_box_read(&p->box)) return plug_box_is_ours(&p->box) ? 0 : ENDS;
    plug_box_close(&p->box);
    if (p->request.launched) return ENDS;
    return attach_when_ready(p);
}

/* The first look is made again soon. */
static uint64_t pause_of(const struct plug *p, uint64_t spent_ms)
{
    uint64_t every = p->looks == 0 && p->every_ms > AGAIN_MS ? AGAIN_MS : p->every_ms;
    return every > spent_ms ? every - spent_ms : 0;
}

static int rounds(struct plug *p)
{
    /* A list of a command that died is right, but nobody knows what it named. */
    plug_box_write(&p->box, 1, p->box.state.version, NULL, 0);
    for (;;) {
        uint64_t began = now_ms();
        int status = round_of(p);
        if (status) return status;
        if (p->request.times && p->looks >= p->request.times) return PLUG_ENDED;
        if (wait_for_end(p, pause_of(p, now_ms() - began))) return PLUG_ENDED;
        status = follow(p);
        if (status) return wait_for_end(p, 0) || status == ENDS ? PLUG_ENDED : status;
    }
}

static void show_end(struct plug *p)
{
    if (p->request.quiet || p->request.launched || p->request.by_run) return;
    if (!p->request.times || !plug_box_read(&p->box)) return;
    say("plug: %s (pid %d): %s looks; %s blocks, %s, given back so far", p->name,
        (int)p->request.pid, HUMAN(exact, p->looks), HUMAN(exact, p->box.state.blocks),
        HUMAN(bytes, p->box.state.bytes));
}

int command_plug(int argc, char **argv)
{
    static struct plug p = {.box.fd = -1};
    argp_err_exit_status = PLUG_ERROR;
    argp_parse(&parser, argc, argv, 0, NULL, &p.request);
    process_fd = (int)syscall(SYS_pidfd_open, p.request.pid, 0);
    if (p.request.launched || p.request.by_run) {
        int moved = chdir("/"); /* not to keep a file system busy */
        (void)moved;
    }
    /* By now the library has said that we may look: see plug_launch.c. */
    if (p.request.launched && wait_for_end(&p, BEGIN_MS)) return PLUG_ENDED;
    int status = attach_when_ready(&p);
    if (!status) {
        status = rounds(&p);
        show_end(&p);
    } else if (status == ENDS || (p.request.by_run && wait_for_end(&p, 0))) {
        status = PLUG_ENDED;
    }
    plug_box_close(&p.box);
    free(p.before.list);
    return status;
}
