/* `freehold leaks --json`: everything found. */
#include <stdio.h>

#include "json.h"
#include "leaks.h"

static void json_address(struct json *j, const char *key, uint64_t address)
{
    char text[24];
    snprintf(text, sizeof text, "0x%llx", (unsigned long long)address);
    json_text(j, key, text);
}

static void json_head(struct json *j, const struct group *g)
{
    char hex[2 * GROUP_HEX + 1] = "";
    for (unsigned i = 0; i < g->head_size; i++) sprintf(hex + 2 * (size_t)i, "%02x", g->head[i]);
    json_text(j, "hex", hex);
}

static void json_group(struct json *j, const struct group *g)
{
    json_open(j, NULL, '{');
    json_text(j, "kind", kind_name(g->kind));
    json_number(j, "size", g->size);
    json_number(j, "count", g->count);
    json_number(j, "bytes", g->bytes);
    json_number(j, "kept_count", g->kept_count);
    json_number(j, "kept_bytes", g->kept_bytes);
    json_text(j, "content", content_name(g->content));
    json_text(j, "type", g->label[0] ? g->label : NULL);
    json_text(j, "text", g->text[0] ? g->text : NULL);
    json_address(j, "example", g->example);
    json_head(j, g);
    json_bool(j, "suppressed", g->suppressed);
    json_close(j, '}');
}

/* Of what is not suppressed, as the verdict. */
static void json_totals(struct json *j, const struct leaks *l)
{
    static const char *const names[] = {"reachable", "lost", "indirectly_lost", "possibly_lost"};
    json_open(j, "totals", '{');
    for (int i = 0; i < REACH_KINDS; i++) {
        json_open(j, names[i], '{');
        json_number(j, "count", l->total[i].count);
        json_number(j, "bytes", l->total[i].bytes);
        json_close(j, '}');
    }
    json_close(j, '}');
}

/* What an allocator's caches did not tell; empty if they told everything. */
static void json_notes(struct json *j, const struct survey *s)
{
    json_open(j, "notes", '[');
    for (size_t i = 0; i < s->walk_count; i++) {
        if (s->walks[i].note[0]) json_text(j, NULL, s->walks[i].note);
    }
    json_close(j, ']');
}

void leaks_json_into(const struct leaks *l, struct json *j, const char *key)
{
    char verdict[256];
    leaks_verdict(l, verdict, sizeof verdict);
    json_open(j, key, '{');
    json_text(j, "verdict", verdict);
    json_number(j, "status", (uint64_t)l->status);
    if (l->request.pid) json_number(j, "pid", (uint64_t)l->request.pid);
    json_text(j, "core", l->request.core);
    json_text(j, "name", l->name);
    json_text(j, "allocator", l->allocator);
    json_number(j, "stopped_us", l->stopped_us);
    json_text(j, "copied_while_stopped", l->fallback[0] ? l->fallback : NULL);
    json_number(j, "threads", l->threads);
    json_number(j, "copied_bytes", l->image.present);
    json_number(j, "unread_bytes", l->image.unread);
    json_bool(j, "truncated", l->image.truncated);
    json_number(j, "damaged", l->survey.parts.damaged);
    json_notes(j, &l->survey);
    json_number(j, "root_bytes", l->survey.roots.bytes);
    json_number(j, "scanned_bytes", l->survey.scanned);
    json_number(j, "took_us", l->took_us);
    json_number(j, "copy_us", l->copy_us);
    json_number(j, "walk_us", l->survey.walk_us);
    json_number(j, "mark_us", l->survey.mark_us);
    json_number(j, "suppressed_blocks", l->suppressed.count);
    json_number(j, "suppressed_bytes", l->suppressed.bytes);
    json_number(j, "suppressions_used", suppressions_used(&l->suppressions));
    json_bool(j, "stacks", false);
    json_totals(j, l);
    json_open(j, "groups", '[');
    for (size_t i = 0; i < l->groups.count; i++) json_group(j, &l->groups.list[i]);
    json_close(j, ']');
    json_close(j, '}');
}

void leaks_json(const struct leaks *l, FILE *out)
{
    struct json j = json_to(out);
    leaks_json_into(l, &j, NULL);
}
