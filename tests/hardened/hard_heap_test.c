/*
 * The reader of a hardened heap, over one made by hand.
 *
 * What could break: a freed block taken for a live one, the wrong slab of a chunk, a size with its slack, and
 * above all numbers of a hostile process: each lie must be found before it is used.
 */
#include "kit/unit.h"
#include "made_hard.h"

static struct made_hard made;

struct seen {
    unsigned slabs, live, quarantined, larges, samples;
    uint64_t asked, large_bytes, slab_start;
};

static bool see_slab(void *context, const struct hard_slab *slab)
{
    struct seen *s = context;
    s->slabs++;
    s->slab_start = slab->start;
    for (uint32_t i = 0; i < slab->carved; i++) {
        if (FH_HARD_STATE(slab->words[i]) == FH_HARD_QUARANTINED) s->quarantined++;
        if (FH_HARD_STATE(slab->words[i]) != FH_HARD_LIVE) continue;
        s->live++;
        s->asked += hard_slot_asked(slab->region, slab->words[i]);
    }
    return true;
}

static bool see_large(void *context, uint64_t slot, uint64_t bytes,
                      const struct fh_hard_large *large)
{
    struct seen *s = context;
    assert_true(large->start >= slot && large->start + large->size <= slot + bytes);
    s->larges++;
    s->large_bytes += large->size;
    return true;
}

static bool see_sample(void *context, const struct fh_hard_sample *sample)
{
    (void)sample;
    ((struct seen *)context)->samples++;
    return true;
}

/* What a walk finds; `damaged` of it counted. False: the heap is refused as a whole. */
static bool walk(struct seen *seen, uint64_t damaged)
{
    struct hard_heap h;
    const struct hard_visitor visitor = {see_slab, see_large, see_sample, true, seen};
    *seen = (struct seen){0};
    bool read = hard_heap_read(&h, &made.memory, MADE_TABLES);
    if (read) {
        assert_true(hard_heap_walk(&h, &visitor));
        assert_int_equal(h.damaged, damaged);
    }
    hard_heap_finish(&h);
    return read;
}

static void test_hard_heap__blocks_are_found_with_their_sizes(void **state)
{
    struct seen seen;
    made_hard(&made);
    assert_true(walk(&seen, 0));
    assert_int_equal(seen.slabs, 1);
    assert_true(seen.slab_start == made_slot(1, 0));
    assert_int_equal(seen.live, 2);
    assert_int_equal(seen.asked, 500 + 504);
    assert_int_equal(seen.quarantined, 1);
    assert_true(seen.larges == 1 && seen.large_bytes == 4990);
    assert_int_equal(seen.samples, 1); /* the other was never used */
    (void)state;
}

/* Every field by itself, with what would lead a reader out of the tables. */
static void test_hard_heap__a_head_that_lies_is_refused(void **state)
{
    struct fh_hard *f = &made.tables.head;
    struct seen seen;
#define LIE(field, value)                                                                          \
    do {                                                                                           \
        made_hard(&made);                                                                          \
        f->field = (value);                                                                        \
        if (walk(&seen, 0)) fail_msg(#field " = " #value " was believed");                         \
    } while (0)
    LIE(version, FH_HARD_VERSION + 1);
    LIE(size, 8);
    LIE(chunk_shift, 0);
    LIE(chunk_shift, 63);
    LIE(base, 0);
    LIE(base, MADE_BASE + 4096);
    LIE(base, UINT64_MAX - 4095);
    LIE(bytes, 0);
    LIE(bytes, UINT64_MAX);
    LIE(bytes, (uint64_t)1 << 46);
    LIE(bytes, (uint64_t)(MADE_CHUNKS + 1)
                   << MADE_CHUNK_SHIFT); /* more meta data than is reserved */
    LIE(meta, MADE_RESERVED - 16);
    LIE(meta, MADE_RESERVED + 1);
    LIE(meta, MADE_RESERVED + MADE_META);
    LIE(meta_shift, 60);
    LIE(meta_shift, 0);
    LIE(reserved_base, 0);
    LIE(reserved_bytes, 0);
    LIE(reserved_bytes, (uint64_t)1 << 40); /* to be gone through, page by page */
    LIE(owner, 0x1000);
    LIE(regions, 0x1000);
    LIE(region_count, UINT32_MAX);
    LIE(region_size, 0);
    LIE(region_size, UINT32_MAX);
    LIE(large_size, 8);
    LIE(large_size, UINT32_MAX);
#undef LIE
    (void)state;
}

/* A region that lies, and with it its chunks; the others are there. */
static void test_hard_heap__a_region_that_lies_is_left_out(void **state)
{
    struct fh_hard_region *small = &made.tables.region[1], *large = &made.tables.region[2];
    struct seen seen;
#define LIE(region, field, value)                                                                  \
    do {                                                                                           \
        made_hard(&made);                                                                          \
        (region)->field = (value);                                                                 \
        assert_true(walk(&seen, 1));                                                               \
        if ((region) == small ? seen.slabs : seen.larges)                                          \
            fail_msg(#region "." #field " = " #value " was believed");                             \
    } while (0)
    LIE(small, size, 0);
    LIE(small, size, 8);
    LIE(small, size, 520);
    LIE(small, size, 1 << 20);
    LIE(small, slots, 0);
    LIE(small, slots, UINT16_MAX);
    LIE(small, slab_shift, 4);
    LIE(small, slab_shift, 40);
    LIE(small, words_at, 0);
    LIE(small, words_at, UINT32_MAX);
    LIE(small, words_at, MADE_META - 4);
    LIE(small, kind, 77);
    LIE(large, slots, 5);
    LIE(large, slab_shift, 2);
    LIE(large, slab_shift, 60);
#undef LIE
    (void)state;
}

static void test_hard_heap__slabs_and_records_that_lie_are_left_out(void **state)
{
    struct seen seen;
    made_hard(&made);
    made_slab(&made, 1)->carved = MADE_SLOTS + 1;
    assert_true(walk(&seen, 1) && seen.slabs == 0);
    made_hard(&made);
    made_slab(&made, 1)->free = 5;
    assert_true(walk(&seen, 1) && seen.slabs == 0);
    made_hard(&made);
    made_large(&made, 3)->size = 1 << 18;
    assert_true(walk(&seen, 1) && seen.larges == 0);
    made_hard(&made);
    made_large(&made, 3)->start = MADE_BASE;
    assert_true(walk(&seen, 1) && seen.larges == 0);
    made_hard(&made);
    made.tables.sample[1].size = 2 << 20;
    assert_true(walk(&seen, 0) && seen.samples == 0);
    made_hard(&made);
    made_words(&made, 1)[0] |= 0xffffu << 16; /* more slack than there is */
    assert_true(walk(&seen, 0) && seen.asked == 512 + 504);
    made_hard(&made);
    made.tables.owner[1] = 9999;
    assert_true(walk(&seen, 0) && seen.slabs == 1);
    (void)state;
}

static const char *told(uint64_t address)
{
    static char text[160];
    struct hard_heap h;
    bool known = hard_heap_read(&h, &made.memory, MADE_TABLES) &&
                 hard_heap_describe(&h, address, text, sizeof text);
    hard_heap_finish(&h);
    return known ? text : NULL;
}

static void test_hard_heap__an_address_is_told(void **state)
{
    made_hard(&made);
    assert_string_equal(told(made_slot(1, 0) + 7),
                        "byte 7 of a block of 500 bytes at 0x200000210000, live");
    assert_string_equal(told(made_slot(1, 0) + 503),
                        "3 bytes behind a block of 500 bytes at 0x200000210000, live");
    assert_string_equal(told(made_slot(1, 1)), "byte 0 of a block of 512 bytes at 0x200000210200, "
                                               "freed, in quarantine or a thread's cache");
    assert_string_equal(told(made_slot(0, 0)),
                        "byte 0 of a block of 512 bytes at 0x200000200000, not handed out yet");
    assert_string_equal(told(made_slot(1, 127)), "the tail of a slab, in no block");
    uint64_t large = made_large(&made, 3)->start;
    assert_string_equal(told(large), "byte 0 of a block of 4990 bytes at 0x2000000cec80, live");
    assert_string_equal(told(large - 16),
                        "16 bytes in front of a block of 4990 bytes at 0x2000000cec80, live");
    assert_string_equal(told(MADE_BASE), "room for a large block, never used");
    assert_string_equal(told(MADE_BASE + (1 << MADE_CHUNK_SHIFT)), "reserved, not in use");
    assert_string_equal(told(MADE_SAMPLED + 0x8f00 + 100),
                        "sampled: 0 bytes behind a block of 100 bytes at 0x400000008f00, live");
    assert_string_equal(told(MADE_RESERVED + 5), "Freehold's own records");
    assert_null(told(0x1000));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_heap__blocks_are_found_with_their_sizes),
        cmocka_unit_test(test_hard_heap__a_head_that_lies_is_refused),
        cmocka_unit_test(test_hard_heap__a_region_that_lies_is_left_out),
        cmocka_unit_test(test_hard_heap__slabs_and_records_that_lie_are_left_out),
        cmocka_unit_test(test_hard_heap__an_address_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
