/* freehold run: runs a program on Freehold and tells what its memory did. */
#include <argp.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "run.h"

struct request {
    const char *json; /* a file's name, "-" for stdout; NULL: none */
    const char *options;
    bool quiet;
    char **argv;
};

static const char documentation[] =
    "Runs PROG with Freehold as its malloc, and tells at the end, on stderr, what its memory did."
    "\vThe exit status is that of PROG; a PROG that a signal killed kills freehold with the same "
    "signal. 125: freehold itself failed, or PROG would not have run on Freehold; 126: PROG cannot "
    "be executed; 127: there is no PROG.";

static const struct argp_option options[] = {
    {"json", 'j', "FILE", 0, "write all numbers as JSON; - is stdout", 0},
    {"quiet", 'q', 0, 0, "say nothing unless something is wrong", 0},
    {"options", 'o', "K=V,...", 0, "options of the library; they win over FREEHOLD_OPTIONS", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'j': request->json = argument; return 0;
    case 'q': request->quiet = true; return 0;
    case 'o': request->options = argument; return 0;
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

/* Written whole, so that lines of processes that outlive the program do not fall into it. */
static void write_summary(const struct run *run)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct palette colours = palette_for(STDERR_FILENO);
    if (!out) return;
    run_report(run, out, &colours, human_utf8());
    fclose(out);
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written; /* a broken stderr has nobody to be told */
    free(text);
}

/* Tells and returns the exit status; the program's own failure goes before ours. */
static int conclude(const struct run *run, const struct request *request, FILE *json)
{
    int own = run_took_effect(run);
    if (!own && run->subject && !request->quiet) write_summary(run);
    if (json) run_json(run, json);
    int written = output_close(json, request->json);
    if (!own) own = written;
    bool succeeded = WIFEXITED(run->child.status) && WEXITSTATUS(run->child.status) == 0;
    return succeeded ? own : child_repeat_end(&run->child);
}

int command_run(int argc, char **argv)
{
    struct request request = {0};
    struct run run = {0};
    FILE *json = NULL;
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
    streams_fill();
    int status = run_prepare(&run, request.argv);
    if (!status && request.json) status = output_open("--json", request.json, &json);
    if (!status) status = run_program(&run, request.options);
    if (!status) status = conclude(&run, &request, json);
    run_finish(&run);
    return status;
}
