/* From an address to a path. See why.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "heap_describe.h"
#include "leaks_process.h"
#include "why.h"

/* ---- what it is ----------------------------------------------------------------------------- */

static bool describe_block(struct why *w)
{
    w->is_block = reach_find(&w->leaks.survey.reach, w->address, &w->start, &w->size);
    if (!w->is_block) return false;
    snprintf(w->holds, sizeof w->holds, "byte %llu of a live block of %llu bytes at 0x%llx",
             (unsigned long long)(w->address - w->start), (unsigned long long)w->size,
             (unsigned long long)w->start);
    return true;
}

static bool describe_heap(struct why *w)
{
    const struct survey *s = &w->leaks.survey;
    struct memory memory = image_memory(&w->leaks.image);
    if (s->heap == SURVEY_OWN)
        return heap_describe(s->own.registry, &memory, w->address, w->holds, sizeof w->holds);
    const char *heap = survey_heap_of(s, w->address);
    if (heap)
        snprintf(w->holds, sizeof w->holds, "in %s's heap, but in no live block: free, or a record",
                 heap);
    return heap != NULL;
}

static void describe(struct why *w)
{
    if (describe_block(w)) return;
    w->in_heap = describe_heap(w);
    if (w->in_heap) return;
    struct why_place place = why_place_of(&w->leaks, w->address);
    snprintf(w->holds, sizeof w->holds, "%s", place.text);
}

/* ---- roots ---------------------------------------------------------------------------------- */

enum { ROOT_STATIC, ROOT_OTHER, ROOT_STACK, ROOT_CLASSES };

static bool is_behind_file(const struct maps *maps, const struct mapping *m)
{
    const struct mapping *before = m > maps->list ? m - 1 : NULL;
    return before && before->inode != 0 && before->end == m->start && !*m->path;
}

static int class_of(const struct image *image, uint64_t start)
{
    const struct mapping *m = maps_find(&image->maps, start);
    if (!m) return ROOT_OTHER;
    for (size_t i = 0; i < image->thread_count; i++) {
        uint64_t sp = image->threads[i].registers.stack_pointer;
        if (sp >= m->start && sp < m->end) return ROOT_STACK;
    }
    return m->inode != 0 || is_behind_file(&image->maps, m) ? ROOT_STATIC : ROOT_OTHER;
}

static bool scan_memory(const struct survey *s, struct reach_path *path, int classes)
{
    uint8_t *class = malloc(s->roots.count + 1);
    if (!class) return false;
    for (size_t i = 0; i < s->roots.count; i++)
        class[i] = (uint8_t)class_of(s->image, s->roots.list[i].start);
    for (int wanted = 0; wanted < classes && !path->found; wanted++) {
        for (size_t i = 0; i < s->roots.count && !path->found; i++) {
            const struct run *r = &s->roots.list[i];
            const unsigned char *bytes = image_at(s->image, r->start, r->end - r->start);
            if (class[i] == wanted && bytes)
                reach_path_scan(path, bytes, r->end - r->start, r->start);
        }
    }
    free(class);
    return true;
}

/* Those of roots_words, with what they are. */
static void scan_words(const struct image *image, struct reach_path *path)
{
    for (size_t i = 0; i < image->thread_count; i++) {
        const struct machine_registers *r = &image->threads[i].registers;
        uint64_t vector;
        for (uint64_t at = 0; r->thread_pointer && at <= 8; at += 8) {
            if (image_word(image, r->thread_pointer + at, &vector) && vector > 16)
                reach_path_root(path, vector - 16, WHY_VECTOR | i);
        }
    }
    for (size_t i = 0; i < image->kernel.count; i++)
        reach_path_root(path, image->kernel.list[i], WHY_KERNEL);
    for (size_t i = 0; i < image->thread_count; i++) {
        const struct machine_registers *r = &image->threads[i].registers;
        for (size_t j = 0; j < r->count; j++)
            reach_path_root(path, r->word[j], WHY_REGISTER | i << 8 | j);
    }
}

/* ---- the search ----------------------------------------------------------------------------- */

static bool present(void *context, uint64_t *from, uint64_t *to)
{
    return image_present(context, from, to);
}

static bool take_steps(struct why_path *to, const struct reach_path *path)
{
    to->count = reach_path_length(path);
    to->steps = calloc(to->count, sizeof *to->steps);
    if (to->steps) reach_path_steps(path, to->steps);
    return to->steps != NULL;
}

/* `classes` of memory are roots, and words if all are. Each search has bits of its own. */
static bool search(struct why *w, struct why_path *to, int classes)
{
    struct survey *s = &w->leaks.survey;
    struct reach_path path;
    uint64_t *bits = reach_bits(&s->reach);
    bool done = reach_path_init(&path, &s->reach, w->start, w->interior) && bits;
    path.bits = bits;
    path.present = present;
    path.context = &w->leaks.image;
    done = done && scan_memory(s, &path, classes);
    if (done && classes == ROOT_CLASSES) scan_words(&w->leaks.image, &path);
    if (done && reach_path_search(&path)) done = take_steps(to, &path);
    w->found += path.count;
    reach_path_finish(&path);
    reach_bits_release(&s->reach, bits);
    return done;
}

/* Exact words first, and then those into the middle of blocks too. */
static bool search_path(struct why *w)
{
    if (!search(w, &w->path, ROOT_CLASSES)) return false;
    w->interior = w->path.count == 0;
    if (w->interior && !search(w, &w->path, ROOT_CLASSES)) return false;
    w->reached = w->path.count > 0;
    if (!w->reached) return true;
    enum why_kind kind = why_root_of(&w->leaks, w->path.steps[0].from).kind;
    bool passing = kind == WHY_IS_STACK || kind == WHY_IS_DEAD_STACK || kind == WHY_IS_REGISTER;
    return !passing || search(w, &w->other, ROOT_STACK);
}

static int explain(struct why *w)
{
    uint64_t began = clock_ns();
    describe(w);
    if (w->is_block && !search_path(w))
        return refuse(WHY_ERROR, "out of memory while searching a path");
    w->search_us = (clock_ns() - began) / 1000;
    return w->is_block && !w->reached ? WHY_UNREACHABLE : WHY_KNOWN;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int take(struct why *w, struct process *p)
{
    struct leaks *l = &w->leaks;
    int status = l->request.pid ? leaks_of_process(l, p) : leaks_of_core(l);
    if (status) return status;
    if (survey_find(&l->survey, &l->image) == SURVEY_NONE)
        return refuse(WHY_UNKNOWN,
                      "%s has no heap that can be walked: neither glibc's, in use, nor Freehold's, "
                      "nor one of musl, jemalloc, mimalloc or tcmalloc",
                      l->name);
    if (own_is_blank(&l->survey.own))
        return refuse(WHY_UNKNOWN, "%s (core file) " OWN_BLANK, l->name);
    return survey_blocks(&l->survey) ? 0 : refuse(WHY_ERROR, "out of memory");
}

int map_why(const struct why_request *request)
{
    static struct why w;
    struct process p = {0};
    struct palette colours = palette_for(STDOUT_FILENO);
    char command[48];
    snprintf(command, sizeof command, "map --why=0x%llx", (unsigned long long)request->address);
    w.address = request->address;
    w.leaks.request = (struct leaks_request){.command = command,
                                             .pid = request->pid,
                                             .core = request->core,
                                             .executable = request->executable};
    int status = take(&w, &p);
    bool taken = status == 0;
    if (taken) status = explain(&w);
    if (taken && status <= WHY_UNREACHABLE && request->json)
        why_json(&w, stdout);
    else if (taken && status <= WHY_UNREACHABLE)
        why_show(&w, stdout, &colours);
    free(w.path.steps);
    free(w.other.steps);
    survey_finish(&w.leaks.survey);
    if (request->core) leaks_core_finish(&w.leaks);
    image_finish(&w.leaks.image);
    free(w.leaks.files);
    if (p.pid) process_finish(&p);
    return status;
}
