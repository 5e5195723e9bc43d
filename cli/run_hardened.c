/* See hardened.h. What the reports say was written by a process that had been misused: it is cleaned and bounded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"
#include "hardened.h"
#include "json_read.h"
#include "process.h"
#include "source.h"

enum { READ_MAX = 4 << 20, SHOWN_MAX = 16, FRAMES_MAX = 64 };

/* ---- options -------------------------------------------------------------------------------- */

int hardened_level(const char *argument, struct hardened *h)
{
    static const char *const levels[] = {"light", "standard", "strict"};
    h->level = argument;
    if (!argument) return 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(argument, levels[i]) == 0) return 0;
    return refuse(STATUS_OWN_FAILURE, "--hardened: '%s' is no level: light, standard or strict",
                  argument);
}

/* Ours first: the command line's own options win. */
int hardened_option(struct hardened *h, const char *options, char **list)
{
    char level[24] = "";
    h->fd = memfd_create("freehold-reports", MFD_CLOEXEC);
    if (h->fd < 0)
        return refuse(STATUS_OWN_FAILURE, "cannot make a file for reports: %s", strerror(errno));
    if (h->level) snprintf(level, sizeof level, "harden=%s,", h->level);
    int n = asprintf(list, "%sreport=/proc/%d/fd/%d%s%s", level, (int)getpid(), h->fd,
                     options ? "," : "", options ? options : "");
    if (n >= 0) return 0;
    *list = NULL;
    return refuse(STATUS_OWN_FAILURE, "out of memory");
}

/* The value of the last `name=`, which wins; NULL: none. `name` with its =. */
static const char *option_last(const char *list, const char *name)
{
    const char *value = NULL;
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, strlen(name)) == 0) value = at + strlen(name);
    }
    return value;
}

static const char *option_said(const char *options, const char *name)
{
    const char *value = option_last(options, name);
    return value ? value : option_last(getenv("FREEHOLD_OPTIONS"), name);
}

bool hardened_wants_calls(const char *options)
{
    const char *calls = option_said(options, "calls="), *level = option_said(options, "harden=");
    if (calls) return strtol(calls, NULL, 10) != 0;
    return !level || strncmp(level, "light", strlen("light")) != 0;
}

void hardened_finish(struct hardened *h)
{
    if (h->fd >= 0) close(h->fd);
    h->fd = -1;
    free(h->text);
    h->text = NULL;
    h->size = 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static size_t line_length(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? (size_t)(newline - at) : (size_t)(end - at);
}

void hardened_read(struct hardened *h)
{
    size_t size = 0;
    ssize_t n = 0;
    h->text = calloc(1, READ_MAX + 1);
    while (h->text && size < READ_MAX &&
           (n = pread(h->fd, h->text + size, READ_MAX - size, (off_t)size)) > 0)
        size += (size_t)n;
    h->size = size;
    for (size_t at = 0; h->text && at < size; h->reports++)
        at += line_length(h->text + at, h->text + size) + 1;
}

/* ---- showing -------------------------------------------------------------------------------- */

struct show {
    FILE *out;
    const struct palette *colours;
};

static void show_frame(const struct show *s, const struct json_node *frame, unsigned number)
{
    struct source_place place = {0};
    char module[300], clean[256];
    const char *path = json_text_of(frame, "module");
    uint64_t offset = json_address_of(frame, "offset");
    if (*path) source_find(path, offset, &place);
    human_clean(clean, sizeof clean, *path ? base_name(path) : "no module");
    snprintf(module, sizeof module, "%s+0x%llx", clean,
             (unsigned long long)(*path ? offset : json_address_of(frame, "pc")));
    fprintf(s->out, "    %s#%-2u%s ", s->colours->dim, number, s->colours->plain);
    fputs(place.function[0] ? place.function : module, s->out);
    if (place.file[0])
        fprintf(s->out, "  %s:%d", place.file, place.line);
    else if (place.function[0])
        fprintf(s->out, "  %s", module);
    fputc('\n', s->out);
}

static void show_stack(const struct show *s, const char *what, const struct json_node *of)
{
    const struct json_node *stack = json_member(of, "stack");
    const struct json_node *frame = stack && stack->kind == JSON_ARRAY ? stack->first : NULL;
    if (!frame) return;
    fprintf(s->out, "  %s%-11s%s thread %llu\n", s->colours->dim, what, s->colours->plain,
            (unsigned long long)json_number_of(of, "thread"));
    for (unsigned i = 0; frame && i < FRAMES_MAX; i++, frame = frame->next) show_frame(s, frame, i);
}

static void show_tree(const struct show *s, const struct json_node *report)
{
    char program[256], what[64], sentence[1024];
    human_clean(program, sizeof program, base_name(json_text_of(report, "program")));
    human_clean(what, sizeof what, json_text_of(report, "what"));
    human_clean(sentence, sizeof sentence, json_text_of(report, "sentence"));
    fprintf(s->out, "%sfreehold: %s (pid %llu): %s: %s%s\n", s->colours->bad, program,
            (unsigned long long)json_number_of(report, "process"), what, sentence,
            s->colours->plain);
    show_stack(s, "done by", report);
    show_stack(s, "made by", json_member(report, "made"));
    show_stack(s, "freed by", json_member(report, "freed"));
}

bool hardened_show_one(char *line, size_t size, FILE *out, const struct palette *colours)
{
    struct json_tree tree;
    struct show s = {out, colours};
    const struct json_node *report = json_tree_read(&tree, line, size);
    bool is_report = report && report->kind == JSON_OBJECT && json_number_of(report, "report") == 1;
    if (is_report) show_tree(&s, report);
    json_tree_finish(&tree);
    return is_report;
}

/* Calls `each` with a copy of each line. */
static void each_line(const struct hardened *h,
                      bool (*each)(void *context, char *line, size_t size), void *context)
{
    for (size_t at = 0; h->text && at < h->size;) {
        size_t length = line_length(h->text + at, h->text + h->size);
        char *line = strndup(h->text + at, length);
        bool more = line && each(context, line, strlen(line));
        free(line);
        if (!more) return;
        at += length + 1;
    }
}

struct showing {
    FILE *out;
    const struct palette *colours;
    size_t shown;
};

static bool show_line(void *context, char *line, size_t size)
{
    struct showing *s = context;
    if (!hardened_show_one(line, size, s->out, s->colours))
        fprintf(s->out, "freehold: a report of the hardened library was not written whole\n");
    return ++s->shown < SHOWN_MAX;
}

void hardened_show(const struct hardened *h, FILE *out, const struct palette *colours)
{
    struct showing s = {out, colours, 0};
    each_line(h, show_line, &s);
    if (h->reports > s.shown)
        fprintf(out, "freehold: and %zu reports more; option report=FILE keeps all\n",
                h->reports - s.shown);
    source_finish();
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static bool json_line(void *context, char *line, size_t size)
{
    struct json *j = context;
    struct json_tree tree;
    const struct json_node *report = json_tree_read(&tree, line, size);
    json_open(j, NULL, '{');
    json_text(j, "what", json_text_of(report, "what"));
    json_text(j, "sentence", json_text_of(report, "sentence"));
    json_number(j, "process", json_number_of(report, "process"));
    json_number(j, "thread", json_number_of(report, "thread"));
    json_close(j, '}');
    json_tree_finish(&tree);
    return true;
}

void hardened_json(const struct hardened *h, struct json *j)
{
    json_open(j, "reports", '[');
    each_line(h, json_line, j);
    json_close(j, ']');
}
