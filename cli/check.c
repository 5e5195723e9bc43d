/* freehold check: runs a program on Freehold and holds it to what it promised about its memory. */
#include <argp.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amount.h"
#include "check.h"
#include "cli.h"

enum { STATUS_BROKEN = 1 };

struct request {
    struct check *check;
    const char *json, *junit; /* files' names, "-" for stdout; NULL: none */
    const char *options;
    struct look_request look;
    bool quiet;
    char **argv;
};

static const char documentation[] =
    "Runs PROG with Freehold as its malloc, and fails if its memory breaks a promise."
    "\vSIZE is as in 64M, 1.5GiB or 4096; N as in 0, 1200 or 10k."
    "\n\nThe exit status is that of PROG if it fails, or the signal that killed it. Else 0: all "
    "promises kept; 1: one broken; 125: one that could not be judged, or freehold itself failed; "
    "126: "
    "PROG cannot be executed; 127: there is no PROG.";

/* The keys of the promises are their kinds, beyond all characters. */
enum { KEY_PROMISE = 0x100, KEY_JUNIT = KEY_PROMISE + PROMISES, KEY_SUPPRESS, KEY_SCRATCH };
#define KEY(kind) (KEY_PROMISE + PROMISE_##kind)

static const struct argp_option options[] = {
    {"peak", KEY(PEAK), "SIZE", 0, "no process has Freehold hold more at any time", 0},
    {"peak-rss", KEY(PEAK_RSS), "SIZE", 0, "no process has more resident at any time", 0},
    {"end-rss", KEY(END_RSS), "SIZE", 0, "PROG has no more resident when it ends", 0},
    {"end-live", KEY(END_LIVE), "SIZE", 0, "PROG leaves no more bytes of blocks unfreed", 0},
    {"allocs", KEY(ALLOCS), "N", 0, "all processes together allocate no more blocks", 0},
    {"leaks", KEY(LEAKS), "SIZE", 0, "nothing points to more bytes of blocks when PROG ends", 0},
    {"suppress", KEY_SUPPRESS, "FILE", 0, "do not count the leaks that FILE names", 1},
    {"scratch", KEY_SCRATCH, "DIR", 0, "keep the copy searched for leaks in a file there", 1},
    {"json", 'j', "FILE", 0, "write the outcome as JSON; - is stdout", 1},
    {"junit", KEY_JUNIT, "FILE", 0, "write the outcome as JUnit XML; - is stdout", 1},
    {"quiet", 'q', 0, 0, "say nothing of promises that were kept", 1},
    {"options", 'o', "K=V,...", 0, "options of the library; they win over FREEHOLD_OPTIONS", 1},
    {0},
};

static void take_promise(struct request *request, enum promise_kind kind, const char *text)
{
    struct promise *p = &request->check->promises[kind];
    const struct promise_form *form = &promise_forms[kind];
    p->made = true;
    bool good = form->bytes ? amount_bytes_of(form->name, text, &p->limit)
                            : amount_count_of(form->name, text, &p->limit);
    if (!good) exit(STATUS_OWN_FAILURE);
    if (kind == PROMISE_LEAKS) request->look.wanted = true;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    if (key >= KEY_PROMISE && key < KEY_PROMISE + PROMISES) {
        take_promise(request, (enum promise_kind)(key - KEY_PROMISE), argument);
        return 0;
    }
    switch (key) {
    case 'j': request->json = argument; return 0;
    case 'q': request->quiet = true; return 0;
    case 'o': request->options = argument; return 0;
    case KEY_JUNIT: request->junit = argument; return 0;
    case KEY_SUPPRESS: request->look.suppressions = argument; return 0;
    case KEY_SCRATCH: request->look.scratch = argument; return 0;
    case ARGP_KEY_ARG: /* the program: all that follows is its own */
        request->argv = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which program? freehold check --peak 64M -- PROG ARGS");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options, parse_option, "--PROMISE=LIMIT... [--] PROG [ARGS...]", documentation, 0, 0, 0};

static bool any_promise(const struct check *check)
{
    for (int kind = 0; kind < PROMISES; kind++) {
        if (check->promises[kind].made) return true;
    }
    return false;
}

static void note_end(void *context, pid_t pid)
{
    struct check *check = context;
    check->end = resident_read(pid);
}

/* Written whole, as the summary of `run` is. */
static void write_report(const struct check *check, bool quiet)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct palette colours = palette_for(STDERR_FILENO);
    if (!out) return;
    check_report(check, out, &colours, quiet);
    fclose(out);
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written; /* a broken stderr has nobody to be told */
    free(text);
}

struct outputs {
    FILE *json, *junit;
};

static int outputs_open(struct outputs *o, const struct request *request)
{
    int status = request->json ? output_open("--json", request->json, &o->json) : 0;
    if (!status && request->junit) status = output_open("--junit", request->junit, &o->junit);
    return status;
}

static int outputs_write(const struct outputs *o, const struct request *request)
{
    if (o->json) check_json(request->check, o->json);
    if (o->junit) check_junit(request->check, o->junit);
    int json = output_close(o->json, request->json);
    int junit = output_close(o->junit, request->junit);
    return json ? json : junit;
}

/* The program's own failure goes before broken promises, these before what could not be judged. */
static int conclude(struct check *check, const struct request *request, const struct outputs *o)
{
    int own = run_took_effect(&check->run);
    check_judge(check);
    write_report(check, request->quiet);
    int written = outputs_write(o, request);
    if (!own) own = check->broken ? STATUS_BROKEN : check->unknown ? STATUS_OWN_FAILURE : written;
    int status = check->run.child.status;
    bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return succeeded ? own : child_repeat_end(&check->run.child);
}

int command_check(int argc, char **argv)
{
    static struct check check;
    struct request request = {.check = &check};
    struct outputs outputs = {0};
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
    if (!any_promise(&check))
        return refuse(STATUS_OWN_FAILURE, "which promise? freehold check --peak 64M -- %s",
                      request.argv[0]);
    if (!request.look.wanted && (request.look.suppressions || request.look.scratch))
        return refuse(STATUS_OWN_FAILURE, "--suppress and --scratch go with --leaks");
    streams_fill();
    int status = run_prepare(&check.run, request.argv);
    if (!status && request.look.wanted) status = look_create(&check.run.plan.look, &request.look);
    if (!status) status = outputs_open(&outputs, &request);
    if (check.promises[PROMISE_END_RSS].made) {
        check.run.plan.at_end = note_end;
        check.run.plan.context = &check;
    }
    if (!status) status = run_program(&check.run, request.options);
    if (!status) status = conclude(&check, &request, &outputs);
    run_finish(&check.run);
    return status;
}
