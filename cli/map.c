/* freehold map PID: where every resident byte of a process belongs. */
#include <argp.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "map.h"
#include "target.h"
#include "why.h"

enum { MAP_SHOWN = 0, MAP_ERROR = 2 };

struct request {
    pid_t pid;
    const char *core, *executable; /* --why takes a core file too */
    bool json, mappings, apply, walk, why;
    uint64_t address;
};

static const char documentation[] =
    "Tells to whom every resident byte of a process belongs, without stopping it. The rows add up "
    "to what the kernel counts as resident."
    "\vExit status: 0; 1 nothing leads to the block of --why; 2 no such process, not permitted, "
    "wrong arguments, or --apply was refused; 3 the heap cannot be walked for --why.";

enum { KEY_WALK = 0x100, KEY_WHY, KEY_APPLY };

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "write it all as JSON", 0},
    {"mappings", 'm', 0, 0, "list the largest mappings too; with --json all of them", 0},
    {"walk", KEY_WALK, "ADDRESS", 0, "follow one address through the page tables instead", 0},
    {"why", KEY_WHY, "ADDRESS", 0,
     "tell what an address is, and what keeps it alive, also in a core file", 0},
    {"apply", KEY_APPLY, 0, 0, "let the process call malloc_trim(0), and show RSS before and after",
     0},
    {0},
};

static uint64_t parse_address(const char *option, const char *text, struct argp_state *state)
{
    uint64_t address = 0;
    const char *at = text, *end = text + strlen(text);
    if (strncmp(text, "0x", 2) == 0) at += 2;
    if (!parse_hex(&at, end, &address) || at != end)
        argp_error(state, "%s: '%s' is no address; write it as 0x7f31c0a28000", option, text);
    return address;
}

/* argp hands out the arguments after the options. */
static error_t take_argument(struct request *r, char *argument, struct argp_state *state)
{
    if (!r->why) return target_option(ARGP_KEY_ARG, argument, state, &r->pid);
    if (state->arg_num == 0 && !target_number(argument, &r->pid))
        r->core = argument;
    else if (state->arg_num == 1 && r->core)
        r->executable = argument;
    else if (state->arg_num > 0)
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static void check_options(const struct request *r, struct argp_state *state)
{
    if (r->walk + r->why + r->apply > 1) argp_error(state, "one of --walk, --why and --apply only");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'j': request->json = true; return 0;
    case 'm': request->mappings = true; return 0;
    case KEY_APPLY: request->apply = true; return 0;
    case KEY_WALK:
        request->walk = true;
        request->address = parse_address("--walk", argument, state);
        return 0;
    case KEY_WHY:
        request->why = true;
        request->address = parse_address("--why", argument, state);
        return 0;
    case ARGP_KEY_ARG: return take_argument(request, argument, state);
    case ARGP_KEY_END: check_options(request, state); return 0;
    default: return target_option(key, argument, state, &request->pid);
    }
}

static const struct argp parser = {
    options, parse_option, "PID\n--why=ADDRESS CORE [EXE]", documentation, 0, 0, 0};

static int explain(const struct request *r)
{
    struct why_request why = {.pid = r->pid,
                              .core = r->core,
                              .executable = r->executable,
                              .address = r->address,
                              .json = r->json};
    return map_why(&why);
}

static int map_ledger(const struct request *request)
{
    static struct ledger ledger;
    struct palette colours = palette_for(STDOUT_FILENO);
    int status =
        ledger_read(&ledger, request->pid, request->mappings ? "map --mappings" : "map", MAP_ERROR);
    if (status == 0 && request->json) {
        map_json(&ledger, stdout, request->mappings);
    } else if (status == 0) {
        map_show(&ledger, stdout, &colours);
        if (request->mappings) map_show_mappings(&ledger, stdout);
    }
    ledger_finish(&ledger);
    return status;
}

static int map(const struct request *request)
{
    if (request->why) return explain(request);
    if (request->apply) return map_apply(request->pid, request->json, MAP_ERROR);
    if (request->walk) return map_walk(request->pid, request->address, request->json, MAP_ERROR);
    return map_ledger(request);
}

int command_map(int argc, char **argv)
{
    struct request request = {0};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &request);
    return output_end(map(&request));
}
