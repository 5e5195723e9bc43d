/* `freehold which`: the answer as text and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "which.h"

struct show {
    FILE *out;
    const struct palette *colours;
};

/* "  label       " before each fact. */
static void label(const struct show *s, const char *text)
{
    fprintf(s->out, "  %s%-11s%s ", s->colours->dim, text, s->colours->plain);
}

/* A path as another process named it. */
static void path(const struct show *s, const struct module *m)
{
    char clean[4096];
    human_clean(clean, sizeof clean, m->path);
    fprintf(s->out, "%s%s", clean, m->deleted ? " (deleted or replaced since)" : "");
}

static void show_verdict(const struct show *s, const struct which *w)
{
    const struct verdict *v = &w->verdict;
    const char *how = v->likely ? "most likely allocates with" : "allocates with";
    fprintf(s->out, "%s%s (pid %d) ", s->colours->strong, w->process.name, (int)w->process.pid);
    if (!v->owner)
        fprintf(s->out, "does not tell its allocator");
    else
        fprintf(s->out, "%s %s", how, verdict_name(v));
    if (w->status == WHICH_FREEHOLD && w->view.library[0]) fprintf(s->out, " %s", w->view.library);
    if (w->status == WHICH_FREEHOLD && w->view.hardened) fputs(", hardened", s->out);
    fprintf(s->out, "%s\n", s->colours->plain);
}

static void show_owner(const struct show *s, const struct verdict *v)
{
    if (!v->owner) return;
    label(s, "malloc");
    path(s, v->owner);
    fprintf(s->out, "%s\n", v->is_static ? ", a static program" : "");
    if (!v->wrapper) return;
    label(s, "through");
    path(s, v->wrapper);
    fprintf(s->out, " (%s)\n", allocator_name(allocator_first(v->wrapper->signs.allocators)));
}

static void show_other(void *context, int allocator, const struct module *where)
{
    const struct show *s = context;
    if (allocator == ALLOCATOR_LIBGC) return; /* show_libgc has it */
    label(s, "also there");
    fprintf(s->out, "%s, in ", allocator_name(allocator));
    path(s, where);
    fputc('\n', s->out);
}

/* All functions of one foreign owner on one line, at the first of them. */
static void show_mixed_owner(const struct show *s, const struct verdict *v, unsigned first)
{
    fprintf(s->out, "  %s%-11s%s ", s->colours->bad, "mixed", s->colours->plain);
    for (unsigned i = first; i < FUNCTION_COUNT; i++) {
        if (v->functions[i] == v->functions[first])
            fprintf(s->out, "%s%s", i == first ? "" : ", ", allocator_functions[i]);
    }
    fputs(" not from there but from ", s->out);
    path(s, v->functions[first]);
    fputc('\n', s->out);
}

static void show_mixed(const struct show *s, const struct verdict *v)
{
    for (unsigned i = 0; v->mixed && i < FUNCTION_COUNT; i++) {
        bool foreign = v->functions[i] && v->functions[i] != v->owner;
        for (unsigned j = 0; j < i; j++) foreign &= v->functions[j] != v->functions[i];
        if (foreign) show_mixed_owner(s, v, i);
    }
}

static void show_ignored(const struct show *s, const struct verdict *v)
{
    for (size_t i = 0; i < v->ignored_count; i++) {
        char clean[sizeof v->ignored[i].entry];
        human_clean(clean, sizeof clean, v->ignored[i].entry);
        fprintf(s->out, "  %s%-11s%s ", s->colours->bad, "ignored", s->colours->plain);
        fprintf(s->out, "LD_PRELOAD=%s did not take effect: %s\n", clean, v->ignored[i].reason);
    }
}

static void show_heaps(const struct show *s, const struct heap_view *h)
{
    label(s, h->hardened ? "hardened" : "heaps");
    if (h->hardened)
        fprintf(s->out, "level %s, at most %s threads at once so far\n", h->level,
                HUMAN(exact, h->threads));
    else
        fprintf(s->out, "%" PRIu32 " live, %" PRIu32 " idle\n", h->live_heaps, h->idle_heaps);
    label(s, "in use");
    fprintf(s->out, "%s: %s in slabs, %s in %s large blocks\n",
            HUMAN(bytes, h->slab_bytes + h->large_bytes), HUMAN(bytes, h->slab_bytes),
            HUMAN(bytes, h->large_bytes), HUMAN(count, h->large_count));
    label(s, "kept free");
    if (h->hardened)
        fprintf(s->out, "%s in %s freed blocks, in quarantine or a thread's cache\n",
                HUMAN(bytes, h->kept_bytes), HUMAN(count, h->kept_count));
    else
        fprintf(s->out, "%s in spans not yet given back to the kernel\n",
                HUMAN(bytes, h->dirty_bytes));
    label(s, "given back");
    fprintf(s->out, "%s so far\n", HUMAN(bytes, h->registry.purged_bytes));
}

static void show_collected(const struct show *s, const struct heap_view *h)
{
    label(s, "collected");
    fprintf(s->out, "%s in blocks of objects, %s in %s large objects\n",
            HUMAN(bytes, h->gc_block_bytes), HUMAN(bytes, h->gc_large_bytes),
            HUMAN(count, h->gc_large_count));
}

static const char *view_trouble(enum heap_view_error error)
{
    switch (error) {
    case HEAP_VIEW_UNREADABLE:
        return "may not read the memory of the process: sudo, CAP_SYS_PTRACE, or sysctl "
               "kernel.yama.ptrace_scope=0";
    case HEAP_VIEW_DAMAGED: return "the registry is missing or damaged";
    case HEAP_VIEW_VERSION:
        return "the library's registry has a version this command does not know";
    case HEAP_VIEW_UNUSED: return "nothing was allocated yet";
    default: return NULL;
    }
}

static void show_view(const struct show *s, const struct which *w)
{
    if (w->status != WHICH_FREEHOLD) return;
    const char *trouble = view_trouble(w->view_error);
    if (!trouble) {
        show_heaps(s, &w->view);
        if (w->view.gc_block_bytes + w->view.gc_large_count) show_collected(s, &w->view);
        return;
    }
    label(s, "heaps");
    fprintf(s->out, "%s\n", trouble);
}

static void show_libgc(const struct show *s, const struct which *w)
{
    if (!w->libgc) return;
    const char *trouble = view_trouble(w->libgc_error);
    label(s, "libgc");
    path(s, w->libgc);
    fprintf(s->out, ", Freehold's %s\n", w->libgc_view.library);
    if (!trouble) {
        show_collected(s, &w->libgc_view);
        return;
    }
    label(s, "collected");
    fprintf(s->out, "%s\n", trouble);
}

/* What it does beside another malloc is nothing. */
static void show_calls(const struct show *s, const struct which *w)
{
    if (!w->calls) return;
    label(s, "calls");
    path(s, w->calls);
    bool idle = w->status != WHICH_FREEHOLD || (!w->view_error && !w->view.hardened);
    fputs(idle ? ", which does nothing without the hardened library\n"
               : ", which checks calls of libc\n",
          s->out);
}

static void show_method(const struct show *s, const struct which *w)
{
    const struct verdict *v = &w->verdict;
    label(s, "told by");
    if (v->likely)
        fputs("message texts only: it is a stripped static program\n", s->out);
    else if (v->is_static && !v->owner)
        fputs("nothing: a stripped static program without a text we know\n", s->out);
    else if (v->is_static)
        fputs("what the static program has of symbols and notes\n", s->out);
    else
        fprintf(s->out, "%s over %zu modules\n",
                w->process.lookup == LOOKUP_LOADER ? "the loader's own list"
                                                   : "the loader's rule, redone from the files,",
                w->process.module_count);
    if (v->unread == 0) return;
    label(s, "");
    fprintf(s->out, "%zu modules could not be read; root could\n", v->unread);
}

void which_show(const struct which *w, FILE *out, const struct palette *colours)
{
    struct show s = {out, colours};
    show_verdict(&s, w);
    show_owner(&s, &w->verdict);
    show_view(&s, w);
    show_calls(&s, w);
    show_libgc(&s, w);
    verdict_others(&w->verdict, &w->process, show_other, &s);
    show_mixed(&s, &w->verdict);
    show_ignored(&s, &w->verdict);
    show_method(&s, w);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void json_other(void *context, int allocator, const struct module *where)
{
    struct json *j = context;
    json_open(j, NULL, '{');
    json_text(j, "allocator", allocator_name(allocator));
    json_text(j, "path", where->path);
    json_close(j, '}');
}

static void json_verdict(struct json *j, const struct which *w)
{
    const struct verdict *v = &w->verdict;
    const char *certainty = !v->owner ? "unknown" : v->likely ? "likely" : "sure";
    json_text(j, "allocator", v->owner ? verdict_name(v) : NULL);
    json_text(j, "certainty", certainty);
    json_text(j, "malloc", v->owner ? v->owner->path : NULL);
    json_bool(j, "deleted", v->owner && v->owner->deleted);
    json_text(j, "wrapper", v->wrapper ? v->wrapper->path : NULL);
    json_bool(j, "static", v->is_static);
    json_text(j, "lookup", w->process.lookup == LOOKUP_LOADER ? "loader" : "rule");
    json_number(j, "modules", w->process.module_count);
    json_number(j, "unread_modules", v->unread);
    json_bool(j, "mixed", v->mixed);
    json_open(j, "functions", '{');
    for (unsigned i = 0; i < FUNCTION_COUNT; i++)
        json_text(j, allocator_functions[i], v->functions[i] ? v->functions[i]->path : NULL);
    json_close(j, '}');
    json_open(j, "others", '[');
    verdict_others(v, &w->process, json_other, j);
    json_close(j, ']');
}

static void json_ignored(struct json *j, const struct verdict *v)
{
    json_open(j, "ignored_preload", '[');
    for (size_t i = 0; i < v->ignored_count; i++) {
        json_open(j, NULL, '{');
        json_text(j, "entry", v->ignored[i].entry);
        json_text(j, "reason", v->ignored[i].reason);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_heaps(struct json *j, const struct which *w)
{
    const struct heap_view *h = &w->view;
    if (w->status != WHICH_FREEHOLD) return;
    json_open(j, "freehold", '{');
    json_text(j, "version", h->library[0] ? h->library : NULL);
    json_text(j, "trouble", view_trouble(w->view_error));
    json_text(j, "hardened", h->hardened ? h->level : NULL);
    json_number(j, "quarantine_bytes", h->kept_bytes);
    json_number(j, "quarantine_count", h->kept_count);
    json_number(j, "live_heaps", h->live_heaps);
    json_number(j, "idle_heaps", h->idle_heaps);
    json_number(j, "threads_peak", h->registry.threads_peak);
    json_number(j, "slab_bytes", h->slab_bytes);
    json_number(j, "large_bytes", h->large_bytes);
    json_number(j, "large_count", h->large_count);
    json_number(j, "dirty_bytes", h->dirty_bytes);
    json_number(j, "span_bytes", h->held_bytes);
    json_number(j, "purged_bytes", h->registry.purged_bytes);
    json_number(j, "purge_delay_ms", h->registry.purge_delay_ms);
    json_number(j, "gc_block_bytes", h->gc_block_bytes);
    json_number(j, "gc_large_bytes", h->gc_large_bytes);
    json_number(j, "gc_large_count", h->gc_large_count);
    json_close(j, '}');
}

static void json_libgc(struct json *j, const struct which *w)
{
    const struct heap_view *h = &w->libgc_view;
    if (!w->libgc) return;
    json_open(j, "libgc", '{');
    json_text(j, "path", w->libgc->path);
    json_text(j, "version", h->library[0] ? h->library : NULL);
    json_text(j, "trouble", view_trouble(w->libgc_error));
    json_number(j, "gc_block_bytes", h->gc_block_bytes);
    json_number(j, "gc_large_bytes", h->gc_large_bytes);
    json_number(j, "gc_large_count", h->gc_large_count);
    json_close(j, '}');
}

void which_json(const struct which *w, FILE *out)
{
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    json_number(&j, "pid", (uint64_t)w->process.pid);
    json_text(&j, "name", w->process.name);
    json_text(&j, "executable", w->process.executable);
    json_verdict(&j, w);
    json_ignored(&j, &w->verdict);
    json_heaps(&j, w);
    json_text(&j, "calls", w->calls ? w->calls->path : NULL);
    json_libgc(&j, w);
    json_number(&j, "status", (uint64_t)w->status);
    json_close(&j, '}');
}
