/* freehold map PID: where every resident byte of a process belongs. */
#include <argp.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "map.h"
#include "target.h"

enum { MAP_SHOWN = 0, MAP_ERROR = 2 };

struct request {
    pid_t pid;
    bool json, mappings, apply, walk;
    uint64_t address;
};

static const char documentation[] =
    "Tells to whom every resident byte of a process belongs, without stopping it. The rows add up "
    "to "
    "what the kernel counts as resident."
    "\vExit status: 0; 2 no such process, not permitted or wrong arguments.";

enum { KEY_WALK = 0x100, KEY_APPLY };

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "write it all as JSON", 0},
    {"mappings", 'm', 0, 0, "list the largest mappings too; with --json all of them", 0},
    {"walk", KEY_WALK, "ADDRESS", 0, "follow one address through the page tables instead", 0},
    {"apply", KEY_APPLY, 0, 0, "give memory back (not offered yet)", 0},
    {0},
};

static uint64_t parse_address(const char *text, struct argp_state *state)
{
    uint64_t address = 0;
    const char *at = text, *end = text + strlen(text);
    if (strncmp(text, "0x", 2) == 0) at += 2;
    if (!parse_hex(&at, end, &address) || at != end)
        argp_error(state, "--walk: '%s' is no address; write it as 0x7f31c0a28000", text);
    return address;
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
        request->address = parse_address(argument, state);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) return ARGP_ERR_UNKNOWN;
        request->pid = target_parse(argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "which process? Give its id"); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {options, parse_option, "PID", documentation, 0, 0, 0};

static int map_ledger(const struct request *request)
{
    static struct ledger ledger;
    struct palette colours = palette_for(STDOUT_FILENO);
    int status = ledger_read(&ledger, request->pid, MAP_ERROR);
    if (status == 0 && request->json) {
        map_json(&ledger, stdout, request->mappings);
    } else if (status == 0) {
        map_show(&ledger, stdout, &colours);
        if (request->mappings) map_show_mappings(&ledger, stdout);
    }
    ledger_finish(&ledger);
    return status;
}

int command_map(int argc, char **argv)
{
    struct request request = {0};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &request);
    if (request.apply)
        return refuse(
            MAP_ERROR,
            "--apply is not offered yet: neither Freehold nor glibc can be asked from outside "
            "to give memory back; call malloc_trim(0) in the program, or, on Freehold, leave "
            "what is free unused for purge_delay");
    int status = request.walk ? map_walk(request.pid, request.address, request.json, MAP_ERROR)
                              : map_ledger(&request);
    return output_end(status);
}
