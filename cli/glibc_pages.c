/* Chunks against pages, heap by heap, in ascending order. See glibc_pages.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "glibc_pages.h"
#include "image.h"
#include "parts.h"

/* The arenas may have changed so much while they were read that they were not known for what they are. */
enum { ATTEMPTS = 8 };

enum {
    CHUNK_HEAD = 48,
    TOP_MIN = 32
}; /* struct malloc_chunk, and what malloc_trim leaves of the top */

struct division {
    struct glibc_pages *g;
    const struct image *image;
    const struct pages *pages;
    const struct smaps *smaps;
    struct glibc glibc;
    struct parts parts;
    struct reach reach;
    struct run *resident; /* of the heap at hand, ascending */
    size_t count, capacity;
    bool no_memory;
};

/* ---- residency ------------------------------------------------------------------------------ */

static void note_resident(void *context, uint64_t start, uint64_t end)
{
    struct division *d = context;
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 256;
        struct run *grown = realloc(d->resident, capacity * sizeof *grown);
        d->no_memory |= !grown;
        if (!grown) return;
        d->resident = grown;
        d->capacity = capacity;
    }
    if (d->count > 0 && d->resident[d->count - 1].end == start)
        d->resident[d->count - 1].end = end;
    else
        d->resident[d->count++] = (struct run){start, end};
}

static bool read_residency(struct division *d, const struct glibc_heap *heap)
{
    uint64_t mask = d->pages->page_size - 1;
    d->count = 0;
    return pages_each(d->pages, heap->start & ~mask, (heap->end + mask) & ~mask, note_resident,
                      d) &&
           !d->no_memory;
}

static uint64_t resident_in(const struct division *d, uint64_t start, uint64_t end)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (d->resident[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t bytes = 0;
    for (; low < d->count && d->resident[low].start < end; low++) {
        const struct run *run = &d->resident[low];
        bytes += (run->end < end ? run->end : end) - (run->start > start ? run->start : start);
    }
    return bytes;
}

/* ---- accounts ------------------------------------------------------------------------------- */

static void add(struct division *d, enum glibc_use use, uint64_t start, uint64_t end)
{
    uint64_t resident = resident_in(d, start, end);
    d->g->part[use].resident += resident;
    d->g->part[use].absent += end - start - resident;
    d->g->part[use].count++;
}

/* The mappings that lose to the parts what a stretch of them holds. */
static void carve(struct division *d, uint64_t start, uint64_t end)
{
    for (size_t i = smaps_find(d->smaps, start); i < d->smaps->count; i++) {
        const struct mapping *m = &d->smaps->list[i].mapping;
        if (m->start >= end) break;
        d->g->carved[i] +=
            resident_in(d, m->start > start ? m->start : start, m->end < end ? m->end : end);
    }
}

/* A free chunk: whole pages of it go, behind its head. */
static void add_trim(struct division *d, uint64_t start, uint64_t end)
{
    uint64_t mask = d->pages->page_size - 1, from = (start + CHUNK_HEAD + mask) & ~mask;
    if (end - start <= mask + CHUNK_HEAD || end <= from) return;
    d->g->trim += resident_in(d, from, from + ((end - from) & ~mask));
}

/* ---- chunks --------------------------------------------------------------------------------- */

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_listed(const uint64_t *list, size_t count, uint64_t block)
{
    return count > 0 && bsearch(&block, list, count, sizeof *list, compare_words) != NULL;
}

static uint64_t chunk_word(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Of a chunk that the next one calls in use, but that is no block of the program's. */
static enum glibc_use use_of_hidden(const struct division *d, uint64_t block)
{
    return is_listed(d->glibc.caches, d->glibc.cache_count, block) ? GLIBC_OWN : GLIBC_CACHED;
}

/* Adds the chunks of a piece. The result is where the free chunks at its end begin, which malloc_trim would
 * join with a top behind them; the piece's end if there are none. */
static uint64_t divide_piece(struct division *d, const struct glibc_piece *piece)
{
    const unsigned char *bytes =
        image_at(d->image, piece->start, piece->end + 2 * sizeof(uint64_t) - piece->start);
    uint64_t free_from = 0, at = piece->start, size;
    if (!bytes) return piece->end;
    carve(d, piece->start, piece->end);
    for (; at < piece->end; at += size) {
        const unsigned char *chunk = bytes + (at - piece->start);
        size = GLIBC_SIZE(chunk_word(chunk + 8));
        bool used = chunk_word(chunk + size + 8) & 1;
        struct reach_block block;
        bool live = used && reach_block_of(&d->reach, at + 16, &block) && block.start == at + 16;
        bool fast = used && !live && is_listed(d->glibc.fast, d->glibc.fast_count, at + 16);
        add(d, live ? GLIBC_LIVE : used ? use_of_hidden(d, at + 16) : GLIBC_BETWEEN, at, at + size);
        if (used && !fast) {
            if (free_from) add_trim(d, free_from, at);
            free_from = 0;
        } else if (!free_from) {
            free_from = at;
        }
    }
    return free_from ? free_from : piece->end;
}

/* ---- heaps ---------------------------------------------------------------------------------- */

static bool is_main(const struct division *d, const struct glibc_heap *heap)
{
    return heap->arena == d->glibc.bins;
}

/* malloc_trim moves the break only if nobody else moved it since. */
static bool ends_at_break(const struct division *d, const struct glibc_heap *heap)
{
    uint64_t mask = d->pages->page_size - 1;
    for (size_t i = 0; i < d->image->maps.count; i++) {
        const struct mapping *m = &d->image->maps.list[i];
        if (strcmp(m->path, "[heap]") == 0 && m->end == ((heap->end + mask) & ~mask)) return true;
    }
    return false;
}

static void divide_top(struct division *d, const struct glibc_heap *heap, uint64_t free_from)
{
    uint64_t mask = d->pages->page_size - 1, size = heap->end - free_from;
    add(d, GLIBC_TOPS, heap->top, heap->end);
    carve(d, heap->top, heap->end);
    if (!is_main(d, heap) || size <= TOP_MIN + 1 || !ends_at_break(d, heap)) return;
    d->g->trim += resident_in(d, heap->end - ((size - TOP_MIN - 1) & ~mask), heap->end);
}

/* The arena's own words, up to its first chunk. */
static void divide_head(struct division *d, const struct glibc_heap *heap, uint64_t first)
{
    if (is_main(d, heap) || first <= heap->start || first - heap->start > d->pages->page_size)
        return;
    add(d, GLIBC_OWN, heap->start, first);
    carve(d, heap->start, first);
}

static uint64_t free_bytes(const struct glibc_pages *g)
{
    return g->part[GLIBC_BETWEEN].resident + g->part[GLIBC_CACHED].resident +
           g->part[GLIBC_TOPS].resident;
}

static bool has_threads(const struct division *d, const struct glibc_heap *heap)
{
    uint64_t threads = 1;
    image_word(d->image, heap->arena + GLIBC_TO_THREADS, &threads);
    return threads != 0;
}

static bool divide_heap(struct division *d, const struct glibc_heap *heap, size_t *piece)
{
    const struct glibc *g = &d->glibc;
    uint64_t before = free_bytes(d->g), free_from = heap->top;
    if (!read_residency(d, heap)) return false;
    while (*piece < g->piece_count && g->pieces[*piece].start < heap->start) ++*piece;
    uint64_t first = *piece < g->piece_count && g->pieces[*piece].start < heap->end
                         ? g->pieces[*piece].start
                         : heap->top;
    divide_head(d, heap, first);
    for (; *piece < g->piece_count && g->pieces[*piece].start < heap->end; ++*piece) {
        const struct glibc_piece *p = &g->pieces[*piece];
        uint64_t end = divide_piece(d, p);
        if (p->end == heap->top)
            free_from = end;
        else if (end < p->end)
            add_trim(d, end, p->end);
    }
    if (heap->top) divide_top(d, heap, free_from);
    if (!is_main(d, heap) && !has_threads(d, heap)) d->g->ended_free += free_bytes(d->g) - before;
    return true;
}

static int compare_heaps(const void *a, const void *b)
{
    uint64_t x = ((const struct glibc_heap *)a)->start, y = ((const struct glibc_heap *)b)->start;
    return (x > y) - (x < y);
}

static int compare_pieces(const void *a, const void *b)
{
    uint64_t x = ((const struct glibc_piece *)a)->start, y = ((const struct glibc_piece *)b)->start;
    return (x > y) - (x < y);
}

static void sort(struct glibc *g)
{
    if (g->heap_count) qsort(g->heaps, g->heap_count, sizeof *g->heaps, compare_heaps);
    if (g->piece_count) qsort(g->pieces, g->piece_count, sizeof *g->pieces, compare_pieces);
    if (g->fast_count) qsort(g->fast, g->fast_count, sizeof *g->fast, compare_words);
    if (g->cache_count) qsort(g->caches, g->cache_count, sizeof *g->caches, compare_words);
}

/* Only heaps that contradict each other overlap: what the first one has, the second must not count again. */
static bool divide_heaps(struct division *d)
{
    uint64_t end = 0;
    size_t piece = 0;
    for (size_t i = 0; i < d->glibc.heap_count; i++) {
        const struct glibc_heap *heap = &d->glibc.heaps[i];
        if (heap->start < end || heap->end <= heap->start) continue;
        if (!divide_heap(d, heap, &piece)) return false;
        end = heap->end;
    }
    return true;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void release(void *memory, size_t bytes)
{
    munmap(memory, bytes ? bytes : 1);
}

static void count_arenas(struct division *d)
{
    struct glibc_pages *g = d->g;
    for (size_t i = 1; i < d->glibc.arena_count; i++) {
        struct glibc_heap any = {.arena = d->glibc.arenas[i]};
        g->ended_arenas += !has_threads(d, &any);
    }
    g->arenas = d->glibc.arena_count;
    g->heaps = d->glibc.heap_count;
    g->caches = d->glibc.cache_count;
    g->torn = d->glibc.torn;
    g->torn_at = d->glibc.torn_at;
    g->bins = d->glibc.bins;
    g->missing = d->parts.damaged;
}

static bool divide(struct division *d, bool running)
{
    if (!glibc_find(&d->glibc, d->image)) return false;
    d->glibc.running = running;
    if (!glibc_heaps(&d->glibc, d->image, &d->parts) ||
        !reach_init(&d->reach, d->parts.regions, d->parts.count, reserve, release) ||
        !glibc_fill(&d->glibc, d->image, &d->parts, &d->reach) || !reach_seal(&d->reach))
        return false;
    sort(&d->glibc);
    count_arenas(d);
    return divide_heaps(d);
}

bool glibc_pages_divide(struct glibc_pages *g, const struct image *image, bool running,
                        const struct pages *pages, const struct smaps *smaps)
{
    struct division d = {.g = g, .image = image, .pages = pages, .smaps = smaps};
    *g = (struct glibc_pages){.carved = calloc(smaps->count + 1, sizeof *g->carved)};
    bool done = g->carved && divide(&d, running);
    reach_finish(&d.reach);
    parts_finish(&d.parts);
    glibc_finish(&d.glibc);
    free(d.resident);
    return done;
}

bool glibc_pages_read(struct glibc_pages *g, const struct memory *memory, const struct pages *pages,
                      const struct smaps *smaps, pid_t pid)
{
    char why[IMAGE_WHY];
    bool done = false;
    *g = (struct glibc_pages){0};
    for (int i = 0; i < ATTEMPTS && (!done || g->missing); i++) {
        struct image image;
        glibc_pages_finish(g);
        done = image_open_running(&image, pid, memory, why) &&
               glibc_pages_divide(g, &image, true, pages, smaps);
        if (done) g->read = image_read_bytes(&image);
        image_finish(&image);
    }
    return done;
}

void glibc_pages_finish(struct glibc_pages *g)
{
    free(g->carved);
    g->carved = NULL;
}
