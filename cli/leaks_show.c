/* `freehold leaks` as text: the verdict, then at most 19 lines. */
#include <inttypes.h>
#include <string.h>

#include "leaks.h"

enum { LINES_GROUPS = 8, LABEL_SHOWN = 90 };

struct show {
    FILE *out;
    const struct palette *colours;
};

static void label(const struct show *s, const char *text)
{
    fprintf(s->out, "  %s%-11s%s ", s->colours->dim, text, s->colours->plain);
}

void leaks_verdict(const struct leaks *l, char *text, size_t capacity)
{
    const struct survey_total *t = l->survey.total;
    uint64_t blocks = 0, bytes = 0;
    for (int i = 0; i < REACH_KINDS; i++) blocks += t[i].count, bytes += t[i].bytes;
    char of[80];
    snprintf(of, sizeof of, "of %s blocks, %s", HUMAN(exact, blocks), HUMAN(bytes, bytes));
    if (l->told_blocks == 0)
        snprintf(text, capacity, "no lost memory %s", of);
    else
        snprintf(text, capacity, "%s lost in %s block%s, %s", HUMAN(bytes, l->told_bytes),
                 HUMAN(exact, l->told_blocks), l->told_blocks == 1 ? "" : "s", of);
}

static void show_verdict(const struct show *s, const struct leaks *l)
{
    char verdict[256], who[96];
    leaks_verdict(l, verdict, sizeof verdict);
    if (l->request.pid)
        snprintf(who, sizeof who, "%s (pid %d)", l->name, (int)l->request.pid);
    else
        snprintf(who, sizeof who, "%s (core file)", l->name);
    fprintf(s->out, "%s%s%s%s: %s%s\n", s->colours->strong, l->told_blocks ? s->colours->bad : "",
            l->request.at_end ? "freehold: at the end of " : "", who, verdict, s->colours->plain);
}

static void show_total(const struct show *s, const struct leaks *l, enum reach_kind kind,
                       const char *name, const char *meaning)
{
    const struct survey_total *t = &l->total[kind];
    if (t->count == 0) return;
    label(s, name);
    fprintf(s->out, "%s blocks, %s: %s\n", HUMAN(exact, t->count), HUMAN(bytes, t->bytes), meaning);
}

/* Names of templates may be longer than a line: JSON has more of them. */
static void show_label(const struct show *s, const struct group *g)
{
    bool cut = strlen(g->label) > LABEL_SHOWN;
    fprintf(s->out, "%.*s%s", LABEL_SHOWN, g->label[0] ? g->label : "a type", cut ? "..." : "");
}

/* As much of a block as fits the line: text if it is text, else its words as they are read. */
static void show_content(const struct show *s, const struct group *g)
{
    char clean[GROUP_TEXT + 1];
    human_clean(clean, sizeof clean, g->text);
    if (g->content == CONTENT_TYPE)
        show_label(s, g);
    else if (g->content == CONTENT_TEXT && *clean)
        fprintf(s->out, "\"%s...\"", clean);
    else if (g->content == CONTENT_LINK)
        fputs("begins with a pointer to a block", s->out);
    else
        fputs(content_name(g->content), s->out);
}

static void show_hex(const struct show *s, const struct group *g)
{
    fprintf(s->out, ", as %#" PRIx64 ":", g->example);
    for (unsigned i = 0; i < g->head_size && i < 8; i++) fprintf(s->out, " %02x", g->head[i]);
}

static void show_group(const struct show *s, const struct group *g)
{
    label(s, g->kind == REACH_LOST       ? "lost"
             : g->kind == REACH_INDIRECT ? "indirect"
             : g->kind == REACH_POSSIBLE ? "possible"
                                         : "reachable");
    fprintf(s->out, "%s x ", HUMAN(exact, g->count));
    if (g->size)
        fprintf(s->out, "%s B = %s, ", HUMAN(exact, g->size), HUMAN(bytes, g->bytes));
    else
        fprintf(s->out, "various = %s, ", HUMAN(bytes, g->bytes));
    show_content(s, g);
    show_hex(s, g);
    if (g->kept_count > 0) fprintf(s->out, "; keeps %s more", HUMAN(bytes, g->kept_bytes));
    fputc('\n', s->out);
}

static bool is_shown(const struct leaks *l, const struct group *g)
{
    if (g->suppressed) return false;
    return l->request.reachable ? true : g->kind == REACH_LOST || g->kind == REACH_INDIRECT;
}

static void show_groups(const struct show *s, const struct leaks *l)
{
    size_t shown = 0, left = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->groups.count; i++) {
        const struct group *g = &l->groups.list[i];
        if (!is_shown(l, g)) continue;
        if (shown < LINES_GROUPS) {
            show_group(s, g);
            shown++;
        } else {
            left++;
            bytes += g->bytes;
        }
    }
    if (left == 0) return;
    label(s, "and");
    fprintf(s->out, "%s more groups, %s: --json has all\n", HUMAN(exact, left),
            HUMAN(bytes, bytes));
}

static void show_how(const struct show *s, const struct leaks *l)
{
    if (l->request.pid) {
        label(s, "stopped");
        fprintf(s->out, "%" PRIu64 ".%03u ms, %zu thread%s, %s copied", l->stopped_us / 1000,
                (unsigned)(l->stopped_us % 1000), l->threads, l->threads == 1 ? "" : "s",
                HUMAN(bytes, l->image.present));
        if (l->fallback[0]) fprintf(s->out, " while it stood: %s", l->fallback);
        fputc('\n', s->out);
    }
    label(s, "looked at");
    fprintf(s->out, "%s of roots and blocks in %s, after %s for the heap of %s",
            HUMAN(bytes, l->survey.scanned), HUMAN(time, l->survey.mark_us / 1000),
            HUMAN(time, l->survey.walk_us / 1000), l->allocator);
    if (l->request.pid) fprintf(s->out, " and %s for the copy", HUMAN(time, l->copy_us / 1000));
    fprintf(s->out, "; %s in all\n", HUMAN(time, l->took_us / 1000));
    if (l->suppressed.count) {
        size_t rules = suppressions_used(&l->suppressions);
        label(s, "suppressed");
        fprintf(s->out, "%s blocks, %s by %zu rule%s, with what only they keep\n",
                HUMAN(exact, l->suppressed.count), HUMAN(bytes, l->suppressed.bytes), rules,
                rules == 1 ? "" : "s");
    }
    for (size_t i = 0; i < l->survey.walk_count; i++) {
        const struct heap_walk *w = &l->survey.walks[i];
        if (!w->note[0]) continue;
        label(s, "caches");
        fprintf(s->out, "%s\n", w->note);
    }
    if (l->survey.parts.damaged == 0 && l->image.unread == 0 && !l->image.truncated) return;
    label(s, "careful");
    if (l->survey.parts.damaged)
        fprintf(s->out, "the heap contradicts itself in %s places; ",
                HUMAN(exact, l->survey.parts.damaged));
    if (l->image.unread) fprintf(s->out, "%s could not be read; ", HUMAN(bytes, l->image.unread));
    if (l->image.truncated) fputs("the core file is cut off; ", s->out);
    fputs("what is there was searched\n", s->out);
}

/* Most memory that grows is not lost: something still points to it. */
static void show_next(const struct show *s, const struct leaks *l)
{
    char subject[24];
    if (l->request.at_end || l->request.reachable) return;
    label(s, "growing?");
    snprintf(subject, sizeof subject, "%d", (int)l->request.pid);
    fprintf(s->out, "what it can still reach is no loss: freehold leaks --reachable %s",
            l->request.pid ? subject : l->request.core);
    if (l->request.pid) fprintf(s->out, " tells of that, freehold top %s how it grows", subject);
    fputc('\n', s->out);
}

void leaks_show(const struct leaks *l, FILE *out, const struct palette *colours)
{
    struct show s = {out, colours};
    show_verdict(&s, l);
    show_groups(&s, l);
    show_total(&s, l, REACH_LOST, "lost", "nothing points to them");
    show_total(&s, l, REACH_INDIRECT, "indirectly", "only lost blocks point to them");
    show_total(
        &s, l, REACH_POSSIBLE, "possibly",
        "only pointers into their middle (C++ arrays and Python objects look so); not counted");
    show_how(&s, l);
    if (l->told_blocks == 0) {
        show_next(&s, l);
        return;
    }
    label(&s, "no stacks");
    fprintf(out, "%s not record who allocated; heaptrack, valgrind or\n",
            l->request.at_end ? "this command does" : "an unprepared process does");
    label(&s, "");
    fputs("LeakSanitizer tell it of a program that is started under them\n", out);
}
