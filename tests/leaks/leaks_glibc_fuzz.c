/*
 * libFuzzer over the reader of glibc's heap: a sound heap whose words are then overwritten as the input
 * says. Whatever stands there, the reader ends, stays within the image, and what it calls blocks lies in it; and
 * so do those who search a path to one, and who divide it into what is live and what is free.
 */
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "../../cli/glibc_pages.h"
#include "made_heap.h"

static struct made made;

static void check_block(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    const struct image *image = context;
    if (kind >= REACH_KINDS || size == 0 || !image_at(image, start, size)) abort();
}

static void make(const uint8_t *data, size_t size, uint64_t *block, size_t *blocks)
{
    made_begin(&made);
    for (size_t i = 0; i < size && i < 64; i++) {
        uint64_t chunk = data[i] == 7 ? 0x290 : 32 + 16ull * (data[i] % 40);
        block[(*blocks)++] = made_chunk(&made, chunk, data[i] & 0x80);
    }
    made_end(&made);
}

/* Pieces of 4 bytes: which word, and what comes there: a small number, a block, its chunk, a bin. */
static void disturb(const uint8_t *data, size_t size, const uint64_t *block, size_t blocks)
{
    for (; size >= 4; data += 4, size -= 4) {
        uint64_t other = block[data[2] % blocks];
        uint64_t value[] = {data[2],
                            other,
                            other - 16,
                            MADE_DATA + MADE_BINS + data[2] * 8ull,
                            other ^ block[data[1] % blocks] >> 12,
                            (uint64_t)data[2] << 56,
                            data[2] * 16ull + 1,
                            MADE_HEAP + data[2] * 64ull};
        uint64_t at = data[0] & 1
                          ? block[data[1] % blocks] - 16 + (data[0] >> 4) * 8ull
                          : MADE_DATA + (data[0] << 8 | data[1]) % (MADE_DATA_BYTES / 8) * 8ull;
        made_write(&made, at, value[data[3] % 8]);
    }
}

static void find_path(struct survey *s, uint64_t target, bool interior)
{
    struct reach_path path;
    struct reach_step steps[80];
    uint64_t start, block_size;
    if (!reach_find(&s->reach, target, &start, &block_size)) return;
    if (!reach_path_init(&path, &s->reach, start, interior)) abort();
    for (size_t i = 0; i < s->roots.count; i++) {
        const struct run *root = &s->roots.list[i];
        const unsigned char *bytes = image_at(s->image, root->start, root->end - root->start);
        if (bytes) reach_path_scan(&path, bytes, root->end - root->start, root->start);
    }
    if (reach_path_search(&path)) {
        size_t length = reach_path_length(&path);
        if (length > s->reach.live_count || length > sizeof steps / sizeof *steps) abort();
        reach_path_steps(&path, steps);
        if (steps[length - 1].start != start) abort();
    }
    reach_path_finish(&path);
}

static void divide(const struct image *image, bool running)
{
    static struct pages pages;
    struct smaps none = {0};
    struct glibc_pages g;
    if (pages.page_size == 0 && !pages_open(&pages, getpid())) return;
    if (glibc_pages_divide(&g, image, running, &pages, &none) && g.trim != 0) abort();
    glibc_pages_finish(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t block[64];
    size_t blocks = 0;
    struct survey s;
    size_t first = size < 64 ? size : 64;
    if (size == 0) return 0;
    make(data, first, block, &blocks);
    disturb(data + first, size - first, block, blocks);
    if (survey_find(&s, &made.image) != SURVEY_NONE && survey_mark(&s))
        reach_each(&s.reach, ~0u, check_block, &made.image);
    survey_finish(&s);
    for (int interior = 0; interior < 2; interior++) {
        if (survey_find(&s, &made.image) != SURVEY_NONE && survey_blocks(&s))
            find_path(&s, block[data[0] % blocks], interior);
        survey_finish(&s);
    }
    divide(&made.image, false);
    divide(&made.image, true);
    return 0;
}
