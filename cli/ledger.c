/* Reads a process once and adds up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fields.h"
#include "image.h"
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
    add(l, OWNER_QUARANTINE, h->quarantine, 0);
    add(l, OWNER_PARTLY, h->partly, 0);
    add(l, OWNER_SPANS, h->spans, 0);
    add(l, OWNER_META, h->metadata, 0);
    add(l, OWNER_GC, h->gc, h->gc_slices);
    add(l, OWNER_ARENA_UNKNOWN, h->unknown + (arena > sum ? arena - sum : 0), 0);
}

/* glibc's heaps as they were divided. Of an area that has less resident by now than was found in it, the
 * live blocks pay for the difference, then the others. */
static void add_glibc(struct ledger *l, uint64_t excess)
{
    static const enum owner owners[GLIBC_USES] = {
        [GLIBC_LIVE] = OWNER_GLIBC_LIVE,     [GLIBC_BETWEEN] = OWNER_GLIBC_BETWEEN,
        [GLIBC_CACHED] = OWNER_GLIBC_CACHED, [GLIBC_TOPS] = OWNER_GLIBC_TOP,
        [GLIBC_OWN] = OWNER_GLIBC_OWN,
    };
    for (int use = 0; use < GLIBC_USES; use++) {
        const struct glibc_part *part = &l->glibc.part[use];
        uint64_t less = excess < part->resident ? excess : part->resident;
        add(l, owners[use], part->resident - less, part->count);
        l->rows[owners[use]].absent += part->absent;
        excess -= less;
    }
}

/* Resident bytes of an area that its own row keeps; the others are of glibc's heaps. */
static uint64_t uncarved(const struct ledger *l, size_t i, uint64_t *excess)
{
    uint64_t rss = l->smaps.list[i].rss, carved = l->has_glibc ? l->glibc.carved[i] : 0;
    if (carved <= rss) return rss - carved;
    *excess += carved - rss;
    return 0;
}

/* What was found in mappings that are newer than the list of them. */
static uint64_t outside(const struct ledger *l)
{
    uint64_t found = 0, carved = 0;
    for (int use = 0; use < GLIBC_USES; use++) found += l->glibc.part[use].resident;
    for (size_t i = 0; i < l->smaps.count; i++) carved += l->glibc.carved[i];
    return found > carved ? found - carved : 0;
}

static void add_areas(struct ledger *l)
{
    uint64_t arena = 0, excess = l->has_glibc ? outside(l) : 0;
    for (size_t i = 0; i < l->smaps.count; i++) {
        const struct area *a = &l->smaps.list[i];
        l->shared += a->shared;
        l->huge += a->huge;
        l->swap += a->swap;
        l->hugetlb += a->hugetlb;
        if (l->owner[i] == OWNER_LIVE)
            arena += a->rss;
        else {
            uint64_t own = uncarved(l, i, &excess);
            add(l, l->owner[i], own, own > 0);
        }
    }
    if (l->has_glibc) add_glibc(l, excess);
    if (l->has_heap) add_heap(l, arena);
    for (int owner = 0; owner < OWNERS; owner++) l->resident += l->rows[owner].bytes;
}

/* ---- reading ---------------------------------------------------------------------------------- */

static void read_status(struct ledger *l)
{
    char path[64];
    struct file_text text;
    snprintf(path, sizeof path, "/proc/%d/status", (int)l->process.task);
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
    if (error != HEAP_VIEW_READ || l->arena_count + heap.also_count >= ARENAS_MAX) return;
    l->arenas[l->arena_count++] = (struct heap_range){heap.registry.base, heap.registry.limit};
    for (size_t i = 0; i < heap.also_count; i++) l->arenas[l->arena_count++] = heap.also[i];
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

/* A heap that would not fit into the memory that this machine has left is not read. */
static void read_glibc(struct ledger *l)
{
    uint64_t heaps = 0;
    for (size_t i = 0; i < l->smaps.count; i++) {
        bool heap = l->owner[i] == OWNER_BREAK || l->owner[i] == OWNER_ARENAS;
        if (heap) heaps += l->smaps.list[i].rss;
    }
    l->glibc_large = heaps > image_room() / 2;
    l->has_glibc = !l->glibc_large && glibc_pages_read(&l->glibc, &l->process.memory, &l->pages,
                                                       &l->smaps, l->process.task);
}

static int read_all(struct ledger *l, const char *command, int refused)
{
    struct process *p = &l->process;
    if (!pages_open(&l->pages, p->task)) {
        enum process_error error = errno == ENOENT ? PROCESS_NONE : PROCESS_FORBIDDEN;
        return target_refuse(refused, command, error, p);
    }
    verdict_reach(&l->verdict, p);
    if (!smaps_read(&l->smaps, p->task)) {
        if (errno == ESRCH || errno == ENOENT) return target_ended(refused, p);
        enum process_error error = errno == ENOMEM ? PROCESS_NO_MEMORY : PROCESS_FORBIDDEN;
        return target_refuse(refused, command, error, p);
    }
    if (l->smaps.count == 0) return target_ended(refused, p);
    read_heaps(l);
    l->is_glibc = l->verdict.owner && strcmp(verdict_name(&l->verdict), "glibc") == 0;
    l->kernel_resident = resident_read(p->task).now;
    if (l->kernel_resident == 0) return target_ended(refused, p);
    if (!ledger_assign(l)) return target_refuse(refused, command, PROCESS_NO_MEMORY, p);
    if (l->is_glibc) read_glibc(l);
    add_areas(l);
    read_status(l);
    if (l->huge) read_huge(l);
    return 0;
}

int ledger_read(struct ledger *l, pid_t pid, const char *command, int refused)
{
    uint64_t began = clock_ns();
    *l = (struct ledger){.pages = {.fd = -1}};
    enum process_error error = process_read(&l->process, pid, NULL);
    if (error != PROCESS_READ) return target_refuse(refused, command, error, &l->process);
    int status = read_all(l, command, refused);
    l->took_ns = clock_ns() - began;
    return status;
}

void ledger_finish(struct ledger *l)
{
    pages_close(&l->pages);
    smaps_finish(&l->smaps);
    glibc_pages_finish(&l->glibc);
    free(l->owner);
    l->owner = NULL;
    process_finish(&l->process);
}
