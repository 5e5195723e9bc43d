/* What goes back, on stderr: one line for the look, and one for each group, as `leaks` makes them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "plug.h"

enum { LINES = 8 };

static int compare_offsets(const void *key, const void *element)
{
    uint64_t x = *(const uint64_t *)key, y = ((const struct plug_lost *)element)->entry.offset;
    return (x > y) - (x < y);
}

static bool is_listed(void *context, uint64_t start)
{
    const struct plug *p = context;
    uint64_t offset = start - p->leaks.survey.own.registry->base;
    const struct plug_lost *lost =
        bsearch(&offset, p->before.list, p->before.count, sizeof *p->before.list, compare_offsets);
    return lost && lost->listed;
}

static void show_group(const struct group *g)
{
    char text[GROUP_TEXT + 16] = "", size[48];
    if (g->content == CONTENT_TEXT) {
        char clean[GROUP_TEXT + 1];
        human_clean(clean, sizeof clean, g->text);
        snprintf(text, sizeof text, "\"%s...\"", clean);
    }
    if (g->size)
        snprintf(size, sizeof size, "%s B", HUMAN(exact, g->size));
    else
        snprintf(size, sizeof size, "various");
    const char *what = *text ? text : g->label[0] ? g->label : content_name(g->content);
    if (g->content == CONTENT_LINK) what = "begins with a pointer to a block";
    say("plug:   %s x %s = %s, %s, as at %#" PRIx64, HUMAN(exact, g->count), size,
        HUMAN(bytes, g->bytes), what, g->example);
}

static void show_groups(struct plug *p)
{
    struct leaks *l = &p->leaks;
    unsigned kinds = 1u << REACH_LOST | 1u << REACH_INDIRECT;
    if (!groups_make_some(&l->groups, &l->survey, kinds, is_listed, p)) return;
    leaks_name_groups(l);
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->groups.count; i++) {
        if (i < LINES)
            show_group(&l->groups.list[i]);
        else
            bytes += l->groups.list[i].bytes;
    }
    if (bytes) say("plug:   and %s in other groups", HUMAN(bytes, bytes));
}

void plug_show(struct plug *p)
{
    const struct leaks *l = &p->leaks;
    if (p->request.quiet || p->listed == 0) return;
    say("plug: %s (pid %d): %s block%s, %s, found lost again, go back; stopped %" PRIu64
        ".%01u ms, searched in %" PRIu64 " ms",
        p->name, (int)p->request.pid, HUMAN(exact, p->listed), p->listed == 1 ? "" : "s",
        HUMAN(bytes, p->listed_bytes), l->stopped_us / 1000, (unsigned)(l->stopped_us % 1000) / 100,
        p->cpu_us / 1000);
    show_groups(p);
}
