/* The ledger as text, the verdict first, at most 20 lines. */
#include <stdlib.h>
#include <string.h>

#include "map.h"

enum { ROWS_MAX = 13, MAPPINGS_SHOWN = 30 };

struct show {
    const struct ledger *l;
    FILE *out;
    const struct palette *colours;
};

/* ---- verdict ---------------------------------------------------------------------------------- */

/* The row with the most that is not of Freehold's heap. */
static enum owner largest_other(const struct ledger *l)
{
    enum owner most = OWNER_BREAK;
    for (int owner = OWNER_BREAK; owner < OWNERS; owner++) {
        if (l->rows[owner].bytes > l->rows[most].bytes) most = (enum owner)owner;
    }
    return most;
}

/* Of glibc's heaps: what is free in them, and all. */
static uint64_t glibc_free(const struct ledger *l)
{
    return l->rows[OWNER_GLIBC_BETWEEN].bytes + l->rows[OWNER_GLIBC_CACHED].bytes +
           l->rows[OWNER_GLIBC_TOP].bytes;
}

static uint64_t glibc_heap(const struct ledger *l)
{
    if (!l->is_glibc) return 0;
    return l->rows[OWNER_GLIBC_LIVE].bytes + glibc_free(l) + l->rows[OWNER_GLIBC_OWN].bytes +
           l->rows[OWNER_BREAK].bytes + l->rows[OWNER_ARENAS].bytes + l->rows[OWNER_MMAPPED].bytes;
}

static void show_verdict(const struct show *s)
{
    const struct ledger *l = s->l;
    const struct heap_pages *h = &l->heap;
    fprintf(s->out, "%s%s (pid %d)", s->colours->strong, l->process.name, (int)l->process.pid);
    if (l->verdict.owner) fprintf(s->out, " on %s", verdict_name(&l->verdict));
    fprintf(s->out, ": %s resident", HUMAN(bytes, l->resident));
    uint64_t held = h->lists + h->remote + h->quarantine + h->partly + h->spans;
    enum owner most = largest_other(l);
    if (h->gc > l->rows[most].bytes && h->gc > h->live + held) {
        fprintf(s->out, ", %u %% of it heaps of Freehold's collector",
                human_percent(h->gc, l->resident));
    } else if (l->has_heap && h->live + held >= l->rows[most].bytes) {
        fprintf(s->out, ", %u %% of it live blocks, %u %% free but held by the heap",
                human_percent(h->live, l->resident), human_percent(held, l->resident));
    } else if (l->has_glibc && glibc_heap(l) > l->rows[most].bytes) {
        uint64_t live = l->rows[OWNER_GLIBC_LIVE].bytes + l->rows[OWNER_MMAPPED].bytes;
        fprintf(s->out, ", %u %% of it live blocks, %u %% free but held by the heap",
                human_percent(live, l->resident), human_percent(glibc_free(l), l->resident));
    } else if (glibc_heap(l) > l->rows[most].bytes) {
        fprintf(s->out, ", %u %% of it glibc's heap", human_percent(glibc_heap(l), l->resident));
    } else {
        fprintf(s->out, ", %u %% of it %s (%s)", human_percent(l->rows[most].bytes, l->resident),
                owner_forms[most].label, owner_forms[most].what);
    }
    fprintf(s->out, "%s\n", s->colours->plain);
}

/* ---- rows ------------------------------------------------------------------------------------- */

static void show_row(const struct show *s, const char *label, uint64_t bytes, const char *what,
                     uint64_t count, const char *noun)
{
    fprintf(s->out, "  %s%-11s%s %10s %3u %%  %s", s->colours->dim, label, s->colours->plain,
            HUMAN(bytes, bytes), human_percent(bytes, s->l->resident), what);
    if (count) fprintf(s->out, "; %s %s%s", HUMAN(exact, count), noun, count == 1 ? "" : "s");
    fputc('\n', s->out);
}

static void show_owner(const struct show *s, enum owner owner)
{
    const struct row *row = &s->l->rows[owner];
    const struct owner_form *form = &owner_forms[owner];
    const char *noun = owner <= OWNER_ARENA_UNKNOWN ? "span"
                       : owner < OWNER_BREAK        ? "chunk"
                                                    : "mapping";
    char what[160];
    snprintf(what, sizeof what, "%s", form->what);
    if (row->absent)
        snprintf(what, sizeof what, "%s, %s more not resident", form->what,
                 HUMAN(bytes, row->absent));
    /* Of others than Freehold and glibc the heap is somewhere in there. */
    if (owner == OWNER_ANONYMOUS && s->l->verdict.owner && !s->l->is_freehold && !s->l->is_glibc)
        snprintf(what, sizeof what, "mapped by %s, the program or a library",
                 verdict_name(&s->l->verdict));
    show_row(s, form->label, row->bytes, what, row->count, noun);
}

/* The smallest of more rows than there is room for are told together; nothing is left out of the sum. */
static void show_rows(const struct show *s)
{
    const struct row *rows = s->l->rows;
    bool shown[OWNERS] = {false};
    uint64_t rest = 0;
    size_t left = 0;
    for (int room = ROWS_MAX; room > 0; room--) {
        int most = -1;
        for (int owner = 0; owner < OWNERS; owner++) {
            bool larger = most < 0 || rows[owner].bytes > rows[most].bytes;
            if (!shown[owner] && rows[owner].bytes && larger) most = owner;
        }
        if (most >= 0) shown[most] = true;
    }
    for (int owner = 0; owner < OWNERS; owner++) {
        if (shown[owner]) show_owner(s, (enum owner)owner);
        if (shown[owner] || rows[owner].bytes == 0) continue;
        rest += rows[owner].bytes;
        left++;
    }
    if (left) show_row(s, "the rest", rest, "in smaller parts: --json lists them", 0, "");
}

/* ---- sum -------------------------------------------------------------------------------------- */

static void show_sum(const struct show *s)
{
    const struct ledger *l = s->l;
    int64_t off = (int64_t)(l->resident - l->kernel_resident);
    fprintf(s->out, "  %s%-11s%s %10s 100 %%  in %s mappings; ", s->colours->strong, "resident",
            s->colours->plain, HUMAN(bytes, l->resident), HUMAN(exact, l->smaps.count));
    if (off == 0)
        fputs("the kernel's sum is the same to the byte\n", s->out);
    else
        fprintf(s->out, "the kernel's sum is %s %s: it moved meanwhile\n",
                HUMAN(bytes, (uint64_t)llabs(off)), off > 0 ? "less" : "more");
}

static void show_beside(const struct show *s)
{
    const struct ledger *l = s->l;
    fprintf(s->out, "  %s%-11s%s page tables %s, swap %s", s->colours->dim, "beside it",
            s->colours->plain, HUMAN(bytes, l->page_tables), HUMAN(bytes, l->swap));
    if (l->hugetlb) fprintf(s->out, ", reserved huge pages %s", HUMAN(bytes, l->hugetlb));
    fprintf(s->out, "; of the resident %s are shared with other processes\n",
            HUMAN(bytes, l->shared));
}

/* ---- remedies --------------------------------------------------------------------------------- */

static void remedy(const struct show *s)
{
    fprintf(s->out, "  %s%-11s%s ", s->colours->good, "remedy", s->colours->plain);
}

static void note(const struct show *s, const char *text)
{
    fprintf(s->out, "  %s%-11s%s %s\n", s->colours->warn, "note", s->colours->plain, text);
}

static void show_trim(const struct show *s)
{
    const struct ledger *l = s->l;
    if (!l->is_freehold || !l->has_heap) return;
    remedy(s);
    fprintf(s->out, "malloc_trim(0) would give back %s: --apply calls it there",
            HUMAN(bytes, l->heap.trim));
    if (l->heap.spans && l->heap.registry.helper_running)
        fprintf(s->out, "; %s of it go by themselves when unused for %s",
                HUMAN(bytes, l->heap.spans), HUMAN(time, l->heap.registry.purge_delay_ms));
    fputc('\n', s->out);
}

static void show_glibc(const struct show *s)
{
    const struct ledger *l = s->l;
    if (!l->is_glibc) return;
    if (!l->has_glibc && glibc_heap(l) >= 1 << 20) {
        note(s, l->glibc_large
                    ? "glibc's heaps are not divided: they would not fit into the memory "
                      "that is left here"
                    : "glibc's heaps are not divided: its records were not found, or may "
                      "not be read");
    }
    if (!l->has_glibc) return;
    remedy(s);
    fprintf(s->out, "malloc_trim(0) would give back %s: --apply calls it there\n",
            HUMAN(bytes, l->glibc.trim));
    if (l->glibc.ended_free == 0) return;
    remedy(s);
    fprintf(s->out,
            "fewer arenas (MALLOC_ARENA_MAX at its start): %s are free in %s arena%s of ended "
            "threads\n",
            HUMAN(bytes, l->glibc.ended_free), HUMAN(exact, l->glibc.ended_arenas),
            l->glibc.ended_arenas == 1 ? "" : "s");
}

static void show_huge(const struct show *s)
{
    const struct ledger *l = s->l;
    if (l->huge == 0) return;
    remedy(s);
    fprintf(s->out, "without huge pages %s%s less: so much of %s in them is zero, never written\n",
            l->huge_sampled ? "about " : "", HUMAN(bytes, l->huge_zero), HUMAN(bytes, l->huge));
}

static const char *heap_trouble(enum heap_view_error error)
{
    switch (error) {
    case HEAP_VIEW_UNREADABLE:
        return "its memory may not be read: sudo, CAP_SYS_PTRACE, or sysctl "
               "kernel.yama.ptrace_scope=0";
    case HEAP_VIEW_DAMAGED: return "its registry is missing or damaged";
    case HEAP_VIEW_VERSION: return "its registry has a version this command does not know";
    case HEAP_VIEW_UNUSED: return "nothing was allocated yet";
    default: return NULL;
    }
}

static void show_trouble(const struct show *s)
{
    const struct ledger *l = s->l;
    char text[160];
    if (!l->is_freehold || l->has_heap) return;
    snprintf(text, sizeof text, "Freehold's heap is not divided: %s", heap_trouble(l->heap_error));
    note(s, text);
}

static void show_plug(const struct show *s)
{
    char text[160];
    const struct heap_pages *h = &s->l->heap;
    if (!h->has_plug) return;
    snprintf(text, sizeof text, "option plug gave back %s lost blocks so far, %s",
             HUMAN(exact, h->plug_blocks), HUMAN(bytes, h->plug_bytes));
    note(s, text);
}

void map_show(const struct ledger *ledger, FILE *out, const struct palette *colours)
{
    struct show s = {ledger, out, colours};
    show_verdict(&s);
    show_rows(&s);
    show_sum(&s);
    show_beside(&s);
    show_trouble(&s);
    show_plug(&s);
    show_trim(&s);
    show_glibc(&s);
    show_huge(&s);
}

/* ---- mappings --------------------------------------------------------------------------------- */

static int order_by_rss(const void *a, const void *b, void *list)
{
    const struct area *areas = list;
    uint64_t x = areas[*(const uint32_t *)a].rss, y = areas[*(const uint32_t *)b].rss;
    return (x < y) - (x > y);
}

static void show_mapping(const struct ledger *l, FILE *out, uint32_t i)
{
    const struct area *a = &l->smaps.list[i];
    const struct mapping *m = &a->mapping;
    char clean[256];
    human_clean(clean, sizeof clean, m->path);
    fprintf(out, "  %10s %c%c%c%c %012llx-%012llx %-10s %s\n", HUMAN(bytes, a->rss),
            m->readable ? 'r' : '-', m->writable ? 'w' : '-', m->executable ? 'x' : '-',
            m->shared ? 's' : 'p', (unsigned long long)m->start, (unsigned long long)m->end,
            l->owner[i] == OWNER_LIVE ? "heap" : owner_forms[l->owner[i]].label, clean);
}

void map_show_mappings(const struct ledger *l, FILE *out)
{
    uint32_t *order = calloc(l->smaps.count, sizeof *order);
    if (!order) return;
    for (size_t i = 0; i < l->smaps.count; i++) order[i] = (uint32_t)i;
    qsort_r(order, l->smaps.count, sizeof *order, order_by_rss, l->smaps.list);
    size_t count = l->smaps.count < MAPPINGS_SHOWN ? l->smaps.count : MAPPINGS_SHOWN;
    fprintf(out, "the %zu mappings with the most resident, of %zu:\n", count, l->smaps.count);
    for (size_t i = 0; i < count; i++) show_mapping(l, out, order[i]);
    free(order);
}
