/* freehold leaks PID | CORE [EXE]: blocks that nothing points to any more. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "leaks_process.h"
#include "target.h"

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
    {"suppress", OPTION_SUPPRESS, "FILE", 0,
     "do not tell of the groups that FILE names, nor of what only they keep", 0},
    {"reachable", OPTION_REACHABLE, 0, 0, "list also what can be reached, the largest first", 0},
    {"copy", OPTION_COPY, 0, 0, "do not fork the process: stop it while it is copied", 0},
    {"scratch", OPTION_SCRATCH, "DIR", 0, "keep the copy in a file there instead of in memory", 0},
    {0},
};

static void take_subject(struct leaks_request *r, char *argument)
{
    if (!target_number(argument, &r->pid)) r->core = argument;
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

/* Recognised and not understood, or not even recognised. */
static int refuse_heap(const struct leaks *l)
{
    const struct heap_walk *misfit = &l->survey.misfit;
    if (misfit->walker)
        return refuse(
            LEAKS_UNKNOWN,
            "%s has a heap of %s that does not fit what is known of it (%s): %s; it may be "
            "damaged, or of another version",
            l->name, misfit->walker->name, misfit->walker->known, misfit->misfit);
    if (l->owner && survey_known(l->owner))
        return refuse(LEAKS_UNKNOWN,
                      "%s allocates with %s, but nothing in its memory looks like the heap of a "
                      "version that can be walked (%s)",
                      l->name, l->owner, survey_known(l->owner));
    return refuse(LEAKS_UNKNOWN,
                  "%s has no heap that can be walked: neither glibc's, in use, nor Freehold's, nor "
                  "one of musl, jemalloc, mimalloc or tcmalloc; freehold which tells what it "
                  "allocates with",
                  l->name);
}

static int survey(struct leaks *l)
{
    enum survey_heap heap = survey_find(&l->survey, &l->image);
    bool other = l->owner && survey_known(l->owner) && heap != SURVEY_OWN;
    if (heap == SURVEY_OWN && own_is_blank(&l->survey.own))
        return refuse(LEAKS_UNKNOWN, "%s (core file) " OWN_BLANK, l->name);
    if (heap == SURVEY_NONE || (other && !survey_walks(&l->survey, l->owner)))
        return refuse_heap(l);
    survey_name(&l->survey, l->allocator, sizeof l->allocator);
    return survey_mark(&l->survey) ? 0 : refuse(LEAKS_ERROR, "out of memory while marking");
}

static bool is_lost(const struct group *g)
{
    return g->kind == REACH_LOST || g->kind == REACH_INDIRECT;
}

static bool is_known(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    const struct leaks *l = context;
    return groups_knows(&l->groups, &l->survey, start, size, kind);
}

/* Groups are known, and so blocks, and so what only they keep: that is told by groups anew. */
static bool suppress(struct leaks *l, unsigned kinds)
{
    bool any = false;
    for (size_t i = 0; i < l->groups.count; i++) {
        const struct group *g = &l->groups.list[i];
        if (!is_lost(g) || !suppressions_match(&l->suppressions, g)) continue;
        groups_know(&l->groups, g);
        any = true;
    }
    if (!any) return true;
    if (!survey_know(&l->survey, is_known, l)) return false;
    groups_finish(&l->groups);
    if (!groups_make(&l->groups, &l->survey, kinds)) return false;
    leaks_name_groups(l);
    return true;
}

static void judge(struct leaks *l)
{
    memcpy(l->total, l->survey.total, sizeof l->total);
    for (size_t i = 0; i < l->groups.count; i++) {
        const struct group *g = &l->groups.list[i];
        if (!g->suppressed) continue;
        l->suppressed.count += g->count;
        l->suppressed.bytes += g->bytes;
        l->total[g->kind].count -= g->count;
        l->total[g->kind].bytes -= g->bytes;
    }
    l->told_blocks = l->total[REACH_LOST].count + l->total[REACH_INDIRECT].count;
    l->told_bytes = l->total[REACH_LOST].bytes + l->total[REACH_INDIRECT].bytes;
    l->status = l->told_blocks > 0 ? LEAKS_FOUND : LEAKS_NONE;
}

int leaks_find(struct leaks *l)
{
    int status = survey(l);
    if (status) return status;
    unsigned kinds = 1u << REACH_LOST | 1u << REACH_INDIRECT | 1u << REACH_POSSIBLE;
    if (l->request.reachable) kinds |= 1u << REACH_REACHED;
    if (!groups_make(&l->groups, &l->survey, kinds)) return refuse(LEAKS_ERROR, "out of memory");
    leaks_name_groups(l);
    if (!suppress(l, kinds)) return refuse(LEAKS_ERROR, "out of memory");
    judge(l);
    l->took_us = (clock_ns() - l->began_ns) / 1000;
    return 0;
}

static int conclude(const struct leaks *l)
{
    struct palette colours = palette_for(STDOUT_FILENO);
    if (l->request.json)
        leaks_json(l, stdout);
    else
        leaks_show(l, stdout, &colours);
    return l->status;
}

int leaks_prepare(struct leaks *l)
{
    char why[IMAGE_WHY] = "out of memory";
    if (l->request.scratch && !image_scratch_possible(l->request.scratch, why))
        return refuse(LEAKS_ERROR, "%s", why);
    if (l->request.suppressions &&
        !suppressions_read(&l->suppressions, l->request.suppressions, why, sizeof why))
        return refuse(LEAKS_ERROR, "%s", why);
    return 0;
}

void leaks_finish(struct leaks *l, struct process *p)
{
    groups_finish(&l->groups);
    survey_finish(&l->survey);
    if (l->request.core) leaks_core_finish(l);
    image_finish(&l->image);
    suppressions_finish(&l->suppressions);
    free(l->files);
    if (p->pid) process_finish(p);
}

static int run(struct leaks *l, struct process *p)
{
    int status = leaks_prepare(l);
    if (status == 0) status = l->request.pid ? leaks_of_process(l, p) : leaks_of_core(l);
    if (status == 0) status = leaks_find(l);
    return status ? status : conclude(l);
}

/* As it would be typed again before the process's id. */
static char *command_of(const struct leaks_request *r)
{
    char *command = NULL;
    const char *suppress = r->suppressions, *scratch = r->scratch;
    int length = asprintf(&command, "leaks%s%s%s%s%s%s%s", r->json ? " --json" : "",
                          r->reachable ? " --reachable" : "", r->copy ? " --copy" : "",
                          suppress ? " --suppress=" : "", suppress ? suppress : "",
                          scratch ? " --scratch=" : "", scratch ? scratch : "");
    return length < 0 ? NULL : command;
}

int command_leaks(int argc, char **argv)
{
    static struct leaks l;
    struct process p = {0};
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &l.request);
    char *command = command_of(&l.request);
    l.request.command = command ? command : "leaks";
    int status = run(&l, &p);
    leaks_finish(&l, &p);
    free(command);
    return output_end(status);
}
