/* From an image to kinds of blocks. See survey.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "survey.h"

enum { MARKERS = 2 };

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
    return memory == MAP_FAILED ? NULL : memory;
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

enum survey_heap survey_find(struct survey *s, const struct image *image)
{
    *s = (struct survey){.image = image};
    if (find_own(s))
        s->heap = SURVEY_OWN;
    else if (glibc_find(&s->glibc, image))
        s->heap = SURVEY_GLIBC;
    return s->heap;
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
        const unsigned char *bytes = image_at(s->image, root->start, root->end - root->start);
        if (bytes) reach_scan(&m->worker, bytes, root->end - root->start);
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

static bool find_blocks(struct survey *s)
{
    bool glibc = s->heap == SURVEY_GLIBC;
    if (glibc && !glibc_parts(&s->glibc, s->image, &s->parts)) return false;
    if (!reach_init(&s->reach, s->parts.regions, s->parts.count, reserve, release)) return false;
    if (glibc && !glibc_fill(&s->glibc, s->image, &s->parts, &s->reach)) return false;
    if (!glibc) own_fill(&s->own, s->image, &s->reach);
    return true;
}

bool survey_mark(struct survey *s)
{
    struct marker markers[MARKERS];
    uint64_t began = now_us();
    if (!find_blocks(s) || !reach_seal(&s->reach)) return false;
    if (!roots_find(&s->roots, s->image, &s->parts)) return false;
    s->walk_us = now_us() - began;
    began = now_us();
    bool done = mark_all(s, markers);
    s->mark_us = now_us() - began;
    if (done) reach_each(&s->reach, ~0u, add_total, s);
    return done;
}

void survey_finish(struct survey *s)
{
    reach_finish(&s->reach);
    roots_finish(&s->roots);
    parts_finish(&s->parts);
    glibc_finish(&s->glibc);
    own_finish(&s->own);
}
