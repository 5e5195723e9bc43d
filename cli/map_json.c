/* The ledger as JSON: every row, also those that the text tells together. Sizes are in bytes. */
#include <freehold/freehold.h>

#include "json.h"
#include "map.h"

static void json_rows(struct json *j, const struct ledger *l)
{
    json_open(j, "rows", '[');
    for (int owner = 0; owner < OWNERS; owner++) {
        if (l->rows[owner].bytes == 0) continue;
        json_open(j, NULL, '{');
        json_text(j, "owner", owner_forms[owner].key);
        json_number(j, "bytes", l->rows[owner].bytes);
        json_number(j, "count", l->rows[owner].count);
        if (owner >= OWNER_GLIBC_LIVE && owner <= OWNER_GLIBC_OWN)
            json_number(j, "not_resident", l->rows[owner].absent);
        json_text(j, "what", owner_forms[owner].what);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_heap(struct json *j, const struct ledger *l)
{
    const struct heap_pages *h = &l->heap;
    if (!l->has_heap) {
        json_text(j, "freehold", NULL);
        return;
    }
    json_open(j, "freehold", '{');
    json_text(j, "version", h->library);
    json_number(j, "slabs", h->slabs);
    json_number(j, "slices_of_runs", h->runs);
    json_number(j, "large_blocks", h->large_count);
    json_number(j, "gc_slices", h->gc_slices);
    if (h->has_plug) {
        json_number(j, "plug_blocks", h->plug_blocks);
        json_number(j, "plug_bytes", h->plug_bytes);
    }
    json_bool(j, "lists_cut", h->lists_cut);
    json_number(j, "purge_delay_ms", h->registry.purge_delay_ms);
    json_close(j, '}');
}

static void json_glibc(struct json *j, const struct ledger *l)
{
    const struct glibc_pages *g = &l->glibc;
    if (!l->has_glibc) {
        json_text(j, "glibc", NULL);
        return;
    }
    json_open(j, "glibc", '{');
    json_number(j, "arenas", g->arenas);
    json_number(j, "arenas_of_ended_threads", g->ended_arenas);
    json_number(j, "heaps", g->heaps);
    json_number(j, "thread_caches", g->caches);
    json_number(j, "torn", g->torn);
    json_number(j, "read_bytes", g->read);
    json_close(j, '}');
}

static void json_remedy(struct json *j, const char *remedy, uint64_t bytes, bool estimate)
{
    json_open(j, NULL, '{');
    json_text(j, "remedy", remedy);
    json_number(j, "gives_back", bytes);
    json_bool(j, "estimate", estimate);
    json_close(j, '}');
}

static void json_mapping(struct json *j, const struct ledger *l, size_t i)
{
    const struct area *a = &l->smaps.list[i];
    const struct mapping *m = &a->mapping;
    char permissions[] = {m->readable ? 'r' : '-', m->writable ? 'w' : '-',
                          m->executable ? 'x' : '-', m->shared ? 's' : 'p', 0};
    json_open(j, NULL, '{');
    json_number(j, "start", m->start);
    json_number(j, "end", m->end);
    json_text(j, "permissions", permissions);
    json_text(j, "path", *m->path ? m->path : NULL);
    json_text(j, "owner", l->owner[i] == OWNER_LIVE ? "freehold" : owner_forms[l->owner[i]].key);
    json_number(j, "resident", a->rss);
    json_number(j, "anonymous", a->anonymous);
    json_number(j, "swap", a->swap);
    json_number(j, "huge", a->huge);
    json_close(j, '}');
}

void map_json_ledger(struct json *j, const char *key, const struct ledger *l, bool mappings)
{
    json_open(j, key, '{');
    json_text(j, "freehold_version", FH_VERSION_TEXT);
    json_number(j, "pid", (uint64_t)l->process.pid);
    json_text(j, "name", l->process.name);
    json_text(j, "allocator", l->verdict.owner ? verdict_name(&l->verdict) : NULL);
    json_number(j, "resident", l->resident);
    json_number(j, "kernel_resident", l->kernel_resident);
    json_number(j, "mapping_count", l->smaps.count);
    json_number(j, "threads", l->threads);
    json_number(j, "page_tables", l->page_tables);
    json_number(j, "swap", l->swap);
    json_number(j, "reserved_huge_pages", l->hugetlb);
    json_number(j, "shared", l->shared);
    json_number(j, "in_huge_pages", l->huge);
    json_number(j, "took_us", l->took_ns / 1000);
    json_rows(j, l);
    json_heap(j, l);
    json_glibc(j, l);
    json_open(j, "remedies", '[');
    if (l->is_freehold && l->has_heap) json_remedy(j, "malloc_trim", l->heap.trim, true);
    if (l->has_glibc) json_remedy(j, "malloc_trim", l->glibc.trim, true);
    if (l->has_glibc && l->glibc.ended_free)
        json_remedy(j, "fewer_arenas", l->glibc.ended_free, true);
    if (l->huge) json_remedy(j, "no_huge_pages", l->huge_zero, l->huge_sampled);
    json_close(j, ']');
    if (mappings) json_open(j, "mappings", '[');
    for (size_t i = 0; mappings && i < l->smaps.count; i++) json_mapping(j, l, i);
    if (mappings) json_close(j, ']');
    json_close(j, '}');
}

void map_json(const struct ledger *l, FILE *out, bool mappings)
{
    struct json j = json_to(out);
    map_json_ledger(&j, NULL, l, mappings);
}
