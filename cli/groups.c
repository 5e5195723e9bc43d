/* What a block begins with, and counting blocks that are alike. */
#include <stdlib.h>
#include <string.h>

#include "groups.h"

enum { HEAD = 64, TEXT_MIN = 6 };

const char *content_name(enum content content)
{
    static const char *const names[] = {"mixed", "zeros", "type", "text", "links", "data"};
    return names[content];
}

const char *kind_name(enum reach_kind kind)
{
    static const char *const names[] = {"reachable", "lost", "indirectly lost", "possibly lost"};
    return names[kind];
}

/* ---- one block ------------------------------------------------------------------------------ */

static bool is_text_byte(unsigned char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n';
}

static size_t text_length(const unsigned char *bytes, size_t size)
{
    size_t length = 0;
    while (length < size && length < GROUP_TEXT && is_text_byte(bytes[length])) length++;
    return length >= TEXT_MIN || (length > 0 && length + 1 == size) ? length : 0;
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i]) return false;
    }
    return true;
}

/* In what a file has mapped, behind its first page, where only headers lie. */
static bool is_in_file(const struct image *image, uint64_t address)
{
    size_t low = 0, high = image->maps.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (image->maps.list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == image->maps.count) return false;
    const struct mapping *m = &image->maps.list[low];
    return m->start <= address && m->inode != 0 && !m->shared &&
           address - m->start + m->offset >= 64;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* A virtual table comes first; an object of Python has its count before its type. */
static uint64_t find_type(const struct image *image, const unsigned char *bytes, size_t size)
{
    for (size_t at = 0; at + 8 <= size && at <= 8; at += 8) {
        uint64_t word = word_at(bytes + at);
        if (word % 8 == 0 && is_in_file(image, word)) return word;
    }
    return 0;
}

static void classify(struct group *g, const struct survey *s, const unsigned char *bytes,
                     size_t size)
{
    size_t length = text_length(bytes, size);
    uint64_t start, block_size;
    g->type = find_type(s->image, bytes, size);
    bool link = size >= 8 && reach_find(&s->reach, word_at(bytes), &start, &block_size);
    /* The bytes of an address may all be letters: so links come before text. */
    g->content = is_zero(bytes, size) ? CONTENT_ZERO
                 : g->type            ? CONTENT_TYPE
                 : link               ? CONTENT_LINK
                 : length > 0         ? CONTENT_TEXT
                                      : CONTENT_DATA;
    if (g->content == CONTENT_TEXT) memcpy(g->text, bytes, length);
}

/* ---- the table ------------------------------------------------------------------------------ */

struct grouping {
    struct groups *groups;
    const struct survey *survey;
    bool (*wanted)(void *context, uint64_t start); /* NULL: all */
    void *context;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

static bool is_alike(const struct group *a, const struct group *b)
{
    return a->kind == b->kind && a->content == b->content && a->size == b->size &&
           a->type == b->type && a->suppressed == b->suppressed;
}

/* The place of a group that is alike, or a free one. One place of each kind is left for the rest. */
static struct group *find_group(const struct groups *g, struct group *wanted)
{
    bool full = g->used >= GROUPS_MAX - GROUPS_MAX / 8;
    for (int attempt = 0; attempt < 2; attempt++) {
        uint64_t key =
            mix(wanted->size * 31 + wanted->content * 7 + wanted->kind + wanted->suppressed * 5) +
            mix(wanted->type);
        for (uint64_t i = key;; i++) {
            struct group *place = &g->table[i % GROUPS_MAX];
            if (place->count > 0 && is_alike(place, wanted)) return place;
            if (place->count == 0 && (!full || attempt == 1)) return place;
            if (place->count == 0) break;
        }
        *wanted = (struct group){
            .kind = wanted->kind, .suppressed = wanted->suppressed, .example = wanted->example};
    }
    return NULL;
}

/* A group of this one block. */
static struct group describe(const struct survey *s, uint64_t start, uint64_t size,
                             enum reach_kind kind)
{
    size_t head = size < HEAD ? size : HEAD;
    const unsigned char *bytes = image_at(s->image, start, head);
    struct group block = {.kind = kind, .size = size, .example = start, .content = CONTENT_DATA};
    block.suppressed =
        (kind == REACH_LOST || kind == REACH_INDIRECT) && reach_is_known(&s->reach, start);
    if (bytes) classify(&block, s, bytes, head);
    block.head_size = !bytes ? 0 : head < GROUP_HEX ? (unsigned)head : GROUP_HEX;
    if (bytes) memcpy(block.head, bytes, block.head_size);
    return block;
}

static void add_block(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    const struct grouping *grouping = context;
    if (grouping->wanted && !grouping->wanted(grouping->context, start)) return;
    const struct survey *s = grouping->survey;
    struct group block = describe(s, start, size, kind), first = block;
    struct group *group = find_group(grouping->groups, &block);
    if (!group) return;
    if (group->count == 0) {
        *group = block;
        grouping->groups->used++;
        group->head_size = first.head_size;
        memcpy(group->head, first.head, first.head_size);
    }
    const struct reach_keeper *keeper =
        kind == REACH_LOST ? reach_keeper_of(&s->reach, start) : NULL;
    group->count++;
    group->bytes += size;
    group->kept_count += keeper ? keeper->count : 0;
    group->kept_bytes += keeper ? keeper->bytes : 0;
    size_t same = 0;
    while (group->text[same] && group->text[same] == block.text[same]) same++;
    group->text[same] = 0;
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    uint64_t left = x->bytes + x->kept_bytes, right = y->bytes + y->kept_bytes;
    if (left != right) return left < right ? 1 : -1;
    return (x->example > y->example) - (x->example < y->example);
}

bool groups_make(struct groups *g, const struct survey *s, unsigned kinds)
{
    return groups_make_some(g, s, kinds, NULL, NULL);
}

bool groups_make_some(struct groups *g, const struct survey *s, unsigned kinds,
                      bool (*wanted)(void *context, uint64_t start), void *context)
{
    struct grouping grouping = {g, s, wanted, context};
    *g = (struct groups){.table = calloc(GROUPS_MAX, sizeof *g->table)};
    if (!g->table) return false;
    reach_each(&s->reach, kinds, add_block, &grouping);
    g->list = calloc(g->used + 1, sizeof *g->list);
    for (size_t i = 0; g->list && i < GROUPS_MAX; i++) {
        if (g->table[i].count == 0) continue;
        g->table[i].slot = i;
        g->list[g->count++] = g->table[i];
    }
    if (g->list) qsort(g->list, g->count, sizeof *g->list, compare_groups);
    return g->list != NULL;
}

void groups_know(struct groups *g, const struct group *known)
{
    g->table[known->slot].known = true;
}

bool groups_knows(const struct groups *g, const struct survey *s, uint64_t start, uint64_t size,
                  enum reach_kind kind)
{
    struct group block = describe(s, start, size, kind);
    const struct group *group = find_group(g, &block);
    return group && group->known;
}

void groups_finish(struct groups *g)
{
    free(g->table);
    free(g->list);
    *g = (struct groups){0};
}
