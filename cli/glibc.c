/*
 * glibc's malloc (2.26 and later), found in the memory of a process without a symbol: the arenas.
 *
 * An arena holds 127 list heads, two words each, and an empty list points to itself. To the code a head
 * is a chunk that begins 16 bytes earlier, so what stands there is its own address less 16:
 *
 *     -112   -96          -16   -8        0              2032     2048    2056  2064 2072
 *      |flags|fast bins (10)|top|remainder| 127 x fd, bk |binmap  |next arena|..  |  |bytes from the system
 *
 * A place of the writable data of a file where all 127 heads are empty, or head lists whose first and
 * last chunk point back, and whose ring of arenas closes, is the main arena. Nothing else looks so; and
 * these offsets have been the same in 2.26 to 2.42.
 */
#include <stdlib.h>

#include "parts.h"

bool glibc_append(uint64_t **list, size_t *count, size_t *capacity, uint64_t value)
{
    if (*count == *capacity) {
        size_t room = *capacity ? *capacity * 2 : 64;
        uint64_t *grown = realloc(*list, room * sizeof *grown);
        if (!grown) return false;
        *list = grown;
        *capacity = room;
    }
    (*list)[(*count)++] = value;
    return true;
}

uint64_t glibc_top(const struct image *image, uint64_t bins)
{
    uint64_t top = 0;
    image_word(image, bins + GLIBC_TO_TOP, &top);
    return top;
}

static bool is_empty(const struct image *image, uint64_t head)
{
    uint64_t word[2];
    return image_word(image, head, &word[0]) && image_word(image, head + 8, &word[1]) &&
           word[0] == head - 16 && word[1] == head - 16;
}

/* fd of a chunk is its third word, bk its fourth. */
static bool is_list(const struct image *image, uint64_t head)
{
    uint64_t first, last, back, forth;
    return image_word(image, head, &first) && image_word(image, head + 8, &last) &&
           image_word(image, first + 24, &back) && image_word(image, last + 16, &forth) &&
           back == head - 16 && forth == head - 16;
}

static bool may_be_chunk(uint64_t word)
{
    return word % 16 == 0 && word >= 4096 && word >> 56 == 0;
}

/* A list whose ends were read at different moments; they may lie in memory that is newer than the list of
 * mappings. */
static bool may_be_list(const struct image *image, uint64_t head)
{
    uint64_t first, last;
    return image_word(image, head, &first) && image_word(image, head + 8, &last) &&
           may_be_chunk(first) && may_be_chunk(last);
}

/* A thread may stand in the middle of a change of one list. While it runs, any of them may change between the
 * moments at which its ends are read, and none may look like anything else. */
static bool are_bins(const struct image *image, uint64_t bins)
{
    int wrong = 0, wrong_max = image->memory ? GLIBC_BINS * 2 / 3 : 2;
    for (int i = 0; i < GLIBC_BINS && wrong <= wrong_max; i++) {
        uint64_t head = bins + 16 * (uint64_t)i;
        if (is_empty(image, head) || is_list(image, head)) continue;
        if (image->memory && !may_be_list(image, head)) return false;
        wrong++;
    }
    return wrong <= wrong_max;
}

/* The ring of arenas leads back to the first. */
static bool read_ring(struct glibc *g, const struct image *image, uint64_t bins)
{
    uint64_t at = bins, next;
    size_t capacity = 0;
    g->arena_count = 0;
    free(g->arenas);
    g->arenas = NULL;
    do {
        if (g->arena_count == GLIBC_ARENAS_MAX || !are_bins(image, at) ||
            !glibc_append(&g->arenas, &g->arena_count, &capacity, at) ||
            !image_word(image, at + GLIBC_TO_NEXT, &next))
            return false;
        at = next - (uint64_t)GLIBC_TO_ARENA;
    } while (at != bins);
    return true;
}

/* Where the heads around an empty one at `head` begin: the one of 127 places from which all fits. */
static bool find_around(struct glibc *g, const struct image *image, uint64_t start, uint64_t head)
{
    for (uint64_t i = 0; i < GLIBC_BINS && head - 16 * i >= start; i++) {
        uint64_t bins = head - 16 * i, next;
        /* The cheap test first: the neighbours before the first head are no head. */
        if (!is_empty(image, bins) && !is_list(image, bins) &&
            !(image->memory && may_be_list(image, bins)))
            return false;
        if (!image_word(image, bins + GLIBC_TO_NEXT, &next) || next == 0 || next % 16 != 0)
            continue;
        if (read_ring(g, image, bins)) {
            g->bins = bins;
            return true;
        }
    }
    return false;
}

static bool find_in(struct glibc *g, const struct image *image, uint64_t start, uint64_t end)
{
    for (uint64_t from = start, to = end; image_present(image, &from, &to); from = to, to = end) {
        const unsigned char *bytes = image_at(image, from, to - from);
        for (uint64_t at = from; bytes && at + 16 <= to; at += 8) {
            uint64_t word;
            __builtin_memcpy(&word, bytes + (at - from), sizeof word);
            if (word == at - 16 && is_empty(image, at) && find_around(g, image, start, at))
                return true;
        }
    }
    return false;
}

bool glibc_find(struct glibc *g, const struct image *image)
{
    *g = (struct glibc){0};
    for (size_t i = 0; i < image->maps.count; i++) {
        const struct mapping *m = &image->maps.list[i];
        if (m->writable && !m->shared && m->inode != 0 && find_in(g, image, m->start, m->end))
            return true;
    }
    return false;
}

void glibc_finish(struct glibc *g)
{
    free(g->arenas);
    free(g->pieces);
    free(g->mapped);
    free(g->caches);
    free(g->fast);
    free(g->heaps);
    *g = (struct glibc){0};
}
