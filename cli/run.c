/* freehold run: runs a program on Freehold and tells what its memory did. */
#include <argp.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "amount.h"
#include "cli.h"
#include "hardened.h"
#include "library.h"
#include "run.h"

struct request {
    const char *json; /* a file's name, "-" for stdout; NULL: none */
    const char *options;
    const char *oom; /* the file of the black box; NULL: none */
    bool quiet;
    struct look_request look;
    struct plug_wish plug;
    bool harden;
    struct hardened hardened;
    int leaks_status; /* of a program that leaks; 0: its own */
    char **argv;
};

enum {
    KEY_LEAKS = 0x100,
    KEY_LEAKS_STATUS,
    KEY_LEAKS_CHILDREN,
    KEY_SUPPRESS,
    KEY_SCRATCH,
    KEY_OOM,
    KEY_PLUG,
    KEY_PLUG_AGE,
    KEY_PLUG_RATE,
    KEY_HARDENED,
};

static const char documentation[] =
    "Runs PROG with Freehold as its malloc, and tells at the end, on stderr, what its memory did."
    "\vThe exit status is that of PROG; a PROG that a signal killed kills freehold with the same "
    "signal. 125: freehold itself failed, or PROG would not have run on Freehold; 126: PROG cannot "
    "be executed; 127: there is no PROG. --leaks-exit-code gives a PROG that leaks another.";

static const struct argp_option options[] = {
    {"json", 'j', "FILE", 0, "write all numbers as JSON; - is stdout", 0},
    {"quiet", 'q', 0, 0, "say nothing unless something is wrong", 0},
    {"options", 'o', "K=V,...", 0, "options of the library; they win over FREEHOLD_OPTIONS", 0},
    {"oom", KEY_OOM, "FILE", 0,
     "append to FILE what the program held when memory was about to run out", 0},
    {"hardened", KEY_HARDENED, "LEVEL", OPTION_ARG_OPTIONAL,
     "on the hardened library, which ends PROG when it misuses memory: light, standard, strict", 0},
    {"leaks", KEY_LEAKS, 0, 0, "tell what nothing points to any more when PROG ends by exit()", 1},
    {"leaks-exit-code", KEY_LEAKS_STATUS, "N", 0, "the status if anything is lost; 0: PROG's", 1},
    {"leaks-children", KEY_LEAKS_CHILDREN, 0, 0, "the same of its children too", 1},
    {"suppress", KEY_SUPPRESS, "FILE", 0, "do not count the leaks that FILE names", 1},
    {"scratch", KEY_SCRATCH, "DIR", 0, "keep the copy that is searched in a file there", 1},
    {"plug", KEY_PLUG, 0, 0, "give back what PROG loses while it runs", 2},
    {"plug-age", KEY_PLUG_AGE, "TIME", 0, "two looks must have found it lost, so far apart: 60s",
     2},
    {"plug-rate", KEY_PLUG_RATE, "SIZE", 0, "give back no more in a second: 16M", 2},
    {0},
};

/* Each option of the search asks for it. */
static void take_look_option(struct request *request, int key, const char *argument)
{
    uint64_t number;
    request->look.wanted = true;
    if (key == KEY_LEAKS_CHILDREN) request->look.children = true;
    if (key == KEY_SUPPRESS) request->look.suppressions = argument;
    if (key == KEY_SCRATCH) request->look.scratch = argument;
    if (key != KEY_LEAKS_STATUS) return;
    if (!amount_count_of("leaks-exit-code", argument, &number)) exit(STATUS_OWN_FAILURE);
    if (number > 255)
        exit(refuse(STATUS_OWN_FAILURE, "--leaks-exit-code: '%s' is no exit status: 0 to 255",
                    argument));
    request->leaks_status = (int)number;
}

/* Each option of the plug asks for it. */
static void take_plug_option(struct request *request, int key, const char *argument)
{
    bool good = true;
    request->plug.wanted = true;
    if (key == KEY_PLUG_AGE) good = amount_ms_of("plug-age", argument, &request->plug.age_ms);
    if (key == KEY_PLUG_RATE) good = amount_bytes_of("plug-rate", argument, &request->plug.rate);
    if (!good) exit(STATUS_OWN_FAILURE);
    /* What the options take: src/face/options.def. */
    if (key == KEY_PLUG_AGE && (request->plug.age_ms < 10 || request->plug.age_ms > 86400000))
        exit(refuse(STATUS_OWN_FAILURE, "--plug-age: '%s' is not from 10ms to 24h", argument));
    if (key == KEY_PLUG_RATE &&
        (request->plug.rate < 64 << 10 || request->plug.rate > (uint64_t)1 << 40))
        exit(refuse(STATUS_OWN_FAILURE, "--plug-rate: '%s' is not from 64K to 1T", argument));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'j': request->json = argument; return 0;
    case 'q': request->quiet = true; return 0;
    case 'o': request->options = argument; return 0;
    case KEY_OOM: request->oom = argument; return 0;
    case KEY_LEAKS:
    case KEY_LEAKS_STATUS:
    case KEY_LEAKS_CHILDREN:
    case KEY_SUPPRESS:
    case KEY_SCRATCH: take_look_option(request, key, argument); return 0;
    case KEY_HARDENED:
        request->harden = true;
        if (hardened_level(argument, &request->hardened)) exit(STATUS_OWN_FAILURE);
        return 0;
    case KEY_PLUG:
    case KEY_PLUG_AGE:
    case KEY_PLUG_RATE: take_plug_option(request, key, argument); return 0;
    case ARGP_KEY_ARG: /* the program: all that follows is its own */
        request->argv = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which program? freehold run -- PROG ARGS"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options, parse_option, "[--] PROG [ARGS...]", documentation, 0, 0, 0};

/* ---- the end ---------------------------------------------------------------------------------- */

static bool leaks(const struct run *run)
{
    const struct look *look = run->plan.look;
    return look && (look_lost_blocks(look) > 0 || look_child_leaks(look));
}

/* Written whole, so that lines of processes that outlive the program do not fall into it. */
static void write_summary(const struct run *run, bool quiet)
{
    const struct look *look = run->plan.look;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct palette colours = palette_for(STDERR_FILENO);
    if (!out) return;
    if (run->hardened) hardened_show(run->hardened, out, &colours);
    if (!quiet) run_report(run, out, &colours, human_utf8());
    if (look) look_show(look, run->program, out, &colours, quiet);
    fclose(out);
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written; /* a broken stderr has nobody to be told */
    free(text);
}

/* Who asked for a status wants to be told by it if nothing could be found out. */
static int leaks_status(const struct run *run, const struct request *request)
{
    if (!run->plan.look || request->leaks_status == 0) return 0;
    if (leaks(run)) return request->leaks_status;
    bool all = look_was_made(run->plan.look) && !look_child_missed(run->plan.look);
    return all ? 0 : STATUS_OWN_FAILURE;
}

/* Tells and returns the exit status; the program's own failure goes before ours, but not before its leaks. */
static int conclude(const struct run *run, const struct request *request, FILE *json)
{
    int own = run_took_effect(run);
    if (!own && run->subject) write_summary(run, request->quiet);
    if (json) run_json(run, json);
    int written = output_close(json, request->json);
    if (!own) own = written ? written : leaks_status(run, request);
    if (leaks(run) && request->leaks_status && !WIFSIGNALED(run->child.status)) return own;
    bool succeeded = WIFEXITED(run->child.status) && WEXITSTATUS(run->child.status) == 0;
    return succeeded ? own : child_repeat_end(&run->child);
}

/* A look at the end and one meanwhile would stop the program for each other. */
static int prepare_plug(struct run *run, struct request *request, char **list)
{
    if (!request->plug.wanted) return 0;
    if (request->look.wanted)
        return refuse(
            STATUS_OWN_FAILURE,
            "--plug and --leaks do not go together: what is given back is told as it goes; "
            "freehold leaks PID tells the rest while it runs");
    request->plug.quiet = request->quiet;
    run->plan.plug = &request->plug;
    return plug_option(&request->plug, request->options, list);
}

/* After run_prepare, which finds the library beside which it lies. */
static int prepare_calls(struct run *run, const char *options)
{
    char why[PATH_MAX + 256];
    if (!run->hardened || !hardened_wants_calls(options)) return 0;
    if (library_locate_calls(run->library, run->calls, sizeof run->calls, why, sizeof why))
        return 0;
    return refuse(STATUS_OWN_FAILURE, "%s", why);
}

/* The hardened library has neither of the two. */
static int prepare_hardened(struct run *run, struct request *request, char **list)
{
    if (!request->harden) return 0;
    if (request->plug.wanted || request->oom)
        return refuse(STATUS_OWN_FAILURE,
                      "--hardened and --%s do not go together: the hardened library has no %s",
                      request->oom ? "oom" : "plug", request->oom ? "black box" : "plug");
    run->hardened = &request->hardened;
    return hardened_option(&request->hardened, request->options, list);
}

int command_run(int argc, char **argv)
{
    struct request request = {.hardened = {.fd = -1}};
    struct run run = {0};
    FILE *json = NULL;
    char *list = NULL, *with_plug = NULL, *with_level = NULL;
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
    streams_fill();
    int status = prepare_hardened(&run, &request, &with_level);
    if (with_level) request.options = with_level;
    if (!status) status = run_prepare(&run, request.argv);
    if (!status) status = prepare_calls(&run, request.options);
    if (!status && request.look.wanted) status = look_create(&run.plan.look, &request.look);
    if (!status && request.json) status = output_open("--json", request.json, &json);
    if (!status) status = prepare_plug(&run, &request, &with_plug);
    if (with_plug) request.options = with_plug;
    if (!status && request.oom) status = oom_option(request.oom, request.options, &list);
    if (!status) status = run_program(&run, list ? list : request.options);
    if (!status && run.hardened) hardened_read(run.hardened);
    if (!status) status = conclude(&run, &request, json);
    run_finish(&run);
    free(list);
    free(with_plug);
    free(with_level);
    hardened_finish(&request.hardened);
    return status;
}
