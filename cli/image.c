/* Finding things in an image. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "image.h"

const struct segment *image_segment(const struct image *image, uint64_t address)
{
    size_t low = 0, high = image->segment_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (image->segments[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == image->segment_count || image->segments[low].start > address) return NULL;
    return &image->segments[low];
}

const unsigned char *image_at(const struct image *image, uint64_t address, uint64_t size)
{
    const struct segment *s = image_segment(image, address);
    if (!s || s->end - address < size) return NULL;
    if (image->memory) image_need(image, address, size);
    return s->bytes + (address - s->start);
}

/* The first run of the segment that ends behind the address. */
static const struct run *run_from(const struct image *image, const struct segment *s,
                                  uint64_t address)
{
    size_t low = s->first_run, high = s->first_run + s->runs;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (image->runs[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->first_run + s->runs ? &image->runs[low] : NULL;
}

bool image_present(const struct image *image, uint64_t *from, uint64_t *to)
{
    /* A run of a hostile core may go beyond the mapping that it is looked up for. */
    const struct segment *s = *from < *to ? image_segment(image, *from) : NULL;
    const struct run *run = s ? run_from(image, s, *from) : NULL;
    if (!run || run->start >= *to) return false;
    if (run->start > *from) *from = run->start;
    if (run->end < *to) *to = run->end;
    return true;
}

uint64_t image_next(const struct image *image, uint64_t at, uint64_t end, uint64_t step)
{
    for (;;) {
        uint64_t next = (at + step - 1) & ~(step - 1), there = next, to = end;
        if (next < at || next >= end || !image_present(image, &there, &to)) return end;
        if (there == next) return next;
        at = there;
    }
}

bool image_add_run(struct image *image, struct segment *segment, uint64_t start, uint64_t end)
{
    struct run *last = segment->runs ? &image->runs[segment->first_run + segment->runs - 1] : NULL;
    image->present += end - start;
    if (last && last->end == start) {
        last->end = end;
        return true;
    }
    if (!image->runs || image->run_count == image->run_capacity) {
        size_t capacity = image->run_capacity ? image->run_capacity * 2 : 1024;
        struct run *grown = realloc(image->runs, capacity * sizeof *grown);
        if (!grown) return false;
        image->runs = grown;
        image->run_capacity = capacity;
    }
    if (segment->runs == 0) segment->first_run = image->run_count;
    image->runs[image->run_count++] = (struct run){start, end};
    segment->runs++;
    return true;
}

static bool read_image(void *context, uint64_t address, void *to, size_t size)
{
    const unsigned char *at = image_at(context, address, size);
    if (at) memcpy(to, at, size);
    return at != NULL;
}

struct memory image_memory(const struct image *image)
{
    return (struct memory){read_image, (void *)image};
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->start, y = ((const struct segment *)b)->start;
    return (x > y) - (x < y);
}

static int compare_mappings(const void *a, const void *b)
{
    uint64_t x = ((const struct mapping *)a)->start, y = ((const struct mapping *)b)->start;
    return (x > y) - (x < y);
}

/* Room for more elements behind those of a list. */
static bool widen(void *list, size_t size, size_t count)
{
    void **place = list, *grown = realloc(*place, size * (count + 1));
    if (grown) *place = grown;
    return grown != NULL;
}

bool image_join(struct image *image, struct image *other)
{
    size_t segments = image->segment_count + other->segment_count;
    size_t runs = image->run_count + other->run_count, maps = image->maps.count + other->maps.count;
    if (other->segment_count == 0) {
        image_finish(other);
        return true;
    }
    image->joined = malloc(sizeof *other);
    if (!image->joined || !widen(&image->segments, sizeof *image->segments, segments) ||
        !widen(&image->runs, sizeof *image->runs, runs) ||
        !widen(&image->maps.list, sizeof *image->maps.list, maps))
        return false;
    for (size_t i = 0; i < other->segment_count; i++)
        other->segments[i].first_run += image->run_count;
    memcpy(image->segments + image->segment_count, other->segments,
           other->segment_count * sizeof *image->segments);
    memcpy(image->runs + image->run_count, other->runs, other->run_count * sizeof *image->runs);
    memcpy(image->maps.list + image->maps.count, other->maps.list,
           other->maps.count * sizeof *image->maps.list);
    image->segment_count = segments;
    image->run_count = image->run_capacity = runs;
    image->maps.count = maps;
    image->present += other->present;
    image->unread += other->unread;
    qsort(image->segments, segments, sizeof *image->segments, compare_segments);
    qsort(image->maps.list, maps, sizeof *image->maps.list, compare_mappings);
    *image->joined = *other;
    *other = (struct image){0};
    return true;
}

void image_finish(struct image *image)
{
    if (image->joined) image_finish(image->joined);
    free(image->joined);
    if (image->read) munmap(image->read, image->copy_size / IMAGE_AT_ONCE / 8 + 8);
    if (image->copy) munmap(image->copy, image->copy_size);
    free(image->segments);
    free(image->runs);
    free(image->threads);
    kernel_words_finish(&image->kernel);
    maps_finish(&image->maps);
    *image = (struct image){0};
}
