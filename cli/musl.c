/*
 * musl's malloc (mallocng: 1.2.1 and later), found without a symbol and walked by its own data.
 *
 *     context     | secret | (page size) | ready, counter | free descriptor | next one | counts (3) | first, last area | ...
 *     area        a page:  | secret | next area | 101 | descriptor ... |
 *     descriptor  | before | next | group | mask: available, freed | last slot, class, pages mapped |
 *     group       | its descriptor | . | slot | slot | ...          each slot a multiple of 16 bytes
 *
 *     a slot      -8              -4   -3            -2                     end-4
 *                  | offset (32)   | 0  | index, rest  | offset (16), by 16  | block ...  | next slot's
 *
 * The context is known by its secret, which stands at the beginning of each page of descriptors. A group
 * and its descriptor point to each other. A block may begin further up in its slot: then the slot's own
 * header says 7 and how far. A group may lie in a slot of another: that slot's header says 6. Whatever is
 * neither available nor freed is in use; there are no caches of threads.
 *
 * A slot whose header does not fit was being taken or freed when the thread was stopped, or was
 * overwritten: its group is searched as a root.
 */
#include <stdlib.h>
#include <string.h>

#include "heap_walk.h"

enum {
    AREA = 4096,
    AREA_HEADER = 24,
    AREA_SLOTS = 101,
    DESCRIPTOR = 40,
    UNIT = 16,
    CLASSES = 48,
    CLASS_MAPPED = 63,
    AREAS_MAX = 1 << 20,
    HEADER_MOVED = 7 << 5, /* of a slot: the block begins further up */
    HEADER_GROUP = 6,      /* of a block, its upper bits: it is a group */
    SLACK = 4,
};

/* Offsets in the context, on machines of one page size; 8 more on others. */
enum {
    TO_READY = 8,
    TO_AVAILABLE = 24,
    TO_AVAILABLE_COUNT = 32,
    TO_FIRST = 56,
    TO_LAST = 64,
    CONTEXT = 928,
};

static const uint16_t class_units[CLASSES] = {
    1,   2,   3,   4,    5,    6,    7,    8,    9,    10,   12,   15,   18,   20,   25,   31,
    36,  42,  50,  63,   72,   84,   102,  127,  146,  170,  204,  255,  292,  340,  409,  511,
    584, 682, 818, 1023, 1169, 1364, 1637, 2047, 2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191,
};

struct group {
    uint64_t start, end; /* with its header */
    uint64_t stride;
    uint32_t used; /* a bit a slot */
    uint8_t slots;
    bool mapped, sound;
};

struct musl {
    uint64_t context, shift; /* 8 where the page size is a variable */
    uint64_t *areas;
    size_t area_count, area_capacity;
    struct group *groups; /* ascending; one that lies in another follows it */
    size_t group_count, group_capacity;
    uint64_t damaged;
};

static uint64_t word_of(const struct image *image, uint64_t address)
{
    uint64_t word = 0;
    image_word(image, address, &word);
    return word;
}

/* ---- the context ---------------------------------------------------------------------------- */

struct search {
    const struct image *image;
    uint64_t context, shift;
};

static bool is_area(const struct image *image, uint64_t area, uint64_t secret)
{
    return area != 0 && area % AREA == 0 && image_at(image, area, AREA) &&
           word_of(image, area) == secret && (word_of(image, area + 16) & UINT32_MAX) == AREA_SLOTS;
}

static bool is_context(const struct image *image, uint64_t at, uint64_t shift)
{
    uint64_t secret = word_of(image, at), first = word_of(image, at + shift + TO_FIRST);
    if (secret == 0 || first == 0 || first % AREA != 0) return false;
    if ((word_of(image, at + shift + TO_READY) & UINT32_MAX) != 1) return false;
    uint64_t last = word_of(image, at + shift + TO_LAST);
    return is_area(image, first, secret) && is_area(image, last, secret) &&
           word_of(image, last + 8) == 0;
}

static bool find_context(void *context, uint64_t from, uint64_t to)
{
    struct search *s = context;
    for (uint64_t at = from; at + CONTEXT <= to; at += 8) {
        for (uint64_t shift = 0; shift <= 8; shift += 8) {
            if (!is_context(s->image, at, shift)) continue;
            s->context = at;
            s->shift = shift;
            return true;
        }
    }
    return false;
}

/* ---- areas and groups ----------------------------------------------------------------------- */

static bool read_areas(struct musl *m, struct heap_walk *w, const struct image *image)
{
    uint64_t context = m->context + m->shift, secret = word_of(image, m->context);
    uint64_t last = word_of(image, context + TO_LAST);
    for (uint64_t at = word_of(image, context + TO_FIRST); at; at = word_of(image, at + 8)) {
        if (!is_area(image, at, secret) || m->area_count == AREAS_MAX ||
            m->area_count * AREA > image->present) {
            walk_misfit(w, "page %zu of its descriptors, at %#llx, is none", m->area_count + 1,
                        (unsigned long long)at);
            return false;
        }
        uint64_t *area =
            walk_append((void **)&m->areas, &m->area_count, &m->area_capacity, sizeof *m->areas);
        if (!area) return false;
        *area = at;
    }
    uint64_t left = word_of(image, context + TO_AVAILABLE_COUNT);
    uint64_t next = word_of(image, context + TO_AVAILABLE);
    bool fits = m->areas[m->area_count - 1] == last && left <= AREA_SLOTS &&
                next == last + AREA_HEADER + DESCRIPTOR * (AREA_SLOTS - left);
    if (!fits) walk_misfit(w, "its list of descriptors does not end where it says");
    return fits;
}

/* Fields of the last word of a descriptor. */
static uint64_t class_of(uint64_t bits)
{
    return bits >> 6 & 63;
}

static bool read_group(struct group *g, const struct image *image, uint64_t descriptor)
{
    uint64_t group = word_of(image, descriptor + 16), masks = word_of(image, descriptor + 24);
    uint64_t bits = word_of(image, descriptor + 32), mapped = bits >> 12 << 12;
    uint64_t class = class_of(bits);
    uint32_t available = (uint32_t)masks, freed = (uint32_t)(masks >> 32);
    *g = (struct group){.start = group, .slots = (uint8_t)((bits & 31) + 1), .mapped = mapped != 0};
    uint32_t all = (2u << (bits & 31)) - 1;
    if (group == 0 || group % UNIT != 0 || word_of(image, group) != descriptor) return false;
    if ((available & freed) != 0 || ((available | freed) & ~all) != 0) return false;
    if (mapped && group % AREA != 0) return false;
    bool whole = g->mapped && g->slots == 1;
    if (class >= CLASSES && !(class == CLASS_MAPPED && whole)) return false;
    g->stride = whole ? mapped - UNIT : (uint64_t)UNIT * class_units[class];
    g->used = all & ~(available | freed);
    uint64_t size = UNIT + g->stride * g->slots;
    g->end = group + (mapped ? mapped : size);
    return (!mapped || size <= mapped) && g->end > group && image_at(image, group, g->end - group);
}

static bool read_descriptors(struct musl *m, const struct image *image, uint64_t area,
                             uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t descriptor = area + AREA_HEADER + i * DESCRIPTOR;
        struct group read, *g;
        if (word_of(image, descriptor + 16) == 0) continue; /* not in use */
        if (!read_group(&read, image, descriptor)) {
            m->damaged++;
            continue;
        }
        g = walk_append((void **)&m->groups, &m->group_count, &m->group_capacity, sizeof *g);
        if (!g) return false;
        *g = read;
    }
    return true;
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* The block of a slot; 0: the headers do not fit. *is_group: it is a group. */
static uint64_t block_of(const struct image *image, const struct group *g, unsigned slot,
                         bool *is_group)
{
    uint64_t storage = g->start + UNIT, start = storage + slot * g->stride, block = start;
    const unsigned char *head = image_at(image, start - 8, 8);
    if (!head) return 0;
    if (head[5] == HEADER_MOVED) block += (uint64_t)UNIT * (head[6] | (unsigned)head[7] << 8);
    if (block + SLACK > start + g->stride || !(head = image_at(image, block - 8, 8))) return 0;
    uint64_t offset = head[6] | (unsigned)head[7] << 8;
    if (head[4]) {
        uint32_t wide;
        memcpy(&wide, head, sizeof wide);
        offset = offset == 0 && wide > UINT16_MAX ? wide : UINT64_MAX / UNIT;
    }
    *is_group = head[5] >> 5 == HEADER_GROUP;
    if ((head[5] & 31) != slot || head[5] >> 5 > HEADER_GROUP) return 0;
    if (block - storage != offset * UNIT) return 0;
    if (*is_group && word_of(image, word_of(image, block) + 16) != block) return 0;
    return block;
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* A slot of memory that is fresh from the kernel has a header of zeros before it gets its own, and so may
 * a block of the first slot. While nothing was written to it, it is taken for one that is being handed out:
 * its address may be nowhere yet. */
static bool is_fresh(const struct image *image, const struct group *g, uint64_t block)
{
    static const unsigned char zeros[AREA];
    uint64_t length = g->stride < AREA ? g->stride : AREA;
    const unsigned char *bytes = image_at(image, block - SLACK, length); /* its header and itself */
    return block == g->start + UNIT && bytes && memcmp(bytes, zeros, length) == 0;
}

/* A slot that holds a group holds one that is known. */
static void check_slots(struct musl *m, const struct image *image, struct group *g)
{
    g->sound = true;
    for (uint32_t rest = g->used; rest; rest &= rest - 1) {
        bool is_group;
        struct group inner = {.start =
                                  block_of(image, g, (unsigned)__builtin_ctz(rest), &is_group)};
        if (inner.start && (!is_group || bsearch(&inner, m->groups, m->group_count,
                                                 sizeof *m->groups, compare_groups)))
            continue;
        g->sound = false;
        m->damaged++;
    }
}

/* Groups lie apart, or one wholly in another. */
static bool are_nested(const struct musl *m)
{
    uint64_t end = 0;
    for (size_t i = 0; i < m->group_count; i++) {
        const struct group *g = &m->groups[i];
        if (i > 0 && g->start == m->groups[i - 1].start) return false;
        if (g->start < end && (g->end > end || g->mapped)) return false;
        if (g->end > end) end = g->end;
    }
    return true;
}

static enum walk_found read_heap(struct musl *m, struct heap_walk *w, const struct image *image)
{
    uint64_t left = word_of(image, m->context + m->shift + TO_AVAILABLE_COUNT);
    if (!read_areas(m, w, image)) return WALK_MISFIT;
    for (size_t i = 0; i < m->area_count; i++) {
        bool last = i + 1 == m->area_count;
        if (!read_descriptors(m, image, m->areas[i], last ? AREA_SLOTS - left : AREA_SLOTS))
            return walk_misfit(w, "out of memory");
    }
    if (m->group_count == 0)
        return m->damaged ? walk_misfit(w, "no group of it fits") : WALK_ABSENT;
    qsort(m->groups, m->group_count, sizeof *m->groups, compare_groups);
    if (!are_nested(m)) return walk_misfit(w, "its groups overlap");
    for (size_t i = 0; i < m->group_count; i++) check_slots(m, image, &m->groups[i]);
    if (m->damaged > walk_damage_max(image))
        return walk_misfit(w, "%llu of its groups and slots contradict themselves",
                           (unsigned long long)m->damaged);
    return WALK_FOUND;
}

static enum walk_found musl_find(struct heap_walk *w, const struct image *image)
{
    struct search s = {.image = image};
    if (!walk_data(image, find_context, &s)) return WALK_ABSENT;
    struct musl *m = w->state = calloc(1, sizeof *m);
    if (!m) return walk_misfit(w, "out of memory");
    m->context = s.context;
    m->shift = s.shift;
    w->version = "mallocng, 1.2.1 or later";
    return read_heap(m, w, image);
}

/* ---- for the marker ------------------------------------------------------------------------- */

static bool is_single(const struct group *g)
{
    return g->mapped && g->slots == 1;
}

static bool add_outer(const struct image *image, struct parts *parts, const struct group *g,
                      bool sound)
{
    bool is_group;
    if (sound && !parts_exclude(parts, g->start, g->end)) return false;
    if (!is_single(g)) return parts_region(parts, image, g->start, g->end, SLACK, false);
    uint64_t block = g->used ? block_of(image, g, 0, &is_group) : 0;
    if (block && is_fresh(image, g, block)) block = 0;
    return !block || parts_region(parts, image, block, g->end, 0, true);
}

static bool musl_parts(struct heap_walk *w, const struct image *image, struct parts *parts)
{
    const struct musl *m = w->state;
    for (size_t i = 0; i < m->area_count; i++) {
        if (!parts_exclude(parts, m->areas[i], m->areas[i] + AREA)) return false;
    }
    if (!parts_exclude(parts, m->context, m->context + m->shift + CONTEXT)) return false;
    for (size_t i = 0, next; i < m->group_count; i = next) {
        bool sound = true;
        for (next = i; next < m->group_count && m->groups[next].start < m->groups[i].end; next++)
            sound &= m->groups[next].sound;
        if (!add_outer(image, parts, &m->groups[i], sound)) return false;
    }
    parts->damaged += m->damaged;
    return true;
}

/* A moved block begins behind the start of its slot: what lies before it is nothing. */
static void fill_group(const struct image *image, struct reach *reach, const struct group *g)
{
    uint64_t storage = g->start + UNIT, end = storage + g->stride * g->slots;
    for (unsigned slot = 0; slot < g->slots; slot++) {
        uint64_t start = storage + slot * g->stride;
        bool is_group = false;
        uint64_t block = g->used >> slot & 1 ? block_of(image, g, slot, &is_group) : 0;
        if (!is_single(g) && block != start) reach_add(reach, start, false);
        if (block) reach_add(reach, block, !is_group && !is_fresh(image, g, block));
    }
    if (!is_single(g) && end < g->end) reach_add(reach, end, false);
}

static bool musl_fill(struct heap_walk *w, const struct image *image, struct parts *parts,
                      struct reach *reach)
{
    const struct musl *m = w->state;
    (void)parts;
    for (size_t i = 0; i < m->group_count; i++) {
        const struct group *g = &m->groups[i];
        fill_group(image, reach, g);
        if (!g->mapped && reach_region_of(reach, g->end)) reach_add(reach, g->end, false);
    }
    return true;
}

static void musl_finish(struct heap_walk *w)
{
    struct musl *m = w->state;
    if (!m) return;
    free(m->areas);
    free(m->groups);
    free(m);
    w->state = NULL;
}

const struct heap_walker musl_walker = {
    "musl",    "mallocng, which is that of musl 1.2.1 and later",
    musl_find, musl_parts,
    musl_fill, musl_finish,
};
