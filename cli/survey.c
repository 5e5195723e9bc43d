/* From an image to kinds of blocks. See survey.h. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "survey.h"

enum { MARKERS = 2, HUGE = 2 << 20 };

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    if (bytes >= HUGE) madvise(memory, bytes, MADV_HUGEPAGE); /* bits are looked up everywhere */
    return memory;
}

static void release(void *memory, size_t bytes)
{
    munmap(memory, bytes ? bytes : 1);
}

/* ---- which heap ----------------------------------------------------------------------------- */

/* The registry lies in the writable data of a file and begins with its name. */
static bool find_registry(const struct image *image, const struct mapping *m, uint64_t *registry)
{
    for (uint64_t from = m->start, to = m->end; image_present(image, &from, &to);
         from = to, to = m->end) {
        const unsigned char *bytes = image_at(image, from, to - from);
        for (uint64_t at = 0; bytes && at + sizeof(struct fh_registry) <= to - from; at += 8) {
            if (memcmp(bytes + at, FH_REGISTRY_MAGIC, 8) != 0) continue;
            *registry = from + at;
            return true;
        }
    }
    return false;
}

static bool find_own(struct survey *s)
{
    uint64_t registry;
    for (size_t i = 0; i < s->image->maps.count; i++) {
        const struct mapping *m = &s->image->maps.list[i];
        if (!m->writable || m->shared || m->inode == 0 || !find_registry(s->image, m, &registry))
            continue;
        if (own_parts(&s->own, s->image, registry, &s->parts)) return true;
        own_finish(&s->own);
        parts_finish(&s->parts);
    }
    return false;
}

static const struct heap_walker *const walkers[SURVEY_WALKS] = {&musl_walker, &jemalloc_walker,
                                                                &mimalloc_walker, &tcmalloc_walker};

/* One that is not understood is no heap to us: its memory is searched like any other. */
static void find_others(struct survey *s)
{
    for (size_t i = 0; i < SURVEY_WALKS && walkers[i]; i++) {
        struct heap_walk *w = &s->walks[s->walk_count];
        *w = (struct heap_walk){.walker = walkers[i]};
        enum walk_found found = w->walker->find(w, s->image);
        if (found == WALK_FOUND) {
            s->walk_count++;
            continue;
        }
        w->walker->finish(w);
        if (found == WALK_MISFIT) s->misfit = *w;
    }
}

enum survey_heap survey_find(struct survey *s, const struct image *image)
{
    *s = (struct survey){.image = image};
    if (find_own(s)) return s->heap = SURVEY_OWN;
    find_others(s);
    s->with_glibc = glibc_find(&s->glibc, image);
    return s->heap = s->walk_count ? SURVEY_OTHER : s->with_glibc ? SURVEY_GLIBC : SURVEY_NONE;
}

bool survey_walks(const struct survey *s, const char *allocator)
{
    if (strcmp(allocator, "glibc") == 0) return s->with_glibc;
    for (size_t i = 0; i < s->walk_count; i++) {
        if (strcmp(s->walks[i].walker->name, allocator) == 0) return true;
    }
    return false;
}

void survey_name(const struct survey *s, char *text, size_t capacity)
{
    size_t at = 0;
    *text = 0;
    if (s->heap == SURVEY_OWN) snprintf(text, capacity, "Freehold");
    for (size_t i = 0; i < s->walk_count && at < capacity; i++)
        at += (size_t)snprintf(text + at, capacity - at, "%s%s (%s)", i ? " and " : "",
                               s->walks[i].walker->name, s->walks[i].version);
    if (s->with_glibc && at < capacity)
        snprintf(text + at, capacity - at, "%sglibc", s->walk_count ? " and " : "");
}

const char *survey_heap_of(const struct survey *s, uint64_t address)
{
    const struct reach_region *region = reach_region_of(&s->reach, address);
    if (!region) return NULL;
    if (s->heap == SURVEY_OWN) return "Freehold";
    return region->owner ? s->walks[region->owner - 1].walker->name : "glibc";
}

const char *survey_known(const char *allocator)
{
    for (size_t i = 0; i < SURVEY_WALKS && walkers[i]; i++) {
        if (strcmp(walkers[i]->name, allocator) == 0) return walkers[i]->known;
    }
    return NULL;
}

/* ---- marking -------------------------------------------------------------------------------- */

struct marker {
    struct survey *survey;
    struct reach_worker worker;
    size_t *next; /* root to be scanned, shared */
};

static bool present(void *context, uint64_t *from, uint64_t *to)
{
    return image_present(context, from, to);
}

static void scan_roots(struct marker *m)
{
    const struct survey *s = m->survey;
    for (;;) {
        size_t i = __atomic_fetch_add(m->next, 1, __ATOMIC_RELAXED);
        if (i >= s->roots.count) break;
        const struct run *root = &s->roots.list[i];
        uint64_t size = root->end - root->start, over = s->image->thorough ? sizeof(uint32_t) : 0;
        const unsigned char *bytes = image_at(s->image, root->start, size + over);
        if (!bytes) bytes = image_at(s->image, root->start, size), over = 0;
        if (bytes) reach_scan(&m->worker, bytes, size + over);
    }
}

static void *mark_exact(void *argument)
{
    struct marker *m = argument;
    scan_roots(m);
    reach_drain(&m->worker);
    return NULL;
}

static void *mark_possible(void *argument)
{
    struct marker *m = argument;
    m->worker.pass = REACH_PASS_POSSIBLE;
    reach_drain(&m->worker);
    return NULL;
}

/* Where no second thread can be made, the first one does everything: it is told so by `workers`. */
static void run_pass(struct marker *markers, int count, void *(*pass)(void *))
{
    pthread_t threads[MARKERS];
    int started = 1;
    struct reach *reach = markers[0].worker.reach;
    reach->idle = 0;
    while (started < count && pthread_create(&threads[started], NULL, pass, &markers[started]) == 0)
        started++;
    if (started < count) __atomic_fetch_add(&reach->idle, count - started, __ATOMIC_ACQ_REL);
    pass(&markers[0]);
    while (started > 1) pthread_join(threads[--started], NULL);
}

static void add_total(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    struct survey *s = context;
    (void)start;
    s->total[kind].count++;
    s->total[kind].bytes += size;
}

static bool mark_all(struct survey *s, struct marker *markers)
{
    size_t next = 0;
    int made = 0;
    bool done = true;
    for (; made < MARKERS; made++) {
        markers[made] = (struct marker){.survey = s, .next = &next};
        if (!reach_worker_init(&markers[made].worker, &s->reach)) break;
        markers[made].worker.present = present;
        markers[made].worker.context = (void *)s->image;
        markers[made].worker.halves = s->image->thorough;
    }
    if (made > 0) {
        roots_words(s->image, &markers[0].worker);
        run_pass(markers, made, mark_exact);
        reach_begin_possible(&markers[0].worker);
        run_pass(markers, made, mark_possible);
        done = reach_sort_lost(&markers[0].worker);
    }
    for (int i = 0; i < made; i++) {
        s->scanned += markers[i].worker.scanned;
        reach_worker_finish(&markers[i].worker);
    }
    return done && made > 0;
}

/* glibc's reader looks last: for mappings that nobody has claimed. */
static bool find_parts(struct survey *s)
{
    for (size_t i = 0; i < s->walk_count; i++) {
        struct heap_walk *w = &s->walks[i];
        s->parts.owner = (uint8_t)(i + 1);
        if (!w->walker->parts(w, s->image, &s->parts)) return false;
    }
    parts_sort(&s->parts);
    s->parts.owner = 0;
    return !s->with_glibc || glibc_parts(&s->glibc, s->image, &s->parts);
}

static bool find_blocks(struct survey *s)
{
    if (!find_parts(s)) return false;
    for (size_t i = 0; s->image->thorough && i < s->parts.count; i++)
        s->parts.regions[i].inner = true;
    if (!reach_init(&s->reach, s->parts.regions, s->parts.count, reserve, release)) return false;
    for (size_t i = 0; i < s->walk_count; i++) {
        struct heap_walk *w = &s->walks[i];
        if (!w->walker->fill(w, s->image, &s->parts, &s->reach)) return false;
    }
    if (s->with_glibc && !glibc_fill(&s->glibc, s->image, &s->parts, &s->reach)) return false;
    if (s->heap == SURVEY_OWN) own_fill(&s->own, s->image, &s->reach);
    return true;
}

bool survey_blocks(struct survey *s)
{
    uint64_t began = now_us();
    if (!find_blocks(s) || !reach_seal(&s->reach)) return false;
    if (!roots_find(&s->roots, s->image, &s->parts)) return false;
    s->walk_us = now_us() - began;
    return true;
}

bool survey_mark(struct survey *s)
{
    struct marker markers[MARKERS];
    if (!survey_blocks(s)) return false;
    uint64_t began = now_us();
    bool done = mark_all(s, markers);
    s->mark_us = now_us() - began;
    if (done) reach_each(&s->reach, ~0u, add_total, s);
    return done;
}

bool survey_know(struct survey *s,
                 bool (*known)(void *context, uint64_t start, uint64_t size, enum reach_kind kind),
                 void *context)
{
    struct reach_worker worker;
    if (!reach_worker_init(&worker, &s->reach)) return false;
    worker.present = present;
    worker.context = (void *)s->image;
    bool done = reach_know(&worker, known, context);
    reach_worker_finish(&worker);
    return done;
}

void survey_finish(struct survey *s)
{
    reach_finish(&s->reach);
    roots_finish(&s->roots);
    parts_finish(&s->parts);
    glibc_finish(&s->glibc);
    for (size_t i = 0; i < s->walk_count; i++) s->walks[i].walker->finish(&s->walks[i]);
    own_finish(&s->own);
}
