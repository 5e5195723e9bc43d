/*
 * One look: the process is frozen and searched as `leaks` does it, but with the care of image.h and jump_words.h,
 * and what is lost noted with a hash of all its bytes. A block goes on to the list if the look before saw it lost too,
 * of that size and with that hash, and long enough ago.
 *
 * What was listed is left out of the next comparison: if it is lost then, it is another block, or one that could not go.
 *
 * A look that was not whole is none: a page that could not be read, a heap that contradicts itself.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli.h"
#include "clock.h"
#include "jump_words.h"
#include "plug.h"

/* Of one that is larger, mostly untouched, the hash would take long on both sides. */
#define SIZE_MAX_LISTED ((uint64_t)1 << 30)

struct taking {
    struct plug_losts *losts;
    const struct survey *survey;
    bool full;
};

static struct plug_lost *losts_add(struct plug_losts *l)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 1024;
        struct plug_lost *grown = realloc(l->list, capacity * sizeof *grown);
        if (!grown) return NULL;
        l->list = grown;
        l->capacity = capacity;
    }
    return &l->list[l->count++];
}

static void take_lost(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    struct taking *t = context;
    const unsigned char *bytes = image_at(t->survey->image, start, size);
    (void)kind;
    if (!bytes || size > SIZE_MAX_LISTED) return;
    struct plug_lost *lost = losts_add(t->losts);
    if (!lost) {
        t->full = true;
        return;
    }
    struct fh_plug_hash hash = fh_plug_hash_begin();
    fh_plug_hash_add(&hash, bytes, size);
    lost->entry = (struct fh_plug_entry){start - t->survey->own.registry->base, size,
                                         fh_plug_hash_end(&hash)};
    lost->listed = false;
}

/* ---- two looks ------------------------------------------------------------------------------ */

static bool is_same(const struct plug_lost *a, const struct plug_lost *b)
{
    return a->entry.offset == b->entry.offset && a->entry.size == b->entry.size &&
           a->entry.hash == b->entry.hash;
}

void plug_judge(const struct plug_losts *before, struct plug_losts *now, uint64_t now_ms,
                uint64_t age_ms)
{
    size_t b = 0;
    for (size_t i = 0; i < now->count; i++) {
        struct plug_lost *lost = &now->list[i];
        while (b < before->count && before->list[b].entry.offset < lost->entry.offset) b++;
        bool again =
            b < before->count && !before->list[b].listed && is_same(&before->list[b], lost);
        lost->since_ms = again ? before->list[b].since_ms : now_ms;
        lost->listed = again && now_ms - lost->since_ms >= age_ms;
    }
}

/* ---- the look ------------------------------------------------------------------------------- */

static int check_image(struct plug *p)
{
    const struct survey *s = &p->leaks.survey;
    int pid = (int)p->request.pid;
    if (s->parts.damaged || p->leaks.image.unread)
        return refuse(PLUG_ERROR,
                      "plug: process %d: this look does not count: %s; nothing goes back by it",
                      pid,
                      s->parts.damaged ? "the heap was in the middle of a change"
                                       : "some of the memory could not be read");
    return 0;
}

/* The box as it stood in that moment: its image, and how much was given back by then. */
static int read_box(struct plug *p)
{
    const struct survey *s = &p->leaks.survey;
    uint64_t address = s->own.registry->plug;
    const unsigned char *at =
        image_at(&p->leaks.image, address, offsetof(struct fh_plug_box, list));
    uint64_t image = 0;
    if (at) {
        memcpy(&image, at + offsetof(struct fh_plug_box, image), sizeof image);
        memcpy(&p->version, at + offsetof(struct fh_plug_box, version), sizeof p->version);
    }
    if (at && address == p->box.address && image == p->box.state.image) return 0;
    return refuse(PLUG_ERROR, "plug: process %d became another program meanwhile",
                  (int)p->request.pid);
}

static int search(struct plug *p, struct plug_losts *now)
{
    struct leaks *l = &p->leaks;
    struct taking taking = {now, &l->survey, false};
    if (survey_find(&l->survey, &l->image) != SURVEY_OWN)
        return refuse(PLUG_CANNOT, "plug: process %d has no heap of Freehold's that can be walked",
                      (int)p->request.pid);
    const struct fh_registry *registry = l->survey.own.registry;
    if (!jump_words_find(&l->image, registry->base, registry->limit) || !survey_mark(&l->survey))
        return refuse(PLUG_ERROR, "plug: out of memory while marking");
    int status = check_image(p);
    if (!status) status = read_box(p);
    if (status) return status;
    reach_each(&l->survey.reach, 1u << REACH_LOST | 1u << REACH_INDIRECT, take_lost, &taking);
    return taking.full ? refuse(PLUG_ERROR, "plug: out of memory for what is lost") : 0;
}

static void count_listed(struct plug *p)
{
    p->listed = 0;
    p->listed_bytes = 0;
    for (size_t i = 0; i < p->before.count; i++) {
        if (!p->before.list[i].listed) continue;
        p->listed++;
        p->listed_bytes += p->before.list[i].entry.size;
    }
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int plug_look(struct plug *p)
{
    struct plug_losts now = {0};
    uint64_t began = cpu_us();
    p->leaks.request = (struct leaks_request){
        .command = "plug", .pid = p->request.pid, .scratch = p->request.scratch, .thorough = true};
    int status = leaks_of_process(&p->leaks, &p->process);
    uint64_t seen_ms = clock_ns() / 1000000;
    if (!status) status = search(p, &now);
    p->cpu_us = cpu_us() - began;
    if (status) {
        free(now.list);
        return status;
    }
    plug_judge(&p->before, &now, seen_ms, p->age_ms);
    free(p->before.list);
    p->before = now;
    p->looks++;
    if (getrandom(&p->look, sizeof p->look, 0) != sizeof p->look) p->look = clock_ns();
    p->look |= 1;
    count_listed(p);
    return 0;
}
