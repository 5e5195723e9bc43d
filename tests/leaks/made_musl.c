/* A heap of musl's: a context, a page of descriptors, a group of ten slots with a group in one of them. */
#include "made_inside.h"

#define CONTEXT (OTHER_DATA + 0x400)
#define AREA 0x7f2000000000ull
#define GROUP (AREA + 0x2000)

enum {
    SECRET = 0x5ec2e7,
    SLOTS = 10,
    CLASS = 13,
    STRIDE = 320,
    INNER_CLASS = 1,
    INNER_STRIDE = 32
};

static void header(struct made_other *m, uint64_t block, uint64_t storage, unsigned slot,
                   unsigned reserved)
{
    uint64_t offset = (block - storage) / 16;
    uint64_t word = made_other_read(m, block - 8) & UINT32_MAX;
    made_other_write(m, block - 8, word | (uint64_t)(slot | reserved << 5) << 40 | offset << 48);
}

static void descriptor(struct made_other *m, unsigned index, uint64_t group, uint64_t used,
                       unsigned slots, unsigned class, uint64_t pages)
{
    uint64_t at = AREA + 24 + 40ull * index, all = (2ull << (slots - 1)) - 1;
    made_other_write(m, at, at);
    made_other_write(m, at + 8, at);
    made_other_write(m, at + 16, group);
    made_other_write(m, at + 24, all & ~used);
    made_other_write(m, at + 32, (slots - 1) | 1u << 5 | class << 6 | pages << 12);
    made_other_write(m, group, at);
    made_other_write(m, group + 8, slots - 1); /* the last slot that was touched */
}

/* Slot 0 holds a group, slot 2 a block that begins further up. */
static void fill(struct made_other *m)
{
    uint64_t storage = GROUP + 16, inner = storage;
    descriptor(m, 0, GROUP, 0x155, SLOTS, CLASS, 1);
    header(m, storage, storage, 0, 6);
    header(m, storage + 2 * STRIDE, storage, 0, 7);
    made_other_write(m, storage + 2 * STRIDE - 8, 7ull << 45 | 2ull << 48);
    header(m, storage + 2 * STRIDE + 32, storage, 2, 0);
    for (unsigned slot = 4; slot < SLOTS; slot += 2)
        header(m, storage + slot * STRIDE, storage, slot, 0);
    descriptor(m, 1, inner, 0x3, 9, INNER_CLASS, 0);
    header(m, inner + 16, inner + 16, 0, 0);
    header(m, inner + 16 + INNER_STRIDE, inner + 16, 1, 0);
    made_other_write(m, inner + 16,
                     1); /* the first block of a group is in use once it is written to */
    m->blocks = 4 + 2;
}

void made_musl(struct made_other *m)
{
    made_begin_other(m);
    made_stretch(m, AREA, 0x4000, false);
    made_other_write(m, CONTEXT, SECRET);
    made_other_write(m, CONTEXT + 8, 1);
    made_other_write(m, CONTEXT + 24, AREA + 24 + 2 * 40);
    made_other_write(m, CONTEXT + 32, 99);
    made_other_write(m, CONTEXT + 56, AREA);
    made_other_write(m, CONTEXT + 64, AREA);
    made_other_write(m, AREA, SECRET);
    made_other_write(m, AREA + 16, 101);
    fill(m);
    made_seal(m);
}
