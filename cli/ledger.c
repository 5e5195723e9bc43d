/* Reads a process once and adds up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fields.h"
#include "ledger.h"
#include "target.h"

/* ---- huge pages ------------------------------------------------------------------------------- */

#define HUGE_READ_MAX (64ull << 20) /* bytes of huge pages that are looked at, spread over all */

enum { HUGE = 2 << 20, PIECE = 4096 };

static uint64_t zero_bytes(const uint8_t *bytes, size_t size)
{
    uint64_t zero = 0;
    for (size_t at = 0; at + PIECE <= size; at += PIECE) {
        bool is_zero = bytes[at] == 0 && memcmp(bytes + at, bytes + at + 1, PIECE - 1) == 0;
        if (is_zero) zero += PIECE;
    }
    return zero;
}

struct huge_walk {
    struct ledger *l;
    uint8_t *copy;
    uint64_t every; /* one huge page of so many is read */
    uint64_t seen, read, zero;
};

static void look_at_huge(struct huge_walk *w, uint64_t at)
{
    if (!page_is_huge(&w->l->pages, at) || w->seen++ % w->every) return;
    if (!memory_read(&w->l->process.memory, at, w->copy, HUGE)) return;
    w->read += HUGE;
    w->zero += zero_bytes(w->copy, HUGE);
}

/* Memory that a huge page holds although nobody ever wrote to it is zero. A program that writes zeros is
 * taken for one that does not; without huge pages that would be resident all the same. */
static void read_huge(struct ledger *l)
{
    struct huge_walk w = {.l = l, .copy = malloc(HUGE), .every = 1 + l->huge / HUGE_READ_MAX};
    for (size_t i = 0; w.copy && i < l->smaps.count; i++) {
        const struct area *a = &l->smaps.list[i];
        uint64_t at = (a->mapping.start + HUGE - 1) / HUGE * HUGE;
        for (; a->huge && at + HUGE <= a->mapping.end; at += HUGE) look_at_huge(&w, at);
    }
    free(w.copy);
    l->huge_sampled = w.every > 1;
    if (w.read) l->huge_zero = (uint64_t)((double)w.zero / (double)w.read * (double)l->huge);
}

/* ---- adding up -------------------------------------------------------------------------------- */

static void add(struct ledger *l, enum owner owner, uint64_t bytes, uint64_t count)
{
    l->rows[owner].bytes += bytes;
    l->rows[owner].count += count;
}

/* The heap as it was divided. What the mappings of the arena had resident is the truth; the difference to
 * the pages that were found is what changed between the two. */
static void add_heap(struct ledger *l, uint64_t arena)
{
    const struct heap_pages *h = &l->heap;
    uint64_t sum = heap_pages_sum(h);
    add(l, OWNER_LIVE, h->live, h->slabs + h->runs + h->large_count);
    add(l, OWNER_LISTS, h->lists, 0);
    add(l, OWNER_REMOTE, h->remote, 0);
    add(l, OWNER_PARTLY, h->partly, 0);
    add(l, OWNER_SPANS, h->spans, 0);
    add(l, OWNER_META, h->metadata, 0);
    add(l, OWNER_GC, h->gc, h->gc_slices);
    add(l, OWNER_ARENA_UNKNOWN, h->unknown + (arena > sum ? arena - sum : 0), 0);
}

static void add_areas(struct ledger *l)
{
    uint64_t arena = 0;
    for (size_t i = 0; i < l->smaps.count; i++) {
        const struct area *a = &l->smaps.list[i];
        l->shared += a->shared;
        l->huge += a->huge;
        l->swap += a->swap;
        l->hugetlb += a->hugetlb;
        if (l->owner[i] == OWNER_LIVE)
            arena += a->rss;
        else
            add(l, l->owner[i], a->rss, a->rss > 0);
    }
    if (l->has_heap) add_heap(l, arena);
    for (int owner = 0; owner < OWNERS; owner++) l->resident += l->rows[owner].bytes;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void read_status(struct ledger *l)
{
    char path[64];
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/status", (int)l->process.pid);
    if (!file_read(&text, path, 1 << 16)) return;
    if (text.data) {
        field_number(text.data, text.size, "VmPTE", &l->page_tables);
        uint64_t upper = 0;
        if (field_number(text.data, text.size, "VmPMD", &upper)) l->page_tables += upper;
    }
    free(text.data);
}

static void read_arena(struct ledger *l, const struct module *m)
{
    struct heap_pages heap;
    enum heap_view_error error =
        heap_pages_read(&heap, &l->process.memory, &l->pages, m->bias + m->signs.registry);
    if (m == l->verdict.owner) l->heap_error = error;
    if (error != HEAP_VIEW_READ || l->arena_count == ARENAS_MAX) return;
    l->arenas[l->arena_count++] = (struct arena_range){heap.registry.base, heap.registry.limit};
    heap_pages_add(&l->heap, &heap);
    l->has_heap = true;
}

/* The malloc's own first: what is told of the registry is told of that one. */
static void read_heaps(struct ledger *l)
{
    const struct module *owner = l->verdict.owner;
    l->is_freehold = owner && l->verdict.allocator == ALLOCATOR_FREEHOLD;
    l->heap_error = HEAP_VIEW_UNREADABLE;
    if (l->is_freehold && owner->signs.registry) read_arena(l, owner);
    for (size_t i = 0; i < l->process.module_count; i++) {
        const struct module *m = &l->process.modules[i];
        if (m->signs.registry && m != owner) read_arena(l, m);
    }
}

static int read_all(struct ledger *l, int refused)
{
    struct process *p = &l->process;
    if (!pages_open(&l->pages, p->pid)) {
        enum process_error error = errno == ENOENT ? PROCESS_NONE : PROCESS_FORBIDDEN;
        return target_refuse(refused, "map", error, p);
    }
    verdict_reach(&l->verdict, p);
    if (!smaps_read(&l->smaps, p->pid)) {
        if (errno == ESRCH || errno == ENOENT) return target_ended(refused, p);
        enum process_error error = errno == ENOMEM ? PROCESS_NO_MEMORY : PROCESS_FORBIDDEN;
        return target_refuse(refused, "map", error, p);
    }
    if (l->smaps.count == 0) return target_ended(refused, p);
    read_heaps(l);
    l->kernel_resident = resident_read(p->pid).now;
    if (l->kernel_resident == 0) return target_ended(refused, p);
    if (!ledger_assign(l)) return target_refuse(refused, "map", PROCESS_NO_MEMORY, p);
    add_areas(l);
    read_status(l);
    if (l->huge) read_huge(l);
    return 0;
}

int ledger_read(struct ledger *l, pid_t pid, int refused)
{
    uint64_t began = clock_ns();
    *l = (struct ledger){.pages = {.fd = -1}};
    enum process_error error = process_read(&l->process, pid, NULL);
    if (error != PROCESS_READ) return target_refuse(refused, "map", error, &l->process);
    int status = read_all(l, refused);
    l->took_ns = clock_ns() - began;
    return status;
}

void ledger_finish(struct ledger *l)
{
    pages_close(&l->pages);
    smaps_finish(&l->smaps);
    free(l->owner);
    l->owner = NULL;
    process_finish(&l->process);
}
