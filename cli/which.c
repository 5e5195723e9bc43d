/* freehold which PID: which allocator a process really uses. */
#include <argp.h>
#include <errno.h>
#include <unistd.h>

#include "cli.h"
#include "library.h"
#include "target.h"
#include "which.h"

struct request {
    pid_t pid;
    bool json;
};

static const char documentation[] =
    "Tells which allocator a process really uses, from what it has mapped, without stopping it."
    "\vExit status: 0 Freehold; 1 another allocator; 2 no such process, not permitted or wrong "
    "arguments; 3 could not be told.";

static const struct argp_option options[] = {
    {"json", 'j', 0, 0, "write everything found as JSON", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct request *request = state->input;
    switch (key) {
    case 'j': request->json = true; return 0;
    default: return target_option(key, argument, state, &request->pid);
    }
}

static const struct argp parser = {options, parse_option, "PID", documentation, 0, 0, 0};

static int status_of(const struct verdict *v)
{
    if (!v->owner) return WHICH_UNKNOWN;
    return v->allocator == ALLOCATOR_FREEHOLD ? WHICH_FREEHOLD : WHICH_OTHER;
}

static void read_heaps(struct which *w)
{
    const struct module *owner = w->verdict.owner;
    w->view_error = HEAP_VIEW_DAMAGED;
    if (w->status == WHICH_FREEHOLD && owner->signs.registry)
        w->view_error =
            heap_view_read(&w->view, &w->process.memory, owner->bias + owner->signs.registry);
}

static void read_libgc(struct which *w)
{
    w->libgc = NULL;
    for (size_t i = 0; !w->libgc && i < w->process.module_count; i++)
        if (w->process.modules[i].signs.allocators & 1ull << ALLOCATOR_LIBGC)
            w->libgc = &w->process.modules[i];
    if (!w->libgc) return;
    w->libgc_error = heap_view_read(&w->libgc_view, &w->process.memory,
                                    w->libgc->bias + w->libgc->signs.registry);
}

int command_which(int argc, char **argv)
{
    struct request request = {0};
    struct which w;
    argp_err_exit_status = STATUS_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, &request);
    enum process_error error = process_read(&w.process, request.pid, NULL);
    if (error == PROCESS_READ) {
        verdict_reach(&w.verdict, &w.process);
        w.status = status_of(&w.verdict);
        read_heaps(&w);
        read_libgc(&w);
        w.calls = process_module(&w.process, LIBRARY_CALLS);
        struct palette colours = palette_for(STDOUT_FILENO);
        if (request.json)
            which_json(&w, stdout);
        else
            which_show(&w, stdout, &colours);
    } else {
        w.status = target_refuse(WHICH_ERROR, "which", error, &w.process);
    }
    process_finish(&w.process);
    return output_end(w.status);
}
