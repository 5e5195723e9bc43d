/* See hard_heap.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hard_heap.h"

enum {
    SHIFT_LEAST = 16,
    SHIFT_MOST = 46,
    CHUNK_SHIFT_MOST = 30,
    META_SHIFT_MOST = 8,
    CHUNKS_MAX = 1 << 22,
    REGIONS_MAX = 1 << 14,
    RECORD_MAX = 1 << 12, /* bytes of one */
    SAMPLES_MAX = 1 << 16,
    SLABS_MAX = 1 << 24, /* of a walk: 1 TiB of the smallest */
    AT_ONCE = 1 << 10,
};

/* ---- the head ------------------------------------------------------------------------------- */

static bool is_range(uint64_t start, uint64_t bytes)
{
    return start != 0 && start + bytes > start && start + bytes <= (uint64_t)1 << 57;
}

/* Threads' records, and room around the meta data. */
#define BESIDE_META ((uint64_t)1 << 30)
#define SAMPLED_MAX ((uint64_t)1 << 36)

static bool is_sound(const struct fh_hard *f)
{
    return is_range(f->base, f->bytes) && is_range(f->reserved_base, f->reserved_bytes) &&
           f->chunk_shift >= SHIFT_LEAST && f->chunk_shift <= CHUNK_SHIFT_MOST &&
           f->meta_shift <= META_SHIFT_MOST && f->base % ((uint64_t)1 << SHIFT_LEAST) == 0 &&
           f->bytes >> f->chunk_shift <= CHUNKS_MAX && f->meta >= f->reserved_base &&
           f->meta - f->reserved_base < f->reserved_bytes && f->meta % 16 == 0 &&
           f->bytes >> f->meta_shift <= f->reserved_bytes - (f->meta - f->reserved_base) &&
           f->reserved_bytes <= (f->bytes >> f->meta_shift) + BESIDE_META &&
           f->region_count <= REGIONS_MAX && f->region_size >= sizeof(struct fh_hard_region) &&
           f->region_size <= RECORD_MAX && f->large_size >= sizeof(struct fh_hard_large) &&
           f->large_size <= RECORD_MAX;
}

static void check_own(struct fh_hard *f)
{
    for (int i = 0; i < FH_HARD_OWN; i++)
        if (!is_range(f->own[i].start, f->own[i].bytes)) f->own[i].bytes = 0;
}

/* Samples that contradict themselves are none; what lies there is memory like any other. */
static void check_samples(struct fh_hard *f)
{
    bool good = is_range(f->sample_base, f->sample_bytes) && f->sample_bytes <= SAMPLED_MAX &&
                f->samples != 0 && f->sample_count <= SAMPLES_MAX &&
                f->sample_size >= sizeof(struct fh_hard_sample) && f->sample_size <= RECORD_MAX &&
                is_range(f->samples, (uint64_t)f->sample_count * f->sample_size);
    if (good) return;
    f->sample_count = 0;
    f->sample_base = f->sample_bytes = 0;
}

static bool read_head(struct hard_heap *h, uint64_t address)
{
    size_t least = offsetof(struct fh_hard, sample_base);
    uint32_t head[2];
    if (!memory_read(h->memory, address, head, sizeof head)) return false;
    if (head[0] != FH_HARD_VERSION || head[1] < least) return false;
    size_t size = head[1] < sizeof h->hard ? head[1] : sizeof h->hard;
    if (!memory_read(h->memory, address, &h->hard, size) || !is_sound(&h->hard)) return false;
    check_samples(&h->hard);
    check_own(&h->hard);
    return true;
}

/* ---- tables --------------------------------------------------------------------------------- */

static uint64_t meta_bytes(const struct hard_heap *h)
{
    return (uint64_t)1 << (h->hard.chunk_shift - h->hard.meta_shift);
}

static uint64_t slabs_of(const struct hard_heap *h, const struct fh_hard_region *r)
{
    return (uint64_t)1 << (h->hard.chunk_shift - r->slab_shift);
}

static bool is_small(const struct fh_hard_region *r)
{
    return r->kind == FH_HARD_SMALL || r->kind == FH_HARD_ZERO;
}

static bool small_is_sound(const struct hard_heap *h, const struct fh_hard_region *r)
{
    if (r->slab_shift < SHIFT_LEAST || r->slab_shift > h->hard.chunk_shift) return false;
    uint64_t slabs = slabs_of(h, r), words = slabs * r->slots * sizeof(uint32_t);
    return r->size >= 16 && r->size % 16 == 0 && r->slots > 0 &&
           (uint64_t)r->size * r->slots <= (uint64_t)1 << r->slab_shift &&
           slabs * sizeof(struct fh_hard_slab) <= r->words_at && r->words_at % 4 == 0 &&
           r->words_at + words <= meta_bytes(h);
}

static bool large_is_sound(const struct hard_heap *h, const struct fh_hard_region *r)
{
    if (r->slab_shift < SHIFT_LEAST || r->slab_shift > SHIFT_MOST) return false;
    uint64_t slots = r->slab_shift < h->hard.chunk_shift ? slabs_of(h, r) : 1;
    return r->slots == slots && slots * h->hard.large_size <= meta_bytes(h);
}

static bool read_regions(struct hard_heap *h)
{
    const struct fh_hard *f = &h->hard;
    h->regions = calloc(f->region_count + 1, sizeof *h->regions);
    if (!h->regions) return false;
    for (uint32_t i = 0; i < f->region_count; i++) {
        struct fh_hard_region *r = &h->regions[i];
        if (!memory_read(h->memory, f->regions + (uint64_t)i * f->region_size, r, sizeof *r))
            return false;
        bool sound = is_small(r)                ? small_is_sound(h, r)
                     : r->kind == FH_HARD_LARGE ? large_is_sound(h, r)
                                                : r->kind == FH_HARD_NONE;
        if (!sound && r->kind != FH_HARD_SAMPLED) h->damaged++;
        if (!sound) r->kind = FH_HARD_NONE;
    }
    return true;
}

static bool read_owners(struct hard_heap *h)
{
    h->chunks = (uint32_t)(h->hard.bytes >> h->hard.chunk_shift);
    h->owner = calloc(h->chunks + 1, sizeof *h->owner);
    return h->owner &&
           memory_read(h->memory, h->hard.owner, h->owner, h->chunks * sizeof *h->owner);
}

bool hard_heap_read(struct hard_heap *h, const struct memory *memory, uint64_t address)
{
    *h = (struct hard_heap){.memory = memory};
    if (!read_head(h, address) || !read_regions(h) || !read_owners(h)) return false;
    h->words = calloc(UINT16_MAX, sizeof *h->words);
    return h->words != NULL;
}

void hard_heap_finish(struct hard_heap *h)
{
    free(h->regions);
    free(h->owner);
    free(h->words);
    *h = (struct hard_heap){0};
}

const char *hard_heap_level(const struct hard_heap *h)
{
    static const char *const names[] = {"light", "standard", "strict"};
    return h->hard.level < sizeof names / sizeof *names ? names[h->hard.level] : "unknown level";
}

/* ---- places --------------------------------------------------------------------------------- */

/* NULL: nobody's chunk, or of a region that contradicts itself. */
static const struct fh_hard_region *region_of(const struct hard_heap *h, uint32_t chunk)
{
    unsigned owner = h->owner[chunk];
    if (owner == 0 || owner > h->hard.region_count) return NULL;
    const struct fh_hard_region *r = &h->regions[owner - 1];
    return r->kind == FH_HARD_NONE ? NULL : r;
}

static uint64_t chunk_start(const struct hard_heap *h, uint32_t chunk)
{
    return h->hard.base + ((uint64_t)chunk << h->hard.chunk_shift);
}

static uint64_t chunk_meta(const struct hard_heap *h, uint32_t chunk)
{
    return h->hard.meta + chunk * meta_bytes(h);
}

/* Chunks that a slot takes. */
static uint64_t run_of(const struct hard_heap *h, const struct fh_hard_region *r)
{
    unsigned shift = h->hard.chunk_shift;
    return r->slab_shift > shift ? (uint64_t)1 << (r->slab_shift - shift) : 1;
}

/* ---- slabs ---------------------------------------------------------------------------------- */

struct walk {
    struct hard_heap *h;
    const struct hard_visitor *visitor;
    uint64_t slabs; /* so far */
};

static bool read_words(const struct hard_heap *h, const struct fh_hard_region *r, uint32_t chunk,
                       uint64_t index, uint32_t count)
{
    uint64_t at = chunk_meta(h, chunk) + r->words_at + index * r->slots * sizeof(uint32_t);
    return memory_read(h->memory, at, h->words, count * sizeof(uint32_t));
}

static bool visit_slab(struct walk *w, const struct fh_hard_region *r, uint32_t chunk,
                       uint64_t index, const struct fh_hard_slab *slab)
{
    struct hard_heap *h = w->h;
    if (slab->carved == 0) return true;
    bool sound = slab->carved <= r->slots && slab->free <= slab->carved;
    if (!sound || (w->visitor->words && !read_words(h, r, chunk, index, slab->carved))) {
        h->damaged++;
        return true;
    }
    struct hard_slab seen = {r, chunk_start(h, chunk) + (index << r->slab_shift), slab->carved,
                             slab->free, w->visitor->words ? h->words : NULL};
    return w->visitor->slab(w->visitor->context, &seen);
}

static bool walk_slabs(struct walk *w, const struct fh_hard_region *r, uint32_t chunk)
{
    struct fh_hard_slab slabs[AT_ONCE];
    uint64_t count = slabs_of(w->h, r);
    w->slabs += count;
    for (uint64_t i = 0; w->visitor->slab && i < count; i += AT_ONCE) {
        uint64_t some = count - i < AT_ONCE ? count - i : AT_ONCE;
        uint64_t at = chunk_meta(w->h, chunk) + i * sizeof *slabs;
        if (!memory_read(w->h->memory, at, slabs, some * sizeof *slabs)) {
            w->h->damaged++;
            return true;
        }
        for (uint64_t j = 0; j < some; j++)
            if (!visit_slab(w, r, chunk, i + j, &slabs[j])) return false;
    }
    return true;
}

/* ---- large blocks --------------------------------------------------------------------------- */

static bool large_read(const struct hard_heap *h, uint32_t chunk, uint64_t index,
                       struct fh_hard_large *large)
{
    uint64_t at = chunk_meta(h, chunk) + index * h->hard.large_size;
    return memory_read(h->memory, at, large, sizeof *large);
}

static bool lies_in(uint64_t slot, uint64_t bytes, const struct fh_hard_large *large)
{
    return large->start >= slot && large->start - slot < bytes &&
           large->size <= bytes - (large->start - slot);
}

static bool walk_large(struct walk *w, const struct fh_hard_region *r, uint32_t chunk)
{
    struct hard_heap *h = w->h;
    uint64_t bytes = (uint64_t)1 << r->slab_shift;
    w->slabs += r->slots;
    if (chunk % run_of(h, r) != 0 || h->chunks - chunk < run_of(h, r)) return true;
    for (uint64_t i = 0; w->visitor->large && i < r->slots; i++) {
        struct fh_hard_large large;
        uint64_t slot = chunk_start(h, chunk) + (i << r->slab_shift);
        bool read = large_read(h, chunk, i, &large);
        if (read && FH_HARD_STATE(large.word) == FH_HARD_NEVER) continue;
        if (!read || !lies_in(slot, bytes, &large))
            h->damaged++;
        else if (!w->visitor->large(w->visitor->context, slot, bytes, &large))
            return false;
    }
    return true;
}

/* ---- samples -------------------------------------------------------------------------------- */

static bool sample_is_sound(const struct fh_hard *f, const struct fh_hard_sample *s)
{
    uint64_t offset = s->start - f->sample_base;
    return offset < f->sample_bytes && s->size <= f->sample_bytes - offset;
}

static bool sample_read(const struct hard_heap *h, uint32_t i, struct fh_hard_sample *sample)
{
    uint64_t at = h->hard.samples + (uint64_t)i * h->hard.sample_size;
    return memory_read(h->memory, at, sample, sizeof *sample) &&
           FH_HARD_STATE(sample->word) != FH_HARD_NEVER && sample_is_sound(&h->hard, sample);
}

static bool walk_samples(struct walk *w)
{
    for (uint32_t i = 0; w->visitor->sample && i < w->h->hard.sample_count; i++) {
        struct fh_hard_sample sample;
        if (!sample_read(w->h, i, &sample)) continue;
        if (!w->visitor->sample(w->visitor->context, &sample)) return false;
    }
    return true;
}

bool hard_heap_walk(struct hard_heap *h, const struct hard_visitor *visitor)
{
    struct walk w = {h, visitor, 0};
    for (uint32_t chunk = 0; chunk < h->chunks; chunk++) {
        const struct fh_hard_region *r = region_of(h, chunk);
        if (!r) continue;
        if (w.slabs > SLABS_MAX) {
            h->cut = true;
            break;
        }
        if (!(is_small(r) ? walk_slabs : walk_large)(&w, r, chunk)) return false;
    }
    return walk_samples(&w);
}

bool hard_heap_records(const struct hard_heap *h,
                       bool (*each)(void *context, uint64_t start, uint64_t end), void *context)
{
    const struct fh_hard *f = &h->hard;
    if (!each(context, f->reserved_base, f->reserved_base + f->reserved_bytes)) return false;
    for (int i = 0; i < FH_HARD_OWN; i++) {
        const struct fh_hard_range *own = &f->own[i];
        if (own->bytes && !each(context, own->start, own->start + own->bytes)) return false;
    }
    if (f->sample_count == 0) return true;
    return each(context, f->samples, f->samples + (uint64_t)f->sample_count * f->sample_size);
}

/* ---- one address ---------------------------------------------------------------------------- */

static const char *state_name(uint32_t word)
{
    static const char *const names[8] = {
        [FH_HARD_NEVER] = "not handed out yet",
        [FH_HARD_LIVE] = "live",
        [FH_HARD_QUARANTINED] = "freed, in quarantine or a thread's cache",
        [FH_HARD_FREE] = "free",
        [FH_HARD_CACHED] = "free, in a thread's cache",
        [FH_HARD_GONE] = "freed for good",
    };
    const char *name = names[FH_HARD_STATE(word)];
    return name ? name : "in no known state";
}

static void describe_block(uint64_t address, uint64_t start, uint64_t size, uint32_t word,
                           char *text, size_t capacity)
{
    unsigned long long at = start, length = size, offset = address - start;
    if (address < start)
        snprintf(text, capacity, "%llu bytes in front of a block of %llu bytes at 0x%llx, %s",
                 (unsigned long long)(start - address), length, at, state_name(word));
    else if (offset < size)
        snprintf(text, capacity, "byte %llu of a block of %llu bytes at 0x%llx, %s", offset, length,
                 at, state_name(word));
    else
        snprintf(text, capacity, "%llu bytes behind a block of %llu bytes at 0x%llx, %s",
                 offset - length, length, at, state_name(word));
}

static void describe_small(struct hard_heap *h, const struct fh_hard_region *r, uint32_t chunk,
                           uint64_t address, char *text, size_t capacity)
{
    uint64_t within = (address - h->hard.base) & (((uint64_t)1 << h->hard.chunk_shift) - 1);
    uint64_t slab = within >> r->slab_shift, offset = within & (((uint64_t)1 << r->slab_shift) - 1);
    uint64_t index = offset / r->size;
    if (index >= r->slots || !read_words(h, r, chunk, slab, r->slots)) {
        snprintf(text, capacity, "the tail of a slab, in no block");
        return;
    }
    uint32_t word = h->words[index];
    bool live = FH_HARD_STATE(word) == FH_HARD_LIVE;
    uint64_t size = live ? hard_slot_asked(r, word) : r->size;
    describe_block(address, address - (offset - index * r->size), size, word, text, capacity);
}

static void describe_large(const struct hard_heap *h, const struct fh_hard_region *r,
                           uint32_t chunk, uint64_t address, char *text, size_t capacity)
{
    struct fh_hard_large large;
    uint32_t head = chunk - chunk % (uint32_t)run_of(h, r);
    uint64_t index = (address - chunk_start(h, head)) >> r->slab_shift;
    uint64_t slot = chunk_start(h, head) + (index << r->slab_shift);
    bool known = index < r->slots && large_read(h, head, index, &large) &&
                 lies_in(slot, (uint64_t)1 << r->slab_shift, &large);
    if (!known || FH_HARD_STATE(large.word) == FH_HARD_NEVER)
        snprintf(text, capacity, "room for a large block, never used");
    else
        describe_block(address, large.start, large.size, large.word, text, capacity);
}

/* Blocks lie in slots of equal size, but which size is nothing that tools are told: the nearest one. */
static void describe_sample(const struct hard_heap *h, uint64_t address, char *text,
                            size_t capacity)
{
    struct fh_hard_sample sample, best = {0};
    uint64_t nearest = UINT64_MAX;
    for (uint32_t i = 0; i < h->hard.sample_count; i++) {
        if (!sample_read(h, i, &sample)) continue;
        uint64_t end = sample.start + sample.size;
        uint64_t away = address < sample.start ? sample.start - address
                        : address < end        ? 0
                                               : address - end + 1;
        if (away >= nearest) continue;
        nearest = away;
        best = sample;
    }
    size_t at = (size_t)snprintf(text, capacity, "sampled: ");
    if (best.start == 0 || at >= capacity)
        snprintf(text, capacity, "pages for sampled blocks, not in use");
    else
        describe_block(address, best.start, best.size, best.word, text + at, capacity - at);
}

bool hard_heap_describe(struct hard_heap *h, uint64_t address, char *text, size_t capacity)
{
    const struct fh_hard *f = &h->hard;
    uint64_t offset = address - f->base;
    bool own = address - f->reserved_base < f->reserved_bytes;
    for (int i = 0; i < FH_HARD_OWN; i++) own |= address - f->own[i].start < f->own[i].bytes;
    if (own) {
        snprintf(text, capacity, "Freehold's own records");
        return true;
    }
    if (f->sample_base && address - f->sample_base < f->sample_bytes) {
        describe_sample(h, address, text, capacity);
        return true;
    }
    if (offset >= f->bytes) return false;
    uint64_t chunk = offset >> f->chunk_shift;
    const struct fh_hard_region *r = chunk < h->chunks ? region_of(h, (uint32_t)chunk) : NULL;
    if (!r)
        snprintf(text, capacity, "reserved, not in use");
    else if (is_small(r))
        describe_small(h, r, (uint32_t)chunk, address, text, capacity);
    else
        describe_large(h, r, (uint32_t)chunk, address, text, capacity);
    return true;
}
