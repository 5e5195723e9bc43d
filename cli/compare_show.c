/* What a comparison found: the verdict, a line for each allocator, and the lines to copy. */
#include <string.h>

#include <freehold/freehold.h>

#include "compare.h"
#include "json.h"

/* Below this share of what it is, somebody who is not clearly better is worth a word. */
static const double doubt_below = 0.97;

enum { US_PER_S = 1000000, NS_PER_US = 1000, NS_PER_MS = 1000000 };

struct show {
    const struct compare *compare;
    FILE *out;
    const struct palette *colours;
};

/* 812 us, 45.3 ms, 1.92 s: short runs differ by less than a millisecond. */
static const char *short_time(struct human *h, double ns)
{
    double us = ns / NS_PER_US;
    if (us < 1000)
        snprintf(h->text, sizeof h->text, "%.0f us", us);
    else if (us < US_PER_S)
        snprintf(h->text, sizeof h->text, "%.1f ms", us / 1000);
    else
        snprintf(h->text, sizeof h->text, "%.2f s", us / US_PER_S);
    return h->text;
}

#define SHORT_TIME(ns) short_time(&(struct human){0}, (ns))

/* ---- verdict ---------------------------------------------------------------------------------- */

/* " (a, b as good within the spread)" */
static void show_ties(const struct show *s)
{
    const char *before = " (";
    for (size_t i = 1; i < s->compare->count; i++) {
        const struct candidate *c = &s->compare->candidates[i];
        if (!c->as_good) continue;
        fprintf(s->out, "%s%s", before, c->name);
        before = ", ";
    }
    if (before[0] == ',') fputs(" as good within the spread)", s->out);
}

static void show_verdict(const struct show *s)
{
    const struct compare *c = s->compare;
    const struct candidate *best = c->best;
    fprintf(s->out, "%sfreehold compare: %s: ", s->colours->strong, c->program);
    if (best) {
        fprintf(s->out, "%s is best of %zu", best->name, c->count);
        show_ties(s);
        fprintf(s->out, ": %.2f of the time and %.2f of the peak as it is", best->time_ratio.median,
                best->peak_ratio.median);
    } else if (c->done < ROUNDS_TO_TELL)
        fprintf(s->out, "too few rounds to tell which of %zu is best", c->count);
    else
        fprintf(s->out, "none of %zu is clearly better in time and peak than the program as it is",
                c->count - 1);
    fprintf(s->out, " (%zu round%s)%s\n", c->done, c->done == 1 ? "" : "s", s->colours->plain);
}

/* ---- table ------------------------------------------------------------------------------------ */

static void show_ratio(const struct show *s, const struct spread *ratio, bool first)
{
    if (first)
        fprintf(s->out, "  1            ");
    else
        fprintf(s->out, "  %4.2f %4.2f-%-4.2f", ratio->median, ratio->low, ratio->high);
}

static void show_figures(const struct show *s, const struct candidate *c)
{
    bool first = c == s->compare->candidates;
    fprintf(s->out, "%9s", SHORT_TIME(c->ns.median));
    show_ratio(s, &c->time_ratio, first);
    fprintf(s->out, "  %4.2f", c->cpu_ratio.median);
    fprintf(s->out, "%11s", HUMAN(bytes, (uint64_t)c->peak.median));
    show_ratio(s, &c->peak_ratio, first);
    fprintf(s->out, "%11s", c->end.count ? HUMAN(bytes, (uint64_t)c->end.median) : "?");
}

static void show_trouble(const struct show *s, const struct candidate *c)
{
    if (c->missing)
        fprintf(s->out, "  %snot loaded by the program%s", s->colours->bad, s->colours->plain);
    if (c->failures)
        fprintf(s->out, "  %sFAILED in %u of %zu: %s%s", s->colours->bad, c->failures,
                s->compare->done, c->trouble, s->colours->plain);
    if (c->other_output)
        fprintf(s->out, "  %sOTHER OUTPUT in %u of %zu%s", s->colours->bad, c->other_output,
                s->compare->done, s->colours->plain);
}

static void show_candidate(const struct show *s, const struct candidate *c)
{
    bool best = c == s->compare->best;
    fprintf(s->out, "  %s%-20.20s%s", best ? s->colours->good : "", c->name,
            best ? s->colours->plain : "");
    if (c->ns.count) show_figures(s, c);
    show_trouble(s, c);
    fputc('\n', s->out);
}

static void show_table(const struct show *s)
{
    fprintf(s->out, "  %s%-20s%9s  %-14s  %-4s%11s  %-14s%11s%s\n", s->colours->dim, "", "time",
            "ratio", "CPU", "peak RSS", "ratio", "RSS at end", s->colours->plain);
    for (size_t i = 0; i < s->compare->count; i++) show_candidate(s, &s->compare->candidates[i]);
    fprintf(s->out,
            "  %smedians; ratios to the first line round by round, with their quartiles%s\n",
            s->colours->dim, s->colours->plain);
}

/* ---- lines to copy ---------------------------------------------------------------------------- */

static bool is_plain_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "@%+=:,./_-";
    return *word && word[strspn(word, plain)] == 0;
}

/* A word as the shell reads it back, if it has nothing that steers a terminal. */
static void show_word(FILE *out, const char *word)
{
    char clean[1024];
    human_clean(clean, sizeof clean, word);
    if (is_plain_word(clean)) {
        fprintf(out, " %s", clean);
        return;
    }
    fputs(" '", out);
    for (const char *c = clean; *c; c++) {
        if (*c == '\'')
            fputs("'\\''", out);
        else
            fputc(*c, out);
    }
    fputc('\'', out);
}

static void show_lines(const struct show *s)
{
    const struct candidate *best = s->compare->best;
    if (!best) return;
    fprintf(s->out, "  %sDockerfile%s  ENV LD_PRELOAD=%s\n", s->colours->dim, s->colours->plain,
            best->library);
    fprintf(s->out, "  %ssystemd%s     Environment=LD_PRELOAD=%s\n", s->colours->dim,
            s->colours->plain, best->library);
    fprintf(s->out, "  %sshell%s       LD_PRELOAD=%s", s->colours->dim, s->colours->plain,
            best->library);
    for (char **word = s->compare->argv; *word; word++) show_word(s->out, *word);
    fputc('\n', s->out);
}

/* Somebody may be better than the program as it is, but was not so often enough. */
static void show_doubt(const struct show *s)
{
    const struct compare *compare = s->compare;
    const struct candidate *doubt = NULL;
    double least = doubt_below;
    for (size_t i = 1; i < compare->count && !compare->best; i++) {
        const struct candidate *c = &compare->candidates[i];
        if (!candidate_is_fit(compare, c) || c->score.median >= least) continue;
        doubt = c;
        least = c->score.median;
    }
    if (!doubt) return;
    fprintf(s->out,
            "  %sin doubt%s    %s: time x peak is %.2f of it as it is, but from %.2f to %.2f; more "
            "rounds may tell (-n %zu)\n",
            s->colours->warn, s->colours->plain, doubt->name, doubt->score.median, doubt->score.low,
            doubt->score.high, compare->done * 4);
}

void compare_show(const struct compare *compare, FILE *out, const struct palette *colours)
{
    struct show s = {compare, out, colours};
    show_verdict(&s);
    show_table(&s);
    show_doubt(&s);
    show_lines(&s);
}

/* ---- JSON ------------------------------------------------------------------------------------- */

/* Rounded to whole units of which there are `per_unit` in the measure's own. */
static void json_spread(struct json *j, const char *key, const struct spread *spread,
                        double per_unit)
{
    if (spread->count == 0) {
        json_text(j, key, NULL);
        return;
    }
    json_open(j, key, '{');
    json_number(j, "median", (uint64_t)(spread->median / per_unit + 0.5));
    json_number(j, "low_quartile", (uint64_t)(spread->low / per_unit + 0.5));
    json_number(j, "high_quartile", (uint64_t)(spread->high / per_unit + 0.5));
    json_close(j, '}');
}

static void json_candidate(struct json *j, const struct compare *compare, const struct candidate *c)
{
    json_open(j, NULL, '{');
    json_text(j, "allocator", c->name);
    json_text(j, "library", *c->library ? c->library : NULL);
    json_bool(j, "best", c == compare->best);
    json_bool(j, "as_good", c->as_good);
    json_number(j, "good_rounds", c->ns.count);
    json_number(j, "failures", c->failures);
    json_text(j, "failure", c->failures ? c->trouble : NULL);
    json_number(j, "not_loaded", c->missing);
    json_number(j, "other_output", c->other_output);
    json_spread(j, "time_us", &c->ns, NS_PER_US);
    json_spread(j, "cpu_us", &c->cpu_ns, NS_PER_US);
    json_spread(j, "peak_rss", &c->peak, 1);
    json_spread(j, "end_rss", &c->end, 1);
    json_spread(j, "time_per_mille", &c->time_ratio, 1e-3);
    json_spread(j, "cpu_per_mille", &c->cpu_ratio, 1e-3);
    json_spread(j, "peak_per_mille", &c->peak_ratio, 1e-3);
    json_spread(j, "score_per_mille", &c->score, 1e-3);
    json_open(j, "samples", '[');
    for (size_t i = 0; i < compare->done; i++) {
        const struct sample *s = &c->samples[i];
        json_open(j, NULL, '{');
        json_bool(j, "good", s->good);
        json_number(j, "time_us", s->ns / NS_PER_US);
        json_number(j, "cpu_us", s->cpu_ns / NS_PER_US);
        json_number(j, "peak_rss", s->peak);
        json_number(j, "end_rss", s->end);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

void compare_json(const struct compare *compare, FILE *out)
{
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    json_text(&j, "freehold", FH_VERSION_TEXT);
    json_open(&j, "command", '[');
    for (char **word = compare->argv; *word; word++) json_text(&j, NULL, *word);
    json_close(&j, ']');
    json_number(&j, "rounds", compare->done);
    json_text(&j, "best", compare->best ? compare->best->name : NULL);
    json_text(&j, "LD_PRELOAD", compare->best ? compare->best->library : NULL);
    json_open(&j, "allocators", '[');
    for (size_t i = 0; i < compare->count; i++)
        json_candidate(&j, compare, &compare->candidates[i]);
    json_close(&j, ']');
    json_close(&j, '}');
}
