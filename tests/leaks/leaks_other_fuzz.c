/*
 * libFuzzer over the walkers of other allocators: a sound heap of the one that the first byte names, whose
 * words are then overwritten as the rest says. Whatever stands there, the walker ends, stays within the
 * image, and what it calls blocks lies in it.
 */
#include <stdlib.h>

#include "made_other.h"

static void (*const makers[])(struct made_other *) = {made_musl, made_jemalloc, made_mimalloc,
                                                      made_tcmalloc};
enum { MAKERS = sizeof makers / sizeof *makers };

static void check_block(void *context, uint64_t start, uint64_t size, enum reach_kind kind)
{
    const struct image *image = context;
    if (kind >= REACH_KINDS || size == 0 || !image_at(image, start, size)) abort();
}

/* Pieces of 4 bytes: which of the words that were made, and what comes there. */
static void disturb(struct made_other *m, const uint8_t *data, size_t size)
{
    for (size_t writes = m->writes; size >= 4; data += 4, size -= 4) {
        uint64_t at = m->written[(data[0] | (unsigned)(data[3] >> 4) << 8) % writes];
        uint64_t other = m->written[data[1] % writes], word = made_other_read(m, at);
        uint64_t value[] = {data[1],
                            other,
                            made_other_read(m, other),
                            word + data[1],
                            word - data[1],
                            word ^ 1ull << data[1] % 64,
                            (uint64_t)data[1] << 56 | data[2],
                            ~0ull,
                            0,
                            word + ((uint64_t)data[1] << 12),
                            word + ((uint64_t)data[2] << 16)};
        made_other_write(m, at, value[(data[3] & 15) % (sizeof value / sizeof *value)]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct made_other made;
    struct survey s;
    if (size == 0) return 0;
    makers[data[0] % MAKERS](&made);
    disturb(&made, data + 1, size - 1);
    if (survey_find(&s, &made.image) != SURVEY_NONE && survey_mark(&s))
        reach_each(&s.reach, ~0u, check_block, &made.image);
    survey_finish(&s);
    made_other_end(&made);
    return 0;
}
