/* See made_hard.h. */
#include <string.h>

#include "made_hard.h"

static bool made_read(void *context, uint64_t address, void *to, size_t size)
{
    const struct made_hard *m = context;
    uint64_t at = address - MADE_TABLES, in_meta = address - MADE_RESERVED;
    if (at < sizeof m->tables && size <= sizeof m->tables - at)
        memcpy(to, (const char *)&m->tables + at, size);
    else if (in_meta < sizeof m->meta && size <= sizeof m->meta - in_meta)
        memcpy(to, m->meta + in_meta, size);
    else
        return false;
    return true;
}

struct fh_hard_slab *made_slab(struct made_hard *m, unsigned slab)
{
    return (struct fh_hard_slab *)(m->meta + MADE_SMALL_CHUNK * MADE_META) + slab;
}

uint32_t *made_words(struct made_hard *m, unsigned slab)
{
    return (uint32_t *)(m->meta + MADE_SMALL_CHUNK * MADE_META + MADE_WORDS_AT) + slab * MADE_SLOTS;
}

struct fh_hard_large *made_large(struct made_hard *m, unsigned slot)
{
    return (struct fh_hard_large *)(m->meta + MADE_LARGE_CHUNK * MADE_META) + slot;
}

uint64_t made_slot(unsigned slab, unsigned slot)
{
    return MADE_BASE + ((uint64_t)MADE_SMALL_CHUNK << MADE_CHUNK_SHIFT) + (slab << 16) +
           slot * MADE_SLOT;
}

static uint64_t place(size_t offset)
{
    return MADE_TABLES + offset;
}

#define TABLE(field) place((size_t)((char *)&m->tables.field - (char *)&m->tables))

static void make_blocks(struct made_hard *m)
{
    uint32_t *words = made_words(m, 1);
    *made_slab(m, 1) = (struct fh_hard_slab){.free = 1, .carved = 4};
    words[0] = FH_HARD_LIVE | 12 << 16; /* of 500 bytes */
    words[1] = FH_HARD_QUARANTINED | 12 << 16;
    words[2] = FH_HARD_FREE;
    words[3] = FH_HARD_LIVE | 8 << 16;
    uint64_t slot = MADE_BASE + (3ull << 18);
    *made_large(m, 3) = (struct fh_hard_large){.word = FH_HARD_LIVE,
                                               .start = slot + 0x10000 - 5000 / 16 * 16,
                                               .size = 4990,
                                               .pages = slot + 0x10000};
    m->tables.sample[1] =
        (struct fh_hard_sample){.word = FH_HARD_LIVE, .start = MADE_SAMPLED + 0x8f00, .size = 100};
}

void made_hard(struct made_hard *m)
{
    memset(m, 0, sizeof *m);
    m->memory = (struct memory){made_read, m};
    m->tables.head = (struct fh_hard){.version = FH_HARD_VERSION,
                                      .size = sizeof m->tables.head,
                                      .level = 1,
                                      .chunk_shift = MADE_CHUNK_SHIFT,
                                      .base = MADE_BASE,
                                      .bytes = (uint64_t)MADE_CHUNKS << MADE_CHUNK_SHIFT,
                                      .meta = MADE_RESERVED,
                                      .meta_shift = MADE_META_SHIFT,
                                      .region_count = MADE_REGIONS,
                                      .reserved_base = MADE_RESERVED,
                                      .reserved_bytes = sizeof m->meta,
                                      .owner = TABLE(owner),
                                      .regions = TABLE(region),
                                      .region_size = sizeof(struct fh_hard_region),
                                      .large_size = sizeof(struct fh_hard_large),
                                      .sample_base = MADE_SAMPLED,
                                      .sample_bytes = 1 << 20,
                                      .samples = TABLE(sample),
                                      .sample_count = MADE_SAMPLES,
                                      .sample_size = sizeof(struct fh_hard_sample),
                                      .threads = 1};
    m->tables.region[1] = (struct fh_hard_region){.size = MADE_SLOT,
                                                  .slots = MADE_SLOTS,
                                                  .slab_shift = 16,
                                                  .kind = FH_HARD_SMALL,
                                                  .words = 2,
                                                  .words_at = MADE_WORDS_AT};
    m->tables.region[2] =
        (struct fh_hard_region){.slots = 4, .slab_shift = 18, .kind = FH_HARD_LARGE};
    m->tables.owner[MADE_SMALL_CHUNK] = 2;
    m->tables.owner[MADE_LARGE_CHUNK] = 3;
    make_blocks(m);
}
