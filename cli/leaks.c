/* freehold leaks PID | CORE [EXE]: blocks that nothing points to any more. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "leaks_process.h"

enum { OPTION_SUPPRESS = 256, OPTION_SCRATCH, OPTION_COPY, OPTION_REACHABLE };

static const char documentation[] =
    "Finds the blocks of a running process, or of its core file, that nothing points to any more, "
    "also "
    "those lost before this command came. The process is stopped for the time of a fork."
    "\vExit status: 0 nothing is lost; 1 something is; 2 no such process or file, not permitted, "
    "or wrong "
    "arguments; 3 its allocator cannot be walked.";

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "write everything found as JSON", 0},
    {"suppress", OPTION_SUPPRESS, "FILE", 0, "do not tell of the groups that FILE names", 0},
    {"reachable", OPTION_REACHABLE, 0, 0, "list also what can be reached, the largest first", 0},
    {"copy", OPTION_COPY, 0, 0, "do not fork the process: stop it while it is copied", 0},
    {"scratch", OPTION_SCRATCH, "DIR", 0, "keep the copy in a file there instead of in memory", 0},
    {0},
};

static void take_subject(struct leaks_request *r, char *argument)
{
    uint64_t pid;
    const char *at = argument, *end = argument + strlen(argument);
    if (parse_dec(&at, end, &pid) && at == end && pid > 0 && pid <= INT32_MAX)
        r->pid = (pid_t)pid;
    else
        r->core = argument;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct leaks_request *r = state->input;
    switch (key) {
    case 'j': r->json = true; return 0;
    case OPTION_SUPPRESS: r->suppressions = argument; return 0;
    case OPTION_SCRATCH: r->scratch = argument; return 0;
    case OPTION_COPY: r->copy = true; return 0;
    case OPTION_REACHABLE: r->reachable = true; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0)
            take_subject(r, argument);
        else if (state->arg_num == 1 && r->core)
            r->executable = argument;
        else
            return ARGP_ERR_UNKNOWN;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "of which process or core file?"); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {options, parse_option, "PID\nCORE [EXE]", documentation, 0, 0,
                                   0};

static int survey(struct leaks *l)
{
    switch (survey_find(&l->survey, &l->image)) {
    case SURVEY_NONE:
        return refuse(LEAKS_UNKNOWN,
                      "%s has no heap that can be walked: neither glibc's, in use, nor "
                      "Freehold's; freehold which tells what it allocates with",
                      l->name);
    case SURVEY_GLIBC: strcpy(l->allocator, "glibc"); break;
    case SURVEY_OWN: strcpy(l->allocator, "Freehold"); break;
    }
    return survey_mark(&l->survey) ? 0 : refuse(LEAKS_ERROR, "out of memory while marking");
}

static void judge(struct leaks *l)
{
    for (size_t i = 0; i < l->groups.count; i++) {
        struct group *g = &l->groups.list[i];
        if (g->kind != REACH_LOST && g->kind != REACH_INDIRECT) continue;
        g->suppressed = suppressions_match(&l->suppressions, g);
        if (g->suppressed) {
            l->suppressed_blocks += g->count;
        } else {
            l->told_blocks += g->count;
            l->told_bytes += g->bytes;
        }
    }
    l->status = l->told_blocks > 0 ? LEAKS_FOUND : LEAKS_NONE;
}

static int conclude(struct leaks *l)
{
    unsigned kinds = 1u << REACH_LOST | 1u << REACH_INDIRECT | 1u << REACH_POSSIBLE;
    if (l->request.reachable) kinds |= 1u << REACH_REACHED;
    if (!groups_make(&l->groups, &l->survey, kinds)) return refuse(LEAKS_ERROR, "out of memory");
    leaks_name_groups(l);
    judge(l);
    struct palette colours = palette_for(STDOUT_FILENO);
    if (l->request.json)
        leaks_json(l, stdout);
    else
        leaks_show(l, stdout, &colours);
    return l->status;
}

static int run(struct leaks *l, struct process *p)
{
    char why[256] = "out of memory";
    if (l->request.suppressions &&
        !suppressions_read(&l->suppressions, l->request.suppressions, why, sizeof why))
        return refuse(LEAKS_ERROR, "%s", why);
    int status = l->request.pid ? leaks_of_process(l, p) : leaks_of_core(l);
    if (status == 0) status = survey(l);
    return status ? status : conclude(l);
}

int command_leaks(int argc, char **argv)
{
    static struct leaks l;
    struct process p = {0};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &l.request);
    int status = run(&l, &p);
    groups_finish(&l.groups);
    survey_finish(&l.survey);
    if (l.request.core) leaks_core_finish(&l);
    image_finish(&l.image);
    suppressions_finish(&l.suppressions);
    free(l.files);
    if (p.pid) process_finish(&p);
    return output_end(status);
}
