/* Lists of regions and of stretches that are no roots. */
#include <stdlib.h>

#include "parts.h"

bool parts_region(struct parts *p, const struct image *image, uint64_t start, uint64_t end,
                  uint32_t slack, bool single)
{
    const unsigned char *bytes = end > start ? image_at(image, start, end - start) : NULL;
    if (!bytes || start % REACH_GRANULE != 0) return true;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 256;
        struct reach_region *grown = realloc(p->regions, capacity * sizeof *grown);
        if (!grown) return false;
        p->regions = grown;
        p->capacity = capacity;
    }
    p->regions[p->count++] = (struct reach_region){.start = start,
                                                   .end = end,
                                                   .bytes = bytes,
                                                   .slack = slack,
                                                   .single = single,
                                                   .owner = p->owner};
    return true;
}

bool parts_exclude(struct parts *p, uint64_t start, uint64_t end)
{
    if (p->excluded_count == p->excluded_capacity) {
        size_t capacity = p->excluded_capacity ? p->excluded_capacity * 2 : 256;
        struct run *grown = realloc(p->excluded, capacity * sizeof *grown);
        if (!grown) return false;
        p->excluded = grown;
        p->excluded_capacity = capacity;
    }
    p->excluded[p->excluded_count++] = (struct run){start, end};
    return true;
}

static int compare_regions(const void *a, const void *b)
{
    uint64_t x = ((const struct reach_region *)a)->start,
             y = ((const struct reach_region *)b)->start;
    return (x > y) - (x < y);
}

static int compare_runs(const void *a, const void *b)
{
    uint64_t x = ((const struct run *)a)->start, y = ((const struct run *)b)->start;
    return (x > y) - (x < y);
}

/* Only a heap that contradicts itself has regions that overlap: the first one counts. */
static void drop_overlaps(struct parts *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (kept > 0 && p->regions[i].start < p->regions[kept - 1].end)
            p->damaged++;
        else
            p->regions[kept++] = p->regions[i];
    }
    p->count = kept;
}

void parts_sort(struct parts *p)
{
    if (p->count) qsort(p->regions, p->count, sizeof *p->regions, compare_regions);
    if (p->excluded_count) qsort(p->excluded, p->excluded_count, sizeof *p->excluded, compare_runs);
    drop_overlaps(p);
}

void parts_finish(struct parts *p)
{
    free(p->regions);
    free(p->excluded);
    *p = (struct parts){0};
}
