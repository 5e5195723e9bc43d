/*
 * The marker against a simple model: random heaps, random references, one worker and several.
 *
 * What could break: a word that points to the last byte of a block or just behind it, blocks across the
 * words and pages of the bitmaps, a region that is one block, a pass that ends while a worker still has
 * something to do, keepers that are counted twice; a path that is not the shortest, or not one at all.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/random.h"
#include "kit/unit.h"
#include "leaks/reserve.h"
#include "span/reach.h"

enum {
    BYTES = 512 << 10,
    BLOCKS_MAX = 4096,
    SINGLES = 3,
    SINGLE_BYTES = 200 << 10,
    ROOTS = 40,
    WORKERS = 3
};
#define BASE 0x7f2200000000ull
#define SINGLE_BASE 0x7f4400000000ull

struct block {
    uint64_t start, size;
    bool live;
    enum reach_kind kind;
    bool told;       /* lost, and not known, nor kept by known ones only */
    size_t distance; /* of roots, in blocks; 0: none leads there */
};

struct world {
    unsigned char *bytes, *single[SINGLES];
    struct reach_region region[1 + SINGLES];
    struct block block[BLOCKS_MAX + SINGLES];
    size_t blocks;
    uint64_t root[ROOTS];
    struct reach reach;
    uint64_t slack;
};

static struct world w;

static unsigned char *place(uint64_t address)
{
    if (address - BASE < BYTES) return w.bytes + (address - BASE);
    uint64_t i = (address - SINGLE_BASE) / (1 << 20);
    return w.single[i] + (address - w.region[1 + i].start);
}

/* Blocks and gaps, in sizes that fall on and beside the bitmaps' boundaries. */
static void make_blocks(struct random *random)
{
    uint64_t at = BASE;
    w.blocks = 0;
    while (w.blocks < BLOCKS_MAX) {
        uint64_t size = random_below(random, 20) ? 16 * (1 + random_below(random, 20))
                                                 : 16 * random_below(random, 2000) + 16;
        if (at + size > BASE + BYTES) break;
        w.block[w.blocks++] =
            (struct block){at, size - w.slack, random_below(random, 4) != 0, REACH_LOST, false, 0};
        reach_add(&w.reach, at, w.block[w.blocks - 1].live);
        at += size;
    }
    if (at < BASE + BYTES) reach_add(&w.reach, at, false);
    for (size_t i = 0; i < SINGLES; i++) {
        w.block[w.blocks++] =
            (struct block){w.region[1 + i].start, SINGLE_BYTES, true, REACH_LOST, false, 0};
        reach_add(&w.reach, w.region[1 + i].start, true);
    }
}

/* The address of some block, of some byte in it, or just behind it. */
static uint64_t random_reference(struct random *random)
{
    const struct block *b = &w.block[random_below(random, w.blocks)];
    switch (random_below(random, 8)) {
    case 0: return b->start + random_below(random, b->size);
    case 1: return b->start + b->size;
    case 2: return b->start + b->size - 1;
    default: return b->start;
    }
}

static void make_references(struct random *random, unsigned density)
{
    for (size_t i = 0; i < ROOTS; i++) w.root[i] = random_reference(random);
    for (size_t i = 0; i < w.blocks; i++) {
        for (uint64_t at = 0; at + 8 <= w.block[i].size; at += 8) {
            uint64_t word =
                random_below(random, 100) < density && at < 4096 ? random_reference(random) : at;
            memcpy(place(w.block[i].start + at), &word, sizeof word);
        }
    }
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct block *model_find(uint64_t word)
{
    for (size_t low = 0, high = w.blocks; low < high;) {
        size_t middle = (low + high) / 2;
        struct block *b = &w.block[middle];
        if (word < b->start)
            high = middle;
        else if (word - b->start >= b->size)
            low = middle + 1;
        else
            return b->live ? b : NULL;
    }
    return NULL;
}

static bool model_visit(uint64_t word, enum reach_kind kind, bool exact)
{
    struct block *b = model_find(word);
    if (!b || b->kind == REACH_REACHED || b->kind == kind || (exact && b->start != word))
        return false;
    b->kind = kind;
    return true;
}

/* Until nothing changes: slow, and plainly right. */
static void model_close(enum reach_kind from, enum reach_kind kind, bool exact)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < w.blocks; i++) {
            const struct block *b = &w.block[i];
            if (!b->live || (b->kind != from && b->kind != kind)) continue;
            for (uint64_t at = 0; at + 8 <= b->size; at += 8) {
                uint64_t word;
                memcpy(&word, place(b->start + at), sizeof word);
                changed |= model_visit(word, kind, exact);
            }
        }
    }
}

static void model_mark(void)
{
    for (size_t i = 0; i < ROOTS; i++) model_visit(w.root[i], REACH_REACHED, true);
    model_close(REACH_REACHED, REACH_REACHED, true);
    for (size_t i = 0; i < ROOTS; i++) model_visit(w.root[i], REACH_POSSIBLE, false);
    model_close(REACH_REACHED, REACH_POSSIBLE, false);
}

/* ---- marking -------------------------------------------------------------------------------- */

static void *run_exact(void *argument)
{
    struct reach_worker *worker = argument;
    if (worker->context) reach_scan(worker, (const unsigned char *)w.root, sizeof w.root);
    reach_drain(worker);
    return NULL;
}

static void *run_possible(void *argument)
{
    struct reach_worker *worker = argument;
    worker->pass = REACH_PASS_POSSIBLE;
    reach_drain(worker);
    return NULL;
}

static void run(struct reach_worker *workers, int count, void *(*pass)(void *))
{
    pthread_t threads[WORKERS];
    w.reach.idle = 0;
    for (int i = 1; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pass, &workers[i]), 0);
    pass(&workers[0]);
    for (int i = 1; i < count; i++) pthread_join(threads[i], NULL);
}

static void mark(int count)
{
    struct reach_worker workers[WORKERS];
    for (int i = 0; i < count; i++) {
        assert_true(reach_worker_init(&workers[i], &w.reach));
        workers[i].context = i == 0 ? &w : NULL;
    }
    run(workers, count, run_exact);
    reach_begin_possible(&workers[0]);
    run(workers, count, run_possible);
    assert_true(reach_sort_lost(&workers[0]));
    for (int i = 0; i < count; i++) reach_worker_finish(&workers[i]);
}

static void check_kinds(uint64_t seed)
{
    uint64_t indirect = 0, kept = 0;
    for (size_t i = 0; i < w.blocks; i++) {
        const struct block *b = &w.block[i];
        uint64_t start, size;
        if (!b->live) continue;
        enum reach_kind kind = reach_kind_of(&w.reach, b->start);
        bool same = kind == b->kind || (kind == REACH_INDIRECT && b->kind == REACH_LOST);
        if (!same)
            print_message("seed %llu: block %zu is %d, not %d\n", (unsigned long long)seed, i, kind,
                          b->kind);
        assert_true(same);
        assert_true(reach_find(&w.reach, b->start + b->size - 1, &start, &size));
        assert_true(start == b->start && size == b->size);
        indirect += kind == REACH_INDIRECT;
        const struct reach_keeper *keeper = reach_keeper_of(&w.reach, b->start);
        assert_true(!keeper || kind == REACH_LOST);
        kept += keeper ? keeper->count : 0;
    }
    assert_int_equal(kept, indirect);
}

/* ---- what is known -------------------------------------------------------------------------- */

static bool is_third(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    assert_ptr_equal(context, &w);
    assert_true(model_find(start)->size == size && (kind == REACH_LOST || kind == REACH_INDIRECT));
    return start / REACH_GRANULE % 3 == 0;
}

static bool model_tell(struct block *b)
{
    if (!b || b->told || b->kind != REACH_LOST || b->start / REACH_GRANULE % 3 == 0) return false;
    return b->told = true;
}

static void model_know(void)
{
    bool changed = false;
    for (size_t i = 0; i < w.blocks; i++) {
        struct block *b = &w.block[i];
        if (b->live && reach_kind_of(&w.reach, b->start) == REACH_LOST) changed |= model_tell(b);
    }
    while (changed) {
        changed = false;
        for (size_t i = 0; i < w.blocks; i++) {
            for (uint64_t at = 0; w.block[i].told && at + 8 <= w.block[i].size; at += 8) {
                uint64_t word;
                memcpy(&word, place(w.block[i].start + at), sizeof word);
                changed |= model_tell(model_find(word));
            }
        }
    }
}

static void check_known(void)
{
    struct reach_worker worker;
    assert_true(reach_worker_init(&worker, &w.reach));
    assert_true(reach_know(&worker, is_third, &w));
    reach_worker_finish(&worker);
    model_know();
    for (size_t i = 0; i < w.blocks; i++) {
        const struct block *b = &w.block[i];
        if (b->live && b->kind == REACH_LOST)
            assert_int_equal(reach_is_known(&w.reach, b->start), !b->told);
    }
}

/* ---- paths ---------------------------------------------------------------------------------- */

/* Whether the block got nearer. */
static bool model_near(uint64_t word, size_t distance, bool interior)
{
    struct block *b = model_find(word);
    if (!b || (!interior && b->start != word)) return false;
    if (b->distance && b->distance <= distance) return false;
    b->distance = distance;
    return true;
}

static void model_distances(bool interior)
{
    for (size_t i = 0; i < w.blocks; i++) w.block[i].distance = 0;
    for (size_t i = 0; i < ROOTS; i++) model_near(w.root[i], 1, interior);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < w.blocks; i++) {
            const struct block *b = &w.block[i];
            for (uint64_t at = 0; b->distance && at + 8 <= b->size; at += 8) {
                uint64_t word;
                memcpy(&word, place(b->start + at), sizeof word);
                changed |= model_near(word, b->distance + 1, interior);
            }
        }
    }
}

/* Each step is a word that is there, in the block before, and leads to the next. */
static void check_steps(const struct reach_path *path, const struct block *target, bool interior)
{
    static struct reach_step steps[BLOCKS_MAX];
    size_t length = reach_path_length(path);
    assert_int_equal(length, target->distance);
    reach_path_steps(path, steps);
    for (size_t i = 0; i < length; i++) {
        const struct reach_step *s = &steps[i];
        const struct block *b = model_find(s->word);
        uint64_t word;
        assert_true(b && b->start == s->start && b->size == s->size);
        assert_true(interior || s->word == s->start);
        if (i == 0) {
            assert_true(s->from % 8 == 0 && s->from / 8 < ROOTS && w.root[s->from / 8] == s->word);
            continue;
        }
        assert_true(s->from == steps[i - 1].start + s->offset &&
                    s->offset + 8 <= steps[i - 1].size);
        memcpy(&word, place(s->from), sizeof word);
        assert_true(word == s->word);
    }
    assert_true(steps[length - 1].start == target->start);
}

static void check_path(const struct block *target, bool interior)
{
    struct reach_path path;
    memset(w.reach.marked, 0, w.reach.granules / 8 + 8);
    memset(w.reach.possible, 0, w.reach.granules / 8 + 8);
    assert_true(reach_path_init(&path, &w.reach, target->start, interior));
    reach_path_scan(&path, (const unsigned char *)w.root, sizeof w.root, 0);
    assert_int_equal(reach_path_search(&path), target->distance > 0);
    if (target->distance) check_steps(&path, target, interior);
    reach_path_finish(&path);
}

static void check_paths(struct random *random)
{
    for (int interior = 0; interior < 2; interior++) {
        size_t longest = 0;
        model_distances(interior);
        for (size_t i = 0; i < w.blocks; i++) {
            if (w.block[i].distance > w.block[longest].distance) longest = i;
        }
        check_path(&w.block[longest], interior);
        for (int i = 0; i < 20; i++) {
            const struct block *b = &w.block[random_below(random, w.blocks)];
            if (b->live) check_path(b, interior);
        }
    }
}

static void check_world(uint64_t seed, int workers)
{
    struct random random = {seed};
    w.slack = random_below(&random, 2) ? 8 : 0;
    w.region[0] = (struct reach_region){
        .start = BASE, .end = BASE + BYTES, .bytes = w.bytes, .slack = (uint32_t)w.slack};
    for (uint64_t i = 0; i < SINGLES; i++)
        w.region[1 + i] = (struct reach_region){.start = SINGLE_BASE + (i << 20) + 16,
                                                .end = SINGLE_BASE + (i << 20) + 16 + SINGLE_BYTES,
                                                .bytes = w.single[i],
                                                .single = true};
    assert_true(reach_init(&w.reach, w.region, 1 + SINGLES, reserve, release));
    make_blocks(&random);
    make_references(&random, 1 + (unsigned)random_below(&random, 8));
    assert_true(reach_seal(&w.reach));
    model_mark();
    mark(workers);
    check_kinds(seed);
    check_known();
    check_paths(&random);
    reach_finish(&w.reach);
}

static void test_reach__kinds_are_those_of_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) check_world(seed, 1 + (int)(seed % WORKERS));
    (void)state;
}

static int set_up(void **state)
{
    (void)state;
    w.bytes = calloc(1, BYTES);
    for (int i = 0; i < SINGLES; i++) w.single[i] = calloc(1, SINGLE_BYTES);
    return w.bytes == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(w.bytes);
    for (int i = 0; i < SINGLES; i++) free(w.single[i]);
    return 0;
}

static void test_reach__no_region_no_block(void **state)
{
    struct reach none;
    uint64_t start, size;
    assert_true(reach_init(&none, NULL, 0, reserve, release));
    assert_true(reach_seal(&none));
    assert_false(reach_find(&none, 0, &start, &size));
    assert_false(reach_find(&none, UINT64_MAX, &start, &size));
    reach_finish(&none);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reach__kinds_are_those_of_the_model, set_up,
                                        tear_down),
        cmocka_unit_test(test_reach__no_region_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
