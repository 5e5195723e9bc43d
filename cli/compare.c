/* freehold compare: a program over every allocator that is found here, round by round. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "amount.h"
#include "cli.h"
#include "compare.h"
#include "library.h"
#include "process.h"

enum { ROUNDS_STANDARD = 5, STATUS_FAILURES = 1, WITH_MAX = 16 };

struct request {
    const char *json;
    uint64_t rounds;
    const char *with[WITH_MAX];
    size_t with_count;
    char **argv;
};

static const char documentation[] = "Runs PROG again and again, on its own malloc, on every "
                                    "allocator that is installed here and on "
                                    "Freehold, and tells which is best for it."
                                    "\vWhat PROG writes is thrown away; its input is a file or "
                                    "nothing. The exit status is 0 if every "
                                    "allocator ran PROG as its own malloc does; 1 if one did not; "
                                    "125 if freehold failed or PROG fails "
                                    "anyway; 126 and 127 as in freehold run.";

static const struct argp_option options[] = {
    {"rounds", 'n', "N", 0, "how often each allocator runs it (5)", 0},
    {"with", 'w', "LIBRARY", 0, "compare this one too; may be given several times", 0},
    {"json", 'j', "FILE", 0, "write all samples as JSON; - is stdout", 0},
    {0},
};

static void take_rounds(struct request *request, const char *text)
{
    if (!amount_count_of("rounds", text, &request->rounds)) exit(STATUS_OWN_FAILURE);
    if (request->rounds == 0 || request->rounds > ROUNDS_MAX)
        exit(refuse(STATUS_OWN_FAILURE, "--rounds: from 1 to %d", ROUNDS_MAX));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'n': take_rounds(request, argument); return 0;
    case 'j': request->json = argument; return 0;
    case 'w':
        if (request->with_count == WITH_MAX) argp_error(state, "too many --with");
        request->with[request->with_count++] = argument;
        return 0;
    case ARGP_KEY_ARG: /* the program: all that follows is its own */
        request->argv = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which program? freehold compare -- PROG ARGS");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    options, parse_option, "[--] PROG [ARGS...]", documentation, 0, 0, 0};

/* A pipe with something in it was meant for the program, which will not get it. */
static void warn_of_input(void)
{
    struct stat status;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (fstat(STDIN_FILENO, &status) == 0 && S_ISFIFO(status.st_mode) && poll(&input, 1, 0) == 1 &&
        input.revents & POLLIN)
        say("standard input is a pipe, which can be read once only: the runs get none; a file "
            "could "
            "be given to each");
}

static int prepare(struct compare *compare, const struct request *request)
{
    char why[PATH_MAX + 256];
    compare->argv = request->argv;
    compare->program = base_name(request->argv[0]);
    compare->rounds = request->rounds;
    if (!library_locate(false, compare->library, sizeof compare->library, why, sizeof why))
        return refuse(STATUS_OWN_FAILURE, "%s", why);
    int status = program_find(request->argv[0], compare->path, sizeof compare->path);
    if (!status) status = program_examine(request->argv[0], compare->path, compare->library);
    if (status) return status;
    candidates_find(compare);
    for (size_t i = 0; i < request->with_count; i++) {
        if (candidates_add(compare, request->with[i])) return STATUS_OWN_FAILURE;
    }
    for (size_t i = 0; i < compare->count; i++) {
        compare->candidates[i].samples = calloc(compare->rounds, sizeof(struct sample));
        if (!compare->candidates[i].samples) return refuse(STATUS_OWN_FAILURE, "out of memory");
    }
    return 0;
}

/* One line that replaces itself, only where somebody watches. */
static void show_progress(const struct compare *compare, int round, const char *name)
{
    if (!isatty(STDERR_FILENO)) return;
    if (!name)
        fprintf(stderr, "\r\033[K");
    else if (round < 0)
        fprintf(stderr, "\r\033[Kwarming up: %s", name);
    else
        fprintf(stderr, "\r\033[Kround %d of %zu: %s", round + 1, compare->rounds, name);
}

/* Another candidate begins each round, so that none is always behind the same. */
static int run_round(struct compare *compare, struct stage *stage, int round)
{
    int status = 0;
    size_t first = round < 0 ? 0 : (size_t)round % compare->count;
    for (size_t i = 0; i < compare->count && !status && !compare->interrupted; i++) {
        struct candidate *c = &compare->candidates[(first + i) % compare->count];
        show_progress(compare, round, c->name);
        status = compare_run(compare, stage, c, round);
    }
    show_progress(compare, round, NULL);
    return status;
}

static int run_rounds(struct compare *compare)
{
    struct stage *stage = stage_open();
    if (!stage)
        return refuse(STATUS_OWN_FAILURE, "cannot make a file for the output: %s", strerror(errno));
    int status = run_round(compare, stage, -1);
    while (!status && !compare->interrupted && compare->done < compare->rounds) {
        status = run_round(compare, stage, (int)compare->done);
        if (!status && !compare->interrupted) compare->done++;
    }
    stage_close(stage);
    return status;
}

static int conclude(struct compare *compare, const struct request *request, FILE *json)
{
    unsigned wrong = 0;
    struct palette colours = palette_for(STDOUT_FILENO);
    compare_judge(compare);
    for (size_t i = 0; i < compare->count; i++) {
        const struct candidate *c = &compare->candidates[i];
        wrong += c->failures + c->missing + c->other_output;
    }
    if (json != stdout) compare_show(compare, stdout, &colours);
    if (json) compare_json(compare, json);
    int status = output_close(json, request->json);
    if (status) return status;
    return output_end(wrong ? STATUS_FAILURES : 0);
}

static void finish(struct compare *compare)
{
    for (size_t i = 0; i < compare->count; i++) free(compare->candidates[i].samples);
}

int command_compare(int argc, char **argv)
{
    static struct compare compare;
    struct request request = {.rounds = ROUNDS_STANDARD};
    FILE *json = NULL;
    argp_err_exit_status = STATUS_OWN_FAILURE;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &request);
    streams_fill();
    warn_of_input();
    int status = prepare(&compare, &request);
    if (!status && request.json) status = output_open("--json", request.json, &json);
    if (!status) status = run_rounds(&compare);
    if (!status && compare.interrupted)
        status = refuse(128 + compare.interrupted, "interrupted after %zu of %zu rounds",
                        compare.done, compare.rounds);
    if (!status) status = conclude(&compare, &request, json);
    finish(&compare);
    return status;
}
