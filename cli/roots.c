/* The stretches of an image that may hold references. See roots.h. */
#include <stdlib.h>
#include <string.h>

#include "roots.h"

enum { RED_ZONE = 128, GUARD_MAX = 64 << 10, ROOT_MAX = 1 << 20 };

static bool roots_append(struct roots *r, uint64_t start, uint64_t end)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 1024;
        struct run *grown = realloc(r->list, capacity * sizeof *grown);
        if (!grown) return false;
        r->list = grown;
        r->capacity = capacity;
    }
    r->list[r->count++] = (struct run){start, end};
    r->bytes += end - start;
    return true;
}

/* In pieces, so that the markers can share them. */
static bool roots_add(struct roots *r, uint64_t start, uint64_t end)
{
    for (; start < end; start += ROOT_MAX) {
        if (!roots_append(r, start, end - start < ROOT_MAX ? end : start + ROOT_MAX)) return false;
    }
    return true;
}

/* ---- dead parts of stacks ------------------------------------------------------------------- */

static const struct mapping *mapping_at(const struct maps *maps, uint64_t address)
{
    size_t low = 0, high = maps->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (maps->list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < maps->count && maps->list[low].start <= address ? &maps->list[low] : NULL;
}

/* gcore writes guards as if they could be read. */
static bool is_stack(const struct image *image, const struct mapping *m)
{
    if (!m->writable || m->shared) return false;
    if (strcmp(m->path, "[stack]") == 0) return true;
    const struct mapping *below = m == image->maps.list ? NULL : m - 1;
    if (m->inode != 0 || !below || below->end != m->start || below->writable) return false;
    return !below->readable ||
           (image->of_core && below->inode == 0 && below->end - below->start <= GUARD_MAX);
}

static int compare_runs(const void *a, const void *b)
{
    uint64_t x = ((const struct run *)a)->start, y = ((const struct run *)b)->start;
    return (x > y) - (x < y);
}

/* Everything that is no root, ascending: heaps, and what is dead of stacks. */
static struct run *find_holes(const struct image *image, const struct parts *parts, size_t *count)
{
    struct run *holes = calloc(parts->excluded_count + image->thread_count + 1, sizeof *holes);
    if (!holes) return NULL;
    *count = parts->excluded_count;
    if (*count) memcpy(holes, parts->excluded, *count * sizeof *holes);
    for (size_t i = 0; !image->thorough && i < image->thread_count; i++) {
        uint64_t pointer = image->threads[i].registers.stack_pointer;
        const struct mapping *m = mapping_at(&image->maps, pointer);
        if (m && is_stack(image, m) && pointer - m->start > RED_ZONE)
            holes[(*count)++] = (struct run){m->start, (pointer - RED_ZONE) & ~7ull};
    }
    qsort(holes, *count, sizeof *holes, compare_runs);
    return holes;
}

/* ---- the rest ------------------------------------------------------------------------------- */

/* [start, end) without the holes, of which *hole is the first that may matter. */
static bool add_without(struct roots *r, uint64_t start, uint64_t end, const struct run *holes,
                        size_t count, size_t *hole)
{
    while (*hole < count && holes[*hole].end <= start) (*hole)++;
    for (size_t i = *hole; i < count && holes[i].start < end && start < end; i++) {
        if (holes[i].start > start && !roots_add(r, start, holes[i].start)) return false;
        if (holes[i].end > start) start = holes[i].end;
    }
    return roots_add(r, start, end);
}

bool roots_find(struct roots *roots, const struct image *image, const struct parts *parts)
{
    size_t count = 0, hole = 0;
    *roots = (struct roots){0};
    struct run *holes = find_holes(image, parts, &count);
    bool done = holes != NULL;
    for (size_t i = 0; done && i < image->segment_count; i++) {
        const struct segment *s = &image->segments[i];
        for (size_t j = 0; done && j < s->runs; j++) {
            const struct run *run = &image->runs[s->first_run + j];
            done = add_without(roots, run->start, run->end, holes, count, &hole);
        }
    }
    free(holes);
    return done;
}

void roots_finish(struct roots *roots)
{
    free(roots->list);
    *roots = (struct roots){0};
}

/* The vector of thread-local storage is allocated, and kept by a pointer behind its first entry: the
 * second word at the thread pointer on x86-64, the first on aarch64. */
static void root_vector(const struct image *image, struct reach_worker *w, uint64_t thread)
{
    uint64_t vector;
    for (uint64_t at = 0; thread && at <= 8; at += 8) {
        if (image_word(image, thread + at, &vector) && vector > 16) reach_root(w, vector - 16);
    }
}

void roots_words(const struct image *image, struct reach_worker *w)
{
    for (size_t i = 0; i < image->thread_count; i++) {
        const struct machine_registers *r = &image->threads[i].registers;
        for (size_t j = 0; j < r->count; j++) reach_root(w, r->word[j]);
        root_vector(image, w, r->thread_pointer);
    }
    for (size_t i = 0; i < image->kernel.count; i++) reach_root(w, image->kernel.list[i]);
}
