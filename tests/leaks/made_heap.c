/* See made_heap.h. */
#include <string.h>

#include "made_heap.h"

static unsigned char *place(struct made *m, uint64_t address)
{
    if (address - MADE_DATA <= MADE_DATA_BYTES - 8) return m->data + (address - MADE_DATA);
    if (address - MADE_HEAP <= MADE_HEAP_BYTES - 8) return m->heap + (address - MADE_HEAP);
    return NULL;
}

void made_write(struct made *m, uint64_t address, uint64_t word)
{
    unsigned char *at = place(m, address);
    if (at) memcpy(at, &word, sizeof word);
}

uint64_t made_read(const struct made *m, uint64_t address)
{
    uint64_t word = 0;
    image_word(&m->image, address, &word);
    return word;
}

uint64_t made_root(unsigned n)
{
    return MADE_DATA + 8ull * n;
}

void made_begin(struct made *m)
{
    uint64_t bins = MADE_DATA + MADE_BINS;
    memset(m, 0, sizeof *m);
    m->mappings[0] = (struct mapping){.start = MADE_HEAP,
                                      .end = MADE_HEAP + MADE_HEAP_BYTES,
                                      .readable = true,
                                      .writable = true,
                                      .path = "[heap]"};
    m->mappings[1] = (struct mapping){.start = MADE_DATA,
                                      .end = MADE_DATA + MADE_DATA_BYTES,
                                      .inode = 1,
                                      .readable = true,
                                      .writable = true,
                                      .path = "libc.so.6"};
    m->segments[0] = (struct segment){.start = MADE_HEAP,
                                      .end = MADE_HEAP + MADE_HEAP_BYTES,
                                      .bytes = m->heap,
                                      .first_run = 0,
                                      .runs = 1,
                                      .anonymous = true};
    m->segments[1] = (struct segment){.start = MADE_DATA,
                                      .end = MADE_DATA + MADE_DATA_BYTES,
                                      .bytes = m->data,
                                      .first_run = 1,
                                      .runs = 1};
    for (int i = 0; i < 2; i++) m->runs[i] = (struct run){m->segments[i].start, m->segments[i].end};
    m->image = (struct image){.maps = {.list = m->mappings, .count = 2},
                              .segments = m->segments,
                              .segment_count = 2,
                              .runs = m->runs,
                              .run_count = 2};
    for (uint64_t i = 0; i < GLIBC_BINS; i++) {
        made_write(m, bins + 16 * i, bins + 16 * i - 16);
        made_write(m, bins + 16 * i + 8, bins + 16 * i - 16);
    }
    made_write(m, bins + GLIBC_TO_NEXT, bins + (uint64_t)GLIBC_TO_ARENA);
    m->next = MADE_HEAP;
    m->live = true;
}

uint64_t made_chunk(struct made *m, uint64_t size, bool live)
{
    if (size > MADE_HEAP + MADE_HEAP_BYTES - 64 - m->next) return 0;
    uint64_t chunk = m->next;
    made_write(m, chunk + 8, size | m->live);
    if (!m->live) made_write(m, chunk, m->size);
    m->size = size;
    m->next += size;
    m->live = live;
    return chunk + 16;
}

void made_end(struct made *m)
{
    made_write(m, m->next + 8, (MADE_HEAP + MADE_HEAP_BYTES - m->next) | m->live);
    made_write(m, MADE_DATA + MADE_BINS + (uint64_t)GLIBC_TO_TOP, m->next);
}
