/* See jump_words.h. */
#include <string.h>

#include "jump_words.h"

static bool take_run(struct image *image, const unsigned char *bytes, uint64_t size, uint64_t guard,
                     uint64_t base, uint64_t range)
{
    for (uint64_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        word = machine_jump_word(word, guard);
        if (word - base < range && !kernel_words_add(&image->kernel, word)) return false;
    }
    return true;
}

static bool take_segment(struct image *image, const struct segment *s, uint64_t guard,
                         uint64_t base, uint64_t range)
{
    for (size_t i = s->first_run; i < s->first_run + s->runs; i++) {
        const struct run *run = &image->runs[i];
        const unsigned char *bytes = s->bytes + (run->start - s->start);
        if (!take_run(image, bytes, run->end - run->start, guard, base, range)) return false;
    }
    return true;
}

bool jump_words_find(struct image *image, uint64_t base, uint64_t limit)
{
    uint64_t at, guard;
    if (image->thread_count == 0) return true;
    if (!machine_jump_guard(&image->threads[0].registers, &at)) return true;
    if (!image_word(image, at, &guard)) return true;
    for (size_t i = 0; i < image->segment_count; i++)
        if (!take_segment(image, &image->segments[i], guard, base, limit - base)) return false;
    return true;
}
