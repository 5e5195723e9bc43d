/* What the hand-made heaps share: memory that is there, and words in it. See made_other.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "made_inside.h"

enum { PAGE = 4096 };

/* In ascending order of their addresses. */
void made_stretch(struct made_other *m, uint64_t start, uint64_t size, bool of_file)
{
    size_t i = m->stretches++;
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED || i == OTHER_STRETCHES) abort();
    m->mappings[i] = (struct mapping){.start = start,
                                      .end = start + size,
                                      .inode = of_file,
                                      .readable = true,
                                      .writable = true,
                                      .path = of_file ? "program" : ""};
    m->segments[i] = (struct segment){
        .start = start, .end = start + size, .bytes = bytes, .anonymous = !of_file};
    m->image.maps = (struct maps){.list = m->mappings, .count = m->stretches};
    m->image.segments = m->segments;
    m->image.segment_count = m->stretches;
    m->image.present += size;
}

static int compare_runs(const void *a, const void *b)
{
    uint64_t x = ((const struct run *)a)->start, y = ((const struct run *)b)->start;
    return (x > y) - (x < y);
}

void made_seal(struct made_other *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->stretches; i++) m->segments[i].runs = 0;
    for (size_t i = 0; i < m->writes; i++) {
        uint64_t page = m->written[i] & ~(uint64_t)(PAGE - 1);
        m->runs[i] = (struct run){page, page + PAGE};
    }
    qsort(m->runs, m->writes, sizeof *m->runs, compare_runs);
    for (size_t i = 0, s = 0; i < m->writes; i++) {
        if (count > 0 && m->runs[count - 1].start == m->runs[i].start) continue;
        while (m->segments[s].end <= m->runs[i].start) s++;
        if (m->segments[s].runs++ == 0) m->segments[s].first_run = count;
        m->runs[count++] = m->runs[i];
    }
    m->image.runs = m->runs;
    m->image.run_count = count;
}

void made_begin_other(struct made_other *m)
{
    *m = (struct made_other){.thread = {.registers.thread_pointer = OTHER_THREAD}};
    m->image.threads = &m->thread;
    m->image.thread_count = 1;
    made_stretch(m, OTHER_DATA, OTHER_DATA_BYTES, true);
}

void made_other_end(struct made_other *m)
{
    for (size_t i = 0; i < m->stretches; i++)
        munmap((void *)m->segments[i].bytes, m->segments[i].end - m->segments[i].start);
}

static unsigned char *place(struct made_other *m, uint64_t address)
{
    return (unsigned char *)image_at(&m->image, address, sizeof(uint64_t));
}

void made_other_write(struct made_other *m, uint64_t address, uint64_t word)
{
    unsigned char *at = place(m, address);
    if (!at) return;
    memcpy(at, &word, sizeof word);
    if (m->writes < OTHER_WRITES) m->written[m->writes++] = address;
}

uint64_t made_other_read(const struct made_other *m, uint64_t address)
{
    uint64_t word = 0;
    image_word(&m->image, address, &word);
    return word;
}

uint64_t made_other_root(unsigned n)
{
    return OTHER_DATA + 8ull * n;
}
