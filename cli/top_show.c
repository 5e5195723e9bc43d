/* Lines of text, for the screen and for those who want them once; and JSON. */
#include <freehold/freehold.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "top.h"

/* Growth with its sign; nothing below a page a second, which is the counters' own noise. */
static const char *growth_text(char *text, size_t capacity, int64_t growth)
{
    enum { NOISE = 4096 };
    uint64_t size = (uint64_t)llabs(growth);
    *text = 0;
    if (size > NOISE) snprintf(text, capacity, "%c%s", growth < 0 ? '-' : '+', HUMAN(bytes, size));
    return text;
}

/* The history between its own least and most, so that a small change of a large process shows. A
 * constant one is a line at the bottom. */
static void spark(char *text, size_t capacity, const struct top_process *p, bool utf8)
{
    uint64_t heights[TOP_HISTORY], least = UINT64_MAX, most = 0;
    size_t count = p->samples < TOP_HISTORY ? p->samples : TOP_HISTORY, first = TOP_HISTORY - count;
    for (size_t i = first; i < TOP_HISTORY; i++) {
        if (p->history[i] < least) least = p->history[i];
        if (p->history[i] > most) most = p->history[i];
    }
    for (size_t i = 0; i < count; i++)
        heights[i] = most > least ? 1 + (p->history[first + i] - least) * 8 / (most - least) : 1;
    if (count && most == least) { /* bars are relative to the highest: give it one out of sight */
        for (size_t i = 0; i < count; i++) heights[i] = 0;
        memset(text, '_', count);
        text[count] = 0;
        return;
    }
    human_bars(text, capacity, heights, count, utf8);
}

const char *top_header(void)
{
    return "    PID  NAME             MALLOC            RSS    GROWTH/s     SHARED  HISTORY";
}

void top_line(const struct top_process *p, char *text, size_t capacity, bool utf8)
{
    char growth[40], history[TOP_HISTORY * 4 + 1] = "";
    spark(history, sizeof history, p, utf8);
    snprintf(text, capacity, "%7d  %-15.15s  %-12.12s %10s  %10s %10s  %s", (int)p->pid, p->name,
             p->allocator, HUMAN(bytes, p->rss), growth_text(growth, sizeof growth, p->growth),
             HUMAN(bytes, p->shared), history);
}

void top_title(const struct top *top, char *text, size_t capacity)
{
    char hidden[64] = "";
    if (top->hidden)
        snprintf(hidden, sizeof hidden, ", %s more not to be seen", HUMAN(exact, top->hidden));
    snprintf(text, capacity,
             "freehold top: %zu process%s%s, RSS %s together; by %s; reading them took %.2f ms",
             top->count, top->count == 1 ? "" : "es", hidden, HUMAN(bytes, top->sum),
             top_order_names[top->order], (double)top->cost_ns / 1e6);
}

void top_show(struct top *top, FILE *out, const struct palette *colours, size_t lines)
{
    char line[512];
    bool utf8 = human_utf8();
    top_title(top, line, sizeof line);
    fprintf(out, "%s%s%s\n%s%s%s\n", colours->strong, line, colours->plain, colours->dim,
            top_header(), colours->plain);
    for (size_t i = 0; i < top->count && i < lines; i++) {
        top_look(&top->list[i]);
        top_line(&top->list[i], line, sizeof line, utf8);
        fprintf(out, "%s\n", line);
    }
}

void top_json(struct top *top, FILE *out)
{
    struct json j = json_to(out);
    json_open(&j, NULL, '{');
    json_text(&j, "freehold", FH_VERSION_TEXT);
    json_number(&j, "cost_us", top->cost_ns / 1000);
    json_number(&j, "rss_sum", top->sum);
    json_number(&j, "hidden", top->hidden);
    json_open(&j, "processes", '[');
    for (size_t i = 0; i < top->count; i++) {
        const struct top_process *p = &top->list[i];
        json_open(&j, NULL, '{');
        json_number(&j, "pid", (uint64_t)p->pid);
        json_text(&j, "name", p->name);
        json_number(&j, "rss", p->rss);
        json_number(&j, "shared", p->shared);
        json_signed(&j, "growth_per_second", p->growth);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
}
