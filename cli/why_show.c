/* The path as text, at most 20 lines, and as JSON with every step. */
#include <stdio.h>

#include "json.h"
#include "why.h"

enum { STEPS_SHOWN = 12 };

typedef unsigned long long wide;

/* ---- text ----------------------------------------------------------------------------------- */

static void verdict(const struct why *w, char *text, size_t capacity)
{
    if (!w->is_block)
        snprintf(text, capacity, "%s", w->holds);
    else if (!w->reached)
        snprintf(text, capacity, "%s, which no root leads to: it is lost", w->holds);
    else
        snprintf(text, capacity, "%s, alive by %s", w->holds,
                 why_root_of(&w->leaks, w->path.steps[0].from).text);
}

/* Where in the block the word that led there points, if not to its start. */
static const char *enters(char text[48], const struct reach_step *s)
{
    text[0] = 0;
    if (s->word != s->start)
        snprintf(text, 48, ", pointed to at +%llu", (wide)(s->word - s->start));
    return text;
}

static void show_step(const struct why *w, FILE *out, const struct palette *colours, size_t i)
{
    const struct reach_step *s = &w->path.steps[i];
    char inside[48];
    fprintf(out, "  %s%-11s%s 0x%llx, %llu bytes%s", colours->dim, "block", colours->plain,
            (wide)s->start, (wide)s->size, enters(inside, s));
    if (i + 1 < w->path.count)
        fprintf(out, "; its word at +%llu points to\n", (wide)w->path.steps[i + 1].offset);
    else
        fprintf(out, ": the one asked for\n");
}

/* Its steps would be too many lines: the first root is the one that is surely there now. */
static void show_other(const struct why *w, FILE *out, const struct palette *colours)
{
    if (w->other.count == 0) return;
    struct why_place root = why_root_of(&w->leaks, w->other.steps[0].from);
    fprintf(out, "  %s%-11s%s %s leads there too, at 0x%llx, over %s block%s: --json has them\n",
            colours->dim, "also", colours->plain, root.text, (wide)w->other.steps[0].from,
            HUMAN(exact, w->other.count), w->other.count == 1 ? "" : "s");
}

static void show_path(const struct why *w, FILE *out, const struct palette *colours)
{
    struct why_place root = why_root_of(&w->leaks, w->path.steps[0].from);
    char at[48] = "";
    if (w->path.steps[0].from < WHY_KERNEL)
        snprintf(at, sizeof at, ", at 0x%llx,", (wide)w->path.steps[0].from);
    fprintf(out, "  %s%-11s%s %s%s points to\n", colours->dim, "root", colours->plain, root.text,
            at);
    for (size_t i = 0; i < w->path.count; i++) {
        if (w->path.count <= STEPS_SHOWN || i < STEPS_SHOWN / 2 ||
            i + STEPS_SHOWN / 2 >= w->path.count)
            show_step(w, out, colours, i);
        else if (i == STEPS_SHOWN / 2)
            fprintf(out, "  %s%-11s%s ... %s blocks on; --json has each of them\n", colours->dim,
                    "", colours->plain, HUMAN(exact, w->path.count - STEPS_SHOWN));
    }
    show_other(w, out, colours);
    if (w->interior)
        fprintf(out,
                "  %s%-11s%s no path of pointers to the beginnings of blocks leads here: it may be "
                "lost\n",
                colours->warn, "note", colours->plain);
}

static void show_cost(const struct why *w, FILE *out, const struct palette *colours)
{
    const struct leaks *l = &w->leaks;
    fprintf(out, "  %s%-11s%s ", colours->dim, "cost", colours->plain);
    if (l->request.pid) fprintf(out, "stopped for %.1f ms; ", (double)l->stopped_us / 1000);
    fprintf(out, "%s of %s blocks looked through in %s\n", HUMAN(exact, w->found),
            HUMAN(exact, l->survey.reach.live_count), HUMAN(time, w->search_us / 1000));
}

void why_show(const struct why *w, FILE *out, const struct palette *colours)
{
    char text[640];
    verdict(w, text, sizeof text);
    fprintf(out, "%s%s", colours->strong, w->leaks.name);
    if (w->leaks.request.pid)
        fprintf(out, " (pid %d)", (int)w->leaks.request.pid);
    else
        fputs(" (core file)", out);
    fprintf(out, ": 0x%llx is %s%s\n", (wide)w->address, text, colours->plain);
    if (w->reached) show_path(w, out, colours);
    if (w->is_block) show_cost(w, out, colours);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void json_address(struct json *j, const char *key, uint64_t address)
{
    char text[24];
    snprintf(text, sizeof text, "0x%llx", (wide)address);
    json_text(j, key, text);
}

static void json_root(struct json *j, const char *key, const struct why *w,
                      const struct why_path *p)
{
    uint64_t from = p->steps[0].from;
    struct why_place root = why_root_of(&w->leaks, from);
    json_open(j, key, '{');
    json_text(j, "kind", why_kind_name(root.kind));
    json_text(j, "what", root.text);
    if (root.thread) json_number(j, "thread", (uint64_t)root.thread);
    if (from < WHY_KERNEL) json_address(j, "address", from);
    json_close(j, '}');
}

static void json_path(struct json *j, const char *key, const struct why_path *p)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < p->count; i++) {
        const struct reach_step *s = &p->steps[i];
        json_open(j, NULL, '{');
        json_address(j, "address", s->start);
        json_number(j, "size", s->size);
        json_number(j, "pointed_to_at", s->word - s->start);
        if (i + 1 < p->count) json_number(j, "pointer_at", p->steps[i + 1].offset);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_paths(struct json *j, const struct why *w)
{
    json_root(j, "root", w, &w->path);
    json_path(j, "path", &w->path);
    if (w->other.count == 0) return;
    json_root(j, "other_root", w, &w->other);
    json_path(j, "other_path", &w->other);
}

void why_json(const struct why *w, FILE *out)
{
    const struct leaks *l = &w->leaks;
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    if (l->request.pid) json_number(&j, "pid", (uint64_t)l->request.pid);
    json_text(&j, "core", l->request.core);
    json_text(&j, "name", l->name);
    json_address(&j, "address", w->address);
    json_text(&j, "holds", w->holds);
    json_text(&j, "kind",
              w->is_block  ? "block"
              : w->in_heap ? "free"
                           : why_kind_name(why_place_of(l, w->address).kind));
    if (w->is_block) {
        json_address(&j, "block", w->start);
        json_number(&j, "size", w->size);
        json_bool(&j, "reachable", w->reached);
        json_bool(&j, "by_interior_pointers_only", w->reached && w->interior);
        if (w->reached) json_paths(&j, w);
        json_number(&j, "blocks_found", w->found);
        json_number(&j, "blocks", l->survey.reach.live_count);
    }
    json_number(&j, "stopped_us", l->stopped_us);
    json_text(&j, "copied_while_stopped", l->fallback[0] ? l->fallback : NULL);
    json_number(&j, "search_us", w->search_us);
    json_close(&j, '}');
}
