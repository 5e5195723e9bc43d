/* freehold top: memory of all processes, live. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "amount.h"
#include "cli.h"
#include "target.h"
#include "top.h"

enum { TOP_ERROR = 2, DELAY_STANDARD_MS = 2000, ONCE_LINES = 18, ONCE_DELAY_MS = 500 };

struct request {
    pid_t pid;
    unsigned delay_ms;
    enum top_order order;
    bool once, json;
};

static const char documentation[] =
    "Shows what is resident in all processes, or in one, as it changes, and opens the ledger of "
    "the chosen "
    "one. Reading costs some microseconds a process; the first line says how much."
    "\vKeys: up and down choose, m or Enter opens the ledger, b goes back, s sorts by RSS, growth, "
    "name or "
    "id, p pauses, + and - change the delay, q quits. Exit status: 0; 2 no such process, no "
    "terminal or "
    "wrong arguments.";

enum { KEY_ONCE = 0x100 };

static const struct argp_option options[] = {
    {"delay", 'd', "SECONDS", 0, "between two readings (2)", 0},
    {"sort", 's', "ORDER", 0, "rss, growth, name or pid", 0},
    {"once", KEY_ONCE, 0, 0, "print the largest once, growth over half a second, and end", 0},
    {"json", 'j', 0, 0, "the same of all processes as JSON", 0},
    {0},
};

static unsigned parse_delay(const char *text, struct argp_state *state)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds >= 0.1 && seconds <= 60))
        argp_error(state, "--delay: '%s' is not a number of seconds from 0.1 to 60", text);
    return (unsigned)(seconds * 1000);
}

static enum top_order parse_order(const char *text, struct argp_state *state)
{
    static const char *const words[TOP_ORDERS] = {"rss", "growth", "name", "pid"};
    for (int i = 0; i < TOP_ORDERS; i++) {
        if (strcmp(text, words[i]) == 0) return (enum top_order)i;
    }
    argp_error(state, "--sort: '%s' is none of rss, growth, name, pid", text);
    return TOP_BY_RSS;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'd': request->delay_ms = parse_delay(argument, state); return 0;
    case 's': request->order = parse_order(argument, state); return 0;
    case 'j': request->json = true; return 0;
    case KEY_ONCE: request->once = true; return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) return ARGP_ERR_UNKNOWN;
        request->pid = target_parse(argument, state);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {options, parse_option, "[PID]", documentation, 0, 0, 0};

static bool sample(struct top *top)
{
    if (top_sample(top)) return true;
    say("cannot read /proc: %s", strerror(errno));
    return false;
}

static int show_once(struct top *top, const struct request *request)
{
    struct palette colours = palette_for(STDOUT_FILENO);
    struct timespec pause = {.tv_nsec = ONCE_DELAY_MS * 1000000L};
    nanosleep(&pause, NULL);
    if (!sample(top)) return TOP_ERROR;
    top_sort(top);
    if (request->json)
        top_json(top, stdout);
    else
        top_show(top, stdout, &colours, ONCE_LINES);
    return output_end(0);
}

/* Says why the process cannot be watched, as the other commands do. */
static int refuse_process(pid_t pid)
{
    struct process process;
    enum process_error error = process_read(&process, pid, NULL);
    int status = error == PROCESS_READ ? target_ended(TOP_ERROR, &process)
                                       : target_refuse(TOP_ERROR, "top", error, &process);
    process_finish(&process);
    return status;
}

static int show(struct top *top, const struct request *request)
{
    int status = 0;
    if (!sample(top)) return TOP_ERROR;
    if (request->pid && top->count == 0) return refuse_process(request->pid);
    top_sort(top);
    if (request->once || request->json) return show_once(top, request);
    if (top_screen(top, request->delay_ms, &status)) return status;
    return refuse(TOP_ERROR,
                  "there is no terminal to draw on (TERM=%s), or freehold was built without "
                  "ncurses; --once prints the same",
                  getenv("TERM") ? getenv("TERM") : "");
}

int command_top(int argc, char **argv)
{
    struct request request = {.delay_ms = DELAY_STANDARD_MS};
    struct top top;
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &request);
    top_init(&top, request.pid);
    top.order = request.order;
    int status = show(&top, &request);
    top_finish(&top);
    return status;
}
