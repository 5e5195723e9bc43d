/* See model/model.h. */
#include "model/model.h"

#include <errno.h>
#include <string.h>

#include <freehold/freehold.h>

#include "kit/expect.h"
#include "kit/pattern.h"
#include "kit/random.h"

void model_init(struct model *m, size_t bytes_max, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->bytes_max = bytes_max;
    m->seed = seed;
}

/* ---- the blocks by address --------------------------------------------------------------------- */

/* Place of the first block whose address is not below p. */
static size_t sorted_place(const struct model *m, const char *p)
{
    size_t low = 0, high = m->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (m->sorted[middle]->p < p)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A block of no bytes still has an address of its own. */
static size_t extent(const struct model_slot *slot)
{
    return slot->size ? slot->size : 1;
}

static void sorted_insert(struct model *m, struct model_slot *slot)
{
    size_t place = sorted_place(m, slot->p);
    if (place > 0) {
        struct model_slot *left = m->sorted[place - 1];
        EXPECT(left->p + extent(left) <= slot->p, "%p of %zu bytes lies in %p of %zu bytes",
               (void *)slot->p, slot->size, (void *)left->p, left->size);
    }
    if (place < m->count) {
        struct model_slot *right = m->sorted[place];
        EXPECT(slot->p + extent(slot) <= right->p, "%p of %zu bytes runs into %p of %zu bytes",
               (void *)slot->p, slot->size, (void *)right->p, right->size);
    }
    memmove(&m->sorted[place + 1], &m->sorted[place], (m->count - place) * sizeof *m->sorted);
    m->sorted[place] = slot;
    m->count++;
}

static void sorted_remove(struct model *m, struct model_slot *slot)
{
    size_t place = sorted_place(m, slot->p);
    EXPECT(place < m->count && m->sorted[place] == slot, "the model lost block %p",
           (void *)slot->p);
    m->count--;
    memmove(&m->sorted[place], &m->sorted[place + 1], (m->count - place) * sizeof *m->sorted);
}

/* ---- filling and emptying slots ------------------------------------------------------------------ */

static void expect_described(const struct model_slot *slot)
{
    struct fh_description d;
    size_t usable = fh_malloc_usable_size(slot->p);
    const char *inside = slot->p + slot->seed % extent(slot);
    enum fh_kind kind = fh_describe(inside, &d);
    EXPECT(kind == FH_BLOCK || kind == FH_LARGE, "%p in a live block is of kind %d", inside, kind);
    EXPECT(d.start == slot->p && d.size == usable, "block %p of %zu is described as %p of %zu",
           (void *)slot->p, usable, d.start, d.size);
    EXPECT(d.offset == (size_t)(inside - slot->p), "offset %zu of %p in %p", d.offset, inside,
           (void *)slot->p);
}

/* False if p is NULL, rightly. */
static bool slot_fill(struct model *m, struct model_slot *slot, char *p, size_t alignment,
                      size_t size)
{
    if (p == NULL) {
        EXPECT(m->may_refuse, "memory refused: %zu bytes, alignment %zu", size, alignment);
        EXPECT(errno == ENOMEM, "errno %d", errno);
        m->refused++;
        return false;
    }
    EXPECT(((uintptr_t)p & (alignment - 1)) == 0, "%p is not aligned to %zu", (void *)p, alignment);
    size_t usable = fh_malloc_usable_size(p);
    EXPECT(usable >= size, "%zu usable bytes of %zu", usable, size);
    slot->p = p;
    slot->size = size;
    slot->seed = m->seed++;
    sorted_insert(m, slot);
    m->bytes += size;
    expect_described(slot);
    pattern_write(p, size, slot->seed);
    return true;
}

static char *slot_empty(struct model *m, struct model_slot *slot)
{
    char *p = slot->p;
    if (p == NULL) return NULL;
    pattern_expect(p, slot->size, slot->size, slot->seed);
    sorted_remove(m, slot);
    m->bytes -= slot->size;
    slot->p = NULL;
    return p;
}

static bool fits(const struct model *m, size_t size)
{
    return size <= m->bytes_max && m->bytes <= m->bytes_max - size;
}

/* ---- the calls ------------------------------------------------------------------------------------ */

bool model_malloc(struct model *m, unsigned slot, size_t size)
{
    model_free(m, slot);
    if (!fits(m, size)) return true;
    return slot_fill(m, &m->slot[slot], fh_malloc(size), 16, size);
}

bool model_calloc(struct model *m, unsigned slot, size_t count, size_t size)
{
    model_free(m, slot);
    if (!fits(m, count * size)) return true;
    char *p = fh_calloc(count, size);
    if (p) pattern_expect_zero(p, count * size);
    return slot_fill(m, &m->slot[slot], p, 16, count * size);
}

bool model_aligned(struct model *m, unsigned slot, size_t alignment, size_t size)
{
    model_free(m, slot);
    if (!fits(m, size + alignment)) return true;
    return slot_fill(m, &m->slot[slot], fh_aligned_alloc(alignment, size), alignment, size);
}

bool model_posix(struct model *m, unsigned slot, size_t alignment, size_t size)
{
    model_free(m, slot);
    if (!fits(m, size + alignment)) return true;
    void *p = NULL;
    int error = fh_posix_memalign(&p, alignment, size);
    EXPECT((error == 0) == (p != NULL), "posix_memalign says %d and gives %p", error, p);
    errno = error;
    return slot_fill(m, &m->slot[slot], p, alignment, size);
}

/* realloc(p, 0) is left to the table of the ABI: it frees. */
bool model_realloc(struct model *m, unsigned slot, size_t size)
{
    struct model_slot *s = &m->slot[slot];
    if (s->p == NULL) return model_malloc(m, slot, size);
    if (size == 0 || !fits(m, size)) return true;
    size_t old = s->size, keep = old < size ? old : size;
    uint64_t seed = s->seed;
    char *before = slot_empty(m, s), *p = fh_realloc(before, size);
    if (p == NULL) {
        bool never = slot_fill(m, s, NULL, 16, size);
        s->p = before;
        sorted_insert(m, s);
        m->bytes += s->size;
        return never;
    }
    pattern_expect(p, keep, old, seed);
    return slot_fill(m, s, p, 16, size);
}

void model_free(struct model *m, unsigned slot)
{
    fh_free(slot_empty(m, &m->slot[slot]));
}

void model_use_all(struct model *m, unsigned slot)
{
    struct model_slot *s = &m->slot[slot];
    if (s->p == NULL) return;
    size_t usable = fh_malloc_usable_size(s->p);
    char *p = slot_empty(m, s);
    slot_fill(m, s, p, 16, usable);
}

void model_check(struct model *m, unsigned slot)
{
    struct model_slot *s = &m->slot[slot];
    if (s->p == NULL) return;
    pattern_expect(s->p, s->size, s->size, s->seed);
    expect_described(s);
}

void model_finish(struct model *m)
{
    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        model_check(m, i);
        model_free(m, i);
    }
    EXPECT(m->count == 0 && m->bytes == 0, "%zu blocks left", m->count);
}

/* ---- at random ------------------------------------------------------------------------------------ */

void model_step(struct model *m, struct random *random, size_t size_max)
{
    unsigned slot = (unsigned)random_below(random, MODEL_SLOTS);
    size_t size = random_size(random, size_max);
    unsigned log = (unsigned)random_below(random, random_chance(random, 16) ? 22 : 13);
    switch (random_below(random, 16)) {
    case 0:
    case 1: model_calloc(m, slot, 1 + size % 7, size / 7); break;
    case 2: model_aligned(m, slot, (size_t)1 << log, size); break;
    case 3: model_posix(m, slot, (size_t)8 << log, size); break;
    case 4:
    case 5: model_realloc(m, slot, size); break;
    case 6: model_realloc(m, slot, m->slot[slot].size + size % 4096); break;
    case 7: model_realloc(m, slot, m->slot[slot].size - m->slot[slot].size / 3); break;
    case 8: model_use_all(m, slot); break;
    case 9: model_check(m, slot); break;
    case 10:
    case 11: model_free(m, slot); break;
    default: model_malloc(m, slot, size);
    }
}
